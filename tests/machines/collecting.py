"""A small world for the proof of collecting: a repository, machines, and an oracle that knows every frame that was ever stored."""

import contextlib
import io
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Self
from unittest import mock

from kist.engine.chunker import chunker
from kist.engine.commits import Concurrent
from kist.engine.content import chunk_batches
from kist.engine.entries import Entry
from kist.engine.index import load_footer
from kist.engine.nodes import Root
from kist.engine.opening import repository_on
from kist.engine.packs import pack_name
from kist.engine.reachable import names_of
from kist.engine.records import CHUNKER, Format, RefEntry, decode, digest, encode_format, unseal
from kist.engine.refs import entry_seal
from kist.engine.repository import Repository
from kist.engine.rooms import Rooms
from kist.engine.states import record_of
from kist.errors import AlreadyExists, Conflict, IntegrityError, InvalidInput, KistError, NotFound, StoreError, Unsupported
from kist.models import Version
from kist.stores.memory import MemoryStore
from kist.testing.clock import VirtualClock
from kist.testing.faulty import Fault, FaultyStore
from kist.testing.simulation import Call, MachineClock, Simulation, SteppedStore, Task, repeatable_ids

GRACE = timedelta(hours=24)
PATHS = ("a", "b", "d/x")
PAGE = 6
BRANCHES = 2
LONG_AGO = 1_700_000_000_000_000_001
LATE_FAULTS = "a crash or an error between a ref entry that came too late and the look after it"

Content = dict[str, bytes]
Work = Callable[[Repository], object]


class Broken(AssertionError):
    """The repository broke its promise."""


@cache
def blocks() -> tuple[bytes, ...]:
    """Return what large files are made of: they have several chunks, and share some."""
    dice = random.Random(7)
    return tuple(dice.randbytes(40 << 10) for _ in range(6))


@cache
def folders() -> tuple[tuple[str, Content], ...]:
    """Return some folders of this machine with what they hold, made once: a younger file is never remembered as unchanged."""
    home = Path(tempfile.mkdtemp(prefix="kist-collecting-"))
    made = []
    for number in range(4):
        folder = home / f"folder{number}"
        folder.mkdir()
        inside = {"f": b"small %d" % number, "g": b"".join(blocks()[number : number + 3]), "h": blocks()[number] * (number % 2)}
        for name, data in inside.items():
            (folder / name).write_bytes(data)
            os.utime(folder / name, ns=(LONG_AGO, LONG_AGO))
        os.utime(folder, ns=(LONG_AGO, LONG_AGO))
        made.append((str(folder), inside))
    time.sleep(0.2)
    return tuple(made)


def rooms_of(repo: Repository) -> Rooms:
    return repo._rooms  # noqa: SLF001 - the oracle looks inside


@cache
def blocks_start(data: bytes) -> bytes:
    """Return the first chunk of a large file."""
    return data[: chunker().cuts(data, final=True)[0]]


class WatchedStore(MemoryStore):
    """Tells the oracle of each write that was applied, whatever the writer is told."""

    def __init__(self, *, clock: VirtualClock, oracle: "Oracle") -> None:
        super().__init__(clock=clock.now)
        self._oracle = oracle

    def put(self, key: str, data: object) -> None:
        super().put(key, data)  # type: ignore[arg-type]  # as in the class above
        self._oracle.stored(self, key)

    def delete(self, key: str) -> None:
        super().delete(key)
        self._oracle.removed(key)


