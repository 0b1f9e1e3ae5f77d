"""``KEY=VALUE`` as it stands on a command line: plain text, JSON, or ``-`` for a secret that is asked for."""

import json
from collections.abc import Sequence

from kist.errors import InvalidInput

__all__ = ["json_pairs", "pair", "text_pairs"]


def pair(text: str, option: str, example: str) -> tuple[str, str]:
    """Return key and value.

    Raises:
        InvalidInput: there is no ``=``. What was found is not repeated: it may be a secret.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.isidentifier():
        raise InvalidInput(f"{option} takes KEY=VALUE, such as {example}")
    return key, value


def text_pairs(said: Sequence[str] | None, option: str, example: str) -> dict[str, str]:
    """Return pairs as they stand.

    Raises:
        InvalidInput: one is none, or a key is said twice.
    """
    found: dict[str, str] = {}
    for one in said or ():
        key, value = pair(one, option, example)
        if found.setdefault(key, value) != value:
            raise InvalidInput(f"{option} says {key} twice: say it once")
    return found


def json_pairs(said: Sequence[str] | None, option: str, example: str) -> dict[str, object]:
    """Return pairs whose values are JSON, or else plain text.

    Raises:
        InvalidInput: one is no pair.
    """
    found: dict[str, object] = {}
    for one in said or ():
        key, equals, value = one.partition("=")
        if not key or not equals:
            raise InvalidInput(f"{option} {one!r}: write KEY=VALUE, such as {example}")
        try:
            found[key] = json.loads(value)
        except ValueError:
            found[key] = value
    return found
