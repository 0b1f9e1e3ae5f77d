"""All that can go wrong, by what a caller would do about it.

One root, `KistError`. Each class carries a stable `code`, the `http_status` that a server answers and the `exit_code` of the command line.
Classes that mean what a built-in exception means also are that exception, so plain ``except FileNotFoundError`` works.
Foreign errors are translated once, where the foreign call is, ``from`` their cause.
"""

import io
import shutil
from typing import ClassVar

__all__ = [
    "AlreadyExists",
    "Busy",
    "ConfigWarning",
    "Conflict",
    "Denied",
    "IntegrityError",
    "InvalidInput",
    "KistError",
    "NotFound",
    "SameFile",
    "StoreError",
    "Unauthenticated",
    "Unsupported",
]


class KistError(Exception):
    """The root of every error that kist raises on purpose."""

    code: ClassVar[str] = "error"
    http_status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1

    def __str__(self) -> str:
        """Give the message alone: `KeyError` and `OSError` would quote it or ask for an errno."""
        return " ".join(str(part) for part in self.args)


class InvalidInput(KistError, ValueError):
    """What was asked makes no sense: ask differently."""

    code = "invalid-input"
    http_status = 400
    exit_code = 2


class NotFound(KistError, FileNotFoundError, KeyError):
    """What was named does not exist."""

    code = "not-found"
    http_status = 404
    exit_code = 3


class AlreadyExists(KistError, FileExistsError):
    """The name is taken: choose another."""

    code = "already-exists"
    http_status = 409
    exit_code = 4


class Conflict(KistError):
    """A place overlaps or is in use, or a race was lost: look at the new state and ask again."""

    code = "conflict"
    http_status = 409
    exit_code = 5


class Denied(KistError, PermissionError):
    """Whoever asks may not do this."""

    code = "denied"
    http_status = 403
    exit_code = 6


class Unauthenticated(KistError):
    """Nobody proved who asks: log in."""

    code = "unauthenticated"
    http_status = 401
    exit_code = 7


class IntegrityError(KistError):
    """Stored bytes are not the bytes that were saved: run ``kist verify``."""

    code = "integrity"
    http_status = 500
    exit_code = 8


class Unsupported(KistError, io.UnsupportedOperation):
    """This place can't do that, and never will."""

    code = "unsupported"
    http_status = 501
    exit_code = 9


class SameFile(KistError, shutil.SameFileError):
    """Source and destination are one file."""

    code = "same-file"
    http_status = 400
    exit_code = 10


class StoreError(KistError, OSError):
    """A store did not do what was asked, and the outcome may be unknown: look, then try again."""

    code = "store"
    http_status = 502
    exit_code = 11


class Busy(KistError):
    """Too much at once: wait and try again."""

    code = "busy"
    http_status = 503
    exit_code = 12


class ConfigWarning(UserWarning):
    """A configuration file says something that can't be; all else that it says counts. No error: nothing was asked for that failed."""
