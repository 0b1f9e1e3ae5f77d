"""A big file of the user's that is written in parts, in any order, and can be gone on with after an interruption.

The receipt of a part is the CRC-32C of what the disk holds of it, so that parts which a crash has lost are found and written again.
"""

import contextlib
import os
from collections.abc import Buffer, Callable, Iterable, Sequence
from typing import Final

import crc32c

from kist.errors import IntegrityError
from kist.stores.local.errors import translated

__all__ = ["DiskUpload"]

PART_BYTES: Final = 8 << 20


class DiskUpload:
    """See `kist.stores.protocols.PartUpload`."""

    def __init__(self, file: int, path: str, size_bytes: int, finish: Callable[[], None]) -> None:
        """Write to an open file at `path`, which `finish` gives its own name."""
        self._file, self._path, self._size_bytes, self._finish = file, path, size_bytes, finish

    def __del__(self) -> None:
        """Close the file; what it holds stays."""
        self._close()

    @property
    def token(self) -> str:
        """See `kist.stores.protocols.PartUpload`."""
        return os.path.basename(self._path)

    @property
    def part_bytes(self) -> int:
        """See `kist.stores.protocols.PartUpload`."""
        return PART_BYTES

    def put_part(self, number: int, data: Buffer) -> str:
        """See `kist.stores.protocols.PartUpload`."""
        return self.put_blocks(number, [data])

    def put_blocks(self, number: int, blocks: Iterable[Buffer]) -> str:
        """See `kist.stores.protocols.PutBlocks`."""
        at, crc = number * PART_BYTES, 0
        for block in blocks:
            with translated(f"write {self._path}"), memoryview(block).cast("B") as view:
                done = 0
                while done < len(view):
                    done += os.pwrite(self._file, view[done:], at + done)
                at += done
                crc = crc32c.crc32c(view, crc)
        return f"{crc:08x}"

    def receipts(self) -> dict[int, str]:
        """Return the receipts of the parts that were written, as the disk holds them; a hole is none."""
        starts = range(0, self._size_bytes, PART_BYTES)
        return {
            start // PART_BYTES: f"{crc32c.crc32c(os.pread(self._file, PART_BYTES, start)):08x}" for start in starts if self._written(start)
        }

    def _written(self, start: int) -> bool:
        try:
            return os.lseek(self._file, start, os.SEEK_DATA) < start + PART_BYTES
        except OSError:  # there are holes from here to the end
            return False

    def finish(self, receipts: Sequence[str]) -> None:
        """See `kist.stores.protocols.PartUpload`."""
        if len(receipts) != -(-self._size_bytes // PART_BYTES):
            raise IntegrityError(f"{self._path} has {-(-self._size_bytes // PART_BYTES)} parts, and {len(receipts)} were written")
        with translated(f"write {self._path}"):
            self._finish()
        self._close()

    def abort(self) -> None:
        """See `kist.stores.protocols.PartUpload`."""
        with contextlib.suppress(FileNotFoundError), translated(f"remove {self._path}"):
            os.unlink(self._path)
        self._close()

    def _close(self) -> None:
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)
