"""How errors read, and their exit codes."""

import json
from pathlib import Path

import pytest
from tests.cli.running import Kist

from kist import errors
from kist.cli.failing import asks_json, tell

CLASSES = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.KistError)]


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_has_its_exit_code_and_one_line(kind: type[errors.KistError], capsys: pytest.CaptureFixture[str]) -> None:
    assert tell(kind("what\nhappened"), ["ls"]) == kind.exit_code
    assert capsys.readouterr().err == "kist: what\\nhappened\n"


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_is_an_object_for_programs(kind: type[errors.KistError], capsys: pytest.CaptureFixture[str]) -> None:
    tell(kind("what\nhappened"), ["ls", "--json"])
    assert json.loads(capsys.readouterr().err) == {"error": {"code": kind.code, "message": "what\nhappened"}}


def test_exit_codes_are_all_different() -> None:
    assert len({kind.exit_code for kind in CLASSES}) == len(CLASSES)


def test_the_unexpected_says_how_to_see_more(capsys: pytest.CaptureFixture[str]) -> None:
    assert tell(ZeroDivisionError("oh\nno"), ["ls"]) == 1
    assert capsys.readouterr().err == "kist: kist ls failed unexpectedly: ZeroDivisionError: oh no (KIST_DEBUG=1 shows where)\n"


@pytest.mark.parametrize("line", ["frobnicate", "ls --frobnicate", "ls a b", "mv a", "cat", "save x --on-conflict win", "ls -n many"])
def test_a_line_that_makes_no_sense_is_told_in_one(kist: Kist, line: str) -> None:
    result = kist(*line.split())
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert "--help" in result.err


def test_such_a_line_is_an_object_for_programs(kist: Kist) -> None:
    assert json.loads(kist("--json", "ls", "--frobnicate").err)["error"]["code"] == "invalid-input"


def test_whoever_debugs_gets_the_exception(kist: Kist, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIST_DEBUG", "1")
    with pytest.raises(errors.NotFound):
        kist("cat", "nope")


def test_json_is_asked_for_before_the_dashes_only() -> None:
    assert (asks_json(["ls", "--json"]), asks_json(["ls", "--", "--json"]), asks_json(["ls"])) == (True, False, False)


def test_a_repository_that_is_damaged_leaves_through_its_exit_code(saved: Kist) -> None:
    (Path(saved.home) / "data" / "repositories" / "local" / "default" / "format").write_bytes(b"{}")
    assert saved("log").code == errors.IntegrityError.exit_code
