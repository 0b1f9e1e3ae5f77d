"""Random programs for a repository, and the dictionary that says what must come of them."""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from tests.prove.actions import noise
from tests.prove.forms import Form, Tree, content

from kist.engine.repository import Repository

PATHS = ("a", "b/x", "b/y/z", "c.txt", "d/e/f", "long name.csv")
BRANCHES = ("main", "dev")
SIZES = (0, 1, 700, 30_000, 200_000)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One change; what it saves are `size_bytes` random bytes, those of `seed`."""

    verb: str
    path: str = ""
    to: str = ""
    branch: str = "main"
    seed: str = ""
    size_bytes: int = 0

    def act(self, repo: Repository, collector: Callable[[], Repository]) -> None:
        """Do it; `collector` opens the repository anew, with no grace."""
        VERBS[self.verb](self, repo, collector)


def _transaction(step: Step, repo: Repository, _: Callable[[], Repository]) -> None:
    with repo.transaction("two", branch=step.branch) as change:
        change.put(step.path, noise(step.seed, step.size_bytes))
        change.put(step.to, noise(f"{step.seed} too", step.size_bytes))


VERBS: dict[str, Callable[[Step, Repository, Callable[[], Repository]], object]] = {
    "save": lambda step, repo, _: repo.save(step.path, noise(step.seed, step.size_bytes), branch=step.branch),
    "transaction": _transaction,
    "delete": lambda step, repo, _: repo.delete(step.path, branch=step.branch),
    "move": lambda step, repo, _: repo.move(step.path, step.to, branch=step.branch),
    "tag": lambda step, repo, _: repo.tag(step.path),
    "branch": lambda step, repo, _: repo.branch(step.path),
    "forget": lambda step, repo, _: repo.forget([step.path], imsure=True),
    "collect": lambda _, __, collector: collector().collect(),
    "repair": lambda _, repo, __: repo.repair(),
}


@dataclass(frozen=True)
class Model:
    """What a repository holds: the tree of each version, the versions of each branch, newest last, that of each tag, those forgotten."""

    trees: tuple[Tree, ...] = ()
    branches: dict[str, tuple[int, ...]] = field(default_factory=dict)
    tags: dict[str, int] = field(default_factory=dict)
    forgotten: frozenset[int] = frozenset()

    def tree(self, branch: str) -> Tree:
        """Return what a branch holds now."""
        versions = self.branches.get(branch, ())
        return self.trees[versions[-1]] if versions else {}

    def after(self, step: Step) -> "Model":
        """Return what a step makes of it."""
        if step.verb == "tag":
            return replace(self, tags={**self.tags, step.path: self.branches["main"][-1]})
        if step.verb == "branch":
            return replace(self, branches={**self.branches, step.path: self.branches["main"]})
        if step.verb == "forget":
            branch, _, number = step.path.partition(":v")
            return replace(self, forgotten=self.forgotten | {self.branches[branch][int(number) - 1]})
        if step.verb in ("collect", "repair"):
            return self
        tree = dict(self.tree(step.branch))
        if step.verb in ("save", "transaction"):
            tree[step.path] = content(noise(step.seed, step.size_bytes))
        if step.verb == "transaction":
            tree[step.to] = content(noise(f"{step.seed} too", step.size_bytes))
        if step.verb in ("delete", "move"):
            what = tree.pop(step.path)
            if step.verb == "move":
                tree[step.to] = what
        versions = self.branches.get(step.branch, ())
        if versions and tree == self.tree(step.branch):
            return self
        return replace(self, trees=(*self.trees, tree), branches={**self.branches, step.branch: (*versions, len(self.trees))})

    def form(self) -> Form:
        """Return it as a repository's form."""
        trees = [None if number in self.forgotten else tree for number, tree in enumerate(self.trees)]
        branches = {branch: [trees[version] for version in reversed(versions)] for branch, versions in self.branches.items()}
        return Form(branches, {tag: trees[version] for tag, version in self.tags.items()})

    def old(self) -> list[str]:
        """Return the refs of versions that may be forgotten: those that no branch has as its head."""
        heads = {versions[-1] for versions in self.branches.values()}
        return [
            f"{branch}:v{number}"
            for branch, versions in self.branches.items()
            for number, version in enumerate(versions, 1)
            if version not in heads | self.forgotten
        ]


def random_step(model: Model, chance: random.Random, number: int, *, verbs: Iterable[str] = VERBS) -> Step:
    """Return a step with one of some verbs that makes sense now; `number` is of none before."""
    branch = chance.choice([branch for branch in BRANCHES if branch in model.branches] or ["main"])
    tree = model.tree(branch)
    free = [path for path in PATHS if path not in tree]
    sensible = ["save"] * 5 + ["transaction"] * 2
    if len(tree) > 1:
        sensible += ["delete", "move"] if free else ["delete"]
    if model.branches:
        sensible += ["tag", "collect", "repair"] + (["branch"] if "dev" not in model.branches else [])
    if old := model.old():
        sensible += ["forget"]
    verb = chance.choice([verb for verb in sensible if verb in verbs])
    seed, size_bytes = f"{number} {chance.random()}", chance.choice(SIZES)
    one, two = chance.sample(PATHS, 2)
    special = {"tag": f"tag-{number}", "branch": "dev", "forget": chance.choice(old or [""])}
    if verb in special:
        return Step(verb=verb, path=special[verb])
    if verb in ("move", "delete"):
        return Step(verb=verb, path=chance.choice(sorted(tree)), to=chance.choice(free or [""]), branch=branch)
    return Step(verb=verb, path=one, to=two, branch=branch, seed=seed, size_bytes=size_bytes)


def random_program(model: Model, chance: random.Random, *, steps: int, number: int) -> tuple[list[Step], list[Model]]:
    """Return random steps, and what is there before the first one and after each; `number` and those above it were not used before."""
    made, models = list[Step](), [model]
    for at in range(steps):
        made.append(random_step(models[-1], chance, number + at))
        models.append(models[-1].after(made[-1]))
    return made, models