class Oracle:
    """Knows which frames each published version needs and which packs hold them, and notes at once when one is lost.

    `holes` are frames that were gone already when a version that needs them was published, by a writer who stalled too long.
    """

    def __init__(self, form: bytes, *, is_late: Callable[[], bool]) -> None:
        self._is_late = is_late
        self._archive = MemoryStore()
        self._archive.put("format", form)
        self._rooms = rooms_of(repository_on(self._archive, name="archive", cached=False))
        self._needs: dict[bytes, frozenset[bytes]] = {}
        self._packs: dict[str, list[bytes]] = {}
        self.held: Counter[bytes] = Counter()
        self.entries: dict[str, RefEntry] = {}
        self.forgotten: set[bytes] = set()
        self.holes: set[bytes] = set()
        self.lost: list[str] = []
        self.deleted_packs = 0

    def stored(self, store: MemoryStore, key: str) -> None:
        """Take note of an object."""
        room = key.split("/", maxsplit=1)[0]
        data = store.get(key)
        if pack := pack_name(key):
            self._archive.put(key, data)
            self._packs[key] = [frame.id for frame in load_footer(store, pack, len(data))]
            self.held.update(self._packs[key])
        elif key.startswith("refs/forgotten/"):
            self.forgotten.add(bytes.fromhex(key.rpartition("/")[2]))
        elif room == "refs" and not key.startswith("refs/checkpoints/"):
            self._published(key, decode(unseal(data, what=key), RefEntry, what=key))

    def removed(self, key: str) -> None:
        """Take note that an object is gone."""
        if frames := self._packs.pop(key, None):
            self.deleted_packs += 1
            self.held.subtract(frames)
            gone = {one for one in frames if not self.held[one]}
            for version in self.live() if gone else ():
                if hit := (self.needs(version) & gone) - self.holes:
                    self.lost.append(f"{len(hit)} frames of version {version.hex()[:12]} went with {key}")

    def _published(self, key: str, entry: RefEntry) -> None:
        self.entries[key] = entry
        missing = {one for one in self.needs(entry.version) if not self.held[one]} - self.holes
        if entry.version in self.forgotten and entry.ref.startswith("tags/"):
            return
        if missing and self._is_late():
            self.holes |= missing
        elif missing:
            self.lost.append(f"{len(missing)} frames were gone when {key} was written, with version {entry.version.hex()[:12]}")

    def needs(self, version: bytes) -> frozenset[bytes]:
        """Return all frames that a version needs."""
        if version not in self._needs:
            record = record_of(next(entry for entry in self.entries.values() if entry.version == version))
            named = names_of(self._rooms, Root(record.tree, record.place), set())
            self._needs[version] = frozenset([version, *(one.id for one in named)])
        return self._needs[version]

    def heads(self) -> set[bytes]:
        """Return the versions that nobody came after, on some branch."""
        found = set()
        for ref in {entry.ref for entry in self.entries.values() if entry.ref.startswith("heads/")}:
            mine = [entry for entry in self.entries.values() if entry.ref == ref]
            before = {seal for entry in mine for seal in entry.previous}
            found |= {entry.version for entry in mine if entry_seal(entry) not in before}
        return found

    def live(self) -> set[bytes]:
        """Return the versions whose content must be kept."""
        return {entry.version for entry in self.entries.values()} - self.forgotten | self.heads()

    def had(self, path: str, data: bytes | None) -> bool:
        """Say whether any version had this at a path."""
        records = [record_of(entry) for entry in self.entries.values()]
        entries = [self._rooms.trees.get(Root(record.tree, record.place), path) for record in records]
        return data is not None and any(entry is not None and entry.hash == digest(data) for entry in entries)

    def is_needed(self, data: bytes) -> bool:
        """Say whether some version has a file that starts with this chunk or is it."""
        first = digest(data if len(data) < 1 << 14 else blocks_start(data))
        return any(first in self.needs(version) for version in self.live())

    def has_holes(self) -> bool:
        """Say whether some version lacks what was gone before it was published."""
        return bool(self.holes) and any(
            self.needs(version) & self.holes and not all(self.held[one] for one in self.needs(version)) for version in self.live()
        )

    def missing(self, version: bytes) -> set[bytes]:
        """Return the frames that a version needs and did not inherit from its parents, and that are gone."""
        record = record_of(next(entry for entry in self.entries.values() if entry.version == version))
        known = {entry.version for entry in self.entries.values()}
        inherited = {one for parent, _ in record.parents if parent in known for one in self.needs(parent)}
        return {one for one in self.needs(version) - inherited if not self.held[one]}


@dataclass
class Machine:
    """A computer that works on the repository: what it caches on disk outlives its crashes."""

    name: str
    kind: str
    clock: MachineClock
    repo: Repository
    task: Task | None = None
    does: str = ""
    end: Callable[[object], None] = field(default=lambda _result: None)
    until: datetime | None = None
    looked: datetime | None = None
    faulted: bool = False
    late: bool = False
    saved: list[bytes] = field(default_factory=list)


