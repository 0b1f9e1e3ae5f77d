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
from kist.stores import temporary
from kist.stores.keys import check_key
from kist.stores.protocols import ObjectMeta

__all__ = ["has_objects", "subfolders", "walk"]

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
        for key in _wanted(folder, above, prefix.encode(), start_after.encode()):
            name = key[len(above.encode()) :]
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # gone, or replaced, since the folder was read
                if name.endswith(b"/"):
                    yield from walk(os.open(name[:-1], _BELOW, dir_fd=folder), key.decode(), prefix, start_after)
                else:
                    meta = os.stat(name, dir_fd=folder, follow_symlinks=False)
                    if stat.S_ISREG(meta.st_mode):
                        yield ObjectMeta(key=key.decode(), size_bytes=meta.st_size, modified=datetime.fromtimestamp(meta.st_mtime, UTC))
    finally:
        os.close(folder)


def subfolders(folder: int, above: str) -> list[str]:
    """Return the sorted names of the folders in an open folder."""
    return sorted((name[:-1] for name in _names(folder, above) if name.endswith("/")), key=str.encode)


def has_objects(folder: int, name: str, above: str) -> bool:
    """Say whether there is any object below a folder in an open folder."""
    prefix = f"{above}{name}/"
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return next(walk(os.open(name.encode(), _BELOW, dir_fd=folder), prefix, prefix, ""), None) is not None
    return False


def _wanted(folder: int, above: str, prefix: bytes, start_after: bytes) -> list[bytes]:
    """Return the sorted keys in a folder that matter; a folder's ends in ``/``."""
    keys = []
    for name in _names(folder, above):
        key = f"{above}{name}".encode()
        if not (key.startswith(prefix) or (name.endswith("/") and prefix.startswith(key))):
            continue
        if key > start_after or (name.endswith("/") and start_after.startswith(key)):
            keys.append(key)
    keys.sort()
    return keys


def _names(folder: int, above: str) -> Iterator[str]:
    """Yield the names in a folder that can be part of a key, a folder's with a ``/`` behind it."""
    with os.scandir(folder) as entries:
        for entry in entries:
            name = os.fsencode(entry.name)
            if not above and name == temporary.FOLDER:
                continue
            try:
                if entry.is_dir(follow_symlinks=False):
                    yield check_key(name.decode()) + "/"
                elif entry.is_file(follow_symlinks=False):
                    yield check_key(name.decode())
            except (UnicodeDecodeError, InvalidInput):
                continue
