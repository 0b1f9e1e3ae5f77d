"""Which paths a version changed: a short list, or a filter that never denies one (format 1, §7)."""

from collections.abc import Iterable

from blake3 import blake3

from kist.engine.entries import Entry, same_entry, sort_key

__all__ = ["ChangedPaths", "filter_has"]

MAX_LISTED = 1000
BITS_PER_PATH = 10
PROBES = 7
MAX_HASHED = 10_000


class ChangedPaths:
    """Collects the paths of an update: all of them up to a thousand, hashes up to ten thousand, and then only that they are many."""

    def __init__(self) -> None:
        """Start with none."""
        self.count = 0
        self._paths: list[str] = []

    def __call__(self, old: Entry | None, new: Entry | None) -> None:
        """Note a change; one of times alone counts as none."""
        entry = new or old
        if entry is not None and (old is None or new is None or not same_entry(old, new, times=False)):
            self.count += 1
            if self.count <= MAX_HASHED:
                self._paths.append(entry.path)

    def listed(self) -> tuple[str, ...] | None:
        """Return the paths, sorted, or None if they are too many."""
        return tuple(sorted(self._paths, key=sort_key)) if self.count <= MAX_LISTED else None

    def filter(self) -> bytes:
        """Return the filter, empty if the paths are listed."""
        if self.count <= MAX_LISTED:
            return b""
        if self.count > MAX_HASHED:
            return b"\xff"
        return _filter({_hash(one) for one in {above for path in self._paths for above in with_folders(path)}})


def with_folders(path: str) -> Iterable[str]:
    """Yield a path and all folders above it, the whole tree (the empty path) last."""
    while path:
        yield path
        path = path.rpartition("/")[0]
    yield ""


def filter_has(data: bytes, path: str) -> bool:
    """Say whether a path, or something below it, may have changed; no is certain."""
    return all(data[bit >> 3] & 1 << (bit & 7) for bit in _bits(_hash(path), len(data)))


def _filter(hashes: set[bytes]) -> bytes:
    data = bytearray(max(1, len(hashes) * BITS_PER_PATH // 8))
    for digest in hashes:
        for bit in _bits(digest, len(data)):
            data[bit >> 3] |= 1 << (bit & 7)
    return bytes(data)


def _hash(path: str) -> bytes:
    return blake3(path.encode()).digest()[:16]


def _bits(digest: bytes, size: int) -> Iterable[int]:
    one, two = int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little") | 1
    return ((one + probe * two) % (8 * size) for probe in range(PROBES))