class World:
    """One repository and its machines. A context manager: at the end everything is put away."""

    def __init__(self, seed: int, authority: str, *, machines: Iterable[str] = ()) -> None:
        folders()
        self._exit = ExitStack()
        home = self._exit.enter_context(tempfile.TemporaryDirectory(prefix="kist-world-"))
        self._exit.enter_context(mock.patch.dict(os.environ, {"KIST_HOME": home, "KIST_AUTHOR": "somebody"}))
        self._exit.enter_context(repeatable_ids(seed))
        self.clock = VirtualClock()
        self.simulation = self._exit.enter_context(Simulation(self.clock, on_call=self._on_call))
        form = _format(authority)
        self.oracle = Oracle(form, is_late=self._is_late)
        self.store = WatchedStore(clock=self.clock, oracle=self.oracle)
        self.store.put("format", form)
        self.faulty = FaultyStore(self.store)
        self.stepped = SteppedStore(self.faulty, self.simulation, page=PAGE)
        self.acknowledged: dict[str, Content] = {}
        self.forgetting: set[str] = set()
        self.tagged: set[str] = set()
        self.branches = {"main"}
        self.counts: Counter[str] = Counter()
        self._checked = 0
        self._names = 0
        self.machines: dict[str, Machine] = {}
        for number, kind in enumerate(machines):
            self._add(f"{kind}{number}", kind, skew=timedelta(days=(number % 3 - 1) * 5))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._exit.close()
        for machine in self.machines.values():
            _close(machine.repo)

    def _add(self, name: str, kind: str, *, skew: timedelta) -> None:
        clock = MachineClock(self.simulation, skew=skew)
        self.machines[name] = Machine(name, kind, clock, self._open(name, clock))

    def _open(self, name: str, clock: MachineClock) -> Repository:
        return repository_on(self.stepped, name=f"sim://{name}", clock=clock, grace=GRACE.total_seconds())

    def fresh(self) -> Repository:
        """Return the repository as somebody sees it who never saw it before."""
        return repository_on(self.store, name="fresh", cached=False, grace=GRACE.total_seconds())

    def restart(self, machine: Machine) -> None:
        """Let a machine forget all but what it keeps on disk."""
        _close(machine.repo)
        machine.repo = self._open(machine.name, machine.clock)

    # Work

    def begin(self, machine: Machine, kind: str, dice: random.Random) -> None:
        """Let a machine start something."""
        label, work, end = getattr(self, f"_{kind}")(machine, dice)
        machine.does = kind
        machine.end, machine.faulted, machine.late, machine.looked = end, False, False, None
        self.simulation.note(f"{machine.name}: BEGINS {label}")
        self.counts[kind] += 1
        machine.task = self.simulation.start(machine.name, lambda: work(machine.repo))
        self._settle(machine)

    def go_on(self, machine: Machine, *, calls: int = 1, fault: Fault | None = None) -> None:
        """Let a machine make some calls; the first one may fail."""
        task = machine.task
        if task is None or task.pending is None:
            return
        if fault and fits(fault, task.pending.verb) and not self._is_delicate(machine):
            self.simulation.note(f"{machine.name}: FAULT {fault.name}")
            self.faulty.fail_next(fault, verb=task.pending.verb)
            machine.faulted = True
        self.simulation.resume(task, calls=calls)
        self._settle(machine)

    def crash(self, machine: Machine) -> None:
        """End what a machine does, and start the machine anew."""
        if machine.task is not None and not self._is_delicate(machine):
            self.counts["crash"] += 1
            self.simulation.crash(machine.task)
            machine.task = None
            self.restart(machine)
            self._check_lost()

    def finish(self, dice: random.Random) -> None:
        """Let all work end, without any more trouble."""
        while busy := [machine for machine in self.machines.values() if machine.task]:
            self.go_on(dice.choice(busy), calls=dice.randrange(1, 8))

    def _settle(self, machine: Machine) -> None:
        """If a task has ended, look at what it promises."""
        self._check_lost()
        task = machine.task
        if task is None or not task.done:
            return
        machine.task = None
        name = type(task.error).__name__
        if task.error is None:
            self.simulation.note(f"{machine.name}: DONE")
            machine.end(task.result)
        else:
            self.simulation.note(f"{machine.name}: FAILED {name}: {task.error}")
            self.counts[f"{machine.kind}: {name}"] += 1
            self._check_error(machine, task.error)
        self.check()

    def _check_error(self, machine: Machine, error: BaseException) -> None:
        """Let only those errors pass that the operation says it may have."""
        expected: tuple[type[BaseException], ...] = (Conflict, NotFound, AlreadyExists)
        if isinstance(error, InvalidInput) and "nothing to save" in str(error):
            return
        if isinstance(error, (StoreError, Unsupported)) and machine.faulted:
            return
        if isinstance(error, IntegrityError) and (self.oracle.has_holes() or machine.does in ("copy", "merge")):
            return
        if not isinstance(error, expected) or machine.kind == "collector":
            raise Broken(f"{machine.name} failed with {type(error).__name__}: {error}") from error

    def _is_delicate(self, machine: Machine) -> bool:
        """Say whether a machine is where nothing can help it: see LATE_FAULTS."""
        pending = machine.task.pending if machine.task else None
        return machine.late or bool(pending and _publishes(pending) and self._overdue(machine))

    def _is_late(self) -> bool:
        return any(machine.late for machine in self.machines.values())

    def _overdue(self, machine: Machine) -> bool:
        return machine.looked is not None and self.clock.now() - machine.looked > GRACE / 2

    def _on_call(self, task: Task, call: Call) -> None:
        machine = self.machines[task.name]
        looks = "refs/forgotten/" if machine.does in ("fork", "tag") else "gc/tomb/"
        if call.key.startswith(looks):
            machine.looked = self.clock.now()
        if _publishes(call) and self._overdue(machine):
            machine.late = True

    # Promises

    def acknowledge(self, version: Version, wanted: dict[str, bytes | None]) -> None:
        """Read a version that a machine was told is safe.

        What was there before need not be there: it was no change, and another writer may have made one meanwhile.
        """
        if version.id in self.forgetting:
            return
        if hit := self.oracle.missing(bytes.fromhex(version.id)):
            raise Broken(f"version {version.id[:12]} was acknowledged without {len(hit)} of its frames")
        if self.oracle.has_holes():
            self.counts["holes"] += 1
            return
        found = content_of(self.fresh(), version.id)
        for path, data in wanted.items():
            if found.get(path) != data and not self.oracle.had(path, data):
                raise Broken(f"{path!r} in version {version.id[:12]} is not what was saved")
        if self.acknowledged.setdefault(version.id, found) != found:
            raise Broken(f"version {version.id[:12]} changed")

    def check(self) -> None:
        """Read all that was promised, if anything was deleted since the last time."""
        if self.oracle.deleted_packs == self._checked:
            return
        self._checked = self.oracle.deleted_packs
        if not self.oracle.has_holes():
            self.check_all()

    def check_all(self) -> None:
        """Read all that was promised."""
        repo = self.fresh()
        for branch in repo.branches():
            content_of(repo, branch)
        for version, content in self.acknowledged.items():
            if version not in self.forgetting and content_of(repo, version) != content:
                raise Broken(f"version {version[:12]} is not what it was")
        report = repo.verify("data")
        if not report.ok:
            raise Broken(f"verify: {report.problems}")

    def _check_lost(self) -> None:
        if self.oracle.lost:
            raise Broken("; ".join(self.oracle.lost))

    # Kinds of work: a label, what to do, and what to look at once it is acknowledged

    def _save(self, machine: Machine, dice: random.Random) -> tuple[str, Work, Callable[[object], None]]:
        path, data, branch, again = dice.choice(PATHS), self._content(machine, dice), self._branch(dice), dice.random() < 0.7
        concurrent: Concurrent = dice.choice(("conflict", "order"))

        def work(repo: Repository) -> Version:
            return repo.save(path, data if again else io.BytesIO(data), branch=branch, concurrent=concurrent)

        return f"save {path} ({len(data)} bytes) on {branch}", work, self._expect({path: data})

    def _save_folder(self, machine: Machine, dice: random.Random) -> tuple[str, Work, Callable[[object], None]]:
        (folder, inside), path, branch = dice.choice(folders()), dice.choice(("d", "e")), self._branch(dice)
        wanted: dict[str, bytes | None] = {f"{path}/{name}": data for name, data in inside.items()}

        def work(repo: Repository) -> Version:
            return repo.save(path, folder, branch=branch, concurrent="order")

        return f"save folder {folder[-1]} as {path} on {branch}", work, self._expect(wanted)

    def _change(self, machine: Machine, dice: random.Random) -> tuple[str, Work, Callable[[object], None]]:
        branch = self._branch(dice)
        puts = {dice.choice(PATHS): self._content(machine, dice) for _ in range(dice.randrange(1, 5))}

        def work(repo: Repository) -> Version:
            with repo.transaction(branch=branch, concurrent="order") as change:
                for path, data in puts.items():
                    change.put(path, data)
            return change.version

        return f"put {sorted(puts)} on {branch}", work, self._expect(dict(puts))

    def _delete(self, machine: Machine, dice: random.Random) -> tuple[str, Work, Callable[[object], None]]:
        branch = self._branch(dice)
        path = dice.choice(self._paths(branch))
        return f"delete {path} on {branch}", lambda repo: repo.delete(path, branch=branch), self._expect({path: None})

    def _move(self, machine: Machine, dice: random.Random) -> tuple[str, Work, Callable[[object], None]]:
        branch = self._branch(dice)
        source = dice.choice(self._paths(branch))
        target = dice.choice([path for path in PATHS if path != source])

        def work(repo: Repository) -> Version:
            with repo.transaction(branch=branch, concurrent="order") as change:
                with contextlib.suppress(NotFound):
                    change.delete(target)
                change.move(source, target)
            return change.version

        return f"move {source} to {target} on {branch}", work, self._expect({source: None})

    def _copy(self, machine: Machine, dice: random.Random) -> tuple[str, Work, Callable[[object], None]]:
        old, target, branch = self._old(dice), dice.choice(PATHS), self._branch(dice)
        source = dice.choice(sorted(self.acknowledged.get(old, {})) or PATHS)

        def work(repo: Repository) -> Version:
            with repo.transaction(branch=branch, concurrent="order") as change:
                with contextlib.suppress(NotFound):
                    change.delete(target)
                change.copy(_below(repo, old, source), source, target)
            return change.version

        return f"copy {source} of {old[:12]} to {target} on {branch}", work, self._expect({})

    def _merge(self, machine: Machine, dice: random.Random) -> tuple[str, Work, Callable[[object], None]]:
        ref, branch = self._branch(dice), self._branch(dice)
        return f"merge {ref} into {branch}", lambda repo: repo.merge(ref, branch=branch, concurrent="order"), self._expect({})

    def _fork(self, machine: Machine, dice: random.Random) -> tuple[str, Work, Callable[[object], None]]:
        old, name = self._old(dice), self._name("branch") if len(self.branches) < BRANCHES else "main"

        def end(_result: object) -> None:
            self.branches.add(name)

        return f"branch {name} at {old[:12]}", lambda repo: repo.branch(name, old), end

    def _tag(self, machine: Machine, dice: random.Random) -> tuple[str, Work, Callable[[object], None]]:
        old, name = self._old(dice), self._name("tag")
        return f"tag {name} at {old[:12]}", lambda repo: repo.tag(name, old), lambda _result: None

    def _forget(self, machine: Machine, dice: random.Random) -> tuple[str, Work, Callable[[object], None]]:
        known = sorted({entry.version for entry in self.oracle.entries.values()} - self.oracle.heads() - self.oracle.forgotten)
        chosen = [version.hex() for version in known if dice.random() < 0.85]
        self.forgetting |= set(chosen)

        def work(repo: Repository) -> object:
            return repo.forget(chosen, imsure=True)

        return f"forget {[version[:12] for version in chosen]}", work, lambda _result: None

    def _read(self, machine: Machine, dice: random.Random) -> tuple[str, Work, Callable[[object], None]]:
        kept = sorted(set(self.acknowledged) - self.forgetting)
        version = dice.choice(kept) if kept else ""

        def work(repo: Repository) -> object:
            try:
                return content_of(repo, version) if version else {}
            except (NotFound, IntegrityError):
                if version in self.forgetting:
                    return None
                raise

        def end(result: object) -> None:
            if version and result is not None and result != self.acknowledged[version]:
                raise Broken(f"a reader got something else for version {version[:12]}")

        return f"read {version[:12]}", work, end

    def _collect(self, machine: Machine, dice: random.Random) -> tuple[str, Work, Callable[[object], None]]:
        del dice
        return "collect", lambda repo: repo.collect(), lambda _result: None

    def _expect(self, wanted: dict[str, bytes | None]) -> Callable[[object], None]:
        def end(result: object) -> None:
            assert isinstance(result, Version)
            self.acknowledge(result, wanted)

        return end

    def _branch(self, dice: random.Random) -> str:
        return "main" if dice.random() < 0.6 else dice.choice(sorted(self.branches))

    def _paths(self, branch: str) -> list[str]:
        """Return what lies on a branch just now, or something."""
        with contextlib.suppress(KistError):
            return sorted(info.path for info in self.fresh().walk(ref=branch) if info.kind == "file") or [*PATHS]
        return [*PATHS]

    def _old(self, dice: random.Random) -> str:
        """Return some version, rather one that is about to be forgotten."""
        known = sorted({entry.version for entry in self.oracle.entries.values()} - self.oracle.forgotten)
        going = [version for version in known if version.hex() in self.forgetting]
        picks = going if going and dice.random() < 0.5 else known
        return dice.choice(picks).hex() if picks else "v1"

    def _content(self, machine: Machine, dice: random.Random) -> bytes:
        """Return what was never saved before, or what this machine saved: rather what no version needs any more."""
        if not machine.saved or dice.random() < 0.25:
            self._names += 1
            machine.saved.append(b"only once %d" % self._names if dice.random() < 0.6 else self._large(dice))
            return machine.saved[-1]
        dying = [data for data in machine.saved if not self.oracle.is_needed(data)]
        return dice.choice(dying or machine.saved)

    @staticmethod
    def _large(dice: random.Random) -> bytes:
        return b"".join(dice.sample(blocks(), 3))

    def _name(self, what: str) -> str:
        self._names += 1
        return f"{what}-{self._names}"


