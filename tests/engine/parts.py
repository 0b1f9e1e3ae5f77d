"""What the engine's tests share: repositories in memory, a clock that moves when asked or told, stores that count or lack something."""

import builtins
import os
from collections import Counter
from collections.abc import Buffer, Iterable, Iterator, Sequence
from datetime import UTC, datetime

import msgspec

from kist.engine.cache import Cache
from kist.engine.entries import Entry, Place, sort_key
from kist.engine.nodes import EMPTY, Root
from kist.engine.objects import MemoryWriter, Objects
from kist.engine.packs import FrameKind
from kist.engine.records import CHUNKER, Format, RefEntry, VersionRecord, decode_format, digest, encode, encode_format
from kist.engine.refs import CommitAuthority, CreateAuthority, ForkAuthority, entry_seal
from kist.engine.repository import Repository
from kist.engine.rooms import Rooms
from kist.engine.states import States
from kist.engine.tombstones import GRACE_SECONDS
from kist.engine.trees import Trees
from kist.engine.updates import update_tree
from kist.ids import new_id, new_txn
from kist.stores.memory import MemoryStore
from kist.stores.protocols import ConditionalStore, ObjectMeta, Store

HOUR = 3600.0


def examples(count: int) -> int:
    """How many examples one run tries: `count`, and twenty times as many in a full one."""
    return count * (20 if os.environ.get("KIST_SCALE") == "full" else 1)


class Ticking:
    """A clock of which each look at the date is a second later than the last one; what measures moves only when it is told to."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0
        self.slept = 0.0

    def now(self) -> int:
        self.seconds += 1
        return int(self.seconds * 1_000_000)

    def elapsed(self) -> float:
        return self.slept

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self.slept += seconds

    def date(self) -> datetime:
        """For a `MemoryStore`."""
        return datetime.fromtimestamp(self.seconds, UTC)


class CountingStore:
    """Counts requests by verb, and the bytes that were read; `keys` are those of all requests."""

    def __init__(self, store: ConditionalStore) -> None:
        self.store = store
        self.requests: Counter[str] = Counter()
        self.keys: list[str] = []
        self.bytes_read = 0

    @property
    def reads(self) -> int:
        """Requests that read content."""
        return self.requests["get"] + self.requests["get_range"]

    def reset(self) -> None:
        """Count from nothing."""
        self.requests.clear()
        self.keys.clear()
        self.bytes_read = 0

    def get(self, key: str) -> bytes:
        return self._read("get", key, self.store.get(key))

    def get_range(self, key: str, *, start: int, end: int) -> bytes:
        return self._read("get_range", key, self.store.get_range(key, start=start, end=end))

    def head(self, key: str) -> ObjectMeta:
        self._count("head", key)
        return self.store.head(key)

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectMeta]:
        self._count("list", prefix)
        return self.store.list(prefix, start_after=start_after)

    def list_folders(self, prefix: str) -> builtins.list[str]:
        self._count("list_folders", prefix)
        return self.store.list_folders(prefix)

    def put(self, key: str, data: Buffer) -> None:
        self._count("put", key)
        self.store.put(key, data)

    def create(self, key: str, data: Buffer) -> None:
        self._count("create", key)
        self.store.create(key, data)

    def delete(self, key: str) -> None:
        self._count("delete", key)
        self.store.delete(key)

    def _count(self, verb: str, key: str) -> None:
        self.requests[verb] += 1
        self.keys.append(key)

    def _read(self, verb: str, key: str, data: bytes) -> bytes:
        self._count(verb, key)
        self.bytes_read += len(data)
        return data


class PlainStore:
    """A store without put-if-absent, as those are that take a condition and refuse it."""

    def __init__(self, store: Store) -> None:
        self.get, self.get_range, self.head, self.list = store.get, store.get_range, store.head, store.list
        self.list_folders, self.put, self.delete = store.list_folders, store.put, store.delete


class IgnoringStore(PlainStore):
    """A store that takes the condition and ignores it."""

    def create(self, key: str, data: Buffer) -> None:
        self.put(key, data)


def a_format(**members: object) -> Format:
    """Return what the `format` of a new repository says."""
    record = Format(
        authority="create",
        chunker=CHUNKER,
        created="2026-11-20T10:00:00.000000Z",
        encryption=None,
        features={"collect": (), "read": (), "write": ()},
        hash="blake3-256",
        id=new_id(),
        kist="repository",
        version=1,
    )
    return msgspec.structs.replace(record, **members)


def a_store(clock: Ticking | None = None, *, authority: str = "create") -> MemoryStore:
    """Return a store in memory with an empty repository, made without the probing that a new one takes."""
    store = MemoryStore(clock=clock.date) if clock else MemoryStore()
    store.put("format", encode_format(a_format(authority=authority)))
    return store


def rooms_on(
    store: Store,
    *,
    clock: Ticking | None = None,
    cache: Cache | None = None,
    grace: float = GRACE_SECONDS,
    checkpoint_every: int = 1000,
) -> Rooms:
    """Return the parts of the repository on a store; what waits does not."""
    record = decode_format(store.get("format"))
    clock = clock or Ticking()
    authority: CommitAuthority
    if record.authority == "fork":
        authority = ForkAuthority(store, record.id, cache, checkpoint_every=checkpoint_every)
    else:
        assert isinstance(store, ConditionalStore)
        authority = CreateAuthority(store, record.id, cache, sleep=clock.sleep)
    objects = Objects(store)
    trees = Trees(objects, cache)
    return Rooms(
        store=store,
        format=record,
        authority=authority,
        objects=objects,
        trees=trees,
        states=States(objects, trees),
        cache=cache,
        clock=clock,
        grace=grace,
    )


def repository(
    store: Store | None = None,
    *,
    clock: Ticking | None = None,
    cache: Cache | None = None,
    grace: float = GRACE_SECONDS,
    checkpoint_every: int = 1000,
) -> Repository:
    """Return the repository on a store, by default a new one in memory; called twice for one store it gives two that share nothing else."""
    store = store if store is not None else a_store(clock)
    return Repository(rooms_on(store, clock=clock, cache=cache, grace=grace, checkpoint_every=checkpoint_every), "test")


class Shelf:
    """Trees whose nodes are kept in memory, and nothing else: what a tree's id is depends on its entries alone here."""

    def __init__(self) -> None:
        self.objects = Objects(MemoryStore())
        self.trees = Trees(self.objects)
        self.writer = MemoryWriter(self.objects)

    def update(self, root: Root, changes: dict[str, Entry | None]) -> Root:
        """Return the tree with some paths replaced, added or removed."""
        rows = sorted(((sort_key(path), entry) for path, entry in changes.items()), key=lambda row: row[0])
        return update_tree(self.trees, self.writer, root, iter(rows), changed=lambda _old, _new: None)[0]

    def build(self, entries: dict[str, Entry]) -> Root:
        """Return the tree with these entries."""
        return self.update(EMPTY, dict(entries))

    def content(self, root: Root) -> dict[str, Entry]:
        """Return all entries of a tree, in its order."""
        return {entry.path: entry for entry in self.trees.entries(root)}


