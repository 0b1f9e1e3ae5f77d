"""Passwords: kept as argon2id hashes, checked in the same time whether there is one or not, and never many at once.

Each check takes 64 MiB and a moment, by design; so a process does two at a time, and whoever comes then waits for a turn.
"""

import contextlib
import functools
import threading
import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kist.errors import Busy, InvalidInput, Unsupported

if TYPE_CHECKING:
    from argon2 import PasswordHasher

__all__ = ["check", "hash_password", "is_outdated"]

SHORTEST: Final = 12
LONGEST: Final = 1024
_TURNS: Final = threading.BoundedSemaphore(2)
_PATIENCE_SECONDS: Final = 15


def hash_password(password: str) -> str:
    """Return what is kept of a new password.

    Raises:
        InvalidInput: it is too short, or too long.
        Busy: too many others are being worked on.
        Unsupported: the library is not installed.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise InvalidInput(f"a password has {SHORTEST} to {LONGEST} characters, this one has {len(password)}")
    with _turn():
        return _hasher().hash(_plain(password))


def check(hashed: str | None, password: str) -> bool:
    """Say whether this is the password that a hash was made of; with none it takes as long, and is not.

    Raises:
        Busy: too many others are being worked on.
        Unsupported: the library is not installed.
    """
    from argon2.exceptions import InvalidHashError, VerificationError  # noqa: PLC0415  only who logs in by a password needs it

    nobody = _nobody()
    if len(password) > LONGEST:
        return False
    with _turn():
        try:
            _hasher().verify(hashed or nobody, _plain(password))
        except (VerificationError, InvalidHashError):
            return False
    return hashed is not None


def is_outdated(hashed: str) -> bool:
    """Say whether a hash was made with other parameters than those of today."""
    return _hasher().check_needs_rehash(hashed)


@contextlib.contextmanager
def _turn() -> Iterator[None]:
    if not _TURNS.acquire(timeout=_PATIENCE_SECONDS):
        raise Busy("too many log in at once: try again in a few seconds")
    try:
        yield
    finally:
        _TURNS.release()


def _plain(password: str) -> bytes:
    """Return a password in one spelling: keyboards differ in how they write an é."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


@functools.cache
def _hasher() -> "PasswordHasher":
    try:
        from argon2 import PasswordHasher  # noqa: PLC0415  as above
    except ModuleNotFoundError as error:
        raise Unsupported("passwords need a library: pip install 'kist[server]'") from error
    return PasswordHasher()


@functools.cache
def _nobody() -> str:
    """Return a hash to check the password of nobody against."""
    return _hasher().hash(b"nobody has this password")
