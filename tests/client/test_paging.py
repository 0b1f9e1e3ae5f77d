"""Lists come whole, page by page, from whatever answers."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import pytest

from kist import AsyncClient, Client
from kist.errors import IntegrityError
from kist.models.requests import ListUsers, Page, Request
from kist.operations import Operation


@dataclass
class Pages:
    """A transport that answers with the pages it was given; `next` of each is the number of the next one, or what `nexts` says."""

    pages: Sequence[list[str]]
    nexts: Sequence[str] = ()
    asked: list[ListUsers] = field(default_factory=list)
    place: str = "a test"

    def call[In: Request, Out](self, operation: Operation[In, Out], request: In) -> Out:
        """Answer with the next page."""
        assert operation.name == "list_users"
        self.asked.append(cast("ListUsers", request))
        number = len(self.asked)
        following = str(number) if number < len(self.pages) else ""
        return cast("Out", Page(items=self.pages[number - 1], next=self.nexts[number - 1] if self.nexts else following))

    def close(self) -> None:
        """Hold nothing."""


@dataclass
class AsyncPages:
    """The same for event loops."""

    blocking: Pages

    @property
    def place(self) -> str:
        """Say where."""
        return self.blocking.place

    async def call[In: Request, Out](self, operation: Operation[In, Out], request: In) -> Out:
        """Answer with the next page."""
        return self.blocking.call(operation, request)

    async def aclose(self) -> None:
        """Hold nothing."""


def test_all_pages_are_asked_for() -> None:
    pages = Pages([["a", "b"], ["c"], []])
    assert list(map(str, Client.over(pages).list_users())) == ["a", "b", "c"]
    assert [one.after for one in pages.asked] == ["", "1", "2"]
    assert {one.limit for one in pages.asked} == {1000}


def test_all_pages_are_asked_for_in_an_event_loop() -> None:
    pages = Pages([["a", "b"], ["c"], []])
    assert list(map(str, asyncio.run(AsyncClient.over(AsyncPages(pages)).list_users()))) == ["a", "b", "c"]
    assert len(pages.asked) == 3


def test_a_server_that_gives_one_page_for_ever_is_left() -> None:
    with pytest.raises(IntegrityError, match="again and again"):
        Client.over(Pages([["a"]] * 3, ["x"] * 3)).list_users()
