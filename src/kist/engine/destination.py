"""A folder on this machine that a repository is written into: nothing outside it is ever touched, whatever the repository says.

Every path is walked segment by segment from one open folder, and no link is followed, not even one that is planted while we work: names
are only ever given relative to an open folder (openat), with O_NOFOLLOW. A file is written beside its place under a name of ours and then
takes its place at once, so half a file is never seen. Links are data: they keep their target literally, wherever it points.
"""

import contextlib
import errno
import itertools
import os
import secrets
import stat
from collections.abc import Buffer, Callable, Iterable, Iterator
from typing import Self

from kist.engine.entries import Entry, check_path, sort_key
from kist.errors import AlreadyExists, Conflict, Denied, IntegrityError, InvalidInput, KistError, StoreError

__all__ = [
    "OPEN_GIVEN_FOLDER",
    "PERMISSIONS",
    "PRIVATE",
    "Content",
    "Destination",
    "Folder",
    "Stopped",
    "checked",
    "explain",
    "in_the_way",
    "name_path",
]

Content = Callable[[], Iterable[Buffer]]
"""Gives the bytes of a file, piece by piece; may be called again for the same bytes."""

PERMISSIONS = 0o777
PRIVATE = 0o700
MAX_OPEN_FOLDERS = 64
MAX_TARGET_BYTES = 4095
TIMES_NS = range(-(1 << 63), 1 << 63)
OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
OPEN_GIVEN_FOLDER = OPEN_FOLDER & ~os.O_NOFOLLOW
CREATE_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
IN_THE_WAY = {errno.EEXIST: 0, errno.ENOTDIR: 0, errno.ELOOP: 0, errno.EISDIR: stat.S_IFDIR, errno.ENOTEMPTY: stat.S_IFDIR}
NO_HARD_LINKS = frozenset({errno.EPERM, errno.EACCES, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK})


class Stopped(Exception):
    """Another file has failed: this one was given up."""


class Folder:
    """An open folder. `fresh`: we made it, so what is in it is ours. `users` counts who still needs the descriptor."""

    __slots__ = ("descriptor", "fresh", "users")

    def __init__(self, descriptor: int, *, fresh: bool) -> None:
        self.descriptor = descriptor
        self.fresh = fresh
        self.users = 1

    def release(self) -> None:
        """Close it, if this was the last user."""
        self.users -= 1
        if not self.users:
            os.close(self.descriptor)


