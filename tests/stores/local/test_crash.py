"""A local store loses nothing that it acknowledged, and leaves nothing torn: killed anywhere, or without power at any moment."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import override

import pytest
from tests.stores.local.recorded_disk import Disk

from kist.errors import NotFound
from kist.stores.local import LocalStore
from kist.testing.store_suite import keys

OLD, NEW = b"old" * 1000, b"new" * 2000
KEY = "packs/0f/key"
MUTATING = ("open", "write", "fsync", "rename", "link", "unlink", "mkdir")


class NamedOnlyStore(LocalStore):
    """A store on a file system without nameless files."""

    @override
    def _write_nameless(self, *_: object) -> bool:
        return False


@dataclass(frozen=True)
class Change:
    """One call, what was under the key before, and what is afterwards."""

    title: str
    verb: str
    before: bytes | None
    after: bytes | None

    @override
    def __str__(self) -> str:
        return self.title

    def prepare(self, root: Path) -> None:
        store = LocalStore(root)
        store.put("other", b"")
        if self.before is not None:
            store.put(KEY, self.before)

    def act(self, store: LocalStore) -> None:
        if self.after is None:
            store.delete(KEY)
        else:
            getattr(store, self.verb)(KEY, self.after)


CHANGES = [
    Change("write", "put", None, NEW),
    Change("replace", "put", OLD, NEW),
    Change("create", "create", None, NEW),
    Change("delete", "delete", OLD, None),
]


def found(store: LocalStore) -> bytes | None:
    try:
        return store.get(KEY)
    except NotFound:
        return None


def _die_at(count: int) -> None:
    """Make the call of the operating system with this number, counted from 1, the last thing that this process does."""
    left = count

    def deadly(real: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        return call

    for name in MUTATING:
        setattr(os, name, deadly(getattr(os, name)))


def _killed_at(count: int, root: Path, kind: type[LocalStore], change: Change) -> bool:
    """Act in a child that dies at a call; return whether it finished instead."""
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        store = kind(root)
        _die_at(count)
        change.act(store)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def _kill_everywhere(folder: Path, kind: type[LocalStore], change: Change) -> tuple[int, list[str]]:
    """Kill a writer at each of its calls; return how often, and what was wrong then."""
    faults: list[str] = []
    for count in range(1, 200):
        root = folder / str(count)
        root.mkdir()
        change.prepare(root)
        finished = _killed_at(count, root, kind, change)
        content = found(LocalStore(root))
        if content not in ([change.after] if finished else [change.before, change.after]):
            faults.append(f"killed at call {count}: found {content!r:.20}")
        LocalStore(root).put("next", b"")
        files = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
        if debris := files - set(keys(LocalStore(root))):
            faults.append(f"killed at call {count}: left {debris}")
        if finished:
            return count - 1, faults
    return 0, ["it never finished"]


@pytest.mark.parametrize("kind", [LocalStore, NamedOnlyStore])
@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_killed_anywhere(tmp_path: Path, kind: type[LocalStore], change: Change) -> None:
    with get_context("spawn").Pool(1) as pool:  # a process without threads may fork
        killed, faults = pool.apply_async(_kill_everywhere, (tmp_path, kind, change)).get(120)
    assert faults == []
    assert killed >= 4


def record(root: Path, kind: type[LocalStore], change: Change) -> Disk:
    change.prepare(root)
    disk = Disk(root)
    store = kind(root)
    with disk.recording():
        change.act(store)
    return disk


@pytest.mark.parametrize("kind", [LocalStore, NamedOnlyStore])
@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_without_power_at_any_moment_nothing_is_torn(tmp_path: Path, kind: type[LocalStore], change: Change) -> None:
    disk = record(tmp_path, kind, change)
    seen = 0
    for _, state in disk.states():
        for folders in state.after_power_loss():
            assert disk.read(folders, state.files, KEY) in {change.before, change.after}
            seen += 1
    assert seen > len(disk.events)


@pytest.mark.parametrize("nameless_sync", ["works", "does nothing"])
@pytest.mark.parametrize("kind", [LocalStore, NamedOnlyStore])
@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_without_power_afterwards_nothing_is_lost(tmp_path: Path, kind: type[LocalStore], change: Change, nameless_sync: str) -> None:
    disk = record(tmp_path, kind, change)
    *_, (_, state) = disk.states(nameless_sync=nameless_sync == "works")
    assert {disk.read(folders, state.files, KEY) for folders in state.after_power_loss()} == {change.after}


def test_a_folder_that_another_process_has_just_made_is_synced(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    with disk.recording():
        os_folder = os.open(bytes(tmp_path), os.O_RDONLY)
        os.mkdir(b"packs", dir_fd=os_folder)  # and then that process sleeps
        os.close(os_folder)
        LocalStore(tmp_path).put("packs/key", NEW)
    *_, (_, state) = disk.states()
    assert {disk.read(folders, state.files, "packs/key") for folders in state.after_power_loss()} == {NEW}
