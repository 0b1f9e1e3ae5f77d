"""Where a stream is cut into chunks: FastCDC-2020, 16/64/256 KiB, normalisation level 2.

A cut depends on nothing but the bytes since the last one: the same content gives the same chunks wherever it appears, however it arrives.
Readers never depend on the cuts: they are the writer's choice, written down so that two writers find each other's duplicates.
`fast_chunker` is compiled (pyfastcdc); `numpy_chunker` gives the same cuts at a twentieth of the speed.
Pure: bytes in, offsets out. A chunker holds no state between calls, so that threads may share one.
"""

import hashlib
from collections.abc import Buffer
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    import numpy as np
    from pyfastcdc import FastCDC

__all__ = ["AVERAGE_SIZE", "MAX_SIZE", "MIN_SIZE", "Chunker", "chunker", "fast_chunker", "gear_table", "numpy_chunker"]

MIN_SIZE = 16 * 1024
AVERAGE_SIZE = 64 * 1024
MAX_SIZE = 256 * 1024
NORMALISATION: Final = 2

# fastcdc-rs's masks for 2^16, with 16 +- 2 one bits: up to AVERAGE_SIZE a cut is made four times rarer, beyond it four times likelier.
MASK_SMALL = 0x0000D90707537000
MASK_LARGE = 0x0000D90313530000
# No mask has a bit above 47, so a byte no longer matters 48 bytes later; doubling gives windows of 2, 4, ..., 64.
WINDOW = 64
BLOCK_BYTES = 16 * 1024


class Chunker(Protocol):
    """Finds the cuts of a stream that is handed over in buffers."""

    def cuts(self, buffer: Buffer, *, final: bool) -> list[int]:
        """Return the end offsets, in bytes from the start of `buffer`, of the chunks in it; `buffer` begins where a chunk begins.

        Over any division of a stream into buffers the chunks are the same, if what follows the last cut is put in front of the next buffer.
        Unless `final`, that rest (shorter than `MAX_SIZE`) could still grow and is not cut; a `final` buffer is cut to its end.
        An empty list from a buffer that is not final is not an error: more bytes are needed.
        """
        ...


def chunker() -> Chunker:
    """Return the fastest chunker that is installed."""
    try:
        return fast_chunker()
    except ImportError:
        return numpy_chunker()


def fast_chunker() -> Chunker:
    """Return the compiled chunker: 3 to 5 GB/s per core, and it releases the GIL.

    Raises:
        ImportError: pyfastcdc is missing, or lacks its compiled part.
    """
    from pyfastcdc import FastCDC  # noqa: PLC0415 (may be missing)

    if ".cy." not in FastCDC.__module__:
        raise ImportError("pyfastcdc is installed without its compiled part, which NumPy outruns")
    return _FastChunker(FastCDC(AVERAGE_SIZE, min_size=MIN_SIZE, max_size=MAX_SIZE, normalized_chunking=NORMALISATION, seed=0))


def numpy_chunker() -> Chunker:
    """Return the chunker that needs only NumPy: the same cuts at about 0.15 GB/s.

    Raises:
        ImportError: NumPy is missing.
    """
    import numpy as np  # noqa: PLC0415 (80 ms that the compiled chunker need not spend)

    return _NumpyChunker(np.array(gear_table(), dtype=np.uint64))


def gear_table() -> list[int]:
    """Return the 256 random 64-bit numbers of destor and fastcdc-rs: the head of the MD5 of each byte value, repeated 64 times."""
    digests = (hashlib.md5(bytes([value]) * 64, usedforsecurity=False).digest() for value in range(256))
    return [int.from_bytes(digest[:8], "big") for digest in digests]


class _FastChunker:
    """pyfastcdc behind the interface."""

    def __init__(self, cdc: "FastCDC") -> None:
        self._cdc = cdc

    def cuts(self, buffer: Buffer, *, final: bool) -> list[int]:
        view = memoryview(buffer).cast("B")
        if len(view) <= MIN_SIZE:
            return _small(len(view), final=final)
        ends = [chunk.offset + chunk.length for chunk in self._cdc.cut_buf(view)]
        return ends if final else _certain(ends, len(view))


class _NumpyChunker:
    """The same in NumPy: the gear hashes of a block of positions at once, by doubling the window."""

    def __init__(self, gear: "np.ndarray[tuple[int], np.dtype[np.uint64]]") -> None:
        self._gear = gear

    def cuts(self, buffer: Buffer, *, final: bool) -> list[int]:
        view = memoryview(buffer).cast("B")
        if len(view) <= MIN_SIZE:
            return _small(len(view), final=final)
        ends = []
        start = 0
        while start < len(view):
            start += self._length(view[start : start + MAX_SIZE])
            ends.append(start)
        return ends if final else _certain(ends, len(view))

    def _length(self, view: memoryview) -> int:
        """Return the length of the chunk at the start of `view`, which is all that is left or `MAX_SIZE` bytes."""
        for first in range(MIN_SIZE, len(view) - len(view) % 2, BLOCK_BYTES):
            # The byte pairs of FastCDC-2020 leave the last byte of an odd rest out.
            stop = min(first + BLOCK_BYTES, len(view) - len(view) % 2)
            hit = self._first_hit(view, first, stop, MASK_SMALL if first < AVERAGE_SIZE else MASK_LARGE)
            if hit is not None:
                return hit
        return len(view)

    def _first_hit(self, view: memoryview, first: int, stop: int, mask: int) -> int | None:
        """Return the first position from `first` to before `stop` whose hash has no bit of `mask`; the hash begins anew at `MIN_SIZE`."""
        import numpy as np  # noqa: PLC0415 (see numpy_chunker)

        begin = max(MIN_SIZE, first - WINDOW)
        hashes = self._gear[np.frombuffer(view[begin:stop], dtype=np.uint8)]
        for shift in (1, 2, 4, 8, 16, 32):
            # An addition that reads what it overwrites: NumPy makes the shifted copy first.
            hashes[shift:] += hashes[:-shift] << np.uint64(shift)
        hits = (hashes[first - begin :] & np.uint64(mask)) == 0
        hit = int(hits.argmax())
        return first + hit if hits[hit] else None


def _small(length: int, *, final: bool) -> list[int]:
    return [length] if final and length else []


def _certain(ends: list[int], length: int) -> list[int]:
    """Drop the last of `ends` if more bytes could move it.

    The hash is tested before a byte joins the chunk, so a chunk that a hash ended is followed by the byte that ended it. One that
    reaches the end of the buffer was ended by the buffer, unless it has the greatest size.
    """
    begin = ends[-2] if len(ends) > 1 else 0
    if ends and ends[-1] == length and length - begin < MAX_SIZE:
        return ends[:-1]
    return ends
