"""Frames by id and place: read together what lies together, check every byte, look elsewhere if a frame moved.

`Objects` reads, `Writer` writes: it finds duplicates, fills packs in memory that is used again, and uploads them in the background.
"""

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from kist.engine.entries import Place
from kist.engine.index import Index
from kist.engine.packs import FRAME_HEADER, FrameKind, PackBuffer, decode_frame, pack_key
from kist.engine.records import digest
from kist.errors import IntegrityError, KistError, NotFound
from kist.ids import new_txn
from kist.stores.budget import map_ordered, submit
from kist.stores.protocols import ReadableStore, Store

__all__ = ["Again", "FramePlaces", "MemoryWriter", "MetadataWriter", "Objects", "Reuse", "Wanted", "Writer"]

Wanted = tuple[bytes, Place]
GAP_BYTES = 64 << 10
RUN_BYTES = 4 << 20
DATA_APART_BYTES = 1 << 20
UPLOADS = 2


class FramePlaces(Protocol):
    """Remembers where frames lie, from earlier sessions; forgetting is allowed."""

    @property
    def knows_frames(self) -> bool:
        """Whether there is anything to ask for."""
        ...

    def places(self, frame_ids: Sequence[bytes]) -> dict[bytes, Place]:
        """Return the places of those frames that are remembered."""
        ...

    def remember(self, placed: Iterable[Wanted]) -> None:
        """Remember places."""
        ...


class Objects:
    """Reads frames of one repository. Threads may share one."""

    def __init__(self, store: ReadableStore, *, cached_bytes: int = 32 << 20) -> None:
        """Read nothing yet; keep up to `cached_bytes` of metadata frames."""
        self.store = store
        self.index = Index(store)
        self.unsaved: dict[bytes, bytes] = {}
        self._cache: OrderedDict[bytes, bytes] = OrderedDict()
        self._cached, self._cached_bytes = 0, cached_bytes
        self._lock = threading.Lock()

    def metadata(self, frame_id: bytes, place: Place) -> bytes:
        """Return a frame of metadata, from memory if it was read before.

        Raises:
            IntegrityError: no intact copy is left.
            StoreError: the store failed.
        """
        if (unsaved := self.unsaved.get(frame_id)) is not None:
            return unsaved
        with self._lock:
            if (raw := self._cache.get(frame_id)) is not None:
                self._cache.move_to_end(frame_id)
                return raw
        raw = self.read(frame_id, place)
        self.keep(frame_id, raw)
        return raw

    def keep(self, frame_id: bytes, raw: bytes) -> None:
        """Keep a metadata frame in memory."""
        with self._lock:
            if frame_id not in self._cache:
                self._cache[frame_id] = raw
                self._cached += len(raw)
            while self._cached > self._cached_bytes and len(self._cache) > 1:
                self._cached -= len(self._cache.popitem(last=False)[1])

    def read(self, frame_id: bytes, place: Place) -> bytes:
        """Return one frame, checked.

        Raises:
            IntegrityError: no intact copy is left.
            StoreError: the store failed.
        """
        return next(iter(self.read_all([(frame_id, place)])))[1]

    def is_intact(self, frame_id: bytes, place: Place) -> bool:
        """Say whether a frame is at a place, every byte of it.

        Raises:
            StoreError: the store failed.
        """
        try:
            data = self.store.get_range(pack_key(place.pack), start=place.offset, end=place.offset + FRAME_HEADER.size + place.stored)
            decode_frame(place, frame_id, data)
        except (NotFound, IntegrityError):
            return False
        return True

    def read_all(self, wanted: Sequence[Wanted]) -> Iterator[tuple[bytes, bytes]]:
        """Yield ``(id, raw)`` for all wanted frames, in no order: those that lie together cost one request.

        Raises:
            IntegrityError: of some frame no intact copy is left.
            StoreError: the store failed.
        """
        runs = list(join_runs(wanted))
        if len(runs) == 1:
            yield from self._read_run(runs[0])
            return
        for frames in map_ordered(self._read_run, runs, window=4):
            yield from frames

    def _read_run(self, run: Sequence[Wanted]) -> list[tuple[bytes, bytes]]:
        start = run[0][1].offset
        end = max(place.offset + FRAME_HEADER.size + place.stored for _, place in run)
        try:
            data = memoryview(self.store.get_range(pack_key(run[0][1].pack), start=start, end=end))
        except NotFound:
            return [(frame_id, self._find(frame_id, place, None)) for frame_id, place in run]
        frames = []
        for frame_id, place in run:
            at = place.offset - start
            try:
                raw = decode_frame(place, frame_id, data[at : at + FRAME_HEADER.size + place.stored])
            except IntegrityError as error:
                raw = self._find(frame_id, place, error)
            frames.append((frame_id, raw))
        return frames

    def _find(self, frame_id: bytes, tried: Place, found: IntegrityError | None) -> bytes:
        """Read a frame that is not where it should be: the index may know another copy."""
        for fresh in (False, True):
            for place in self.index.find(frame_id, fresh=fresh):
                if place == tried and found:
                    continue
                try:
                    data = self.store.get_range(
                        pack_key(place.pack), start=place.offset, end=place.offset + FRAME_HEADER.size + place.stored
                    )
                    return decode_frame(place, frame_id, data)
                except (NotFound, IntegrityError):
                    continue
        raise found or IntegrityError(f"frame {frame_id.hex()} is missing: pack {tried.pack.hex()} is gone and no other pack holds it")


