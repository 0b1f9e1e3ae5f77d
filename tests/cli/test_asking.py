"""What a person is asked for in a terminal."""

import contextlib
import io
import os
import pty

import pytest
from tests.cli.running import Kist, program

from kist.cli.asking import confirm, secret
from kist.errors import InvalidInput

PASSWORD = "correct horse battery"


def in_terminal(kist: Kist, words: tuple[str, ...], *answers: tuple[str, str]) -> tuple[int, str]:
    """Run a command in a terminal, answer its questions, and return its exit code and what was seen there."""
    terminal, inner = pty.openpty()
    process = program(kist.home, *words, stdin=inner, stdout=inner, stderr=inner, start_new_session=True)
    os.close(inner)
    seen, asked = b"", list(answers)
    with contextlib.suppress(OSError):  # that is how a terminal says that all have left it
        while data := os.read(terminal, 65536):
            seen += data
            if asked and seen.decode().endswith(asked[0][0]):
                os.write(terminal, f"{asked.pop(0)[1]}\n".encode())
    os.close(terminal)
    return process.wait(60), seen.decode()


@pytest.fixture
def lab(kist: Kist) -> Kist:
    """The command line, with an organisation `lab`."""
    kist.ok("org", "create", "lab")
    return kist


def test_a_deletion_is_confirmed_by_the_name(lab: Kist) -> None:
    code, seen = in_terminal(lab, ("org", "delete", "lab"), ("type its name, lab, to go on: ", "lab"))
    assert (code, seen.endswith("deleted the organisation lab\r\n")) == (0, True)
    assert lab("org", "show", "lab").code == 3


def test_another_name_deletes_nothing(lab: Kist) -> None:
    code, seen = in_terminal(lab, ("org", "delete", "lab"), ("type its name, lab, to go on: ", "yes"))
    assert (code, "'yes' is not 'lab': nothing was deleted" in seen) == (2, True)
    lab.ok("org", "show", "lab")


def test_a_new_password_is_typed_twice_and_does_not_show(kist: Kist) -> None:
    questions = (("password of grace: ", PASSWORD), ("password of grace, again: ", PASSWORD))
    code, seen = in_terminal(kist, ("user", "create", "grace", "--password"), *questions)
    assert (code, PASSWORD in seen) == (0, False)


def test_two_passwords_that_differ_make_nothing(kist: Kist) -> None:
    questions = (("password of grace: ", PASSWORD), ("password of grace, again: ", "correct house battery"))
    assert in_terminal(kist, ("user", "create", "grace", "--password"), *questions)[0] == 2
    assert [one["name"] for one in kist.ok("user", "list", "--json").json] == ["ada"]


def test_a_script_says_the_name_beforehand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("lab\n"))
    confirm("all of it will be gone", "lab", "lab")
    with pytest.raises(InvalidInput, match="all of it will be gone: say --confirm lab"):
        confirm("all of it will be gone", "lab", None)


def test_the_environment_goes_before_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("one\ntwo\n\n"))
    assert [secret("KIST_TEST_SECRET", "word") for _ in range(2)] == ["one", "two"]
    assert secret("KIST_TEST_SECRET", "word", optional=True) == ""
    with pytest.raises(InvalidInput, match="no word was given: type it, pipe it in, or set KIST_TEST_SECRET"):
        secret("KIST_TEST_SECRET", "word")
    monkeypatch.setenv("KIST_TEST_SECRET", "three")
    assert secret("KIST_TEST_SECRET", "word") == "three"