def a_version(
    rooms: Rooms, root: Root = EMPTY, parents: Sequence[RefEntry] = (), *, number: int = 1, time: int = 0
) -> tuple[bytes, Place, bytes]:
    """Store a version with this tree, and return its id, place and record."""
    record = VersionRecord(
        parents=tuple((parent.version, parent.place) for parent in parents),
        tree=root.id,
        place=root.place,
        number=number,
        time=time or number,
        author="ann",
        message=f"number {number}",
        tool="test",
        files=0,
        size=0,
        new_bytes=0,
        reused_bytes=0,
        changed=None,
        filter=b"\xff",
        notes={},
    )
    writer = rooms.writer()
    version, place = writer.add_metadata(FrameKind.VERSION, encode(record))
    writer.flush()
    return version, place, encode(record)


def an_entry(
    rooms: Rooms,
    root: Root = EMPTY,
    parents: Sequence[RefEntry] = (),
    *,
    ref: str = "heads/main",
    seq: int = 1,
    txn: bytes | None = None,
    time: int = 0,
) -> RefEntry:
    """Return a ref entry, not committed yet, that names `parents` as the heads that its writer saw; its version is stored."""
    version, place, record = a_version(rooms, root, parents, number=seq or 1, time=time)
    previous = tuple(entry_seal(parent) for parent in parents)
    return RefEntry(
        repo=rooms.format.id,
        ref=ref,
        seq=seq,
        txn=txn if txn is not None else new_txn(),
        previous=previous,
        version=version,
        place=place,
        record=record,
        time=time,
    )


def stored_tree(rooms: Rooms, entries: Iterable[Entry]) -> Root:
    """Store a tree of these entries."""
    writer = rooms.writer()
    rows = sorted(((sort_key(entry.path), entry) for entry in entries), key=lambda row: row[0])
    root, _ = update_tree(rooms.trees, writer, EMPTY, iter(rows), changed=lambda _old, _new: None)
    writer.flush()
    return root


def a_file(path: str, content: bytes = b"", **members: object) -> Entry:
    """Return the entry of a file whose content nobody stored."""
    entry = Entry(path=path, kind="file", size=len(content), hash=digest(content))
    return msgspec.structs.replace(entry, **members)


def damage(store: MemoryStore, key: str, *, at: int | None = None) -> None:
    """Flip one bit of an object, in its middle if not said."""
    data = bytearray(store.get(key))
    data[len(data) // 2 if at is None else at] ^= 1
    store.put(key, data)


def keys(store: Store, prefix: str = "") -> list[str]:
    """Return the keys below a prefix."""
    return [meta.key for meta in store.list(prefix)]