class MetadataWriter(Protocol):
    """Takes frames of metadata; `written` are those that this session stored."""

    written: dict[bytes, Place]

    def add_metadata(self, kind: FrameKind, raw: bytes) -> Wanted:
        """Store a frame unless it is stored already; return its id and place."""
        ...


class MemoryWriter:
    """Keeps frames in memory only: for readers of a branch whose heads must be merged before it can be read."""

    def __init__(self, objects: Objects) -> None:
        """Let `objects` find the frames."""
        self._objects = objects
        self.written: dict[bytes, Place] = {}

    def add_metadata(self, kind: FrameKind, raw: bytes) -> Wanted:  # noqa: ARG002 - the kind is for those that store
        """Keep a frame; the place that it returns is nowhere."""
        frame_id = digest(raw)
        self._objects.unsaved[frame_id] = raw
        self.written[frame_id] = Place(bytes(16), 0, 0, len(raw))
        return frame_id, self.written[frame_id]


def join_runs(wanted: Iterable[Wanted]) -> Iterator[list[Wanted]]:
    """Yield groups of frames that one ranged read gets: same pack, small gaps, a few MiB."""
    run: list[Wanted] = []
    start = end = 0
    for one in sorted(wanted, key=lambda one: (one[1].pack, one[1].offset)):
        place = one[1]
        stop = place.offset + FRAME_HEADER.size + place.stored
        if run and (place.pack != run[-1][1].pack or place.offset > end + GAP_BYTES or stop - start > RUN_BYTES):
            yield run
            run = []
        if not run:
            start = end = place.offset
        run.append(one)
        end = max(end, stop)
    if run:
        yield run


Again = Callable[[int, int], bytes]
"""Reads ``(offset, size)`` bytes of a source once more."""


class Reuse(NamedTuple):
    """A frame that a change uses although it did not write it, and how to get it from its source again, if that can be done."""

    place: Place
    kind: FrameKind
    again: Again | None
    offset: int


@dataclass(slots=True)
class WriterStats:
    """What one session stored: bytes of content, before compression."""

    new_bytes: int = 0
    reused_bytes: int = 0


@dataclass(slots=True)
class _Uploads:
    """Packs on their way to the store, and the buffers that wait for the next ones."""

    free: list[PackBuffer] = field(default_factory=list)
    running: list[tuple[Future[None], PackBuffer]] = field(default_factory=list)


