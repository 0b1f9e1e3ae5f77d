"""Writers on a store that ignores conditions: whatever their order, no acknowledged save is lost, and all readers see the same."""

import contextlib
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import pytest
from tests.prove.forms import Tree, content, tree_of
from tests.prove.scale import scaled
from tests.prove.stores import SteppingClock, WithoutCreate, forked, repository

from kist.engine.opening import create_repository
from kist.engine.records import RefEntry, decode_format
from kist.engine.refs import ForkAuthority, Line
from kist.engine.repository import Repository
from kist.errors import Conflict, InvalidInput, NotFound
from kist.models import Version
from kist.stores.memory import MemoryStore
from kist.stores.protocols import ObjectMeta, Store
from kist.testing.clock import VirtualClock
from kist.testing.faulty import Fault, FaultyStore
from kist.testing.simulation import Crashed, Simulation, SteppedStore, Task, repeatable_ids

READERS = 4
PAGE = 3
CLASHING = ("clash", "clash/a", "clash/a/b", "clash/c")


@dataclass(frozen=True, kw_only=True)
class Done:
    """One save that was tried: of what, from which turn to which, and the version that was acknowledged, if it was."""

    path: str
    what: str | None
    began: int
    ended: int
    version: str


class Race:
    """Some writers on one branch, one at a time; who is next, and who dies, says a seed. Each page of a listing is of another time."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.every = self.chance.choice((2, 3, 5, 1000))
        self.store, self.clock = MemoryStore(), SteppingClock()
        self.done: list[Done] = []
        self.steps = 0
        self._haste = self.chance.choice((0.02, 0.1, 0.4, 1.0))

    def run(self, writers: int, saves: int, *, merges: bool = False, clashes: bool = False) -> None:
        """Let writers save, each to a path of its own and to one that all share.

        One more may work on a branch and merge it; and all may make files where others make folders, or delete them.
        """
        create_repository(WithoutCreate(self.store), name="forked", clock=self.clock)
        works = {f"w{number}": self._writer(f"w{number}", saves, clashes=clashes) for number in range(writers)}
        if merges:
            forked(WithoutCreate(self.store), self.clock, every=self.every).save("start", b"start")
            works["merger"] = self._merger(saves)
        with Simulation(VirtualClock()) as simulation:
            store = SteppedStore(self.store, simulation, page=PAGE)
            tasks = [simulation.start(name, partial(work, store)) for name, work in works.items()]
            self._interleave(simulation, tasks)
        for task in tasks:
            if task.error and not isinstance(task.error, Crashed):
                raise task.error

    def _interleave(self, simulation: Simulation, tasks: list[Task]) -> None:
        mortal = {task for task in tasks if task.name != "merger" and self.chance.random() < 0.3}
        current = tasks[0]
        while alive := [task for task in tasks if not task.done]:
            if current.done or self.chance.random() < self._haste:
                current = self.chance.choice(alive)
            call = current.pending
            self.steps += 1
            simulation.resume(current)
            if current in mortal and not current.done and call and call.verb == "put" and self._dies_after(call.key):
                simulation.crash(current)

    def _dies_after(self, key: str) -> bool:
        """Die now and then, mostly right after the write of a ref entry."""
        return self.chance.random() < (0.3 if key.startswith("refs/") else 0.03)

    def _writer(self, name: str, saves: int, *, clashes: bool) -> Callable[[Store], None]:
        def write(store: Store) -> None:
            repo = forked(store, self.clock, every=self.every)
            for number in range(saves):
                if clashes:
                    self._clash(repo, name)
                path = self.chance.choice((f"own/{name}", "shared", "shared"))
                began, data = self.steps, f"{name} {number}".encode()
                attempt = Done(path=path, what=content(data), began=began, ended=0, version="")
                self.done.append(attempt)
                version = repo.save(path, data)
                self.done.remove(attempt)
                self.done.append(Done(path=path, what=content(data), began=began, ended=self.steps, version=version.id))

        return write

    def _clash(self, repo: Repository, name: str) -> None:
        """Save or delete where others do."""
        path = self.chance.choice(CLASHING)
        with contextlib.suppress(Conflict, NotFound):  # a file is where a folder must be, or it was deleted already
            if self.chance.random() < 0.3:
                repo.delete(path)
            else:
                repo.save(path, f"clash of {name}".encode())

    def _merger(self, saves: int) -> Callable[[Store], None]:
        """Work on a branch until its numbers are far above those of main, and merge it then."""

        def work(store: Store) -> None:
            repo = forked(store, self.clock, every=self.every)
            repo.branch("dev", "main")
            for number in range(saves):
                repo.save("own/dev", f"dev {number}".encode(), branch="dev")
            began = self.steps
            version = repo.merge("dev", concurrent="order")
            what = content(f"dev {saves - 1}".encode())
            self.done.append(Done(path="own/dev", what=what, began=began, ended=self.steps, version=version.id))

        return work

    def faults(self) -> Iterator[str]:
        """Yield what is wrong when all have ended."""
        with ThreadPoolExecutor(READERS) as pool:
            seen = list(pool.map(lambda _: self._seen(), range(READERS)))
        if any(other != seen[0] for other in seen):
            yield f"readers disagree: {seen}"
        tree, ids = seen[0]
        if below := [path for path in tree for above in _above(path) if tree.get(above, "folder") != "folder"]:
            yield f"below a file lie {below}"
        if unlisted := [one for one in self.done if one.version and one.version not in ids]:
            yield f"acknowledged, and not in the log: {unlisted}"
        for path in sorted({one.path for one in self.done}):
            possible = {one.what for one in self.done if one.path == path and not self._is_overwritten(one)}
            if any(one.version for one in self.done if one.path == path) and tree.get(path) not in possible:
                yield f"{path} is {tree.get(path)}, of {[one for one in self.done if one.path == path]}"

    def _is_overwritten(self, save: Done) -> bool:
        """Say whether this save can't be the last: it was acknowledged before another one of its path began, which was acknowledged too."""
        return bool(save.version) and any(other.path == save.path and other.version and other.began >= save.ended for other in self.done)

    def _seen(self) -> tuple[Tree, list[str]]:
        repo = forked(WithoutCreate(self.store), self.clock, every=self.every)
        return tree_of(repo), [version.id for version in repo.log()]


