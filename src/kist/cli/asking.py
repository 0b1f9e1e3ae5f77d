"""What a person is asked for: secrets, which never show, and the name of what is to be deleted. Programs say it beforehand."""

import os
import sys

from kist.errors import InvalidInput

__all__ = ["ASKED", "confirm", "secret"]

ASKED = "-"


def secret(variable: str, question: str, *, twice: bool = False, optional: bool = False, whole: bool = False) -> str:
    """Return a secret from the environment, the user, or standard input.

    Args:
        variable: of the environment; it goes before all else.
        question: what it is, as asked in a terminal.
        twice: whether whoever types it must type it again.
        optional: whether there may be none.
        whole: whether it is all of standard input, such as the file of a key; else it is one line.

    Raises:
        InvalidInput: none was given, or two that differ.
    """
    if said := os.environ.get(variable):
        return said
    if not sys.stdin.isatty():
        said = (sys.stdin.read() if whole else sys.stdin.readline()).rstrip("\r\n")
    else:
        from getpass import getpass  # noqa: PLC0415 - only where somebody is asked

        said = getpass(f"{question}: ", stream=sys.stderr)
        if said and twice and getpass(f"{question}, again: ", stream=sys.stderr) != said:
            raise InvalidInput(f"the two differ: the {question} stays as it was")
    if not (said or optional):
        raise InvalidInput(f"no {question} was given: type it, pipe it in, or set {variable}")
    return said


def confirm(what: str, name: str, said: str | None) -> None:
    """Make sure that a deletion is meant: the name is repeated, in a terminal or by ``--confirm``.

    Args:
        what: what would be deleted, and what becomes of the rest, for the question.
        name: its name.
        said: what ``--confirm`` said.

    Raises:
        InvalidInput: it was not, or another name was.
    """
    if said is None and sys.stdin.isatty():
        sys.stderr.write(f"kist: {what}\ntype its name, {name}, to go on: ")
        sys.stderr.flush()
        said = sys.stdin.readline().strip()
    if said is None:
        raise InvalidInput(f"{what}: say --confirm {name} if you mean it")
    if said != name:
        raise InvalidInput(f"{said!r} is not {name!r}: nothing was deleted")
