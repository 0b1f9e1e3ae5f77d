"""The one commit point: branches and tags, and the ways to add an entry to them (format 1, §8).

An entry is an object that never changes. With `CreateAuthority` the store lets one writer have each number. With `ForkAuthority`, for
stores that can't, every entry has a key of its own, several entries may be heads, and the state of the branch is the merge of all heads.
What another place decides, `NumberedRefs` reads. No lock anywhere. An error of a write is never a verdict: what was written is read back.
"""

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple, Protocol

from kist.engine.records import Checkpoint, RefEntry, decode, digest, encode, seal, slot, slot_seq, unseal
from kist.errors import IntegrityError, KistError, NotFound, StoreError
from kist.ids import new_id
from kist.stores.budget import map_ordered
from kist.stores.conditional import create_once
from kist.stores.protocols import ConditionalStore, ObjectMeta, ReadableStore, Store

__all__ = [
    "CommitAuthority",
    "CreateAuthority",
    "EntryCache",
    "ForkAuthority",
    "Line",
    "NumberedRefs",
    "check_entry",
    "encode_entry",
    "entry_seal",
    "ref_prefix",
]

CHECKPOINT_EVERY = 1000
TAG_SEQ = 0
PUT_ATTEMPTS = 8


class EntryCache(Protocol):
    """Remembers ref entries by key, for they never change; forgetting is allowed."""

    def entry(self, key: str) -> bytes | None:
        """Return the stored bytes of an entry, if they are remembered."""
        ...

    def remember_entry(self, key: str, data: bytes) -> None:
        """Remember the stored bytes of an entry."""
        ...


class Line(NamedTuple):
    """What a listing of a ref says: its heads by (seq, version), and the highest number that is taken."""

    heads: tuple[RefEntry, ...]
    highest: int


class CommitAuthority(Protocol):
    """Decides which entries a ref has."""

    name: str

    def line(self, ref: str) -> Line | None:
        """Return the heads of a ref, None if there is no such ref."""
        ...

    def commit(self, entry: RefEntry) -> bool:
        """Add an entry for good; False means that its number went to another writer."""
        ...

    def settled(self, entry: RefEntry) -> Line | None:
        """Return a listing that holds an entry of ours, None if nobody may ever see it there and it must be committed anew."""
        ...

    def at(self, ref: str, seq: int) -> list[RefEntry]:
        """Return the entries with a number, by their transactions."""
        ...

    def entries(self, ref: str, *, seq: int | None = None) -> Iterator[RefEntry]:
        """Yield the entries of a ref, newest first, from a number downwards."""
        ...

    def all_entries(self, ref: str) -> Iterator[RefEntry]:
        """Yield every entry that is stored below a ref, also those that count for nothing."""
        ...

    def doubled(self, ref: str) -> set[int]:
        """Return the numbers that several entries of a ref share."""
        ...


def ref_prefix(ref: str) -> str:
    """Return where the entries of ``heads/<branch>`` or ``tags/<tag>`` lie."""
    return f"refs/{ref}/"


def encode_entry(entry: RefEntry) -> bytes:
    """Return the sealed bytes of an entry."""
    return seal(encode(entry))


def entry_seal(entry: RefEntry) -> bytes:
    """Return the seal of an entry, by which later ones name it."""
    return digest(encode(entry))


def check_entry(repo: str, ref: str, key: str, data: bytes) -> RefEntry:
    """Return the entry of a ref that the bytes under a key hold.

    Raises:
        IntegrityError: they are damaged, or belong elsewhere.
    """
    what = f"ref entry {key}"
    entry = decode(unseal(data, what=what), RefEntry, what=what)
    name = key.removeprefix(ref_prefix(ref))
    if entry.repo != repo or entry.ref != ref or name not in (slot(entry.seq), fork_slot(entry.seq, entry.txn)):
        raise IntegrityError(f"{what} belongs elsewhere: to {entry.ref} number {entry.seq} of repository {entry.repo}")
    return entry


