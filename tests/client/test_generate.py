"""What is made from other code is as it should be, and says the same for threads and event loops."""

import inspect
import sys
from collections.abc import Callable

import pytest

from kist import AsyncClient, AsyncRepository, Client, Repository
from kist.client import generate

OURS = {"aclose": "close", "__aenter__": "__enter__", "__aexit__": "__exit__"}


def calls(kind: type) -> dict[str, Callable[..., object]]:
    """Return the public methods of a class by the names that they have for threads."""
    found = inspect.getmembers(kind, inspect.isfunction)
    return {OURS.get(name, name): function for name, function in found if not name.startswith("_") or name in {*OURS, *OURS.values()}}


def test_nothing_need_be_made_again(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["generate", "--check"])
    assert (generate.main(), capsys.readouterr().err) == (0, "")


def test_both_clients_have_the_same_calls() -> None:
    assert calls(Client).keys() == calls(AsyncClient).keys()


@pytest.mark.parametrize("name", sorted(set(calls(Client)) - {"over", "close"}))
def test_both_clients_take_and_say_the_same(name: str) -> None:
    one, other = calls(Client)[name], calls(AsyncClient)[name]
    assert inspect.signature(one).parameters == inspect.signature(other).parameters
    assert one.__doc__ == other.__doc__


def test_no_call_of_the_client_for_threads_is_awaited() -> None:
    assert not [name for name, call in calls(Client).items() if inspect.iscoroutinefunction(call) or inspect.isasyncgenfunction(call)]


def test_no_call_of_the_client_for_event_loops_blocks() -> None:
    blocking = [
        name for name, call in calls(AsyncClient).items() if not (inspect.iscoroutinefunction(call) or inspect.isasyncgenfunction(call))
    ]
    assert blocking == []


def test_both_repositories_have_the_same_calls() -> None:
    assert calls(Repository).keys() == calls(AsyncRepository).keys()


@pytest.mark.parametrize("name", sorted(calls(Repository)))
def test_both_repositories_take_and_say_the_same(name: str) -> None:
    one, other = calls(Repository)[name], calls(AsyncRepository)[name]
    assert list(inspect.signature(one).parameters.values()) == list(inspect.signature(other).parameters.values())
    assert inspect.getdoc(one) == inspect.getdoc(other)