class Destination:
    """The folder to write into. `enter` is for one thread at a time; `write` and `link` may run in many."""

    def __init__(self, local: str, *, overwrite: bool, fresh: bool) -> None:
        self.local = local
        self.overwrite = overwrite
        self.stopped = False
        self._temporary = f".kist-{secrets.token_hex(8)}-"
        self._numbers = itertools.count()
        # The folder that was entered last and those above it. A deep one has only its last ones open (None: closed meanwhile).
        self._path = ""
        self._names: list[str] = []
        try:
            top = os.open(local, OPEN_GIVEN_FOLDER)
        except OSError as error:
            raise explain(error, "", local) from error
        self._folders: list[Folder | None] = [Folder(top, fresh=fresh)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._leave(0)
        for folder in self._folders:
            if folder is not None:
                folder.release()
        self._folders.clear()

    def enter(self, path: str, *, mode: int | None = PERMISSIONS) -> Folder:
        """Open a folder and keep it open until another is entered; make what is missing with `mode`, unless that is None.

        Raises:
            OSError: something else is in the way, or this user may not.
        """
        folder = self._folders[-1]
        if path != self._path or folder is None:
            names = path.split("/") if path else []
            common = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(names, self._names, strict=False)))
            self._leave(common)
            folder = self._reopen()
            for name in names[common:]:
                folder = self._open(folder, name) if mode is None else self._make(folder, name, mode)
                self._folders.append(folder)
                self._names.append(name)
                self._path = "/".join(self._names)
                self._trim()
        return folder

    def write(self, folder: Folder, name: str, entry: Entry, content: Content, tell: Callable[[int], None] | None) -> None:
        """Write a file into an entered folder, with its mode and time.

        Raises:
            OSError: something is in the way, or the disk failed.
            IntegrityError: the content has another size than the entry says.
            Stopped: `stopped` was set.
        """
        temporary = f"{self._temporary}{next(self._numbers)}"
        descriptor = os.open(temporary, CREATE_FILE, 0o600, dir_fd=folder.descriptor)
        try:
            try:
                self._fill(descriptor, entry, content, tell)
                os.fchmod(descriptor, entry.mode & PERMISSIONS)
                os.utime(descriptor, ns=(entry.mtime_ns, entry.mtime_ns))
            finally:
                os.close(descriptor)
            self._publish(folder, temporary, name)
        except BaseException:
            _remove(folder, temporary)
            raise

    def link(self, folder: Folder, name: str, entry: Entry) -> None:
        """Make a symbolic link in an entered folder.

        Raises:
            OSError: something is in the way, or the disk failed.
        """
        temporary = f"{self._temporary}{next(self._numbers)}"
        os.symlink(entry.target, temporary, dir_fd=folder.descriptor)
        try:
            os.utime(temporary, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=folder.descriptor, follow_symlinks=False)
            self._publish(folder, temporary, name)
        except BaseException:
            _remove(folder, temporary)
            raise

    def finish(self, entry: Entry) -> None:
        """Give a folder its mode and time, once nothing more comes into it.

        Raises:
            OSError: it is gone, or the disk failed.
        """
        folder = self.enter(entry.path, mode=None)
        os.fchmod(folder.descriptor, entry.mode & PERMISSIONS)
        os.utime(folder.descriptor, ns=(entry.mtime_ns, entry.mtime_ns))

    def _fill(self, descriptor: int, entry: Entry, content: Content, tell: Callable[[int], None] | None) -> None:
        size_bytes = 0
        for buffer in content():
            view = rest = memoryview(buffer).cast("B")
            size_bytes += len(view)
            if self.stopped:
                raise Stopped
            if size_bytes > entry.size:
                break
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            if tell is not None:
                tell(len(view))
        if size_bytes != entry.size:
            raise IntegrityError(f"{entry.path!r} should have {entry.size} bytes, its content has {size_bytes} or more: run `kist verify`")

    def _publish(self, folder: Folder, temporary: str, name: str) -> None:
        """Let a finished file take its place.

        `os.link` refuses a name that is taken; `os.rename` costs half, and does where we made the folder.
        """
        at = folder.descriptor
        if not (self.overwrite or folder.fresh):
            try:
                os.link(temporary, name, src_dir_fd=at, dst_dir_fd=at, follow_symlinks=False)
            except OSError as error:
                if error.errno not in NO_HARD_LINKS:
                    raise
                if _is_there(folder, name):
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from error
            else:
                os.unlink(temporary, dir_fd=at)
                return
        os.rename(temporary, name, src_dir_fd=at, dst_dir_fd=at)

    def _make(self, parent: Folder, name: str, mode: int) -> Folder:
        at = parent.descriptor
        try:
            os.mkdir(name, mode, dir_fd=at)
        except FileExistsError:
            if self.overwrite and not stat.S_ISDIR(os.lstat(name, dir_fd=at).st_mode):
                os.unlink(name, dir_fd=at)
                os.mkdir(name, mode, dir_fd=at)
            else:
                return self._merge(self._open(parent, name), mode)
        folder = self._open(parent, name)
        folder.fresh = True
        return folder

    def _merge(self, folder: Folder, mode: int) -> Folder:
        """Open up a read-only folder that we may replace the content of: `finish` gives it its mode again."""
        if self.overwrite and mode == PRIVATE:
            found = os.fstat(folder.descriptor).st_mode
            if found & PRIVATE != PRIVATE:
                os.fchmod(folder.descriptor, (found | PRIVATE) & PERMISSIONS)
        return folder

    def _open(self, parent: Folder, name: str) -> Folder:
        return Folder(os.open(name, OPEN_FOLDER, dir_fd=parent.descriptor), fresh=False)

    def _leave(self, depth: int) -> None:
        for folder in self._folders[depth + 1 :]:
            if folder is not None:
                folder.release()
        del self._folders[depth + 1 :], self._names[depth:]
        self._path = "/".join(self._names)

    def _trim(self) -> None:
        """Close a folder far above: a path may have 2,000 segments, a process often has 256 descriptors."""
        far = len(self._folders) - MAX_OPEN_FOLDERS
        if far > 0 and (folder := self._folders[far]) is not None:
            folder.release()
            self._folders[far] = None

    def _reopen(self) -> Folder:
        """Return the last folder; if it was closed meanwhile, walk to it from the nearest that is open, and keep some for the way up."""
        last = len(self._folders) - 1
        nearest, folder = max((depth, folder) for depth, folder in enumerate(self._folders) if folder is not None)
        for depth in range(nearest + 1, last + 1):
            below = self._open(folder, self._names[depth - 1])
            if self._folders[depth - 1] is None:
                folder.release()
            folder = below
            if depth > last - MAX_OPEN_FOLDERS // 2:
                self._folders[depth] = folder
        return folder


