"""A store in a folder of this machine.

Once `put`, `create` or `delete` returns, its effect survives ``kill -9`` and the loss of power: the bytes are synced before they get their
name, the folders afterwards. Readers see an object whole or not at all. Nothing is left behind by a process that dies, or the next one
sweeps it up (`kist.stores.local.temporary`). Threads and processes may work on one root; a network file system makes no promise.
A key is a path below the root. Symbolic links below the root are never followed: paths are walked folder by folder, never by name.
"""

import builtins
import contextlib
import fcntl
import os
import stat
from collections.abc import Buffer, Iterable, Iterator
from datetime import UTC, datetime
from errno import EEXIST, EINVAL, EISDIR, ENOENT, ENOSYS, EOPNOTSUPP, EPERM
from urllib.parse import unquote, urlsplit

from kist.errors import AlreadyExists, Conflict, InvalidInput, KistError, NotFound, StoreError, Unsupported
from kist.stores.keys import check_folder, check_key, check_prefix, check_range
from kist.stores.local import temporary
from kist.stores.local.errors import translated
from kist.stores.local.listing import has_objects, subfolders, walk
from kist.stores.protocols import ObjectMeta
from kist.stores.streams import Pieces

__all__ = ["LocalStore", "open_local"]

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_BELOW = _FOLDER | os.O_NOFOLLOW
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NAMELESS = getattr(os, "O_TMPFILE", 0)
_FULL_SYNC = getattr(fcntl, "F_FULLFSYNC", None)
_NO_NAMELESS = frozenset({EOPNOTSUPP, EISDIR, EINVAL, ENOENT, ENOSYS})
_PIECE_BYTES = 1 << 20
_NO_LINKS = frozenset({EPERM, EOPNOTSUPP, ENOSYS})


