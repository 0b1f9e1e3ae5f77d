"""Stores that can do less, the repositories on them, and their time."""

from kist.engine.cache import Cache
from kist.engine.clock import Clock
from kist.engine.objects import Objects
from kist.engine.records import Format, decode_format
from kist.engine.refs import CommitAuthority, CreateAuthority, ForkAuthority
from kist.engine.repository import Repository
from kist.engine.rooms import Rooms
from kist.engine.states import States
from kist.engine.trees import Trees
from kist.stores.memory import MemoryStore
from kist.stores.protocols import ConditionalStore, Store


class SteppingClock:
    """Time that goes on by a millisecond whenever somebody looks."""

    def __init__(self) -> None:
        self._now = 1_800_000_000_000_000

    def now(self) -> int:
        self._now += 1000
        return self._now

    def elapsed(self) -> float:
        return self._now / 1_000_000

    def sleep(self, seconds: float) -> None:
        self._now += int(seconds * 1_000_000)


class WithoutCreate:
    """A store that has no put-if-absent."""

    def __init__(self, store: MemoryStore) -> None:
        self.get, self.get_range, self.head, self.list = store.get, store.get_range, store.head, store.list
        self.list_folders, self.put, self.delete = store.list_folders, store.put, store.delete


def forked(store: Store, clock: Clock, *, every: int = 1000, grace: float = 3600, cache: Cache | None = None) -> Repository:
    """Open a repository where nobody can be first, with a checkpoint every so many numbers."""
    return repository(store, ForkAuthority(store, _format(store).id, cache, checkpoint_every=every), clock, grace=grace, cache=cache)


def decided(store: ConditionalStore, clock: Clock, *, grace: float = 3600, cache: Cache | None = None) -> Repository:
    """Open a repository where the store lets one writer have each number; nobody waits between attempts."""
    authority = CreateAuthority(store, _format(store).id, cache, sleep=lambda _: None)
    return repository(store, authority, clock, grace=grace, cache=cache)


def repository(store: Store, authority: CommitAuthority, clock: Clock, *, grace: float = 3600, cache: Cache | None = None) -> Repository:
    """Put the parts of a repository together."""
    objects = Objects(store)
    trees = Trees(objects)
    return Repository(
        Rooms(
            store=store,
            format=_format(store),
            authority=authority,
            objects=objects,
            trees=trees,
            states=States(objects, trees),
            cache=cache,
            clock=clock,
            grace=grace,
        ),
        "proved",
    )


def _format(store: Store) -> Format:
    return decode_format(store.get("format"))
