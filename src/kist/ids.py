"""Names that people and programs give to versions: rules for ref names, and what ``NAME@REF`` may say."""

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from kist.errors import InvalidInput

__all__ = ["Ref", "check_ref_name", "new_id", "new_txn", "parse_ref", "short"]

REF_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
RESERVED = re.compile(r"v[0-9]+|[0-9a-f]{8,}", re.IGNORECASE)
NUMBER = re.compile(r"(?:(?P<branch>[A-Za-z0-9][A-Za-z0-9._-]{0,99}):)?v(?P<number>[0-9]{1,18})(?:-(?P<txn>[0-9a-f]{1,32}))?")
ID_PREFIX = re.compile(r"[0-9a-f]{8,64}")
AS_OF = "as-of:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ref:
    """What a ref's text says, before anybody looked whether it exists.

    A `name` may be a branch or a tag, and an `id` prefix never is; `number` is a position on `branch`, `txn` tells doubled numbers apart.
    """

    kind: Literal["name", "number", "id", "as-of"]
    name: str = ""
    branch: str = ""
    number: int = 0
    txn: str = ""
    time: datetime | None = None


def new_id() -> str:
    """Return 32 random hexadecimal digits."""
    return os.urandom(16).hex()


def new_txn() -> bytes:
    """Return 16 random bytes that name one attempt to change something."""
    return os.urandom(16)


def short(version_id: str) -> str:
    """Return the first 12 digits of an id, enough for people."""
    return version_id[:12]


def check_ref_name(name: str, *, what: str) -> str:
    """Return `name` if a branch or tag may have it.

    Raises:
        InvalidInput: it may not; the message says why.
    """
    if not REF_NAME.fullmatch(name):
        raise InvalidInput(f"{what} {name!r}: a name has 1 to 100 letters, digits, '.', '_' or '-' and starts with a letter or digit")
    if RESERVED.fullmatch(name):
        raise InvalidInput(f"{what} {name!r} reads like a version number (v42) or an id: choose another name")
    return name


def parse_ref(text: str, *, branch: str = "main") -> Ref:
    """Return what a ref says: a branch or tag, ``v42`` (of `branch`), ``dev:v42``, an id or 8 or more digits of one, ``as-of:TIME``.

    A time without a zone is local; a date alone is its start.

    Raises:
        InvalidInput: it is none of these.
    """
    if text.startswith(AS_OF):
        try:
            time = datetime.fromisoformat(text.removeprefix(AS_OF))
        except ValueError:
            raise InvalidInput(f"ref {text!r}: write the time as in as-of:2026-11-20T10:00Z") from None
        return Ref(kind="as-of", branch=branch, time=time.astimezone(UTC))
    if match := NUMBER.fullmatch(text):
        return Ref(kind="number", branch=match["branch"] or branch, number=int(match["number"]), txn=match["txn"] or "")
    if ID_PREFIX.fullmatch(text):
        return Ref(kind="id", name=text)
    if REF_NAME.fullmatch(text):
        return Ref(kind="name", name=text)
    raise InvalidInput(f"ref {text!r}: give a branch, a tag, a number such as v42 or dev:v42, 8 or more digits of an id, or as-of:TIME")