def _above(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path


def raced(seed: int, *, writers: int, saves: int, merges: bool = False, clashes: bool = False) -> list[str]:
    """Return what was wrong after a race."""
    race = Race(seed)
    with repeatable_ids(seed):
        race.run(writers, saves, merges=merges, clashes=clashes)
        return [f"seed {seed}, checkpoints every {race.every}: {fault}" for fault in race.faults()]


@pytest.mark.parametrize(("writers", "saves"), [(2, 5), (4, 4), (8, 2)])
def test_writers_in_any_order(writers: int, saves: int) -> None:
    found = [fault for seed in range(scaled(600)) for fault in raced(seed, writers=writers, saves=saves)]
    assert found == []


def test_a_branch_is_merged_while_others_save() -> None:
    found = [fault for seed in range(scaled(600)) for fault in raced(seed, writers=2, saves=4, merges=True)]
    assert found == []


def test_files_are_made_where_others_make_folders() -> None:
    found = [fault for seed in range(scaled(600)) for fault in raced(seed, writers=3, saves=3, clashes=True)]
    assert found == []


class Stalled:
    """A writer whose next write of a ref entry stalls, and what others do on the same store meanwhile."""

    def __init__(self, key: str, meanwhile: Callable[[Repository], object]) -> None:
        store, clock = MemoryStore(), SteppingClock()
        create_repository(WithoutCreate(store), name="forked", clock=clock)
        self.other = forked(store, clock, every=1000)
        self._key, self._meanwhile = key, meanwhile
        self._faulty = FaultyStore(store, on_stall=self._act)
        self.writer = forked(self._faulty, clock, every=1000)

    def _act(self, *_: str) -> None:
        self._meanwhile(self.other)

    def stall(self) -> None:
        """Let the next write of such an entry stall."""
        self._faulty.fail_next(Fault.STALL, verb="put", key=self._key)


def save_often(repo: Repository, branch: str, times: int) -> None:
    for number in range(times):
        repo.save(f"saved/{number}", b"x", branch=branch)


@pytest.mark.parametrize("times", range(1, 8))
def test_a_late_merge_of_a_longer_branch_hides_nothing(times: int) -> None:
    scene = Stalled("refs/heads/main/", lambda other: save_often(other, "main", times))
    scene.other.save("start", b"")
    scene.other.branch("dev")
    for number in range(5):
        scene.other.save("dev", b"%d" % number, branch="dev")
    scene.stall()
    scene.writer.merge("dev")
    assert set(tree_of(scene.other)) == {"start", "dev", *(f"saved/{number}" for number in range(times))}


@pytest.mark.parametrize("times", range(1, 8))
def test_a_branch_that_is_made_twice_hides_nothing(times: int) -> None:
    def meanwhile(other: Repository) -> None:
        other.branch("dev", "v1")
        save_often(other, "dev", times)

    scene = Stalled("refs/heads/dev/", meanwhile)
    for number in range(6):
        scene.other.save("start", b"%d" % number)
    scene.stall()
    scene.writer.branch("dev", "v5")
    assert set(tree_of(scene.other, "dev")) == {"start", *(f"saved/{number}" for number in range(times))}
    scene.writer.save("later", b"", branch="dev")
    assert set(tree_of(scene.other, "dev")) == {"start", "later", *(f"saved/{number}" for number in range(times))}


def test_a_number_that_two_versions_share_is_told_apart() -> None:
    scene = Stalled("refs/heads/main/", lambda other: other.save("b", b"b"))
    scene.other.save("start", b"")
    scene.stall()
    scene.writer.save("a", b"a")
    doubled = [version for version in scene.other.log() if version.number == 2]
    assert {frozenset(tree_of(scene.other, version.name)) for version in doubled} == {frozenset({"start", "a"}), frozenset({"start", "b"})}
    with pytest.raises(InvalidInput) as caught:
        scene.other.version("v2")
    assert all(version.name in str(caught.value) for version in doubled)


class Blind:
    """A store that does not list some keys yet: what a writer sees whose listing is old."""

    def __init__(self, store: MemoryStore, *hidden: str) -> None:
        self._store, self._hidden = store, hidden
        self.get, self.get_range, self.head = store.get, store.get_range, store.head
        self.list_folders, self.put, self.delete = store.list_folders, store.put, store.delete

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectMeta]:
        return (meta for meta in self._store.list(prefix, start_after=start_after) if not any(one in meta.key for one in self._hidden))


