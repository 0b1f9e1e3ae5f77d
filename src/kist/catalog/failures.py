"""What the databases say when something fails, in kist's words. Neither statements nor values are repeated."""

import sqlite3
from enum import Enum
from typing import Final

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from kist.errors import Busy, Conflict, IntegrityError, InvalidInput, KistError, StoreError

__all__ = ["Failure", "Raced", "translate"]

_SERIALIZATION: Final = {"40001", "40P01"}
"""PostgreSQL: a serialization failure, a deadlock."""

_WAITED: Final = {"55P03", "57014", "53300"}
"""PostgreSQL: a lock was not to be had, the statement took too long, there are too many connections."""

_LOCKED: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_DAMAGED: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_CONTRADICTION: Final = {sqlite3.SQLITE_CONSTRAINT}
_UNFIT: Final = {sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH}
_RACE_ATTEMPTS: Final = 8
_CONTRADICTION_ATTEMPTS: Final = 3


class Failure(Enum):
    """When it failed: before the commit, when nothing has been changed, or in it, when nobody knows."""

    BEFORE = "nothing was changed"
    COMMIT = "the outcome may be unknown: look, then try again"


class Raced(KistError):
    """A race was lost: trying again may help, `attempts` times in all; then `error` says it."""

    def __init__(self, error: KistError, attempts: int) -> None:
        super().__init__(str(error))
        self.error = error
        self.attempts = attempts


def translate(error: Exception, url: str, failure: Failure) -> KistError:
    """Return the error that says what a database or its driver said."""
    if isinstance(error, (UnicodeError, OverflowError)):
        return InvalidInput(f"a value can't be kept in the database at {url}: {type(error).__name__}")
    if isinstance(error, PoolTimeout):
        return Busy(f"all connections to the database at {url} are in use: try again")
    return _translated(_kind(error), _first_line(error), url, failure)


def _translated(kind: str, said: str, url: str, failure: Failure) -> KistError:
    busy = Busy(f"others write to the database at {url} all the time: try again")
    contradiction = Conflict(f"the database at {url} holds something that contradicts this change: {said}")
    errors: dict[str, KistError] = {
        "race": Raced(busy, _RACE_ATTEMPTS),
        "contradiction": Raced(contradiction, _CONTRADICTION_ATTEMPTS),
        "waited": Busy(f"the database at {url} took too long ({said}); nothing was changed: try again"),
        "value": InvalidInput(f"a value can't be kept in the database at {url}: {said}"),
        "damage": IntegrityError(f"the database at {url} is damaged ({said}): restore it from a backup"),
    }
    return errors.get(kind) or StoreError(f"the database at {url} failed: {said}; {failure.value}")


def _kind(error: Exception) -> str:
    original = error.orig if isinstance(error, DBAPIError) else None
    if isinstance(original, sqlite3.Error):
        return _kind_of_sqlite(getattr(original, "sqlite_errorcode", 0) & 0xFF)  # the rest says more than need be known
    state = getattr(original, "sqlstate", None) or ""
    if state in _SERIALIZATION:
        return "race"
    if state in _WAITED:
        return "waited"
    # psycopg finds zero characters by itself, and then there is no state
    named = type(original).__name__
    if state.startswith("23"):
        return "contradiction"
    return "value" if state.startswith("22") or named == "DataError" else ""


def _kind_of_sqlite(code: int) -> str:
    kinds = {"race": _LOCKED, "damage": _DAMAGED, "contradiction": _CONTRADICTION, "value": _UNFIT}
    return next((kind for kind, codes in kinds.items() if code in codes), "")


def _first_line(error: Exception) -> str:
    """Return what the database said, without the details: they have values."""
    said = str(error.orig) if isinstance(error, DBAPIError) else type(error).__name__ if isinstance(error, SQLAlchemyError) else ""
    return said.strip().partition("\n")[0]
