"""Packs: many frames in one object (format 1, §4). Pure: buffers in, buffers out."""

import mmap
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import cast

import zstandard
from blake3 import blake3

from kist.engine.entries import Place
from kist.errors import IntegrityError

__all__ = [
    "FRAME_HEADER",
    "MAX_FRAME_BYTES",
    "Frame",
    "FrameKind",
    "PackBuffer",
    "check_pack",
    "decode_frame",
    "pack_key",
    "pack_name",
    "read_footer",
    "scan_frames",
]

MAGIC = b"kistpack"
HEADER = struct.Struct("<8sII16s")
FRAME_HEADER = struct.Struct("<IIBBH")
FOOTER = struct.Struct("<32sIIIBBH")
TRAILER = struct.Struct("<IIQ")
SEAL = 32
TRAILER_BYTES = TRAILER.size + 2 * SEAL
TARGET_BYTES = 32 << 20
MAX_FRAMES = 8192
MAX_FRAME_BYTES = 16 << 20
BUFFER_BYTES = TARGET_BYTES + MAX_FRAME_BYTES + FOOTER.size * MAX_FRAMES + mmap.PAGESIZE
RAW, ZSTD = 0, 1
LEVEL = 1


class FrameKind(IntEnum):
    """What a frame holds."""

    DATA = 1
    RECIPE = 2
    TREE = 3
    VERSION = 4


@dataclass(frozen=True, slots=True)
class Frame:
    """A line of a pack's footer: what lies where. Sizes are in bytes; `stored` is without the header, `raw` once decoded."""

    id: bytes
    offset: int
    stored: int
    raw: int
    codec: int
    kind: int

    def place(self, pack: bytes) -> Place:
        """Return the frame's place in `pack`."""
        return Place(pack, self.offset, self.stored, self.raw)


def pack_key(pack: bytes) -> str:
    """Return the key of a pack id."""
    name = pack.hex()
    return f"packs/{name[:2]}/{name}"


def pack_name(key: str) -> bytes | None:
    """Return the pack id of a key below ``packs/``, or None if it is no pack's."""
    name = key.rpartition("/")[2]
    try:
        pack = bytes.fromhex(name)
    except ValueError:
        return None
    return pack if len(pack) == 16 and pack_key(pack) == key else None  # noqa: PLR2004 - §4


