"""A repository against dictionaries: whatever is done to both, in any order, both hold the same afterwards.

Whoever writes a store can let the engine prove itself on it::

    class MyMachine(RepositoryMachine):
        def new_store(self):
            return MyStore(...)


    TestMyStore = MyMachine.TestCase

Two repositories work on the store in turn: one with a cache, which is lost or reopened now and then, and one that remembers nothing.
"""
# ruff: noqa: D102, S101  rules have names that say it, and assert

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from kist.engine.opening import create_repository, repository_on
from kist.engine.repository import Repository
from kist.errors import AlreadyExists, Conflict, InvalidInput, KistError, NotFound
from kist.models import Version
from kist.stores.memory import MemoryStore
from kist.stores.protocols import Store

__all__ = ["RepositoryMachine"]

Tree = dict[str, bytes | None]
"""What a version holds: the content of files, None for a folder that was saved by itself."""

PATHS = st.sampled_from(["a", "a/b", "a/b/c", "a.b", "d", "d/e", "ä 🐟"])
CONTENTS = st.one_of(st.binary(max_size=2), st.integers(20_000, 90_000).map(lambda size: bytes(range(251)) * (size // 251)))
FOLDERS = st.dictionaries(st.sampled_from(["f", "g/h", "g/i", "j"]), st.binary(max_size=2), max_size=3)
NAMES = st.sampled_from(["dev", "one", "two"])
BRANCHES = st.sampled_from(["main", "dev", "one"])


class Model:
    """Branches, tags and versions in dictionaries."""

    def __init__(self) -> None:
        self.trees: dict[str, Tree] = {}
        self.parents: dict[str, list[str]] = {}
        self.branches: dict[str, str] = {}
        self.tags: dict[str, str] = {}

    def head(self, branch: str) -> Tree:
        """Return what a branch holds.

        Raises:
            NotFound: there is no such branch.
        """
        if branch not in self.branches and branch != "main":
            raise NotFound(branch)
        return self.trees.get(self.branches.get(branch, ""), {})

    def commit(self, branch: str, tree: Tree, version: str, *, merged: str = "") -> None:
        """Note a version."""
        head = [self.branches[branch]] if branch in self.branches else []
        self.trees[version], self.parents[version] = tree, head + ([merged] if merged else [])
        self.branches[branch] = version

    def line(self, version: str) -> list[str]:
        """Return a version and its first parents."""
        found = []
        while version:
            found.append(version)
            version = next(iter(self.parents[version]), "")
        return found

    def ancestors(self, version: str) -> set[str]:
        """Return a version and all versions that it builds on."""
        found, todo = set(), [version]
        while todo:
            one = todo.pop()
            if one not in found:
                found.add(one)
                todo += self.parents[one]
        return found

    def merge(self, branch: str, version: str) -> Tree | None:
        """Return what merging a version into a branch gives; None if nothing is to be done.

        Raises:
            Conflict: both changed a path, each differently, or something would be below a file.
        """
        ours = self.head(branch)
        if branch in self.branches and version in self.ancestors(self.branches[branch]):
            return None
        return merged(self.base(self.branches.get(branch), version), ours, self.trees[version])

    def base(self, one: str | None, two: str) -> Tree:
        """Return what the best common ancestors of two versions hold, merged if they are several."""
        common = self.ancestors(one) & self.ancestors(two) if one else set()
        best = [version for version in common if not any(version in self.ancestors(other) for other in common - {version})]
        if len(best) > 1:
            raise NotImplementedError
        return self.trees[best[0]] if best else {}


def merged(base: Tree, ours: Tree, theirs: Tree) -> Tree:
    """Return the three-way merge of trees.

    Raises:
        Conflict: both changed a path, each differently, or something would be below a file.
    """
    missing = object()
    result = dict(ours)
    for path in {*base, *theirs}:
        before, mine, their = (tree.get(path, missing) for tree in (base, ours, theirs))
        if their == before:
            continue
        if mine not in (before, their):
            raise Conflict(path)
        result.pop(path, None)
        if path in theirs:
            result[path] = theirs[path]
    if any(result.get(above) is not None for path in result for above in above_of(path)):
        raise Conflict("below a file")
    return result


def above_of(path: str) -> list[str]:
    """Return the folders above a path."""
    return [path[:at] for at, sign in enumerate(path) if sign == "/"]


def inside(tree: Tree, path: str) -> list[str]:
    """Return what a tree has at and below a path."""
    return [one for one in tree if one == path or one.startswith(f"{path}/")]


def check_above(tree: Tree, path: str) -> None:
    """Refuse a path below a file.

    Raises:
        Conflict: it is.
    """
    if any(tree.get(above) is not None for above in above_of(path)):
        raise Conflict("below a file")


def put(tree: Tree, path: str, found: Tree) -> Tree:
    """Return a tree in which something takes the place of all at and below a path.

    Raises:
        Conflict: a file is where a folder must be.
    """
    check_above(tree, path)
    return {one: content for one, content in tree.items() if one not in inside(tree, path)} | found


def delete(tree: Tree, path: str) -> Tree:
    """Return a tree without a path and all below.

    Raises:
        NotFound: there is nothing.
    """
    gone = inside(tree, path)
    if not gone:
        raise NotFound(path)
    return {one: content for one, content in tree.items() if one not in gone}


def move(tree: Tree, source: str, destination: str) -> Tree:
    """Return a tree in which a path has another name.

    Raises:
        KistError: as `Repository.move`.
    """
    if f"{destination}/".startswith(f"{source}/"):
        raise InvalidInput(destination)
    if inside(tree, destination):
        raise AlreadyExists(destination)
    check_above(tree, destination)
    moved = {destination + one[len(source) :]: tree[one] for one in inside(tree, source)}
    return delete(tree, source) | moved


class RepositoryMachine(RuleBasedStateMachine):
    """Does the same to a repository and to dictionaries. Subclasses say on which store."""

    def new_store(self) -> Store:
        """Return an empty store."""
        return MemoryStore()

    @initialize()
    def begin(self) -> None:
        self.model = Model()
        self.folder = tempfile.TemporaryDirectory(prefix="kist-machine-")
        self.store = self.new_store()
        self.numbers = 0
        create_repository(self.store, name="machine")
        self.open()
        self.turn = 0

    def teardown(self) -> None:
        if hasattr(self, "store"):
            assert self.repository(cached=False).verify("data").problems == ()
            for name in ("main", *self.model.branches):
                self.compare(self.repository(cached=False), name, self.model.head(name))
            self.folder.cleanup()

    def repository(self, *, cached: bool) -> Repository:
        """Open the repository anew."""
        return repository_on(self.store, name=f"{self.folder.name}/{self.numbers}", cached=cached)

    def open(self) -> None:
        """Let two of them work in turn."""
        self.pair = [self.repository(cached=True), self.repository(cached=False)]

    @property
    def repo(self) -> Repository:
        """The one whose turn it is."""
        self.turn += 1
        return self.pair[self.turn % 2]

    # What changes something

    @rule(path=PATHS, content=CONTENTS, branch=BRANCHES, always=st.booleans())
    def save_content(self, path: str, content: bytes, branch: str, *, always: bool) -> None:
        self.both(
            branch,
            lambda tree: put(tree, path, {path: content}),
            lambda: self.repo.save(path, content, branch=branch, always=always),
            always=always,
        )

    @rule(path=PATHS, files=FOLDERS, branch=BRANCHES)
    def save_folder(self, path: str, files: dict[str, bytes], branch: str) -> None:
        found: Tree = dict.fromkeys([path, *(f"{path}/{above}" for one in files for above in above_of(one))])
        found |= {f"{path}/{one}": content for one, content in files.items()}
        with self.local(files) as top:
            self.both(branch, lambda tree: put(tree, path, found), lambda: self.repo.save(path, top, branch=branch))

    @rule(path=PATHS, branch=BRANCHES)
    def delete(self, path: str, branch: str) -> None:
        self.both(branch, lambda tree: delete(tree, path), lambda: self.repo.delete(path, branch=branch))

    @rule(source=PATHS, destination=PATHS, branch=BRANCHES)
    def move(self, source: str, destination: str, branch: str) -> None:
        self.both(branch, lambda tree: move(tree, source, destination), lambda: self.repo.move(source, destination, branch=branch))

    @rule(paths=st.lists(PATHS, min_size=1, max_size=3), content=CONTENTS, branch=BRANCHES)
    def several_at_once(self, paths: list[str], content: bytes, branch: str) -> None:
        def model(tree: Tree) -> Tree:
            for path in paths:
                tree = put(tree, path, {path: content})
            return delete(tree, paths[0])

        def engine() -> Version:
            with self.repo.transaction(branch=branch) as change:
                for path in paths:
                    change.put(path, content)
                change.delete(paths[0])
            return change.version

        self.both(branch, model, engine)

    @precondition(lambda self: self.model.trees)
    @rule(data=st.data(), branch=BRANCHES)
    def merge(self, data: st.DataObject, branch: str) -> None:
        version = self.any_version(data)
        try:
            expected = self.model.merge(branch, version)
        except NotImplementedError:
            return
        except KistError as error:
            self.refused(type(error), lambda: self.repo.merge(version, branch=branch))
            return
        head = self.model.branches.get(branch)
        is_empty = expected is None or self.model.base(head, version) == self.model.trees[version]
        made = self.repo.merge(version, branch=branch)
        if expected is None or (is_empty and made.id == head):
            assert made.id == head
        else:
            assert made.id not in self.model.trees
            self.model.commit(branch, expected, made.id, merged=version)
            self.compare(self.repo, branch, expected)

    @precondition(lambda self: self.model.trees)
    @rule(name=NAMES, data=st.data(), kind=st.sampled_from(["tag", "branch"]))
    def give_a_name(self, name: str, data: st.DataObject, kind: str) -> None:
        version = self.any_version(data)
        give = getattr(self.repo, kind)
        if name in self.model.tags or name in self.model.branches:
            self.refused(AlreadyExists, lambda: give(name, version))
            return
        assert give(name, version).id == version
        (self.model.tags if kind == "tag" else self.model.branches)[name] = version

    # What changes nothing

    @rule()
    def reopen(self) -> None:
        self.open()

    @rule()
    def lose_the_cache(self) -> None:
        self.numbers += 1
        self.open()

    @precondition(lambda self: self.model.trees)
    @rule(data=st.data())
    def read_any_version(self, data: st.DataObject) -> None:
        version = self.any_version(data)
        refs = [version, version[:12]] + [name for name, one in (self.model.tags | self.model.branches).items() if one == version]
        self.compare(self.repo, data.draw(st.sampled_from(refs)), self.model.trees[version])

    @precondition(lambda self: self.model.trees)
    @rule(data=st.data())
    def compare_any_two(self, data: st.DataObject) -> None:
        one, two = self.any_version(data), self.any_version(data)
        old, new = self.model.trees[one], self.model.trees[two]
        missing = object()
        expected = {path for path in {*old, *new} if old.get(path, missing) != new.get(path, missing)}
        assert {difference.path for difference in self.repo.diff(one, two)} == expected

    @rule(branch=BRANCHES)
    def read_the_log(self, branch: str) -> None:
        version = self.model.branches.get(branch) or self.model.tags.get(branch)
        if version is None:
            if branch != "main":
                self.refused(NotFound, lambda: self.repo.log(branch=branch))
            return
        expected = self.model.line(version)
        assert [version.id for version in self.repo.log(branch=branch)] == expected

    @rule(branch=BRANCHES, path=PATHS)
    def read_the_log_of_a_path(self, branch: str, path: str) -> None:
        if branch not in self.model.branches:
            return
        line = self.model.line(self.model.branches[branch])
        below = [{one: tree[one] for one in inside(tree, path)} for tree in (self.model.trees[version] for version in line)] + [{}]
        expected = [version for number, version in enumerate(line) if below[number] != below[number + 1]]
        assert [version.id for version in self.repo.log(path, branch=branch)] == expected

    @rule(name=PATHS)
    def look_at_a_path(self, name: str) -> None:
        tree = self.model.head("main")
        found = inside(tree, name)
        if not found:
            self.refused(NotFound, lambda: self.repo.stat(name))
            return
        info = self.repo.stat(name)
        contents = [content for one in found if (content := tree[one]) is not None]
        assert (info.kind == "folder") == (tree.get(name) is None)
        assert (info.size, info.files) == (sum(map(len, contents)), len(contents))

    # How both are compared

    def both(self, branch: str, model: Callable[[Tree], Tree], engine: Callable[[], Version], *, always: bool = False) -> None:
        """Do a change to both; if the model refuses it, so must the engine, and nothing may have happened."""
        try:
            before = self.model.head(branch)
            tree = model(before)
        except KistError as error:
            self.refused(type(error), engine)
            return
        if tree == before and not always:
            if branch not in self.model.branches:
                self.refused(InvalidInput, engine)
            else:
                assert engine().id == self.model.branches[branch]
            return
        version = engine()
        assert version.id not in self.model.trees
        self.model.commit(branch, tree, version.id)
        self.compare(self.repo, branch, tree)

    def refused(self, error: type[KistError], act: Callable[[], object]) -> None:
        """Expect an error of exactly this class."""
        try:
            act()
        except KistError as caught:
            found = caught
        else:
            raise AssertionError(f"{error.__name__} was expected")
        assert type(found) is error, found

    def compare(self, repo: Repository, ref: str, tree: Tree) -> None:
        """Compare all that a ref holds."""
        if not self.model.trees:
            return
        walked = {one.path: None if one.kind == "folder" else repo.read(one.path, ref=ref) for one in repo.walk(ref=ref)}
        assert walked == tree
        assert [one.path for one in repo.tree(ref=ref)] == sorted({path.partition("/")[0] for path in tree}, key=str.encode)

    def any_version(self, data: st.DataObject) -> str:
        """Draw one of the versions that there are."""
        versions = list(self.model.trees)
        return versions[data.draw(st.integers(0, len(versions) - 1))]

    @contextmanager
    def local(self, files: dict[str, bytes]) -> Iterator[Path]:
        """Make a folder on this machine."""
        with tempfile.TemporaryDirectory(dir=self.folder.name) as top:
            for path, content in files.items():
                file = Path(top, path)
                file.parent.mkdir(exist_ok=True)
                file.write_bytes(content)
            yield Path(top)