def checked(entries: Iterable[tuple[Entry, Content]]) -> Iterator[tuple[Entry, Content]]:
    """Let pass only what may leave a repository: each path once, in tree order, below folders alone, with values that a file system takes.

    Raises:
        InvalidInput: the repository holds something else; the message names the path.
    """
    last, barred = b"", None
    for pair in entries:
        entry = pair[0]
        path = check_path(entry.path, root=True)
        key = sort_key(path)
        if key <= last and last:
            raise InvalidInput(f"the tree names {path!r} twice, or out of order: run `kist verify`")
        if barred is not None and path.startswith(barred):
            raise InvalidInput(f"the tree has {path!r} below {barred[:-1]!r}, which is no folder: run `kist verify`")
        last = key or b"\0"
        if entry.kind == "link":
            _check_target(entry)
        elif entry.kind not in ("file", "folder"):
            raise InvalidInput(f"{path!r} is a {entry.kind!r}: this release knows files, folders and links")
        if entry.kind != "folder":
            barred = path and f"{path}/"
        if entry.mtime_ns not in TIMES_NS:
            raise InvalidInput(f"{path!r} has a time of {entry.mtime_ns} ns, which no file system keeps")
        yield pair


def _check_target(entry: Entry) -> None:
    try:
        size_bytes = len(entry.target.encode())
    except UnicodeEncodeError:
        size_bytes = 0
    if not 0 < size_bytes <= MAX_TARGET_BYTES or "\0" in entry.target:
        raise InvalidInput(f"the link {entry.path!r} has a target that no file system takes: {entry.target[:80]!r}")


def explain(error: Exception, path: str, local: str) -> Exception:
    """Return what to raise for an error that happened at `path`: one of ours, that names it."""
    if isinstance(error, KistError):
        name_path(error, path)
        return error
    if not isinstance(error, OSError):
        error.add_note(f"while {path!r} was restored")
        return error
    place = f"{local}/{path}" if path else local
    if error.errno in IN_THE_WAY:
        return AlreadyExists(in_the_way(place, IN_THE_WAY[error.errno]))
    if error.errno == errno.ENOENT:
        return Conflict(f"{place} or a folder above it vanished meanwhile: see that nothing else works there, and restore again")
    if isinstance(error, PermissionError):
        return Denied(f"{place} may not be written by this user: choose another destination, or change the permissions of its folder")
    return StoreError(f"{place} can't be written: {error.strerror or error}")


def name_path(error: KistError, path: str) -> None:
    """Add the path to the message of an error, if it lacks it: often the message is all that is shown."""
    if path and repr(path) not in str(error):
        error.args = (f"{path!r}: {error}",)


def in_the_way(place: str, found: int) -> str:
    """Say that `place` is taken, by a folder or (0) by whatever it is."""
    if found == stat.S_IFDIR:
        return f"{place} is a folder, and something else should go there: move it away, or restore elsewhere"
    return f"{place}: something is there already: restore elsewhere, or replace it (overwrite=True, kist restore --overwrite)"


def _remove(folder: Folder, name: str) -> None:
    with contextlib.suppress(OSError):  # The error that brought us here says more.
        os.unlink(name, dir_fd=folder.descriptor)


def _is_there(folder: Folder, name: str) -> bool:
    try:
        os.lstat(name, dir_fd=folder.descriptor)
    except FileNotFoundError:
        return False
    return True
