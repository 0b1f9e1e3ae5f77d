"""Where frames lie: segments (format 1, §9), footers, and the index that looks in both.

Derived from the packs: losing a segment costs time, never data. Nothing is loaded before somebody asks for a frame that is not where its
place says.
"""

import struct
import threading
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kist.engine.cache import Cache
from kist.engine.entries import Place
from kist.engine.packs import Frame, pack_key, pack_name, read_footer
from kist.engine.records import seal, unseal
from kist.errors import IntegrityError, NotFound
from kist.ids import new_id
from kist.stores.budget import map_ordered
from kist.stores.protocols import ObjectMeta, ReadableStore, Store

__all__ = ["Index", "KnownFrames", "Located", "Segment", "encode_segment", "list_packs", "load_footer", "locate_all", "write_segments"]

HEADER = struct.Struct("<8sIIII")
RECORD = struct.Struct("<32sIIII")
MAGIC = b"kistindx"
FAN_OUT = 257
SEGMENT_FRAMES = 1 << 20
FOOTER_GUESS_BYTES = 64 << 10
PACK_ID_BYTES = 16
MERGED_PACKS = 256
AFFORDABLE_PACKS = 1000


@dataclass(frozen=True, slots=True)
class Segment:
    """A sorted list of frames of some packs, looked up in its own bytes."""

    packs: tuple[bytes, ...]
    fan_out: "array[int]"
    records: memoryview

    def find(self, frame_id: bytes) -> Iterator[Place]:
        """Yield every place that this segment knows for a frame."""
        low, high = self.fan_out[frame_id[0]], self.fan_out[frame_id[0] + 1]
        at = bisect_left(range(high), frame_id, lo=low, key=self._id)
        while at < high and self._id(at) == frame_id:
            yield self._place(at)
            at += 1

    def all(self) -> Iterator[tuple[bytes, Place]]:
        """Yield every frame with its place."""
        for frame_id, pack, offset, stored, raw in RECORD.iter_unpack(self.records):
            yield frame_id, Place(self.packs[pack], offset, stored, raw)

    def _id(self, at: int) -> bytes:
        return bytes(self.records[at * RECORD.size : at * RECORD.size + 32])

    def _place(self, at: int) -> Place:
        _, pack, offset, stored, raw = RECORD.unpack_from(self.records, at * RECORD.size)
        return Place(self.packs[pack], offset, stored, raw)


def encode_segment(frames: Mapping[bytes, Iterable[tuple[bytes, Place]]]) -> bytes:
    """Return the sealed bytes of a segment over some packs and their frames."""
    packs = sorted(frames)
    rows = sorted((one, number, place.offset, place.stored, place.raw) for number, pack in enumerate(packs) for one, place in frames[pack])
    fan_out = array("I", [0] * FAN_OUT)
    for frame_id, *_ in rows:
        fan_out[frame_id[0] + 1] += 1
    for first in range(1, FAN_OUT):
        fan_out[first] += fan_out[first - 1]
    head = HEADER.pack(MAGIC, 1, 0, len(packs), len(rows)) + b"".join(packs) + struct.pack(f"<{FAN_OUT}I", *fan_out)
    return seal(head + b"".join([RECORD.pack(*row) for row in rows]))


def decode_segment(data: bytes, *, what: str) -> Segment:
    """Return the segment that some bytes hold.

    Raises:
        IntegrityError: they are damaged.
    """
    body = unseal(data, what=what)
    try:
        magic, version, zero, pack_count, frame_count = HEADER.unpack_from(body)
        packs_at, fan_at = HEADER.size, HEADER.size + PACK_ID_BYTES * pack_count
        records_at = fan_at + 4 * FAN_OUT
        fan_out = array("I", struct.unpack_from(f"<{FAN_OUT}I", body, fan_at))
    except struct.error as error:
        raise IntegrityError(f"{what} is not what format 1 says: {error}") from error
    fits = len(body) == records_at + frame_count * RECORD.size and fan_out[-1] == frame_count
    if (magic, version, zero) != (MAGIC, 1, 0) or not fits or list(fan_out) != sorted(fan_out):
        raise IntegrityError(f"{what} is not what format 1 says")
    packs = tuple(body[at : at + PACK_ID_BYTES] for at in range(packs_at, fan_at, PACK_ID_BYTES))
    records = memoryview(body)[records_at:]
    if any(number >= pack_count for _, number, *_ in RECORD.iter_unpack(records)):
        raise IntegrityError(f"{what} names a pack that it does not list")
    return Segment(packs, fan_out, records)


def load_footer(store: ReadableStore, pack: bytes, size: int) -> list[Frame]:
    """Read the footer of a pack of `size` bytes: one request, or two if it has very many frames.

    Raises:
        IntegrityError: it is damaged.
        NotFound: the pack is gone.
    """
    wanted = FOOTER_GUESS_BYTES
    while True:
        tail = store.get_range(pack_key(pack), start=max(0, size - wanted), end=size)
        frames = read_footer(pack, size, tail)
        if not isinstance(frames, int):
            return frames
        if wanted >= frames:
            raise IntegrityError(f"pack {pack.hex()} is shorter than listed: {len(tail)} of {frames} bytes at its end")
        wanted = frames


def list_packs(store: ReadableStore) -> dict[bytes, ObjectMeta]:
    """Return all packs of a repository by id."""
    return {pack: meta for meta in store.list("packs/") if (pack := pack_name(meta.key))}