class LocalStore:
    """Objects as files below `root`."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        """Use the folder `root`, which exists.

        Raises:
            NotFound: there is no such folder.
        """
        self.root = os.path.abspath(os.fspath(root))
        self.url = f"file://{self.root}"
        if not os.path.isdir(self.root):
            raise NotFound(f"there is no folder {self.root!r}; make it, or open it with create=True")
        self._durable: set[tuple[bytes, ...]] = set()
        self._nameless = bool(_NAMELESS)
        self._swept = False

    def __repr__(self) -> str:
        return f"LocalStore({self.root!r})"

    def __reduce__(self) -> tuple[type, tuple[str]]:
        return LocalStore, (self.root,)

    def get(self, key: str) -> bytes:
        """See `kist.stores.protocols.Get`."""
        with self._opened(key) as (file, meta):
            return _read(file, 0, meta.st_size)

    def get_range(self, key: str, *, start: int, end: int) -> bytes:
        """See `kist.stores.protocols.GetRange`."""
        check_range(start, end)
        with self._opened(key) as (file, meta):
            return _read(file, start, min(end, meta.st_size) - start)

    def head(self, key: str) -> ObjectMeta:
        """See `kist.stores.protocols.Head`."""
        with self._opened(key) as (_, meta):
            return ObjectMeta(key=key, size_bytes=meta.st_size, modified=datetime.fromtimestamp(meta.st_mtime, UTC))

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectMeta]:
        """See `kist.stores.protocols.List`; folders that can't hold a wanted key are not read."""
        return self._list(check_prefix(prefix), start_after)

    def list_folders(self, prefix: str) -> builtins.list[str]:
        """See `kist.stores.protocols.List`."""
        above = check_folder(prefix).rstrip("/")
        with translated(f"list {prefix!r} in {self.url}"):
            try:
                folder = self._open_folder(_segments(above) if above else ())
            except (NotADirectoryError, FileNotFoundError):
                return []
            try:
                return [name for name in subfolders(folder, prefix) if has_objects(folder, name, prefix)]
            finally:
                os.close(folder)

    def put(self, key: str, data: Buffer) -> None:
        """See `kist.stores.protocols.Put`."""
        *above, name = _segments(key)
        with translated(f"write {key!r} to {self.url}"), self._folder(tuple(above), make=True) as folder:
            try:
                self._write(folder, name, data)
            except (FileExistsError, Unsupported):
                self._replace(folder, name, (data,))
            _sync(folder)

    def put_stream(self, key: str, parts: Iterable[Buffer], *, size_bytes: int | None = None) -> None:
        """See `kist.stores.protocols.PutStream`; the parts go to a temporary file as they come."""
        *above, name = _segments(key)
        pieces = Pieces(parts, piece_bytes=_PIECE_BYTES, size_bytes=size_bytes)
        try:
            with translated(f"write {key!r} to {self.url}"), self._folder(tuple(above), make=True) as folder:
                self._replace(folder, name, pieces)
                _sync(folder)
        except KistError:
            pieces.blame()
            raise

    def create(self, key: str, data: Buffer) -> None:
        """See `kist.stores.protocols.Create`."""
        *above, name = _segments(key)
        with translated(f"create {key!r} in {self.url}"), self._folder(tuple(above), make=True) as folder:
            try:
                self._write(folder, name, data)
            except FileExistsError as error:
                _refuse_folder(folder, name, key)
                raise AlreadyExists(f"{key!r} exists already in {self.url}") from error
            _sync(folder)

    def delete(self, key: str) -> None:
        """See `kist.stores.protocols.Delete`; folders stay, even when empty, so that nobody can remove one under a writer."""
        *above, name = _segments(key)
        absent = contextlib.suppress(FileNotFoundError, NotADirectoryError)
        with translated(f"delete {key!r} from {self.url}"), absent, self._folder(tuple(above)) as folder:
            with contextlib.suppress(FileNotFoundError, IsADirectoryError):
                os.unlink(name, dir_fd=folder)
            _sync(folder)  # also if it was gone: whoever removed it may not have synced

    def _list(self, prefix: str, start_after: str) -> Iterator[ObjectMeta]:
        above = prefix.rpartition("/")[0]
        with translated(f"list {prefix!r} in {self.url}"):
            try:
                folder = self._open_folder(_segments(above) if above else ())
            except (NotADirectoryError, FileNotFoundError):
                return
            yield from walk(folder, f"{above}/" if above else "", prefix, start_after)

    @contextlib.contextmanager
    def _opened(self, key: str) -> Iterator[tuple[int, os.stat_result]]:
        """Open the file of a key for reading."""
        *above, name = _segments(key)
        with translated(f"read {key!r} from {self.url}"):
            try:
                with self._folder(tuple(above)) as folder:
                    file = os.open(name, _READ, dir_fd=folder)
            except (FileNotFoundError, NotADirectoryError) as error:
                raise NotFound(f"no object {key!r} in {self.url}") from error
            try:
                meta = os.fstat(file)
                if not stat.S_ISREG(meta.st_mode):
                    raise NotFound(f"no object {key!r} in {self.url}: there is something else than a file")
                yield file, meta
            finally:
                os.close(file)

    @contextlib.contextmanager
    def _folder(self, segments: tuple[bytes, ...], *, make: bool = False) -> Iterator[int]:
        """Lend the descriptor of a folder."""
        folder = self._make_folder(segments) if make else self._open_folder(segments)
        try:
            yield folder
        finally:
            os.close(folder)

    def _open_root(self) -> int:
        try:
            return os.open(self.root, _FOLDER)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise StoreError(f"the folder {self.root!r} is gone, and all that this store holds; is its disk mounted?") from error

    def _open_folder(self, segments: tuple[bytes, ...]) -> int:
        folder = self._open_root()
        for segment in segments:
            above = folder
            try:
                folder = _step(above, segment)
            finally:
                os.close(above)
        return folder

    def _make_folder(self, segments: tuple[bytes, ...]) -> int:
        """Open a folder, made if need be, whose own name will survive.

        A folder that another process has just made may not be durable yet: so each is synced once, by whoever first writes below it.
        """
        if not self._swept:
            self._sweep()
        folder = self._open_root()
        for depth, segment in enumerate(segments, 1):
            above = folder
            try:
                folder, made = _step_or_make(above, segment)
                if made or segments[:depth] not in self._durable:
                    _sync(above)
                    self._durable.add(segments[:depth])
            finally:
                os.close(above)
        return folder

    def _write(self, folder: int, name: bytes, data: Buffer) -> None:
        """Put a new file with these bytes under a free name.

        Raises:
            FileExistsError: the name is taken.
            Unsupported: the file system has no hard links.
        """
        if self._nameless and self._write_nameless(folder, name, data):
            return
        with self._named((data,)) as (area, temp):
            try:
                self._link(area, temp, folder, name)
            except OSError as error:
                if error.errno in _NO_LINKS:
                    raise Unsupported(
                        f"{self.url} is on a file system without hard links, so of two writers none can be the first"
                    ) from error
                raise

    def _write_nameless(self, folder: int, name: bytes, data: Buffer) -> bool:
        """Write a file without a name, then link it; False where the file system can't."""
        try:
            file = os.open(b".", _NAMELESS | os.O_WRONLY | os.O_CLOEXEC, 0o666, dir_fd=folder)
        except OSError as error:
            if error.errno not in _NO_NAMELESS:
                raise
            self._nameless = False
            return False
        try:
            _write_all(file, data)
            _sync(file)
            try:
                os.link(f"/proc/self/fd/{file}", name, dst_dir_fd=folder)  # with a folder given, Python follows the link to the open file
            except OSError as error:
                if error.errno == EEXIST or os.path.exists("/proc/self/fd"):
                    raise
                self._nameless = False
                return False
            _sync(file)  # btrfs logs nothing of a file that has no name yet: only now do its bytes reach the log
        finally:
            os.close(file)
        return True

    def _link(self, area: int, temp: bytes, folder: int, name: bytes) -> None:
        os.link(temp, name, src_dir_fd=area, dst_dir_fd=folder, follow_symlinks=False)

    def _replace(self, folder: int, name: bytes, parts: Iterable[Buffer]) -> None:
        """Put these bytes under a name that may be taken, in one step."""
        with self._named(parts) as (area, temp):
            os.rename(temp, name, src_dir_fd=area, dst_dir_fd=folder)

    @contextlib.contextmanager
    def _named(self, parts: Iterable[Buffer]) -> Iterator[tuple[int, bytes]]:
        """Lend a synced temporary file with these bytes, as folder and name; afterwards it is gone."""
        with self._folder((temporary.FOLDER,), make=True) as area:
            temp = temporary.new_name()
            file = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666, dir_fd=area)
            try:
                try:
                    for part in parts:
                        _write_all(file, part)
                    _sync(file)
                finally:
                    os.close(file)
                yield area, temp
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(temp, dir_fd=area)

    def _sweep(self) -> None:
        """Remove what dead writers left, once per store object."""
        self._swept = True
        with contextlib.suppress(OSError), self._folder((temporary.FOLDER,)) as area:
            temporary.sweep(area)