def _publishes(call: Call) -> bool:
    return call.verb in ("put", "create") and call.key.startswith(("refs/heads/", "refs/tags/"))


def fits(fault: Fault, verb: str) -> bool:
    """Say whether a call can have a fault."""
    writes = ("put", "create", "delete")
    if fault is Fault.LOST_RESPONSE:
        return verb in writes
    if fault is Fault.LIST_ERROR:
        return verb == "list"
    if fault in (Fault.OWN_WRITE_412, Fault.SPURIOUS_409):
        return verb == "create"
    return verb in (*writes, "get", "get_range", "head")


def content_of(repo: Repository, ref: str) -> Content:
    """Return all that a version holds, byte by byte."""
    rooms = rooms_of(repo)
    files = [entry for entry in rooms.trees.below(root_of(repo, ref), "") if entry.kind == "file"]
    return {entry.path: b"".join(chunk_batches(rooms.objects, entry)) for entry in files}


def root_of(repo: Repository, ref: str) -> Root:
    """Return the tree that a ref means."""
    return repo._history.root(ref)  # noqa: SLF001 - looked up once, not for each file


def _below(repo: Repository, ref: str, path: str) -> Iterator[Entry]:
    return rooms_of(repo).trees.below(root_of(repo, ref), path)


def _close(repo: Repository) -> None:
    cached = rooms_of(repo).cache
    if cached:
        cached.close()


def _format(authority: str) -> bytes:
    record = Format(
        authority=authority,
        chunker=CHUNKER,
        created="2026-01-01T00:00:00.000000Z",
        encryption=None,
        features={"collect": (), "read": (), "write": ()},
        hash="blake3-256",
        id="0123456789abcdef" * 2,
        kist="repository",
        version=1,
    )
    return encode_format(record)
