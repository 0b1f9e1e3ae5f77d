"""What the operating system says, in kist's words: one table for everything that touches local files."""

import contextlib
import errno
from collections.abc import Iterator

from kist.errors import Busy, Conflict, Denied, InvalidInput, KistError, StoreError, Unsupported

__all__ = ["translate", "translated"]

_KINDS: dict[int | None, tuple[type[KistError], str]] = {
    errno.EACCES: (Denied, "check who owns this folder and what its mode allows"),
    errno.EPERM: (Denied, "check who owns this folder, and whether the file system allows it"),
    errno.EROFS: (Denied, "the file system is mounted read-only"),
    errno.ELOOP: (Denied, "there is a symbolic link below the root of the store, and kist follows none"),
    errno.ENOTDIR: (Conflict, "part of this path is an object or a link, so nothing can be below it"),
    errno.EISDIR: (Conflict, "a folder has this name, so no object can"),
    errno.ENAMETOOLONG: (InvalidInput, "this file system has no names that long: use shorter ones"),
    errno.EILSEQ: (InvalidInput, "this file system can't have such a name"),
    errno.ENOENT: (StoreError, "somebody removes files of this store"),
    errno.ENOSPC: (StoreError, "the disk is full: free some space and try again"),
    errno.EDQUOT: (StoreError, "your quota is used up: free some space and try again"),
    errno.EFBIG: (StoreError, "this file system has no files that big"),
    errno.EIO: (StoreError, "the disk failed: look at the system's log before anything else"),
    errno.EMFILE: (Busy, "this process has too many open files"),
    errno.ENFILE: (Busy, "this machine has too many open files"),
    errno.EOPNOTSUPP: (Unsupported, "the file system can't do this"),
}


def translate(error: OSError, action: str) -> KistError:
    """Return the error of kist for one of the system that met `action` (a verb and what it is about)."""
    kind, advice = _KINDS.get(error.errno, (StoreError, "look at the cause and try again"))
    return kind(f"can't {action}: {error.strerror or error}; {advice}")


@contextlib.contextmanager
def translated(action: str) -> Iterator[None]:
    """Turn errors of the system into errors of kist; those of kist pass.

    Raises:
        KistError: what `translate` makes of an `OSError`.
    """
    try:
        yield
    except KistError:
        raise
    except OSError as error:
        raise translate(error, action) from error
