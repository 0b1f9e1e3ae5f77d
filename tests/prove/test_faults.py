"""Requests fail, answers are lost, reads are damaged, writes are late: what was acknowledged stays, the rest is there whole or not."""

import contextlib
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.prove.forms import Tree, tree_of
from tests.prove.program import BRANCHES, Model, Step, random_step
from tests.prove.scale import scaled
from tests.prove.stores import SteppingClock, WithoutCreate, decided, forked

from kist.engine.cache import Cache
from kist.engine.opening import create_repository
from kist.engine.repository import Repository
from kist.errors import AlreadyExists, KistError, NotFound
from kist.stores.memory import MemoryStore
from kist.testing.faulty import ALL_FAULTS, Fault, FaultyStore

STEPS = 15
TRIES = 4
"""How often a step is repeated at most: a late request of the first try may be in the way of the second."""

OPENERS: dict[str, Callable[..., Repository]] = {"create": decided, "fork": forked}
BLINDING = {Fault.BIT_FLIP, Fault.TRUNCATED_READ, Fault.LATE}
VERBS = ("save", "transaction", "delete", "move", "tag", "branch", "forget")


class Trial:
    """A random program on a store with faults, by a seed."""

    def __init__(self, authority: str, seed: int, cache: Cache | None) -> None:
        self.chance = random.Random(f"{authority} {seed}")
        self._authority, self._open = authority, OPENERS[authority]
        self._clock = SteppingClock()
        self._inner = MemoryStore()
        create_repository(self._inner if authority == "create" else WithoutCreate(self._inner), name="faulty", clock=self._clock)
        self.faulty = FaultyStore(self._inner, seed=seed)
        self._rates = {fault: self.chance.choice((0.02, 0.05, 0.2)) for fault in self.chance.sample(ALL_FAULTS, 6)}
        self._cache = cache
        self.model = Model()
        self.acknowledged: dict[str, Tree] = {}
        self.faults: list[str] = []

    def run(self) -> None:
        """Take all steps and look after each, then once more when all that was late has arrived."""
        repo = self._open(self.faulty, self._clock, cache=self._cache)
        for number in range(STEPS):
            if self.chance.random() < 0.3:
                repo = self._open(self.faulty, self._clock, cache=self._cache)
            step = random_step(self.model, self.chance, number, verbs=VERBS)
            self._take(step, repo)
            self._look(f"after {step.verb}")
        self.faulty.flush()
        self._look("at the end")
        self._look_back()

    def _take(self, step: Step, repo: Repository) -> None:
        """Try a step; if it fails, repeat it without faults, or look what became of it."""
        after, before = self.model.after(step), self._entries()
        self.faulty.rates = self._rates
        try:
            step.act(repo, lambda: repo)
        except KistError:
            self.faulty.rates = {}
            self._count(step, before)
            if self.chance.random() < 0.7:
                self._repeat(step, repo)
            else:
                self.faulty.flush()
                if not self._holds(after):
                    after = self.model
        else:
            self._count(step, before)
        self.faulty.rates = {}
        self.model = after

    def _entries(self) -> int:
        return sum(1 for _ in self._inner.list("refs/heads/"))

    def _count(self, step: Step, before: int) -> None:
        """See that one change is one version, even if answers were lost. Only a write that is read back damaged is taken for another's."""
        if self._authority == "create" and not self._rates.keys() & BLINDING and self._entries() > before + 1:
            self.faults.append(f"{step} is {self._entries() - before} versions")

    def _repeat(self, step: Step, repo: Repository) -> None:
        """Do again what failed; that it was done already is a success."""
        for _ in range(TRIES):
            with contextlib.suppress(AlreadyExists, NotFound):
                step.act(repo, lambda: repo)
            if self._holds(self.model.after(step)):
                return
        self.faults.append(f"{step} does not succeed")

    def _holds(self, model: Model) -> bool:
        """Say whether a reader without faults sees this."""
        repo = self._open(self._inner, self._clock)
        branches = repo.branches()
        if set(branches) != set(model.branches) or any(tree_of(repo, branch) != model.tree(branch) for branch in branches):
            return False
        tags = repo.tags()
        return set(tags) == set(model.tags) and all(
            tags[tag].forgotten or tree_of(repo, tag) == model.trees[at] for tag, at in model.tags.items()
        )

    def _look(self, when: str) -> None:
        if not self._holds(self.model):
            repo = self._open(self._inner, self._clock)
            trees = {branch: tree_of(repo, branch) for branch in repo.branches()}
            self.faults.append(f"{when}: {trees} instead of { {branch: self.model.tree(branch) for branch in BRANCHES} }")

    def _look_back(self) -> None:
        """Look at all there is, and at what the cache makes of it."""
        report = self._open(self._inner, self._clock).verify("data")
        if not report.ok:
            self.faults.append(f"verify found {report.problems}")
        if self._cache and self.model.branches:
            cached = self._open(self._inner, self._clock, cache=self._cache)
            if tree_of(cached) != self.model.tree("main") or cached.log() != self._open(self._inner, self._clock).log():
                self.faults.append("the cache remembers something wrong")


@pytest.mark.parametrize("authority", OPENERS)
def test_whatever_fails_nothing_acknowledged_is_lost(authority: str, tmp_path: Path) -> None:
    found, committed = list[str](), 0
    seeds = scaled(2000)
    for seed in range(seeds):
        cache = Cache(str(tmp_path / f"{seed}.sqlite")) if seed % 4 == 0 else None
        trial = Trial(authority, seed, cache)
        trial.run()
        committed += len(trial.faulty.faults)
        found += [f"seed {seed}: {fault}" for fault in trial.faults]
        if cache:
            cache.close()
    assert found == []
    assert committed >= 10 * seeds
