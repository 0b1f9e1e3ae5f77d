"""The user's own files, as ``file`` URLs and paths of `kist.storage` name them.

The key of a file is its absolute path without the first ``/``. Unlike in a `LocalStore`, any name may be there, and symbolic links are
followed as everywhere on this machine. What is written appears whole and synced, or not at all; a file that is replaced keeps its mode,
and a link keeps pointing at it. A missing parent is an error: folders are made by `make_folder` alone.
"""

import builtins
import contextlib
import os
import stat
from collections.abc import Buffer, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from errno import EXDEV
from typing import ClassVar
from urllib.parse import unquote, urlsplit

from kist.errors import AlreadyExists, Conflict, IntegrityError, InvalidInput, NotFound, Unsupported
from kist.stores.disk.files import PARTIAL, TEMPORARY, new_partial, publish, replacing, sync_all, sync_folder, write_all
from kist.stores.disk.parts import DiskUpload
from kist.stores.keys import check_range
from kist.stores.local.errors import translated
from kist.stores.protocols import ObjectMeta, PartUpload

__all__ = ["Disk", "open_disk", "path_of", "split"]


@dataclass(frozen=True, slots=True)
class Disk:
    """All files that this user may touch.

    One that does not follow lists links themselves: what to delete is found so. One that has a set for the folders that it writes to
    leaves it to others to sync them; until then new files may be lost with the power, and only these.
    """

    follows: bool = True
    unsynced: set[str] | None = None
    url: ClassVar[str] = "file:///"

    def get(self, key: str) -> bytes:
        """See `kist.stores.protocols.Get`."""
        with self._opened(key) as (file, _):
            return _read(file, 0, None)

    def get_range(self, key: str, *, start: int, end: int) -> bytes:
        """See `kist.stores.protocols.GetRange`."""
        check_range(start, end)
        with self._opened(key) as (file, _):
            return _read(file, start, end - start)

    def get_part(self, meta: ObjectMeta, *, start: int, end: int) -> bytes:
        """See `kist.stores.protocols.GetPart`."""
        check_range(start, end)
        with self._opened(meta.key) as (file, now):
            part = _read(file, start, end - start)
            if _etag(now) != meta.etag or _etag(os.fstat(file)) != meta.etag:
                raise Conflict(f"{path_of(meta.key)} has changed while it was read: try again")
            return part

    def head(self, key: str) -> ObjectMeta:
        """See `kist.stores.protocols.Head`."""
        path = path_of(key)
        with translated(f"look at {path}"):
            try:
                found = os.stat(path)
            except (FileNotFoundError, NotADirectoryError) as error:
                raise NotFound(f"there is no file {path}") from error
        if stat.S_ISDIR(found.st_mode):
            raise NotFound(f"{path} is a folder, not a file")
        if not stat.S_ISREG(found.st_mode):
            raise Unsupported(f"{path} is a device, a pipe or a socket, not a file")
        return _meta(key, found)

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectMeta]:
        """See `kist.stores.protocols.List`; a folder that links lead back to is not entered again."""
        above = prefix.rpartition("/")[0]
        base = f"{above}/" if above else ""
        for meta in _walk(base, (), follows=self.follows):
            if meta.key.startswith(prefix) and os.fsencode(meta.key) > os.fsencode(start_after):
                yield meta

    def list_folders(self, prefix: str) -> builtins.list[str]:
        """See `kist.stores.protocols.List`; empty folders count here."""
        return self.list_folder(prefix)[1]

    def list_folder(self, prefix: str) -> tuple[builtins.list[ObjectMeta], builtins.list[str]]:
        """See `kist.stores.protocols.ListFolder`; empty folders count here."""
        files, folders = [], []
        for name, entry in _names(prefix):
            with contextlib.suppress(FileNotFoundError):
                if name.endswith("/"):
                    folders.append(name[:-1])
                elif stat.S_ISREG((found := entry.stat()).st_mode):
                    files.append(_meta(prefix + name, found))
        return files, folders

    def put(self, key: str, data: Buffer) -> None:
        """See `kist.stores.protocols.Put`."""
        self.put_stream(key, [data])

    def put_stream(self, key: str, parts: Iterable[Buffer], *, size_bytes: int | None = None) -> None:
        """See `kist.stores.protocols.PutStream`."""
        path = path_of(key)
        with self._replacing(path) as file:
            done = sum(write_all(file, part) for part in parts)
            if size_bytes is not None and done != size_bytes:
                raise IntegrityError(f"{size_bytes} bytes were announced for {path} and {done} came: nothing was replaced")

    def create(self, key: str, data: Buffer) -> None:
        """See `kist.stores.protocols.Create`."""
        with self._replacing(path_of(key), only_new=True) as file:
            write_all(file, data)

    @contextlib.contextmanager
    def together(self) -> Iterator["Disk"]:
        """See `kist.stores.protocols.Together`."""
        folders: set[str] = set()
        try:
            yield replace(self, unsynced=folders)
        finally:
            with translated("sync what was written"):
                sync_all(folders)

    @contextlib.contextmanager
    def _replacing(self, path: str, *, only_new: bool = False) -> Iterator[int]:
        if self.unsynced is not None:
            self.unsynced.add(os.path.dirname(path))
        with replacing(path, only_new=only_new, durable=self.unsynced is None) as file:
            yield file

    def begin_parts(self, key: str, *, size_bytes: int) -> PartUpload:
        """See `kist.stores.protocols.PutParts`."""
        path = path_of(key)
        file, partial = new_partial(path, size_bytes)
        return DiskUpload(file, partial, size_bytes, lambda: publish(file, partial, path))

    def take_up(self, key: str, token: str) -> tuple[PartUpload, dict[int, str]]:
        """See `kist.stores.protocols.PutParts`."""
        path = path_of(key)
        partial = os.path.join(os.path.dirname(os.path.realpath(path)), token)
        if not token.startswith(PARTIAL) or "/" in token:
            raise InvalidInput(f"{token!r} is no name of an unfinished file")
        with translated(f"go on with {path}"):
            try:
                file = os.open(partial, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            except FileNotFoundError as error:
                raise NotFound(f"the unfinished copy of {path} is gone") from error
            upload = DiskUpload(file, partial, os.fstat(file).st_size, lambda: publish(file, partial, path))
            return upload, upload.receipts()

    def delete(self, key: str) -> None:
        """See `kist.stores.protocols.Delete`; of a link, it is the link that goes."""
        path = path_of(key)
        with translated(f"delete {path}"), contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(path)
            sync_folder(os.path.dirname(path))

    def where(self, key: str) -> str:
        """See `kist.stores.protocols.Where`; links are seen through."""
        return f"file {os.path.realpath(path_of(key))}"

    def is_folder(self, key: str) -> bool:
        """See `kist.stores.protocols.Folders`."""
        return os.path.isdir(path_of(key))

    def make_folder(self, key: str) -> None:
        """See `kist.stores.protocols.Folders`."""
        path = path_of(key)
        with translated(f"make the folder {path}"):
            try:
                os.makedirs(path, exist_ok=True)
            except FileExistsError as error:
                raise AlreadyExists(f"{path} exists and is no folder") from error

    def remove_folder(self, key: str) -> None:
        """See `kist.stores.protocols.Folders`."""
        path = path_of(key)
        with translated(f"remove the folder {path}"):
            if os.path.islink(path):
                os.unlink(path)
                return
            if os.path.isdir(path) and os.listdir(path):
                raise Conflict(f"the folder {path} is not empty")
            with contextlib.suppress(FileNotFoundError):
                os.rmdir(path)

    def move(self, key: str, new_key: str) -> None:
        """See `kist.stores.protocols.Move`."""
        path, new = path_of(key), path_of(new_key)
        if not os.path.lexists(path):
            raise NotFound(f"there is no file or folder {path}")
        if os.path.isdir(new):
            raise AlreadyExists(f"{new} is a folder already")
        with translated(f"move {path} to {new}"):
            try:
                os.rename(path, new)
            except FileNotFoundError as error:
                raise NotFound(f"there is no folder {os.path.dirname(new)}: make it first") from error
            except OSError as error:
                if error.errno == EXDEV:
                    raise Unsupported(f"{path} and {new} are on different disks") from error
                raise
            sync_folder(os.path.dirname(new))

    @contextlib.contextmanager
    def _opened(self, key: str) -> Iterator[tuple[int, os.stat_result]]:
        self.head(key)  # says what is wrong with a name that is no file's, and never waits for a pipe
        path = path_of(key)
        with translated(f"read {path}"):
            try:
                file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError as error:
                raise NotFound(f"there is no file {path}") from error
            try:
                yield file, os.fstat(file)
            finally:
                os.close(file)


def open_disk(url: str, *, create: bool = False) -> Disk:
    """Return the disk, whatever the URL."""
    del url, create
    return Disk()


def split(url: str) -> tuple[str, str]:
    """Return the URL of the disk and the key that a path or ``file`` URL names.

    Raises:
        InvalidInput: it names another machine, or nothing.
    """
    path = url
    if url.lower().startswith("file:"):
        parts = urlsplit(url.replace("#", "%23").replace("?", "%3F"))
        if parts.netloc.lower() not in {"", "localhost"}:
            raise InvalidInput(f"{url!r} names the machine {parts.netloc!r}; a file of this machine is file:///…")
        path = unquote(parts.path)
    if not path or "\0" in path:
        raise InvalidInput(f"{url!r} names no file")
    path = os.path.expanduser(path)
    if ".." in path.split("/"):  # what is above a link depends on where it leads
        folder, name = os.path.split(path)
        path = os.path.realpath(path) if name == ".." else os.path.join(os.path.realpath(folder), name)
    return Disk.url, os.path.abspath(path).lstrip("/")


def path_of(key: str) -> str:
    """Return the path of a key."""
    return f"/{key}"


def _meta(key: str, found: os.stat_result) -> ObjectMeta:
    return ObjectMeta(key=key, size_bytes=found.st_size, modified=datetime.fromtimestamp(found.st_mtime, UTC), etag=_etag(found))


def _etag(found: os.stat_result) -> str:
    return f"{found.st_ino:x}-{found.st_size:x}-{found.st_mtime_ns:x}-{found.st_ctime_ns:x}"


def _names(prefix: str) -> builtins.list[tuple[str, os.DirEntry[str]]]:
    """Return the names in a folder by the order of their keys; a folder's ends in ``/``."""
    path = path_of(prefix)
    with translated(f"list {path}"):
        try:
            with os.scandir(path) as entries:
                found = [(entry.name + "/" if entry.is_dir() else entry.name, entry) for entry in entries]
        except (FileNotFoundError, NotADirectoryError):
            return []
    wanted = [(name, entry) for name, entry in found if not name.startswith((TEMPORARY, PARTIAL))]
    return sorted(wanted, key=lambda pair: os.fsencode(pair[0]))


def _walk(prefix: str, above: tuple[tuple[int, int], ...], *, follows: bool) -> Iterator[ObjectMeta]:
    """Yield all files below a folder, in order; `above` are the folders on the way."""
    for name, entry in _names(prefix):
        with contextlib.suppress(FileNotFoundError):  # gone since the folder was read, or a link to nowhere
            found = entry.stat(follow_symlinks=follows)
            if stat.S_ISREG(found.st_mode) or stat.S_ISLNK(found.st_mode):
                yield _meta((prefix + name).rstrip("/"), found)
            elif stat.S_ISDIR(found.st_mode) and (place := (found.st_dev, found.st_ino)) not in above:
                yield from _walk(prefix + name, (*above, place), follows=follows)


def _read(file: int, start: int, count: int | None) -> bytes:
    """Read `count` bytes, fewer only if the file ends; all if None."""
    parts = []
    left = os.fstat(file).st_size - start if count is None else count
    while left > 0 and (part := os.pread(file, left, start)):
        parts.append(part)
        start += len(part)
        left -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
