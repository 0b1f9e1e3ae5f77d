"""A file of this machine that appears whole, or not at all.

Until it is complete it has no name, so that nothing stays of a process that dies; where the file system knows no such files, it has one
that begins with `TEMPORARY`. A file that is replaced keeps its mode, and a link keeps pointing at it.
"""

import contextlib
import ctypes
import os
import secrets
import stat
from collections.abc import Buffer, Iterable, Iterator
from errno import EINVAL, EISDIR, ENOENT, ENOSYS, EOPNOTSUPP
from typing import Final

from kist.errors import AlreadyExists, Conflict, NotFound
from kist.stores.local.errors import translated

__all__ = ["PARTIAL", "TEMPORARY", "new_partial", "publish", "replacing", "sync_all", "sync_folder", "write_all"]

TEMPORARY: Final = ".kist-writing-"
PARTIAL: Final = ".kist-partial-"
"""How the names of unfinished files begin."""

_NAMELESS = getattr(os, "O_TMPFILE", 0)
_NO_NAMELESS = frozenset({EOPNOTSUPP, EISDIR, EINVAL, ENOENT, ENOSYS})
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@contextlib.contextmanager
def replacing(path: str, *, only_new: bool = False, durable: bool = True) -> Iterator[int]:
    """Lend the descriptor of an empty file that takes the place of `path` at the end of the context; after an exception it does not.

    Args:
        path: where; its folder must exist.
        only_new: refuse to replace anything.
        durable: whether the new file survives a loss of power when this is over; one that is replaced is never lost.

    Raises:
        NotFound: the folder does not exist.
        AlreadyExists: `only_new` is set, and the name is taken.
        Conflict: a folder has the name.
        StoreError: the disk failed.
    """
    path, mode = _target(path)
    if only_new and mode is not None:
        raise AlreadyExists(f"{path} exists already")
    with _folder_of(path) as folder, translated(f"write {path}"):
        file, temporary = _open(folder)
        try:
            try:
                yield file
                if mode is not None:
                    os.fchmod(file, mode)
                if durable or mode is not None:
                    os.fsync(file)
                if not _link(file, temporary, folder, path, only_new=only_new):
                    _replace(file, temporary, folder, path)
                    temporary = ""
            finally:
                os.close(file)
        finally:
            if temporary:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(temporary, dir_fd=folder)
        if durable:
            os.fsync(folder)


def new_partial(path: str, size_bytes: int) -> tuple[int, str]:
    """Make a file beside `path` that can be filled in any order; return its descriptor and its path.

    Raises:
        NotFound: the folder does not exist.
        Conflict: a folder has the name.
    """
    path, _ = _target(path)
    partial = os.path.join(os.path.dirname(path), f"{PARTIAL}{secrets.token_hex(8)}")
    with _folder_of(path), translated(f"write {path}"):
        file = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            os.truncate(file, size_bytes)
        except OSError:
            os.close(file)
            os.unlink(partial)
            raise
    return file, partial


def publish(file: int, partial: str, path: str) -> None:
    """Give a file that was filled its own name, durably."""
    path, mode = _target(path)
    with translated(f"write {path}"):
        if mode is not None:
            os.fchmod(file, mode)
        os.fsync(file)
        try:
            os.replace(partial, path)
        except FileNotFoundError:
            if not _is_at(file, path):  # else another process, which went on with the same parts, was faster
                raise
    sync_folder(os.path.dirname(path))


def sync_folder(path: str) -> None:
    """Make names in a folder survive a loss of power."""
    folder = os.open(path, _FOLDER)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def sync_all(folders: Iterable[str]) -> None:
    """Make everything survive a loss of power that is on the disks of these folders."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "syncfs"):
        os.sync()
        return
    for above in {os.stat(folder).st_dev: folder for folder in folders if os.path.isdir(folder)}.values():
        folder = os.open(above, _FOLDER)
        try:
            if libc.syncfs(folder):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        finally:
            os.close(folder)


def write_all(file: int, data: Buffer) -> int:
    """Write bytes where the file stands; return how many."""
    with memoryview(data).cast("B") as view:
        done = 0
        while done < len(view):
            done += os.write(file, view[done:])
        return done


def _target(path: str) -> tuple[str, int | None]:
    """Return where a path leads, and the mode of the file that is there, None if there is none."""
    try:
        found = os.lstat(path)
        if stat.S_ISLNK(found.st_mode):
            path = os.path.realpath(path)
            found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return path, None
    if stat.S_ISDIR(found.st_mode):
        raise Conflict(f"{path} is a folder, so no file can have this name")
    return path, stat.S_IMODE(found.st_mode)


@contextlib.contextmanager
def _folder_of(path: str) -> Iterator[int]:
    above = os.path.dirname(path)
    with translated(f"write {path}"):
        try:
            folder = os.open(above, _FOLDER)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotFound(f"there is no folder {above}: make it first") from error
    try:
        yield folder
    finally:
        os.close(folder)


def _open(folder: int) -> tuple[int, str]:
    """Return a new file, and its temporary name; empty if it has none."""
    if _NAMELESS:
        try:
            return os.open(".", _NAMELESS | os.O_RDWR | os.O_CLOEXEC, 0o666, dir_fd=folder), ""
        except OSError as error:
            if error.errno not in _NO_NAMELESS:
                raise
    temporary = f"{TEMPORARY}{secrets.token_hex(8)}"
    return os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666, dir_fd=folder), temporary


def _link(file: int, temporary: str, folder: int, path: str, *, only_new: bool) -> bool:
    """Give a file its name if that is free; say whether it was."""
    if temporary and not only_new:
        return False
    name = os.path.basename(path)
    try:
        _link_to(file, temporary, folder, name)
    except FileExistsError as error:
        if only_new:
            raise AlreadyExists(f"{path} exists already") from error
        return False
    return True


def _replace(file: int, temporary: str, folder: int, path: str) -> None:
    os.fsync(file)
    if not temporary:
        temporary = f"{TEMPORARY}{secrets.token_hex(8)}"
        _link_to(file, "", folder, temporary)
    try:
        os.replace(temporary, os.path.basename(path), src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder)
        raise


def _link_to(file: int, temporary: str, folder: int, name: str) -> None:
    if temporary:
        os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    else:
        os.link(f"/proc/self/fd/{file}", name, dst_dir_fd=folder)  # with a folder given, Python follows the link to the open file


def _is_at(file: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except FileNotFoundError:
        return False