class Located(NamedTuple):
    """All packs of a repository, the frames in each, those whose footer is damaged, and how many no segment covers."""

    packs: dict[bytes, ObjectMeta]
    frames: dict[bytes, list[tuple[bytes, Place]]]
    damaged: dict[bytes, str]
    uncovered: int


def locate_all(store: ReadableStore, *, trust_segments: bool = True) -> Located:
    """Return where every frame lies: from segments where they cover a pack, else from its footer.

    Raises:
        StoreError: the store failed.
    """
    packs = list_packs(store)
    frames: dict[bytes, list[tuple[bytes, Place]]] = {}
    for key in [meta.key for meta in store.list("index/")] if trust_segments else []:
        try:
            segment = decode_segment(store.get(key), what=f"index segment {key}")
        except (IntegrityError, NotFound):
            continue
        fresh = {pack for pack in segment.packs if pack in packs and pack not in frames}
        frames |= {pack: [] for pack in fresh}
        for frame_id, place in segment.all():
            if place.pack in fresh:
                frames[place.pack].append((frame_id, place))
    damaged: dict[bytes, str] = {}

    def footer(pack: bytes) -> list[Frame] | None:
        try:
            return load_footer(store, pack, packs[pack].size_bytes)
        except IntegrityError as error:
            damaged[pack] = str(error)
            return None
        except NotFound:
            return None

    missing = [pack for pack in packs if pack not in frames]
    for pack, found in zip(missing, map_ordered(footer, missing), strict=True):
        if found is not None:
            frames[pack] = [(frame.id, frame.place(pack)) for frame in found]
    return Located(packs, frames, damaged, len(missing))


class KnownFrames:
    """What the cache remembers of frames; one that remembers nothing is filled from a repository of modest size, once."""

    def __init__(self, cache: Cache, store: ReadableStore) -> None:
        """Read nothing yet."""
        self._cache, self._store = cache, store
        self._looked = False

    @property
    def knows_frames(self) -> bool:
        """Whether there is anything to ask for."""
        if not self._looked:
            self._looked = True
            if not self._cache.knows_frames and 0 < len(list_packs(self._store)) <= AFFORDABLE_PACKS:
                frames = locate_all(self._store).frames
                self._cache.remember(placed for placed_there in frames.values() for placed in placed_there)
        return self._cache.knows_frames

    def places(self, frame_ids: Sequence[bytes]) -> dict[bytes, Place]:
        """Return the places of those frames that are remembered."""
        return self._cache.places(frame_ids)

    def remember(self, placed: Iterable[tuple[bytes, Place]]) -> None:
        """Remember places."""
        self._cache.remember(placed)


class Index:
    """Finds frames that are not where their places say. Threads may share one."""

    def __init__(self, store: ReadableStore) -> None:
        """Look nowhere yet."""
        self._store = store
        self._lock = threading.Lock()
        self._segments: dict[str, Segment] = {}
        self._footers: dict[bytes, dict[bytes, Place]] = {}
        self._packs: dict[bytes, ObjectMeta] | None = None

    def find(self, frame_id: bytes, *, fresh: bool = False) -> list[Place]:
        """Return all places that are known for a frame, in packs that exist; `fresh` looks what the store has by now.

        Raises:
            StoreError: the store failed.
        """
        with self._lock:
            if fresh or self._packs is None:
                self._refresh()
            places = [place for segment in self._segments.values() for place in segment.find(frame_id)]
            places += [footer[frame_id] for footer in self._footers.values() if frame_id in footer]
            return [place for place in places if self._packs and place.pack in self._packs]

    def _refresh(self) -> None:
        """Read what appeared since the last time: segments, then footers of packs that none covers. A damaged one is as good as none."""
        metas = {meta.key: meta for meta in self._store.list("index/")}
        new = [key for key in metas if key not in self._segments]
        self._segments = {key: segment for key, segment in self._segments.items() if key in metas}
        self._segments |= {key: segment for key, segment in zip(new, map_ordered(self._load_segment, new), strict=True) if segment}
        self._packs = list_packs(self._store)
        covered = {pack for segment in self._segments.values() for pack in segment.packs}
        missing = [(pack, meta.size_bytes) for pack, meta in self._packs.items() if pack not in covered and pack not in self._footers]
        for (pack, _), frames in zip(missing, map_ordered(self._load_footer, missing), strict=True):
            self._footers[pack] = {frame.id: frame.place(pack) for frame in frames}

    def _load_segment(self, key: str) -> Segment | None:
        try:
            return decode_segment(self._store.get(key), what=f"index segment {key}")
        except (IntegrityError, NotFound):
            return None

    def _load_footer(self, wanted: tuple[bytes, int]) -> list[Frame]:
        try:
            return load_footer(self._store, *wanted)
        except (IntegrityError, NotFound):
            return []


def write_segments(store: Store, frames: Mapping[bytes, list[tuple[bytes, Place]]]) -> list[str]:
    """Write segments that cover these packs, about a million frames each, and return their keys.

    Raises:
        StoreError: the store failed.
    """
    keys: list[str] = []
    part: dict[bytes, list[tuple[bytes, Place]]] = {}
    count = 0
    for pack in sorted(frames):
        part[pack] = frames[pack]
        count += len(frames[pack])
        if count >= SEGMENT_FRAMES:
            keys.append(_put_segment(store, part))
            part, count = {}, 0
    if part:
        keys.append(_put_segment(store, part))
    return keys


def _put_segment(store: Store, frames: Mapping[bytes, list[tuple[bytes, Place]]]) -> str:
    key = f"index/{0 if len(frames) < MERGED_PACKS else 1}-{new_id()}"
    store.put(key, encode_segment(frames))
    return key
