"""The content of many entries, for restoring and exporting: what lies together is fetched together."""

import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import msgspec

from kist.engine.content import chunk_batches
from kist.engine.entries import Entry, Place
from kist.engine.objects import Objects

__all__ = ["Contents", "telling"]

BATCH_BYTES = 8 << 20
BATCH_ENTRIES = 1000
Content = Callable[[], Iterable[bytes]]


class Contents:
    """Entries with their content, in order, as often as one iterates; nothing is fetched before some content of its batch is asked for."""

    def __init__(self, objects: Objects, entries: Callable[[], Iterable[Entry]], *, base: str) -> None:
        """Take entries whose paths lie at or below `base`, and make the paths relative to it."""
        self._objects, self._entries, self._base = objects, entries, base

    def __iter__(self) -> Iterator[tuple[Entry, Content]]:
        """Yield entry and content."""
        for group in _groups(self._entries()):
            batch = _Batch(self._objects, {entry.hash: entry.place for entry in group if entry.place and not entry.recipe})
            for entry in group:
                relative = msgspec.structs.replace(entry, path=entry.path[len(self._base) :].lstrip("/")) if self._base else entry
                yield relative, partial(chunk_batches, self._objects, entry) if entry.recipe else partial(batch.content, entry)


def telling(contents: Iterable[tuple[Entry, Content]], progress: Callable[[int, int], None]) -> Iterator[tuple[Entry, Content]]:
    """Yield the same, and tell how many items and how many bytes are done as they pass."""
    for entry, content in contents:
        yield entry, partial(_counted, content, progress)
        progress(1, 0)


def _counted(content: Content, progress: Callable[[int, int], None]) -> Iterator[bytes]:
    for piece in content():
        yield piece
        progress(0, len(piece))


def _groups(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Yield entries in groups whose small files are a few MiB."""
    group: list[Entry] = []
    size = 0
    for entry in entries:
        group.append(entry)
        size += entry.place.raw if entry.place and not entry.recipe else 0
        if size >= BATCH_BYTES or len(group) >= BATCH_ENTRIES:
            yield group
            group, size = [], 0
    if group:
        yield group


class _Batch:
    """Small files that are fetched at once, when the first of them is wanted."""

    def __init__(self, objects: Objects, wanted: dict[bytes, Place]) -> None:
        self._objects, self._wanted = objects, wanted
        self._frames: dict[bytes, bytes] = {}
        self._lock = threading.Lock()

    def content(self, entry: Entry) -> Iterable[bytes]:
        if entry.place is None:
            return ()
        with self._lock:
            if not self._frames:
                self._frames.update(self._objects.read_all(list(self._wanted.items())))
        return (self._frames[entry.hash],)