class PackBuffer:
    """A pack while it grows, in memory that is used again for the next one."""

    def __init__(self) -> None:
        """Take memory for one pack; its pages are touched only as they fill."""
        self._buffer = mmap.mmap(-1, BUFFER_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._compress = zstandard.ZstdCompressor(level=LEVEL, write_checksum=False, write_content_size=True).compress
        self.start(b"\0" * 16)

    def start(self, pack: bytes) -> None:
        """Begin an empty pack with this id."""
        self.pack = pack
        self.frames: list[tuple[bytes, int, int, int, int, int]] = []
        HEADER.pack_into(self._buffer, 0, MAGIC, 1, 0, pack)
        self._end = HEADER.size

    @property
    def size(self) -> int:
        """Bytes so far, header included."""
        return self._end

    @property
    def full(self) -> bool:
        """Whether the pack reached its target."""
        return self._end >= TARGET_BYTES or len(self.frames) >= MAX_FRAMES

    def add(self, kind: FrameKind, frame_id: bytes, raw: bytes | bytearray | memoryview) -> Place:
        """Append a frame, compressed where that helps."""
        payload: bytes | bytearray | memoryview = self._compress(raw)
        size, codec = len(payload), ZSTD
        if size >= len(raw):
            payload, size, codec = raw, len(raw), RAW
        offset, start = self._end, self._end + FRAME_HEADER.size
        FRAME_HEADER.pack_into(self._buffer, offset, size, len(raw), codec, kind, 0)
        self._buffer[start : start + size] = payload
        self._end = start + size
        self.frames.append((frame_id, offset, size, len(raw), codec, kind))
        return Place(self.pack, offset, size, len(raw))

    def read(self, frame_id: bytes, place: Place) -> bytes:
        """Return the raw bytes of a frame that was added since `start`.

        Raises:
            IntegrityError: it was not.
        """
        end = place.offset + FRAME_HEADER.size + place.stored
        return decode_frame(place, frame_id, memoryview(self._buffer)[place.offset : end])

    def finish(self) -> memoryview:
        """Append footer and trailer and return the pack's bytes: a view, good until the next `start`."""
        footer_at = self._end
        footer = b"".join([FOOTER.pack(*frame, 0) for frame in self.frames])
        fixed = TRAILER.pack(footer_at, len(self.frames), 0)
        tail = footer + fixed + blake3(self.pack + footer + fixed).digest()
        end = footer_at + len(tail)
        self._buffer[footer_at:end] = tail
        view = memoryview(self._buffer)
        view[end : end + SEAL] = blake3(view[:end]).digest()
        return view[: end + SEAL]


def read_footer(pack: bytes, size: int, tail: bytes) -> list[Frame] | int:
    """Return the frames of a pack from the last bytes of it; or, if these are too few, how many it takes.

    Args:
        pack: the pack's id.
        size: bytes of the whole pack.
        tail: its last bytes, at least the trailer's.

    Raises:
        IntegrityError: the footer is damaged, or another pack's.
    """
    what = f"the footer of pack {pack.hex()}"
    if size < HEADER.size + TRAILER_BYTES or len(tail) < TRAILER_BYTES:
        raise IntegrityError(f"{what} is missing: the pack has {size} bytes")
    fixed = tail[-TRAILER_BYTES:][: TRAILER.size]
    footer_at, count, reserved = TRAILER.unpack(fixed)
    needed = count * FOOTER.size + TRAILER_BYTES
    if reserved or footer_at + needed != size or not count:
        raise IntegrityError(f"{what} is damaged: {count} frames at {footer_at} do not fit {size} bytes")
    if len(tail) < needed:
        return int(needed)
    footer = tail[len(tail) - needed : len(tail) - TRAILER_BYTES]
    if blake3(pack + footer + fixed).digest() != tail[-2 * SEAL : -SEAL]:
        raise IntegrityError(f"{what} is damaged: it does not match its seal")
    frames: list[Frame] = []
    for *fields, zero in FOOTER.iter_unpack(footer):
        frame = Frame(*fields)
        if zero or frame.offset + FRAME_HEADER.size + frame.stored > footer_at or frame.raw > MAX_FRAME_BYTES:
            raise IntegrityError(f"{what} lists an impossible frame at {frame.offset}")
        frames.append(frame)
    return frames


def decode_frame(place: Place, frame_id: bytes, data: bytes | memoryview) -> bytes:
    """Return the raw bytes of a frame.

    Args:
        place: where it was read from.
        frame_id: what it must be.
        data: header and payload.

    Raises:
        IntegrityError: these bytes are not that frame.
    """
    raw = open_frame(place, data)
    if blake3(raw).digest() != frame_id:
        raise damaged(place, "its content does not match its id")
    return raw


def open_frame(place: Place, data: bytes | memoryview) -> bytes:
    """Return the raw bytes of a frame whose id is yet to be compared.

    Raises:
        IntegrityError: header or payload are damaged.
    """
    if len(data) != FRAME_HEADER.size + place.stored:
        raise damaged(place, f"{len(data)} bytes were found where {FRAME_HEADER.size + place.stored} should be")
    stored, raw_size, codec, kind, zero = FRAME_HEADER.unpack_from(data)
    if stored != place.stored or raw_size != place.raw or zero or codec > ZSTD or raw_size > MAX_FRAME_BYTES or kind not in FrameKind:
        raise damaged(place, "its header is wrong")
    payload = memoryview(data)[FRAME_HEADER.size :]
    if codec == RAW:
        raw = bytes(payload)
    else:
        try:
            if zstandard.frame_content_size(payload) != raw_size:
                raise damaged(place, "its compressed size is wrong")
            raw = _decompressor().decompress(payload, max_output_size=raw_size, allow_extra_data=False)
        except zstandard.ZstdError as error:
            raise damaged(place, str(error)) from error
    if len(raw) != raw_size:
        raise damaged(place, f"it has {len(raw)} bytes instead of {raw_size}")
    return raw


def _decompressor() -> zstandard.ZstdDecompressor:
    """Return this thread's decompressor: making one costs more than most frames."""
    if not hasattr(_mine, "decompressor"):
        _mine.decompressor = zstandard.ZstdDecompressor()
    return cast(zstandard.ZstdDecompressor, _mine.decompressor)


_mine = threading.local()


def damaged(place: Place, why: str) -> IntegrityError:
    """Say which frame is damaged."""
    return IntegrityError(f"frame at {place.offset} of pack {place.pack.hex()} is damaged: {why}")


def check_pack(pack: bytes, data: bytes) -> None:
    """Check header and seal of a whole pack.

    Raises:
        IntegrityError: not every byte is as it was written.
    """
    if len(data) < HEADER.size + TRAILER_BYTES or HEADER.unpack_from(data) != (MAGIC, 1, 0, pack):
        raise IntegrityError(f"pack {pack.hex()} is damaged: its header is wrong")
    if blake3(memoryview(data)[:-SEAL]).digest() != data[-SEAL:]:
        raise IntegrityError(f"pack {pack.hex()} is damaged: its bytes do not match its seal")


def scan_frames(pack: bytes, data: bytes) -> Iterator[tuple[Frame, bytes]]:
    """Yield the intact frames of a pack, with their raw bytes, without trusting its footer; stop at the first that makes no sense."""
    offset = HEADER.size
    while offset + FRAME_HEADER.size <= len(data):
        stored, raw_size, codec, kind, _ = FRAME_HEADER.unpack_from(data, offset)
        end = offset + FRAME_HEADER.size + stored
        if end > len(data) or kind not in FrameKind:
            return
        place = Place(pack, offset, stored, raw_size)
        try:
            raw = open_frame(place, data[offset:end])
        except IntegrityError:
            raw = None
        if raw is not None:
            yield Frame(blake3(raw).digest(), offset, stored, raw_size, codec, kind), raw
        offset = end