class Writer:
    """Stores frames in new packs; one for each change, used by one thread. Nothing is durable before `flush`."""

    def __init__(self, store: Store, known: FramePlaces | None) -> None:
        """Start with nothing; `known` remembers frames of earlier sessions."""
        self._store = store
        self._known = known
        self._uploads = _Uploads()
        self._open: dict[str, PackBuffer] = {}
        self._mixed_bytes = 0
        self.written: dict[bytes, Place] = {}
        self.kinds: dict[bytes, FrameKind] = {}
        self.reused: dict[bytes, Reuse] = {}
        self.stats = WriterStats()

    @property
    def may_know(self) -> bool:
        """Whether `find` could find anything that this session did not write."""
        return self._known is not None and self._known.knows_frames

    def find(self, frame_ids: Sequence[bytes]) -> dict[bytes, Place]:
        """Return the places of those frames that this or an earlier session stored."""
        found = {frame_id: place for frame_id in frame_ids if (place := self.written.get(frame_id))}
        if self._known and self.may_know and len(found) < len(frame_ids):
            found |= self._known.places([frame_id for frame_id in frame_ids if frame_id not in found])
        return found

    def reuse(self, kind: FrameKind, frame_id: bytes, place: Place, *, again: Again | None = None, offset: int = 0) -> Place:
        """Note that the change uses a frame that it did not write; `again` reads its source, where the frame starts at `offset`."""
        if frame_id not in self.written:
            self.reused[frame_id] = Reuse(place, kind, again, offset)
        return place

    def add(self, kind: FrameKind, frame_id: bytes, raw: bytes | memoryview) -> Place:
        """Store a frame and return where it will be."""
        buffer = self._buffer_for(kind)
        place = buffer.add(kind, frame_id, raw)
        self.written[frame_id] = place
        if kind is not FrameKind.DATA:
            self.kinds[frame_id] = kind
        if buffer is self._open.get("mixed") and kind is FrameKind.DATA:
            self._mixed_bytes += place.stored
        if buffer.full:
            self._upload(buffer)
        return place

    def add_metadata(self, kind: FrameKind, raw: bytes) -> Wanted:
        """Store a frame of metadata unless it is stored already; return its id and place."""
        frame_id = digest(raw)
        if place := self.find([frame_id]).get(frame_id):
            return frame_id, self.reuse(kind, frame_id, place, again=lambda _offset, _size: raw)
        return frame_id, self.add(kind, frame_id, raw)

    def store_again(self, kind: FrameKind, frame_id: bytes, raw: bytes) -> None:
        """Store a frame once more, in a new pack: the one that it lies in may go."""
        self.reused.pop(frame_id, None)
        self.add(kind, frame_id, raw)

    def flush(self) -> None:
        """Return once every frame is durable.

        Raises:
            StoreError: the store failed; frames may be stored all the same.
        """
        for buffer in list(self._open.values()):
            if buffer.frames:
                self._upload(buffer)
        while self._uploads.running:
            self._await_oldest()

    def release(self) -> dict[bytes, PackBuffer]:
        """Give away the memory of the packs that were stored last: their frames can be read there, whatever became of the packs."""
        free, self._uploads.free = self._uploads.free, []
        return {buffer.pack: buffer for buffer in free}

    def close(self) -> None:
        """Wait for uploads under way, whatever becomes of them; what is open is given up."""
        self._open.clear()
        while self._uploads.running:
            with contextlib.suppress(KistError):
                self._await_oldest()

    def _buffer_for(self, kind: FrameKind) -> PackBuffer:
        """Small changes fill one pack; once data grows, it goes to packs of its own, so that metadata stays together."""
        name = "data" if kind is FrameKind.DATA and self._mixed_bytes > DATA_APART_BYTES else "mixed"
        if name not in self._open:
            while len(self._uploads.running) >= UPLOADS:
                self._await_oldest()
            buffer = self._uploads.free.pop() if self._uploads.free else PackBuffer()
            buffer.start(new_txn())
            self._open[name] = buffer
        return self._open[name]

    def _upload(self, buffer: PackBuffer) -> None:
        data = buffer.finish()
        self._uploads.running.append((submit(lambda: self._store.put(pack_key(buffer.pack), data)), buffer))
        for name in [name for name, one in self._open.items() if one is buffer]:
            del self._open[name]

    def _await_oldest(self) -> None:
        """Wait for a pack to be stored, and remember what is in it: a save that is interrupted stores nothing twice."""
        future, buffer = self._uploads.running[0]
        error = future.exception()  # an interrupt leaves it where it is, for `close`
        del self._uploads.running[0]
        if error is not None:
            raise error
        self._uploads.free.append(buffer)
        if self._known:
            self._known.remember((one, Place(buffer.pack, *where)) for one, *where, _, _ in buffer.frames)