class _Entries:
    """Reads entries of one repository, from memory where they were read before.

    A repository that comes back from a backup goes on from there: then other entries take the keys of those that a machine remembers.
    So under `create` nothing is taken from memory before `newest` found the newest key that this machine ever saw as it was. Keys of
    `fork` never come again.
    """

    def __init__(self, store: ReadableStore, repo: str, cache: EntryCache | None, *, keys_come_again: bool) -> None:
        self.store, self.repo, self._cache = store, repo, cache
        self._eras: dict[str, str] = {}
        self._any_era = None if keys_come_again else ""

    def read(self, ref: str, key: str) -> RefEntry:
        """Return the entry under a key.

        Raises:
            IntegrityError: it is damaged, or belongs elsewhere.
            NotFound: there is none.
        """
        era = self._eras.get(ref, self._any_era)
        data = self._cache.entry(era + key) if self._cache and era is not None else None
        if data is None:
            data = self.store.get(key)
            entry = self.check(ref, key, data)
            if self._cache and era is not None:
                self._cache.remember_entry(era + key, data)
            return entry
        return self.check(ref, key, data)

    def newest(self, ref: str) -> str | None:
        """Return the newest key of a ref, and see whether what is remembered still holds; if not, a new era begins."""
        if self._cache is None:
            return next(self.keys(ref), None)
        remembered = self._cache.entry(f"newest {ref}") or b"  "
        era, seen, state = remembered.decode().split(" ")
        newest: ObjectMeta | None = None
        for meta in self._metas(ref):
            newest = newest or meta
            if meta.key >= seen:
                state = "" if meta.key == seen and _state(meta) == state else state
                break
        if seen and state:
            era = new_id()
        self._eras[ref] = era
        now = f"{era} {newest.key} {_state(newest)}" if newest else f"{era}  "
        if now.encode() != remembered:
            self._cache.remember_entry(f"newest {ref}", now.encode())
        return newest.key if newest else None

    def check(self, ref: str, key: str, data: bytes) -> RefEntry:
        """Return the entry that some bytes hold, if it belongs under this key."""
        return check_entry(self.repo, ref, key, data)

    def read_all(self, ref: str, keys: Iterable[str]) -> Iterator[RefEntry]:
        """Yield the entries under some keys, in their order, many at once."""
        return map_ordered(lambda key: self.read(ref, key), keys, window=32)

    def keys(self, ref: str, *, start_after: str = "") -> Iterator[str]:
        """Yield the keys of a ref's entries, newest first."""
        return (meta.key for meta in self._metas(ref, start_after=start_after))

    def _metas(self, ref: str, *, start_after: str = "") -> Iterator[ObjectMeta]:
        for meta in self.store.list(ref_prefix(ref), start_after=start_after):
            if slot_seq(meta.key.removeprefix(ref_prefix(ref))) is not None:
                yield meta


def _state(meta: ObjectMeta) -> str:
    """Return what tells an entry from another one under its key."""
    return f"{meta.size_bytes}-{meta.modified.timestamp()}"


class NumberedRefs:
    """Reads refs of which each number has one entry, whoever decides on it (§8.1, §8.3)."""

    def __init__(self, store: ReadableStore, repo: str, cache: EntryCache | None = None) -> None:
        """Read entries of a repository; those that a cache remembers need not be fetched again."""
        self._entries = _Entries(store, repo, cache, keys_come_again=True)

    def line(self, ref: str) -> Line | None:
        """Return the head of a ref, None if there is no such ref."""
        key = self._entries.newest(ref)
        if key is None:
            return None
        head = self._entries.read(ref, key)
        return Line((head,), head.seq)

    def settled(self, entry: RefEntry) -> Line | None:
        """Return that an entry stands once it is committed."""
        return Line((entry,), entry.seq)

    def at(self, ref: str, seq: int) -> list[RefEntry]:
        """Return the one entry with a number, or none."""
        try:
            return [self._entries.read(ref, ref_prefix(ref) + slot(seq))]
        except NotFound:
            return []

    def entries(self, ref: str, *, seq: int | None = None) -> Iterator[RefEntry]:
        """Yield the entries of a ref, newest first, from a number downwards: numbers have no gaps, so nothing need be listed."""
        if seq is None:
            line = self.line(ref)
            seq = line.highest if line else -1
        floor = 0 if ref.startswith("tags/") else 1
        keys = (ref_prefix(ref) + slot(number) for number in range(seq, floor - 1, -1))
        found = map_ordered(lambda key: self._or_none(ref, key), keys, window=32)
        for entry in found:
            if entry is None:
                return
            yield entry

    def all_entries(self, ref: str) -> Iterator[RefEntry]:
        """Yield every entry that is stored below a ref."""
        self._entries.newest(ref)
        return self._entries.read_all(ref, self._entries.keys(ref))

    def doubled(self, ref: str) -> set[int]:  # noqa: ARG002 - whatever the ref
        """Return the numbers that several entries share: none."""
        return set()

    def _or_none(self, ref: str, key: str) -> RefEntry | None:
        try:
            return self._entries.read(ref, key)
        except NotFound:
            return None