def open_local(url: str, *, create: bool = False) -> LocalStore:
    """Open a folder by ``file://`` URL or path.

    Raises:
        InvalidInput: the URL names another machine.
        NotFound: there is no such folder, and `create` is not set.
        Denied: it may not be made.
    """
    root = url
    if url.lower().startswith("file:"):
        parts = urlsplit(url)
        if parts.netloc not in {"", "localhost"}:
            raise InvalidInput(f"{url!r} names the machine {parts.netloc!r}; a folder of this machine is file:///…")
        root = unquote(url[len("file:") :].removeprefix(f"//{parts.netloc}"))
    root = os.path.abspath(os.path.expanduser(root))
    if create:
        with translated(f"make the folder {root}"):
            _make_root(root)
    return LocalStore(root)


def _make_root(root: str) -> None:
    """Make a folder and those above it, each durable."""
    if os.path.isdir(root):
        return
    above = os.path.dirname(root)
    if above != root:
        _make_root(above)
    with contextlib.suppress(FileExistsError):
        os.mkdir(root)
    folder = os.open(above, _FOLDER)
    try:
        _sync(folder)
    finally:
        os.close(folder)


def _segments(key: str) -> tuple[bytes, ...]:
    segments = tuple(segment.encode() for segment in check_key(key).split("/"))
    if segments[0] == temporary.FOLDER:
        raise InvalidInput(f"{key!r} is reserved for temporary files: choose another key")
    return segments


def _step(folder: int, segment: bytes) -> int:
    return os.open(segment, _BELOW, dir_fd=folder)


def _step_or_make(folder: int, segment: bytes) -> tuple[int, bool]:
    """Open a folder below another, made if need be, and say whether it was."""
    try:
        return _step(folder, segment), False
    except FileNotFoundError:
        with contextlib.suppress(FileExistsError):  # another writer was first
            os.mkdir(segment, dir_fd=folder)
        return _step(folder, segment), True


def _refuse_folder(folder: int, name: bytes, key: str) -> None:
    """Tell a name that is taken by an object from one taken by anything else.

    Raises:
        Conflict: the key is no object.
    """
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            raise Conflict(f"{key!r} is a folder here, or no plain file: a local store can't have an object of this name")


def _sync(file: int) -> None:
    """Make a file or folder durable; on macOS the disk must be told in so many words."""
    os.fsync(file)
    if _FULL_SYNC is not None:
        fcntl.fcntl(file, _FULL_SYNC)


def _write_all(file: int, data: Buffer) -> None:
    with memoryview(data).cast("B") as view:
        done = 0
        while done < len(view):
            done += os.write(file, view[done:])


def _read(file: int, start: int, count: int) -> bytes:
    """Read `count` bytes, fewer only if the file ends."""
    if count <= 0:
        return b""
    first = os.pread(file, count, start)
    if len(first) == count:
        return first
    parts = [first]
    while parts[-1] and (done := sum(map(len, parts))) < count:
        parts.append(os.pread(file, count - done, start + done))
    return b"".join(parts)
