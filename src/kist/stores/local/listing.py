"""Listing a local folder: sorted, lazy, and reading no folder that can't hold a wanted key.

Sorted means by the UTF-8 bytes of the whole key, as on S3. A folder ``a`` therefore sorts as ``a/``: behind ``a-b`` and ``a.txt``.
Names that are no keys, symbolic links and the temporary folder are invisible.
"""

import contextlib
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime

from kist.errors import InvalidInput
from kist.stores.keys import check_key
from kist.stores.local import temporary
from kist.stores.protocols import ObjectMeta

__all__ = ["has_objects", "subfolders", "walk"]

TEMPORARY = temporary.FOLDER + b"/"
_BELOW = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def walk(folder: int, above: str, prefix: str, start_after: str) -> Iterator[ObjectMeta]:
    """Yield the objects below an open folder, which is closed at the end.

    Args:
        folder: descriptor of the folder.
        above: its key prefix, empty or ending in ``/``.
        prefix: what keys start with.
        start_after: what keys come after.
    """
    try:
        base = above.encode()
        for found in _wanted(folder, base, prefix.encode(), start_after.encode()):
            name = found[len(base) :]
            key = _checked(found.removesuffix(b"/"))
            if key is None:
                continue
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # gone, or replaced, since the folder was read
                if name.endswith(b"/"):
                    yield from walk(os.open(name[:-1], _BELOW, dir_fd=folder), f"{key}/", prefix, start_after)
                else:
                    meta = os.stat(name, dir_fd=folder, follow_symlinks=False)
                    if stat.S_ISREG(meta.st_mode):
                        yield ObjectMeta(key=key, size_bytes=meta.st_size, modified=datetime.fromtimestamp(meta.st_mtime, UTC))
    finally:
        os.close(folder)


def subfolders(folder: int, above: str) -> list[str]:
    """Return the sorted names of the folders in an open folder."""
    base = above.encode()
    folders = (key[len(base) : -1] for key in _wanted(folder, base, base, b"") if key.endswith(b"/"))
    return [name for folder_name in sorted(folders) if (name := _checked(folder_name)) is not None]


def has_objects(folder: int, name: str, above: str) -> bool:
    """Say whether there is any object below a folder in an open folder."""
    prefix = f"{above}{name}/"
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return next(walk(os.open(name.encode(), _BELOW, dir_fd=folder), prefix, prefix, ""), None) is not None
    return False


def _wanted(folder: int, above: bytes, prefix: bytes, start_after: bytes) -> list[bytes]:
    """Return the sorted keys in a folder that matter, unchecked (a branch may be long); a folder's ends in ``/``."""
    with os.scandir(folder) as entries:
        keys = [
            above + entry.name.encode(errors="surrogateescape") + (b"/" if entry.is_dir(follow_symlinks=False) else b"")
            for entry in entries
        ]
    if not above.startswith(prefix):
        keys = [key for key in keys if key.startswith(prefix) or (key.endswith(b"/") and prefix.startswith(key))]
    if start_after:
        keys = [key for key in keys if key > start_after or (key.endswith(b"/") and start_after.startswith(key))]
    if not above:
        keys = [key for key in keys if key != TEMPORARY]
    keys.sort()
    return keys


def _checked(key: bytes) -> str | None:
    """Return a key as text, None if it is none."""
    try:
        return check_key(key.decode())
    except (UnicodeDecodeError, InvalidInput):
        return None
