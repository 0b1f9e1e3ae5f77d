"""Stores that can do less, and the repositories on them."""

from kist.engine.clock import Clock
from kist.engine.objects import Objects
from kist.engine.records import decode_format
from kist.engine.refs import ForkAuthority
from kist.engine.repository import Repository
from kist.engine.rooms import Rooms
from kist.engine.states import States
from kist.engine.trees import Trees
from kist.stores.memory import MemoryStore
from kist.stores.protocols import Store


class WithoutCreate:
    """A store that has no put-if-absent."""

    def __init__(self, store: MemoryStore) -> None:
        self.get, self.get_range, self.head, self.list = store.get, store.get_range, store.head, store.list
        self.list_folders, self.put, self.delete = store.list_folders, store.put, store.delete


def forked(store: Store, clock: Clock, *, every: int, grace: float = 3600) -> Repository:
    """Open a forked repository as one writer does, with a checkpoint every so many numbers."""
    record = decode_format(store.get("format"))
    objects = Objects(store)
    trees = Trees(objects)
    authority = ForkAuthority(store, record.id, checkpoint_every=every)
    rooms = Rooms(
        store=store, format=record, authority=authority, objects=objects, trees=trees, states=States(objects, trees), cache=None, clock=clock, grace=grace
    )
    return Repository(rooms, "forked")