class CreateAuthority(NumberedRefs):
    """Authority `create` (§8.1): put-if-absent of the number after the head's."""

    name = "create"

    def __init__(
        self, store: ConditionalStore, repo: str, cache: EntryCache | None = None, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Use a store that honours put-if-absent; `sleep` waits between attempts."""
        super().__init__(store, repo, cache)
        self._store, self._sleep = store, sleep

    def commit(self, entry: RefEntry) -> bool:
        """Add an entry for good; False means that its number went to another writer.

        Raises:
            StoreError: the outcome is unknown.
        """
        key = ref_prefix(entry.ref) + slot(entry.seq)
        data = encode_entry(entry)
        return create_once(self._store, key, data, is_ours=lambda found: found == data, sleep=self._sleep)


def fork_slot(seq: int, txn: bytes) -> str:
    """Return the key segment of an entry that shares its number with others."""
    return f"{slot(seq)}-{txn.hex()}"


class ForkAuthority:
    """Authority `fork` (§8.2): a key for each entry, and the merge of all heads."""

    name = "fork"

    def __init__(self, store: Store, repo: str, cache: EntryCache | None = None, *, checkpoint_every: int = CHECKPOINT_EVERY) -> None:
        """Use any store whose listings show what was written before."""
        self._store, self._repo, self._every = store, repo, checkpoint_every
        self._entries = _Entries(store, repo, cache, keys_come_again=False)

    def line(self, ref: str) -> Line | None:
        """Return the heads of a ref, None if there is no such ref.

        Raises:
            IntegrityError: an entry is damaged.
            StoreError: the store failed.
        """
        floor, known = self._checkpoint(ref)
        return self._line(ref, self._listed(ref, floor), known)

    def commit(self, entry: RefEntry) -> bool:
        """Add an entry; nobody can be in its way. After an error it is read back, and put again.

        Raises:
            StoreError: the outcome is unknown.
        """
        key, data = ref_prefix(entry.ref) + fork_slot(entry.seq, entry.txn), encode_entry(entry)
        last: KistError | None = None
        for _ in range(PUT_ATTEMPTS):
            try:
                self._store.put(key, data)
            except StoreError as error:
                last = error
                with contextlib.suppress(KistError):
                    if self._store.get(key) == data:
                        return True
            else:
                return True
        raise StoreError(f"nobody knows whether {key!r} is stored: look at it before you try again, for it may still appear") from last

    def settled(self, entry: RefEntry) -> Line | None:
        """List after our write: None if a checkpoint at or above our number was proposed by then. Writes the checkpoint that is due."""
        if entry.ref.startswith("tags/"):
            return self.line(entry.ref)
        proposed = self._proposed(entry.ref)
        if proposed is not None and proposed >= entry.seq:
            return None
        if entry.seq % self._every == 0:
            self._write_checkpoint(entry.ref, entry.seq)
        return self.line(entry.ref)

    def at(self, ref: str, seq: int) -> list[RefEntry]:
        """Return the entries with a number that readers see, by their transactions."""
        prefix = ref_prefix(ref) + slot(seq)
        return sorted(self._entries.read_all(ref, [meta.key for meta in self._store.list(prefix)]), key=lambda entry: entry.txn)

    def entries(self, ref: str, *, seq: int | None = None) -> Iterator[RefEntry]:
        """Yield the entries of a ref, newest first, from a number downwards."""
        keys = (key for key in self._entries.keys(ref) if seq is None or _seq_of(ref, key) <= seq)
        yield from self._entries.read_all(ref, islice(keys, 1) if ref.startswith("tags/") else keys)

    def all_entries(self, ref: str) -> Iterator[RefEntry]:
        """Yield every entry that is stored below a ref, also those that count for nothing."""
        return self._entries.read_all(ref, self._entries.keys(ref))

    def doubled(self, ref: str) -> set[int]:
        """Return the numbers that several entries of a ref share."""
        return {seq for seq, count in Counter(_seq_of(ref, key) for key in self._entries.keys(ref)).items() if count > 1}

    def _listed(self, ref: str, floor: int) -> list[str]:
        """Return the keys above a checkpoint, newest first."""
        keys = []
        for key in self._entries.keys(ref):
            if _seq_of(ref, key) <= floor:
                break
            keys.append(key)
        return keys

    def _line(self, ref: str, keys: list[str], known: Sequence[str]) -> Line | None:
        """Return the heads among some keys and those that a checkpoint knows."""
        keys = [*keys, *(key for key in known if key not in set(keys))]
        if not keys:
            return None
        if ref.startswith("tags/"):
            return Line((self._entries.read(ref, min(keys)),), TAG_SEQ)
        needed = keys if len(known) > 1 else self._needed(ref, keys)
        entries = list(self._entries.read_all(ref, needed))
        if len(needed) < len(keys) and not all(entry.previous for entry in entries):
            entries = list(
                self._entries.read_all(ref, keys)
            )  # somebody made the branch a second time: that start knows nothing of the first
        ancestors = {version for entry in entries for version in entry.previous}
        heads = [entry for entry in entries if entry_seal(entry) not in ancestors]
        heads.sort(key=lambda entry: (entry.seq, entry.version))
        return Line(tuple(heads), max(_seq_of(ref, key) for key in keys))

    @staticmethod
    def _needed(ref: str, keys: list[str]) -> list[str]:
        """Return the keys that must be read to know the heads: the newest, and all from the lowest one on that may not be on the way to it.

        That are numbers that several entries share, and one right below a gap, which only a branch that was made twice can have.
        """
        numbers = [_seq_of(ref, key) for key in keys]
        counts = Counter(numbers)
        floor = min((number for number in counts if counts[number] > 1 or counts[number + 1] == 0), default=0)
        return [key for key, number in zip(keys, numbers, strict=True) if number >= floor]

    def _checkpoint(self, ref: str) -> tuple[int, tuple[str, ...]]:
        """Return number and heads of the newest finished checkpoint; -1 and nothing if there is none."""
        for key in self._checkpoint_keys(ref):
            if not key.endswith("-proposed"):
                point = decode(unseal(self._store.get(key), what=f"checkpoint {key}"), Checkpoint, what=f"checkpoint {key}")
                if point.repo != self._repo or point.ref != ref or slot(point.seq) not in key:
                    raise IntegrityError(f"checkpoint {key} belongs elsewhere")
                return point.seq, point.heads
        return -1, ()

    def _proposed(self, ref: str) -> int | None:
        return next((slot_seq(key.rpartition("/")[2][:16]) for key in self._checkpoint_keys(ref)), None)

    def _checkpoint_keys(self, ref: str) -> Iterator[str]:
        return (meta.key for meta in self._store.list(_checkpoint_prefix(ref)))

    def _write_checkpoint(self, ref: str, seq: int) -> None:
        """Propose, then list everything, then say which heads there are: whoever wrote without seeing the proposal is in that listing."""
        prefix = _checkpoint_prefix(ref) + slot(seq)
        self._store.put(f"{prefix}-proposed", seal(encode(Checkpoint(repo=self._repo, ref=ref, seq=seq, heads=()))))
        floor, known = self._checkpoint(ref)
        line = self._line(ref, list(self._entries.keys(ref)) if floor < 0 else self._listed_whole(ref, floor, known), known)
        if line:
            heads = tuple(ref_prefix(ref) + fork_slot(entry.seq, entry.txn) for entry in line.heads)
            self._store.put(f"{prefix}-{new_id()}", seal(encode(Checkpoint(repo=self._repo, ref=ref, seq=seq, heads=heads))))

    def _listed_whole(self, ref: str, floor: int, known: Sequence[str]) -> list[str]:
        return [key for key in self._entries.keys(ref) if _seq_of(ref, key) > floor or key in known]


def _checkpoint_prefix(ref: str) -> str:
    return f"refs/checkpoints/{ref.removeprefix('heads/')}/"


def _seq_of(ref: str, key: str) -> int:
    seq = slot_seq(key.removeprefix(ref_prefix(ref)))
    if seq is None:
        raise IntegrityError(f"{key} is no ref entry")
    return seq
