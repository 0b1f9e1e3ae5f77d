"""A disk that loses power: it records what a program does below a folder, and builds what might be found there afterwards.

What was not synced is lost, kept, or torn: a file's bytes until the file is synced, each name by itself until its folder is. That is more
than a real file system loses, and all that POSIX allows. Only renaming is trusted to replace a name in one step.
"""

import contextlib
import os
import random
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

BLOCK_BYTES = 512
Undo = Callable[[], None]


class Event(NamedTuple):
    """Something that happened to a file or folder; to ``name`` a folder's name means to say that it now is `target`, or nothing."""

    verb: str
    file: int
    name: bytes = b""
    target: int | None = None
    data: bytes = b""


@dataclass(slots=True)
class Disk:
    """Files and folders by numbers of ours, for the system uses its own again: what is there for good, and what came since a sync."""

    synced: dict[int, bytes] = field(default_factory=dict)
    current: dict[int, bytes] = field(default_factory=dict)
    folders: dict[int, dict[bytes, int]] = field(default_factory=dict)
    pending: dict[int, list[Event]] = field(default_factory=dict)

    def apply(self, event: Event) -> None:
        """Change what is there."""
        if event.verb == "folder":
            self.folders[event.file] = {}
        elif event.verb == "file":
            self.synced[event.file] = self.current[event.file] = b""
        elif event.verb == "write":
            self.current[event.file] += event.data
        elif event.verb == "name":
            self.pending.setdefault(event.file, []).append(event)
        elif event.verb == "sync" and event.file in self.current:
            self.synced[event.file] = self.current[event.file]
        elif event.verb == "sync":
            for change in self.pending.pop(event.file, []):
                _rename(self.folders[event.file], change)

    def build(self, folder: Path, number: int, chance: random.Random) -> None:
        """Make a folder hold what it might hold after power is lost now."""
        folder.mkdir()
        for name, target in self._names(number, chance).items():
            path = folder / os.fsdecode(name)
            if target in self.folders:
                self.build(path, target, chance)
            else:
                path.write_bytes(self._bytes(target, chance))

    def _names(self, number: int, chance: random.Random) -> dict[bytes, int]:
        """Choose for each name by itself how far it got."""
        names = dict(self.folders[number])
        changes: dict[bytes, list[Event]] = {}
        for event in self.pending.get(number, []):
            changes.setdefault(event.name, []).append(event)
        for events in changes.values():
            if reached := chance.randrange(len(events) + 1):
                _rename(names, events[reached - 1])
        return names

    def _bytes(self, number: int, chance: random.Random) -> bytes:
        """Choose what became of a file's bytes: all of them, none since the last sync, some, or zeros."""
        old, new = self.synced[number], self.current[number]
        if old == new:
            return new
        fate = chance.randrange(5)
        if fate == 0:
            return old
        if fate == 1:
            return new
        if fate == 2:
            return new[: chance.randrange(len(old), len(new) + 1)]
        if fate == 3:
            return old + bytes(len(new) - len(old))
        blocks = (new[at : at + BLOCK_BYTES] for at in range(0, len(new), BLOCK_BYTES))
        return b"".join(block if chance.random() < 0.5 else bytes(len(block)) for block in blocks)


def _rename(names: dict[bytes, int], event: Event) -> None:
    names.pop(event.name, None)
    if event.target is not None:
        names[event.name] = event.target


class Recorder:
    """Notes what happens below an empty folder, through the module `os`, on any thread; `note` adds events of the caller's."""

    def __init__(self, root: Path) -> None:
        self.events: list[Event] = []
        self._lock = threading.RLock()
        self._numbers: dict[int, int] = {}
        self.root = self._new("folder", root.stat().st_ino)

    def note(self, verb: str) -> None:
        """Add an event that means nothing to the disk."""
        self.events.append(Event(verb, 0))

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Record while the context lasts."""
        names = ("open", "write", "fsync", "link", "rename", "unlink", "mkdir")
        real = {name: getattr(os, name) for name in names}
        for name in names:
            setattr(os, name, getattr(self, f"_{name}")(real[name]))
        try:
            yield
        finally:
            for name in names:
                setattr(os, name, real[name])

    def _new(self, verb: str, inode: int) -> int:
        number = self._numbers[inode] = len(self.events)
        self.events.append(Event(verb, number))
        return number

    def _name(self, folder: int | None, name: str | bytes, inode: int | None) -> None:
        """Note that a name in an open folder means something else now; what is not below the root is not known."""
        if folder is not None and (number := self._numbers.get(os.fstat(folder).st_ino)) is not None:
            self.events.append(Event("name", number, os.fsencode(name), None if inode is None else self._numbers[inode]))

    def _open(self, real: Callable[..., int]) -> Callable[..., int]:
        def call(path: str | bytes, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
            with self._lock:
                file = real(path, flags, mode, dir_fd=dir_fd)
                nameless = flags & os.O_TMPFILE == os.O_TMPFILE
                if dir_fd is not None and (nameless or flags & os.O_EXCL):
                    inode = os.fstat(file).st_ino
                    self._new("file", inode)
                    if not nameless:
                        self._name(dir_fd, path, inode)
            return file

        return call

    def _write(self, real: Callable[..., int]) -> Callable[..., int]:
        def call(file: int, data: memoryview) -> int:
            with self._lock:
                done = real(file, data)
                if (number := self._numbers.get(os.fstat(file).st_ino)) is not None:
                    self.events.append(Event("write", number, data=bytes(data[:done])))
            return done

        return call

    def _fsync(self, real: Callable[..., None]) -> Callable[..., None]:
        def call(file: int) -> None:
            with self._lock:
                real(file)
                if (number := self._numbers.get(os.fstat(file).st_ino)) is not None:
                    self.events.append(Event("sync", number))

        return call

    def _link(self, real: Callable[..., None]) -> Callable[..., None]:
        def call(source: str | bytes, target: bytes, *, dst_dir_fd: int | None = None, **rest: object) -> None:
            with self._lock:
                real(source, target, dst_dir_fd=dst_dir_fd, **rest)
                self._name(dst_dir_fd, target, os.stat(target, dir_fd=dst_dir_fd).st_ino)

        return call

    def _rename(self, real: Callable[..., None]) -> Callable[..., None]:
        def call(source: bytes, target: bytes, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None) -> None:
            with self._lock:
                real(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
                self._name(dst_dir_fd, target, os.stat(target, dir_fd=dst_dir_fd).st_ino)
                self._name(src_dir_fd, source, None)

        return call

    def _unlink(self, real: Callable[..., None]) -> Callable[..., None]:
        def call(path: str | bytes, *, dir_fd: int | None = None) -> None:
            with self._lock:
                real(path, dir_fd=dir_fd)
                self._name(dir_fd, path, None)

        return call

    def _mkdir(self, real: Callable[..., None]) -> Callable[..., None]:
        def call(path: str | bytes, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
            with self._lock:
                real(path, mode, dir_fd=dir_fd)
                if dir_fd is not None:
                    inode = os.stat(path, dir_fd=dir_fd).st_ino
                    self._new("folder", inode)
                    self._name(dir_fd, path, inode)

        return call


def crash(recorder: Recorder, moment: int, folder: Path, chance: random.Random) -> None:
    """Make a folder hold what might be found there if power was lost before the event with a number."""
    disk = Disk()
    for event in recorder.events[:moment]:
        disk.apply(event)
    if folder.exists():
        shutil.rmtree(folder)
    disk.build(folder, recorder.root, chance)
