"""Writers on a store that ignores conditions: whatever their order, no acknowledged save is lost, and all readers see the same."""

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
from tests.prove.forms import Tree, content, tree_of
from tests.prove.scale import scaled
from tests.prove.schedule import Schedule, ScheduledStore, SteppingClock, seeded_ids

from kist.engine.objects import Objects
from kist.engine.opening import create_repository, repository_on
from kist.engine.records import decode_format
from kist.engine.refs import ForkAuthority
from kist.engine.repository import Repository
from kist.engine.rooms import Rooms
from kist.engine.states import States
from kist.engine.trees import Trees
from kist.errors import InvalidInput, KistError, NotFound
from kist.stores.memory import MemoryStore
from kist.stores.protocols import Store

READERS = 4


def opened(store: Store, clock: SteppingClock, *, every: int) -> Repository:
    """Open a forked repository as one writer does, with a checkpoint every so many numbers."""
    record = decode_format(store.get("format"))
    objects = Objects(store)
    trees = Trees(objects)
    authority = ForkAuthority(store, record.id, checkpoint_every=every)
    rooms = Rooms(
        store=store, format=record, authority=authority, objects=objects, trees=trees, states=States(objects, trees), cache=None, clock=clock, grace=3600
    )
    return Repository(rooms, "forked")


@dataclass(frozen=True, kw_only=True)
class Done:
    """One save that was tried: of what, from which turn to which, and the version that was acknowledged, if it was."""

    path: str
    what: str | None
    began: int
    ended: int
    version: str


@dataclass
class Race:
    """Some writers on one branch, by a seed."""

    seed: int
    store: MemoryStore = field(default_factory=MemoryStore)
    clock: SteppingClock = field(default_factory=SteppingClock)
    done: list[Done] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.every = self.chance.choice((2, 3, 5, 1000))
        self.schedule = Schedule(self.chance)

    def run(self, writers: int, saves: int, *, merges: bool = False) -> None:
        """Let writers save, each to a path of its own and to one that all share; one more may work on a branch and merge it."""
        create_repository(WithoutCreate(self.store), name="forked", clock=self.clock)
        if merges:
            opened(WithoutCreate(self.store), self.clock, every=self.every).save("start", b"start")
            self.schedule.add("merger", self._merger(saves), self.store)
        for number in range(writers):
            mortal = self.chance.random() < 0.3
            self.schedule.add(f"w{number}", self._writer(f"w{number}", saves), self.store, dying=self._dying if mortal else lambda _: False)
        self.schedule.run()

    def _dying(self, key: str) -> bool:
        """Die now and then, mostly right after the write of a ref entry."""
        return self.chance.random() < (0.3 if key.startswith("refs/") else 0.03)

    def _writer(self, name: str, saves: int) -> Callable[[ScheduledStore], None]:
        def write(store: ScheduledStore) -> None:
            repo = opened(store, self.clock, every=self.every)
            for number in range(saves):
                path = self.chance.choice((f"own/{name}", "shared", "shared"))
                began, data = self.schedule.steps, f"{name} {number}".encode()
                attempt = Done(path=path, what=content(data), began=began, ended=0, version="")
                self.done.append(attempt)
                version = repo.save(path, data)
                self.done.remove(attempt)
                self.done.append(Done(path=path, what=content(data), began=began, ended=self.schedule.steps, version=version.id))

        return write

    def _merger(self, saves: int) -> Callable[[ScheduledStore], None]:
        """Work on a branch until its numbers are far above those of main, and merge it then."""

        def work(store: ScheduledStore) -> None:
            repo = opened(store, self.clock, every=self.every)
            repo.branch("dev", "main")
            for number in range(saves):
                repo.save("own/dev", f"dev {number}".encode(), branch="dev")
            began = self.schedule.steps
            version = repo.merge("dev", concurrent="order")
            what = content(f"dev {saves - 1}".encode())
            self.done.append(Done(path="own/dev", what=what, began=began, ended=self.schedule.steps, version=version.id))

        return work

    def faults(self) -> Iterator[str]:
        """Yield what is wrong when all have ended."""
        with ThreadPoolExecutor(READERS) as pool:
            seen = list(pool.map(lambda _: self._seen(), range(READERS)))
        if any(other != seen[0] for other in seen):
            yield f"readers disagree: {seen}"
        tree, ids = seen[0]
        if unlisted := [one for one in self.done if one.version and one.version not in ids]:
            yield f"acknowledged, and not in the log: {unlisted}"
        for path in sorted({one.path for one in self.done}):
            possible = {one.what for one in self.done if one.path == path and not self._is_overwritten(one)}
            if any(one.version for one in self.done if one.path == path) and tree.get(path) not in possible:
                yield f"{path} is {tree.get(path)}, of {[one for one in self.done if one.path == path]}"

    def _is_overwritten(self, save: Done) -> bool:
        """Say whether another save of the path was acknowledged that began after this one had been acknowledged: this one can't be the last then."""
        return bool(save.version) and any(other.path == save.path and other.version and other.began > save.ended for other in self.done)

    def _seen(self) -> tuple[Tree, list[str]]:
        repo = opened(WithoutCreate(self.store), self.clock, every=self.every)
        return tree_of(repo), [version.id for version in repo.log()]


class WithoutCreate:
    """A store that has no put-if-absent."""

    def __init__(self, store: MemoryStore) -> None:
        self.get, self.get_range, self.head, self.list = store.get, store.get_range, store.head, store.list
        self.list_folders, self.put, self.delete = store.list_folders, store.put, store.delete


def raced(seed: int, *, writers: int, saves: int, merges: bool = False) -> list[str]:
    """Return what was wrong after a race."""
    race = Race(seed)
    with seeded_ids(race.chance):
        race.run(writers, saves, merges=merges)
        return [f"seed {seed}, checkpoints every {race.every}: {fault}" for fault in race.faults()]


@pytest.mark.parametrize(("writers", "saves"), [(2, 5), (4, 4), (8, 2)])
def test_writers_in_any_order(writers: int, saves: int) -> None:
    found = [fault for seed in range(scaled(600)) for fault in raced(seed, writers=writers, saves=saves)]
    assert found == []


def test_a_branch_is_merged_while_others_save() -> None:
    found = [fault for seed in range(scaled(600)) for fault in raced(seed, writers=2, saves=4, merges=True)]
    assert found == []
