"""Connections to servers of files: what each of them can do, and a pool that lends them.

The libraries underneath are not made for threads. So a connection serves one thread at a time, a store keeps a few of them, and one that
has died in the meantime is replaced once. A process that was forked opens connections of its own.
Whoever streams takes a connection beside those that are counted: what it streams may come over this very pool.
"""

import contextlib
import os
import re
import secrets
import threading
import weakref
from collections.abc import Buffer, Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

import blake3
import httpx

from kist.errors import IntegrityError, NotFound, StoreError
from kist.stores import budget
from kist.stores.other.errors import is_lost, translate

__all__ = [
    "MARKED",
    "PIECE_BYTES",
    "Channel",
    "Entry",
    "Feed",
    "LinkingChannel",
    "Pool",
    "is_temporary",
    "make_folders",
    "new_temporary",
    "replace",
    "unknown_time",
]

PIECE_BYTES: Final = 1 << 20
_READ_BACK_BYTES = 16 << 20
_CONNECTIONS = 8
_PATIENCE_SECONDS = 300
_TEMPORARY = ".kist-upload-"
_RANDOM_BYTES = 16
MARKED: Final = "?;"
"""What a hidden name may end with for a moment, to see whether a server takes names as they are."""

_HIDDEN = re.compile(rf"{re.escape(_TEMPORARY)}[0-9a-f]{{{2 * _RANDOM_BYTES}}}(?:{re.escape(MARKED)})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file or folder, as its server tells of it; `name` is its last segment."""

    name: str
    folder: bool
    size_bytes: int
    modified: datetime
    etag: str = ""


class Channel(Protocol):
    """One connection. Paths are what its scheme makes of a root and a key, without a ``/`` at the end; empty is the topmost folder.

    Errors are those of the library, and built-in ones where the meaning is known: `FileNotFoundError`, `NotADirectoryError`, ….
    """

    @property
    def trusted(self) -> bool:
        """Whether bytes can't change on their way (TLS, SSH), so that comparing sizes is enough."""
        ...

    @property
    def renames(self) -> bool:
        """Whether a file can be renamed; where not, a whole file appears at the end of its upload."""
        ...

    @property
    def broken(self) -> bool:
        """Whether the connection can't be used any more."""
        ...

    def stat(self, path: str) -> Entry:
        """Look at a file or folder."""
        ...

    def entries(self, path: str) -> list[Entry]:
        """Return what is in a folder, in any order; nothing that is neither file nor folder."""
        ...

    def read(self, path: str, start: int, end: int | None) -> bytes:
        """Read a file, or part of it."""
        ...

    def write(self, path: str, feed: "Feed") -> None:
        """Write a new file in a folder that exists."""
        ...

    def rename(self, path: str, target: str) -> None:
        """Give a file another name, of another file too; `FileExistsError` where the server does not replace."""
        ...

    def remove(self, path: str) -> None:
        """Remove a file and never a folder; `FileNotFoundError` if there is none."""
        ...

    def make_folder(self, path: str) -> None:
        """Make one folder; `FileExistsError` if it is there, `FileNotFoundError` if the one above is not."""
        ...

    def remove_folder(self, path: str) -> None:
        """Remove an empty folder."""
        ...

    def close(self) -> None:
        """End the connection; never fails."""
        ...


class LinkingChannel(Channel, Protocol):
    """One that can give a file a second name."""

    def link(self, path: str, target: str) -> None:
        """Give it; `FileExistsError` if the name is taken."""
        ...


class _Turn:
    """A place in the budget of requests that can be given back for a while."""

    def __init__(self) -> None:
        self._held: AbstractContextManager[object] | None = None

    def __enter__(self) -> None:
        held = budget.request()
        held.__enter__()
        self._held = held

    def __exit__(self, *_: object) -> None:
        held, self._held = self._held, None
        if held is not None:
            held.__exit__(None, None, None)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Let others go first: what is waited for may need a place itself."""
        if self._held is None:
            yield
            return
        self.__exit__()
        try:
            yield
        finally:
            self.__enter__()


class Feed:
    """Parts on their way to a server: in pieces, counted and hashed. `error` is what their source raised, if it did."""

    def __init__(self, parts: Iterable[Buffer], size_bytes: int | None) -> None:
        self.size_bytes = size_bytes
        self.turn = _Turn()
        self.started = False
        self.sent = 0
        self.error: BaseException | None = None
        self._parts = parts
        self._hash = blake3.blake3()

    def __iter__(self) -> Iterator[memoryview]:
        self.started = True
        parts = iter(self._parts)
        while (part := self._next(parts)) is not None:
            view = memoryview(part).cast("B")
            self._hash.update(view)
            self.sent += len(view)
            for start in range(0, len(view), PIECE_BYTES):
                yield view[start : start + PIECE_BYTES]
        if self.size_bytes is not None and self.sent != self.size_bytes:
            self.error = IntegrityError(f"{self.size_bytes} bytes were announced and {self.sent} came; nothing was replaced")
            raise self.error

    def _next(self, parts: Iterator[Buffer]) -> Buffer | None:
        try:
            with self.turn.paused():
                return next(parts, None)
        except BaseException as error:
            self.error = error
            raise

    def check(self, channel: Channel, path: str) -> None:
        """Compare what the server holds with what was sent.

        Raises:
            IntegrityError: it is not the same.
        """
        size = channel.stat(path).size_bytes
        if size != self.sent:
            raise IntegrityError(f"{self.sent} bytes were sent and {size} arrived; try again")
        if not channel.trusted and _digest(channel, path, size) != self._hash.digest():
            raise IntegrityError(f"other bytes arrived than the {self.sent} that were sent; try again")


class Pool:
    """The connections of a store."""

    def __init__(self, connect: Callable[[], Channel], url: str) -> None:
        self._connect, self._url = connect, url
        self._renew()

    def _renew(self) -> None:
        self._pid = os.getpid()
        self._idle: list[Channel] = []
        self._lock = threading.Lock()
        self._connecting = threading.Lock()
        self._places = threading.BoundedSemaphore(_CONNECTIONS)
        weakref.finalize(self, _close_all, self._idle, self._pid)

    def do[T](self, action: str, work: Callable[[Channel], T], *, feed: Feed | None = None) -> T:
        """Work on a connection, and once more on a new one if it had died since it was last used.

        Raises:
            KistError: what `translate` makes of what went wrong; what a feed's source raises passes.
        """
        if os.getpid() != self._pid:
            _inherited.append(self._idle)  # closing them would end those of the parent
            self._renew()
        with self._place(counted=feed is None):
            for last in (False, True):
                channel, used = self._take(action)
                try:
                    with feed.turn if feed else budget.request():
                        result = work(channel)
                except BaseException as error:
                    lost = is_lost(error)
                    self._give(channel, alive=isinstance(error, Exception) and not lost)
                    if feed and feed.error:
                        raise feed.error from None
                    if lost and used and not last and not _timed_out(error) and not (feed and feed.started):
                        self.close()
                        continue
                    if not isinstance(error, Exception):
                        raise
                    raise translate(error, action) from error
                self._give(channel, alive=True)
                return result
        raise AssertionError("the second attempt returns or raises")

    def close(self) -> None:
        """End the connections that nobody uses."""
        with self._lock:
            idle, self._idle[:] = self._idle[:], []
        for channel in idle:
            channel.close()

    @contextlib.contextmanager
    def _place(self, *, counted: bool) -> Iterator[None]:
        if not counted:
            yield
            return
        if not self._places.acquire(timeout=_PATIENCE_SECONDS):
            raise StoreError(f"{self._url} is busy: no connection was free for {_PATIENCE_SECONDS} s; try again later")
        try:
            yield
        finally:
            self._places.release()

    def _take(self, action: str) -> tuple[Channel, bool]:
        with self._lock:
            if self._idle:
                return self._idle.pop(), True
        if not self._connecting.acquire(timeout=_PATIENCE_SECONDS):  # one after the other: servers drop crowds at their door
            raise StoreError(f"can't {action}: no connection was made within {_PATIENCE_SECONDS} s; try again later")
        try:
            with budget.request():
                return self._connect(), False
        except Exception as error:
            failure = translate(error, f"connect to {self._url}")
            raise (StoreError(str(failure)) if isinstance(failure, NotFound) else failure) from error  # no object was asked for yet
        finally:
            self._connecting.release()

    def _give(self, channel: Channel, *, alive: bool) -> None:
        with self._lock:
            if alive and not channel.broken and len(self._idle) < _CONNECTIONS:
                self._idle.append(channel)
                return
        channel.close()


_inherited: list[list[Channel]] = []
"""Connections of a parent process: never used, never closed."""


def _close_all(channels: list[Channel], pid: int) -> None:
    if pid == os.getpid():
        for channel in channels:
            channel.close()


def _timed_out(error: BaseException) -> bool:
    return isinstance(error, TimeoutError | httpx.TimeoutException)


def new_temporary(path: str) -> str:
    """Return a hidden name beside `path` that nobody has used."""
    above, slash, _ = path.rpartition("/")
    return f"{above}{slash}{_TEMPORARY}{secrets.token_hex(_RANDOM_BYTES)}"


def is_temporary(name: str) -> bool:
    """Say whether the last segment of a path is such a name."""
    return _HIDDEN.fullmatch(name) is not None


def replace(channel: Channel, path: str, target: str) -> None:
    """Rename a file over another, also where the server refuses that: then the old one is put aside, and back if need be."""
    try:
        channel.rename(path, target)
    except FileExistsError:
        if channel.stat(target).folder:
            raise IsADirectoryError(target) from None
        aside = new_temporary(target)
        channel.rename(target, aside)
        try:
            channel.rename(path, target)
        except BaseException:
            channel.rename(aside, target)
            raise
        channel.remove(aside)


def make_folders(channel: Channel, path: str) -> None:
    """Make a folder and those above it.

    Raises:
        NotADirectoryError: something else has one of the names.
    """
    above = path.rpartition("/")[0]
    try:
        channel.make_folder(path)
    except FileNotFoundError:
        if not above or above == path:
            raise
        make_folders(channel, above)
        with contextlib.suppress(FileExistsError):  # another writer was first
            channel.make_folder(path)
    except FileExistsError:
        if not channel.stat(path).folder:
            raise NotADirectoryError(path) from None


def unknown_time() -> datetime:
    """Return the time of what nobody knows the age of: now, so that nothing takes it for old and removes it."""
    return datetime.now(UTC)


def _digest(channel: Channel, path: str, size_bytes: int) -> bytes:
    """Read a file back and hash it."""
    found = blake3.blake3()
    for start in range(0, size_bytes, _READ_BACK_BYTES):
        found.update(channel.read(path, start, min(start + _READ_BACK_BYTES, size_bytes)))
    return found.digest()