@pytest.mark.parametrize("variant", range(8))
def test_a_head_that_changed_something_else_brings_nothing_back(variant: int) -> None:
    store, clock = MemoryStore(), SteppingClock()
    create_repository(WithoutCreate(store), name="forked", clock=clock)

    def save(path: str, data: str, *blind_to: Version) -> Version:
        """Save as a writer whose listing lacks some versions, and let nobody merge."""
        seen = forked(Blind(store, *(version.txn for version in blind_to)), clock)
        return seen.save(path, f"{data} {variant}".encode())

    one = save("shared", "one")
    two = save("shared", "two", one)
    beside = save("beside", "one is still there", two)
    last = save("shared", "last", beside)
    save("other", "merges one and two", last)
    assert forked(WithoutCreate(store), clock).read("shared") == f"last {variant}".encode()
    assert {one.number, two.number} == {1}
    assert {beside.number, last.number} == {2}


class Forgetful(ForkAuthority):
    """Says twice that an entry may never be seen, and then does not see it, as if two checkpoints were made meanwhile."""

    doubts, sees = 2, False

    def line(self, ref: str) -> Line | None:
        if self.doubts or self.sees:
            return super().line(ref)
        self.sees = True
        return None

    def settled(self, entry: RefEntry) -> Line | None:
        if self.doubts:
            self.doubts -= 1
            return None
        return super().settled(entry)


def test_a_change_is_made_again_even_if_it_was_seen_in_between() -> None:
    store, clock = MemoryStore(), SteppingClock()
    create_repository(WithoutCreate(store), name="forked", clock=clock)
    authority = Forgetful(store, decode_format(store.get("format")).id)
    version = repository(store, authority, clock).save("a", b"a")
    assert tree_of(forked(store, clock), version.id) == {"a": content(b"a")}
