"""A store in the memory of this process, with every guarantee but one: it ends with the process.

``memory://name`` is one store for the whole process; `MemoryStore()` is one of its own. The time of an object comes from `clock`,
so that tests can move it.
"""

import builtins
import itertools
import threading
from bisect import bisect_left, bisect_right, insort
from collections.abc import Buffer, Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import partial

from kist.errors import AlreadyExists, Conflict, NotFound
from kist.stores.keys import check_folder, check_key, check_prefix, check_range
from kist.stores.protocols import ObjectMeta
from kist.stores.streams import Pieces

__all__ = ["MemoryStore", "open_memory"]

type Clock = Callable[[], datetime]

_PIECE_BYTES = 1 << 20


class MemoryStore:
    """Objects in a dictionary. All calls are atomic; may be used from any thread."""

    def __init__(self, *, clock: Clock = partial(datetime.now, UTC), name: str = "") -> None:
        """Make an empty store whose objects get their time from `clock`."""
        self.url = f"memory://{name}"
        self._clock = clock
        self._lock = threading.RLock()
        self._objects: dict[str, tuple[bytes, ObjectMeta]] = {}
        self._sorted: list[bytes] = []
        self._states = itertools.count(1)

    def __repr__(self) -> str:
        return f"<MemoryStore {self.url} with {len(self._objects)} objects>"

    def get(self, key: str) -> bytes:
        """See `kist.stores.protocols.Get`."""
        return self._look_up(key)[0]

    def get_range(self, key: str, *, start: int, end: int) -> bytes:
        """See `kist.stores.protocols.GetRange`."""
        check_range(start, end)
        return self._look_up(key)[0][start:end]

    def get_part(self, meta: ObjectMeta, *, start: int, end: int) -> bytes:
        """See `kist.stores.protocols.GetPart`."""
        check_range(start, end)
        content, found = self._look_up(meta.key)
        if found.etag != meta.etag:
            raise Conflict(f"{meta.key!r} in {self.url} has changed; look at it anew")
        return content[start:end]

    def get_blocks(self, meta: ObjectMeta, *, start: int, end: int) -> Iterator[Buffer]:
        """See `kist.stores.protocols.GetBlocks`."""
        check_range(start, end)
        return (self.get_part(meta, start=start, end=end) for _ in range(1))

    def head(self, key: str) -> ObjectMeta:
        """See `kist.stores.protocols.Head`."""
        return self._look_up(key)[1]

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectMeta]:
        """See `kist.stores.protocols.List`; each step sees the store as it is then."""
        check_prefix(prefix)
        return self._walk(prefix.encode(), start_after.encode())

    def list_folders(self, prefix: str) -> builtins.list[str]:
        """See `kist.stores.protocols.List`."""
        check_folder(prefix)
        names = {meta.key[len(prefix) :].partition("/") for meta in self.list(prefix)}
        return sorted({name for name, slash, _ in names if slash}, key=str.encode)

    def put(self, key: str, data: Buffer) -> None:
        """See `kist.stores.protocols.Put`."""
        check_key(key)
        content = bytes(data)
        with self._lock:
            if key not in self._objects:
                insort(self._sorted, key.encode())
            etag = str(next(self._states))
            self._objects[key] = content, ObjectMeta(key=key, size_bytes=len(content), modified=self._clock(), etag=etag)

    def put_stream(self, key: str, parts: Iterable[Buffer], *, size_bytes: int | None = None) -> None:
        """See `kist.stores.protocols.PutStream`."""
        check_key(key)
        self.put(key, b"".join(Pieces(parts, piece_bytes=_PIECE_BYTES, size_bytes=size_bytes)))

    def copy_from(self, source: object, source_key: str, key: str, *, meta: ObjectMeta | None = None) -> bool:
        """See `kist.stores.protocols.CopyFrom`; within this process."""
        del meta
        check_key(key)
        if not isinstance(source, MemoryStore):
            return False
        self.put(key, source.get(source_key))
        return True

    def create(self, key: str, data: Buffer) -> None:
        """See `kist.stores.protocols.Create`."""
        check_key(key)
        with self._lock:
            if key in self._objects:
                raise AlreadyExists(f"{key!r} exists already in {self.url}")
            self.put(key, data)

    def delete(self, key: str) -> None:
        """See `kist.stores.protocols.Delete`."""
        check_key(key)
        with self._lock:
            if self._objects.pop(key, None) is not None:
                del self._sorted[bisect_left(self._sorted, key.encode())]

    def _look_up(self, key: str) -> tuple[bytes, ObjectMeta]:
        try:
            return self._objects[check_key(key)]
        except KeyError:
            raise NotFound(f"no object {key!r} in {self.url}") from None

    def _walk(self, prefix: bytes, after: bytes) -> Iterator[ObjectMeta]:
        included = after < prefix  # the first step may take a key that equals the prefix
        position = max(prefix, after)
        while True:
            with self._lock:
                index = (bisect_left if included else bisect_right)(self._sorted, position)
                if index == len(self._sorted) or not self._sorted[index].startswith(prefix):
                    return
                position, included = self._sorted[index], False
                meta = self._objects[position.decode()][1]
            yield meta


_named: dict[str, MemoryStore] = {}
_named_lock = threading.Lock()


def open_memory(url: str, *, create: bool = False) -> MemoryStore:
    """Open ``memory://name``: the same store for everyone in this process who says the same name.

    Args:
        url: its host and path together are the name.
        create: accepted and not needed; a memory store always exists.
    """
    del create
    name = url.removeprefix("memory:").lstrip("/").rstrip("/")
    with _named_lock:
        return _named.setdefault(name, MemoryStore(name=name))
