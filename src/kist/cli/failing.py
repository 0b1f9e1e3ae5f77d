"""How an error reads: one line for people, one object for programs, and the exit code of its class."""

import json
import sys
from collections.abc import Sequence

from cyclopts import CycloptsError

from kist.cli.output import note, warn
from kist.cli.text import escape
from kist.errors import InvalidInput, KistError

__all__ = ["tell"]

UNEXPECTED = "unexpected"


def tell(error: Exception, words: Sequence[str]) -> int:
    """Write what went wrong to stderr and return the exit code.

    Args:
        error: what was raised.
        words: the arguments of the command.
    """
    code, message, exit_code = _told(error, words)
    sys.stdout.flush()
    if asks_json(words):
        note(json.dumps({"error": {"code": code, "message": message}}))
    else:
        warn(message)
    return exit_code


def asks_json(words: Sequence[str]) -> bool:
    """Say whether the arguments of a command ask for JSON: known before they are understood, or if they can't be."""
    return "--json" in (words[: words.index("--")] if "--" in words else words)


def _told(error: Exception, words: Sequence[str]) -> tuple[str, str, int]:
    if isinstance(error, CycloptsError):
        chain = " ".join(error.command_chain or ())
        told = " ".join(str(error).split())
        return InvalidInput.code, f"{told} See: kist {chain + ' ' if chain else ''}--help", InvalidInput.exit_code
    if isinstance(error, KistError):
        return error.code, str(error), error.exit_code
    told = " ".join(str(error).split())
    name = f"kist {words[0]}" if words and not words[0].startswith("-") else "kist"
    return UNEXPECTED, f"{name} failed unexpectedly: {type(error).__name__}: {escape(told)} (KIST_DEBUG=1 shows where)", 1
