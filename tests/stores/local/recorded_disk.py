"""A disk that can lose power: it notes what a program does to its files, and tells every state that might be found afterwards.

What was not synced may be lost, each name by itself: the contents of a file until it is synced, a name until its folder is.
That is more than a real file system loses, and all that POSIX allows. Names are replaced in one step, as `rename` promises.
"""

import contextlib
import itertools
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

TORN = b"\0torn\0"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to an inode; `name` in folder `inode` now means `target`, or nothing."""

    verb: str
    inode: int
    name: bytes = b""
    target: int | None = None
    data: bytes = b""


@dataclass(slots=True)
class State:
    """What is on the disk for good, and what is not yet."""

    files: dict[int, bytes] = field(default_factory=dict)
    unsynced: dict[int, bytes] = field(default_factory=dict)
    folders: dict[int, dict[bytes, int]] = field(default_factory=dict)
    pending: dict[int, list[Event]] = field(default_factory=dict)

    def apply(self, event: Event, *, nameless_sync: bool) -> None:
        """Change the state; without `nameless_sync`, to sync a file that has no name does nothing, as on btrfs."""
        if event.verb == "new":
            self.files[event.inode], self.unsynced[event.inode] = TORN, b""
        elif event.verb == "write":
            self.unsynced[event.inode] = self.unsynced.get(event.inode, b"") + event.data
        elif event.verb == "name":
            self.pending.setdefault(event.inode, []).append(event)
        elif event.verb == "sync":
            if event.inode in self.unsynced and (nameless_sync or self._named(event.inode)):
                self.files[event.inode] = self.unsynced[event.inode]
            for change in self.pending.pop(event.inode, []):
                _rename(self.folders.setdefault(event.inode, {}), change)

    def after_power_loss(self) -> Iterator[dict[int, dict[bytes, int]]]:
        """Yield all sets of folders that might be found."""
        pending = [event for events in self.pending.values() for event in events]
        for kept in itertools.product([False, True], repeat=len(pending)):
            folders = {inode: dict(names) for inode, names in self.folders.items()}
            for event, keep in zip(pending, kept, strict=True):
                if keep:
                    _rename(folders.setdefault(event.inode, {}), event)
            yield folders

    def _named(self, inode: int) -> bool:
        synced = any(inode in names.values() for names in self.folders.values())
        return synced or any(event.target == inode for events in self.pending.values() for event in events)


def _rename(names: dict[bytes, int], event: Event) -> None:
    names.pop(event.name, None)
    if event.target is not None:
        names[event.name] = event.target


class Disk:
    """Records what happens below a folder while `recording`."""

    def __init__(self, root: Path) -> None:
        self.root = root.stat().st_ino
        self.events: list[Event] = []
        self.start = State()
        for folder, _, names in os.walk(root):
            here = Path(folder).stat().st_ino
            entries = self.start.folders.setdefault(here, {})
            for path in Path(folder).iterdir():
                entries[os.fsencode(path.name)] = path.stat().st_ino
            for name in names:
                path = Path(folder, name)
                self.start.files[path.stat().st_ino] = path.read_bytes()

    def read(self, folders: dict[int, dict[bytes, int]], files: dict[int, bytes], key: str) -> bytes | None:
        """Return what is found under a key; nothing if a part of its path is missing."""
        inode: int | None = self.root
        for segment in key.encode().split(b"/"):
            inode = folders.get(inode or 0, {}).get(segment)
        return None if inode is None else files.get(inode, TORN)

    def states(self, *, nameless_sync: bool = True) -> Iterator[tuple[int, State]]:
        """Yield the state before the first event, and after each; it is one object that changes."""
        yield 0, self.start
        for number, event in enumerate(self.events, 1):
            self.start.apply(event, nameless_sync=nameless_sync)
            yield number, self.start

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Note every change that is made through the module `os`."""
        names = ("open", "mkdir", "write", "fsync", "link", "rename", "unlink")
        originals: dict[str, Callable[..., object]] = {name: getattr(os, name) for name in names}
        for name, original in originals.items():
            setattr(os, name, getattr(self, f"_{name}")(original))
        try:
            yield
        finally:
            for name, original in originals.items():
                setattr(os, name, original)

    def _open(self, real: Callable[..., int]) -> Callable[..., int]:
        def call(path: bytes, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
            file = real(path, flags, mode, dir_fd=dir_fd)
            nameless = flags & os.O_TMPFILE == os.O_TMPFILE
            if nameless or flags & os.O_EXCL:
                self.events.append(Event("new", os.fstat(file).st_ino))
                if not nameless:
                    self._note(dir_fd, path, os.fstat(file).st_ino)
            return file

        return call

    def _mkdir(self, real: Callable[..., None]) -> Callable[..., None]:
        def call(path: bytes, *, dir_fd: int) -> None:
            real(path, dir_fd=dir_fd)
            self._note(dir_fd, path, os.stat(path, dir_fd=dir_fd).st_ino)

        return call

    def _write(self, real: Callable[..., int]) -> Callable[..., int]:
        def call(file: int, data: bytes) -> int:
            done = real(file, data)
            self.events.append(Event("write", os.fstat(file).st_ino, data=bytes(data[:done])))
            return done

        return call

    def _fsync(self, real: Callable[..., None]) -> Callable[..., None]:
        def call(file: int) -> None:
            real(file)
            self.events.append(Event("sync", os.fstat(file).st_ino))

        return call

    def _link(self, real: Callable[..., None]) -> Callable[..., None]:
        def call(source: str, target: bytes, *, dst_dir_fd: int, **rest: object) -> None:
            real(source, target, dst_dir_fd=dst_dir_fd, **rest)
            self._note(dst_dir_fd, target, os.stat(target, dir_fd=dst_dir_fd).st_ino)

        return call

    def _rename(self, real: Callable[..., None]) -> Callable[..., None]:
        def call(source: bytes, target: bytes, *, src_dir_fd: int, dst_dir_fd: int) -> None:
            real(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
            self._note(dst_dir_fd, target, os.stat(target, dir_fd=dst_dir_fd).st_ino)
            self._note(src_dir_fd, source, None)

        return call

    def _unlink(self, real: Callable[..., None]) -> Callable[..., None]:
        def call(path: bytes, *, dir_fd: int) -> None:
            real(path, dir_fd=dir_fd)
            self._note(dir_fd, path, None)

        return call

    def _note(self, folder: int | None, name: bytes, target: int | None) -> None:
        assert folder is not None
        meta = os.fstat(folder)
        assert stat.S_ISDIR(meta.st_mode)
        self.events.append(Event("name", meta.st_ino, os.fsencode(name), target))
