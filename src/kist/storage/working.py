"""Copying many files at once: small ones side by side, big ones one after another in parts side by side."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from kist.errors import Denied, KistError, Unauthenticated, Unsupported
from kist.models import Copied
from kist.stores import budget
from kist.stores.locations import Location
from kist.stores.protocols import Delete, Folders, ObjectMeta
from kist.stores.transfers import Moved, transfer

__all__ = ["Pair", "Progress", "Work", "silent"]

BIG_BYTES = 64 << 20
ALONE, GROUP, GROUP_BYTES = 64, 8, 1 << 20
MOST_FAILURES = 20

type Pair = tuple[Location, ObjectMeta, Location]
type Progress = Callable[[int, int], None]


def silent(_items: int, _size_bytes: int) -> None:
    """Tell nobody."""


@dataclass(slots=True)
class Work:
    """Copies files, counts them, and goes on after a failure; too many of them, or one that all would share, end it."""

    progress: Progress
    dry_run: bool = False
    files: int = 0
    bytes: int = 0
    server_side: int = 0
    skipped: int = 0
    deleted: int = 0
    failures: list[KistError] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def one(self, source: Location, meta: ObjectMeta, target: Location) -> None:
        """Copy one file."""
        planned = Moved(size_bytes=max(meta.size_bytes, 0))
        moved = planned if self.dry_run else transfer(source, meta, target, heard=self._heard)
        with self.lock:
            self.files += 1
            self.bytes += moved.size_bytes
            self.server_side += moved.server_side
            self.progress(1, 0)

    def many(self, pairs: Iterator[Pair]) -> None:
        """Copy small files side by side, then big ones in parts side by side."""
        big: list[Pair] = []

        def small() -> Iterator[Pair]:
            for pair in pairs:
                if pair[1].size_bytes < BIG_BYTES:
                    yield pair
                else:
                    big.append(pair)

        for _ in budget.map_ordered(self._tried, _grouped(small())):
            self._give_up_early()
        for pair in big:
            self._tried([pair])
            self._give_up_early()
        self._raise()

    def delete(self, target: Location, extra: list[Location]) -> None:
        """Delete what is too much at the target, and the folders that this leaves empty."""
        store = target.store
        if not isinstance(store, Delete):
            raise Unsupported(f"{target.shown} can't be changed: this kind of place is read-only")
        if not self.dry_run:
            with target.named():
                for _ in budget.map_ordered(lambda place: store.delete(place.key), extra):
                    self.progress(1, 0)
            if isinstance(store, Folders):
                _remove_emptied(store, target, extra)
        self.deleted += len(extra)

    def copied(self) -> Copied:
        """Return the counts."""
        return Copied(files=self.files, bytes=self.bytes, server_side=self.server_side, skipped=self.skipped, deleted=self.deleted)

    def _heard(self, size_bytes: int) -> None:
        with self.lock:
            self.progress(0, size_bytes)

    def _tried(self, pairs: list[Pair]) -> None:
        for pair in pairs:
            try:
                self.one(*pair)
            except (Denied, Unauthenticated, Unsupported):
                raise
            except KistError as error:
                with self.lock:
                    self.failures.append(error)

    def _give_up_early(self) -> None:
        if len(self.failures) >= MOST_FAILURES:
            self._raise()

    def _raise(self) -> None:
        if self.failures:
            first = self.failures[0]
            count = "1 file was" if len(self.failures) == 1 else f"{len(self.failures)} files were"
            raise type(first)(f"{count} not copied, {self.files} were; the first failure: {first}") from first


def _grouped(pairs: Iterator[Pair]) -> Iterator[list[Pair]]:
    """Yield the first files one by one, so that all threads have something to do; then some together: handing them over takes time too."""
    yield from ([pair] for pair in islice(pairs, ALONE))
    group: list[Pair] = []
    size = 0
    for pair in pairs:
        group.append(pair)
        size += max(pair[1].size_bytes, 0)
        if len(group) == GROUP or size >= GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _remove_emptied(store: Folders, target: Location, gone: list[Location]) -> None:
    """Remove the folders that deletions have left empty."""
    for place in reversed(gone):
        above = place.key.rpartition("/")[0]
        while len(above) > len(target.key):
            try:
                store.remove_folder(above)
            except KistError:
                break
            above = above.rpartition("/")[0]
