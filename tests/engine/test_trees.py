"""Trees against a sorted dictionary: looking up, listing, adding up, comparing; and that cost follows the change."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.parts import CountingStore, Shelf, a_file, examples

from kist.engine.entries import Entry, same_entry, sort_key
from kist.engine.nodes import EMPTY, Child, Leaf, Root
from kist.engine.objects import Objects, Writer
from kist.engine.packs import pack_key
from kist.engine.trees import Trees
from kist.engine.updates import update_tree
from kist.errors import IntegrityError
from kist.stores.memory import MemoryStore

Model = dict[str, Entry]

FOLDERS = ("", "a/", "a.b/", "a b/", "a/b/c/d/", "ä/", "\x01/", "L" * 700 + "/", "a/" + "M" * 900 + "/")
NAMES = ("f{}", "{}.csv", "🐟{}", "F{}" + "x" * 240, "{}" + "y" * 2000, "-{}", "\n{}")


def a_path(number: int) -> str:
    """Return the path with a number: odd ones, and many so long that a few fill a node."""
    return FOLDERS[number % len(FOLDERS)] + NAMES[number // 10 % len(NAMES)].format(number)


def an_entry(path: str, dice: random.Random) -> Entry:
    if dice.random() < 0.1:
        return Entry(path=path, kind="link", target="t", size=0)
    return a_file(path, b"%d" % dice.randrange(1000), mtime_ns=dice.randrange(3))


def a_model(seed: int, count: int) -> Model:
    """Return some entries, in tree order; folders have an entry of their own now and then."""
    dice = random.Random(seed)
    paths = {a_path(number) for number in dice.sample(range(2000), count)}
    model = {path: an_entry(path, dice) for path in paths}
    model |= {name[:-1]: Entry(path=name[:-1], kind="folder", mode=0o755) for name in FOLDERS[1:] if dice.random() < 0.3}
    return ordered(model)


def some_changes(model: Model, seed: int, count: int) -> dict[str, Entry | None]:
    dice = random.Random(seed)
    changes: dict[str, Entry | None] = {path: an_entry(path, dice) for path in (a_path(dice.randrange(2000)) for _ in range(count))}
    gone = dice.sample(sorted(model), min(count // 2, len(model)))
    start = dice.randrange(len(model)) if model else 0
    gone += list(model)[start : start + count if dice.random() < 0.3 else start]
    return changes | dict.fromkeys(gone)


def ordered(model: Model) -> Model:
    return {path: model[path] for path in sorted(model, key=sort_key)}


def applied(model: Model, changes: dict[str, Entry | None]) -> Model:
    return ordered({path: entry for path, entry in {**model, **changes}.items() if entry is not None})


def expected_listing(model: Model, folder: str) -> list[tuple[str, Entry | None, int, int]]:
    """Return path, entry, files and bytes of what lies right in a folder."""
    prefix = f"{folder}/" if folder else ""
    names = dict.fromkeys(path[len(prefix) :].partition("/")[0] for path in model if path.startswith(prefix))
    rows: list[tuple[str, Entry | None, int, int]] = []
    for path in sorted((prefix + name for name in names), key=sort_key):
        entry = model.get(path)
        inside = [one for name, one in model.items() if name.startswith(f"{path}/") and one.kind == "file"]
        if entry is not None and entry.kind != "folder":
            rows.append((path, entry, 1, entry.size))
        else:
            rows.append((path, entry, len(inside), sum(one.size for one in inside)))
    return rows


seeds = st.integers(0, 2**32)
sizes = st.one_of(st.integers(0, 10), st.integers(0, 600))


@settings(max_examples=examples(40), deadline=None)
@given(seeds, sizes, st.lists(st.tuples(seeds, st.one_of(st.integers(1, 3), st.integers(1, 200))), min_size=1, max_size=4))
def test_a_tree_depends_on_its_entries_alone(seed: int, size: int, steps: list[tuple[int, int]]) -> None:
    shelf, model = Shelf(), a_model(seed, size)
    root = shelf.build(model)
    for step_seed, count in steps:
        changes = some_changes(model, step_seed, count)
        root, model = shelf.update(root, changes), applied(model, changes)
        assert shelf.content(root) == model
        assert root.id == Shelf().build(model).id


@settings(max_examples=examples(10), deadline=None)
@given(seeds, st.integers(1, 600))
def test_a_tree_of_which_everything_goes_is_the_empty_tree(seed: int, size: int) -> None:
    shelf, model = Shelf(), a_model(seed, size)
    assert shelf.update(shelf.build(model), dict.fromkeys(model)) == EMPTY


@settings(max_examples=examples(15), deadline=None)
@given(seeds, sizes)
def test_an_update_that_changes_nothing_gives_the_same_tree(seed: int, size: int) -> None:
    shelf, model = Shelf(), a_model(seed, size)
    root = shelf.build(model)
    missing: dict[str, Entry | None] = {"not there": None, "zzz": None, "\x01\x01": None}
    assert shelf.update(root, {}).id == root.id
    assert shelf.update(root, {**dict(list(model.items())[::3]), **missing}).id == root.id


@settings(max_examples=examples(15), deadline=None)
@given(seeds, sizes)
def test_every_path_is_found_and_no_other(seed: int, size: int) -> None:
    shelf, model = Shelf(), a_model(seed, size)
    root = shelf.build(model)
    paths = {a_path(number) for number in range(0, 2000, 7)} | set(model) | {"a/b", "a/b/c", "nothing"}
    assert {path: found for path in paths if (found := shelf.trees.get(root, path))} == model


@settings(max_examples=examples(15), deadline=None)
@given(seeds, sizes)
def test_what_lies_below_a_path_comes_in_order(seed: int, size: int) -> None:
    shelf, model = Shelf(), a_model(seed, size)
    root = shelf.build(model)
    for folder in ("", "a", "a.b", "a/b", "a/b/c/d", "L" * 700, "nothing", next(iter(model), "x")):
        inside = [entry for path, entry in model.items() if not folder or path == folder or path.startswith(f"{folder}/")]
        assert list(shelf.trees.below(root, folder)) == inside


@settings(max_examples=examples(15), deadline=None)
@given(seeds, sizes)
def test_a_listing_shows_files_folders_and_what_these_hold(seed: int, size: int) -> None:
    shelf, model = Shelf(), a_model(seed, size)
    root = shelf.build(model)
    for folder in ("", "a", "a/b", "a/b/c/d", "nothing"):
        listed = [(one.path, one.entry, one.totals.files, one.totals.size) for one in shelf.trees.listing(root, folder)]
        assert listed == expected_listing(model, folder)


@settings(max_examples=examples(15), deadline=None)
@given(seeds, sizes, st.integers(0, 700))
def test_a_listing_goes_on_behind_a_name(seed: int, size: int, at: int) -> None:
    shelf, model = Shelf(), a_model(seed, size)
    root = shelf.build(model)
    whole = list(shelf.trees.listing(root, ""))
    row = at % len(whole) if whole else 0
    after = whole[row].path if whole else "x"
    assert list(shelf.trees.listing(root, "", after=after)) == whole[row + 1 :]


@settings(max_examples=examples(15), deadline=None)
@given(seeds, sizes)
def test_totals_add_up(seed: int, size: int) -> None:
    shelf, model = Shelf(), a_model(seed, size)
    root = shelf.build(model)
    for folder in ("", "a", "a/b", "L" * 700, "a/" + "M" * 900, "nothing"):
        inside = [entry for path, entry in model.items() if not folder or path.startswith(f"{folder}/")]
        files = [entry.size for entry in inside if entry.kind == "file"]
        assert shelf.trees.totals(root, folder) == (len(inside), len(files), sum(files))


@settings(max_examples=examples(15), deadline=None)
@given(seeds, sizes, seeds, sizes)
def test_differences_of_any_two_trees(seed: int, size: int, other_seed: int, other_size: int) -> None:
    shelf, one, two = Shelf(), a_model(seed, size), a_model(other_seed, other_size)
    check_differences(shelf, one, two)


@settings(max_examples=examples(15), deadline=None)
@given(seeds, sizes, seeds, st.integers(0, 20))
def test_differences_of_a_tree_and_what_became_of_it(seed: int, size: int, change_seed: int, count: int) -> None:
    shelf, model = Shelf(), a_model(seed, size)
    check_differences(shelf, model, applied(model, some_changes(model, change_seed, count)))


def check_differences(shelf: Shelf, one: Model, two: Model) -> None:
    found = list(shelf.trees.differences(shelf.build(one), shelf.build(two)))
    pairs = ((one.get(path), two.get(path)) for path in sorted({**one, **two}, key=sort_key))
    assert found == [(old, new) for old, new in pairs if old is None or new is None or not same_entry(old, new)]


def test_each_change_is_told_with_what_was_and_what_is() -> None:
    shelf, old, new = Shelf(), a_file("a", b"1"), a_file("a", b"2")
    root = shelf.build({"a": old, "b": a_file("b")})
    told: list[tuple[Entry | None, Entry | None]] = []
    changes = [(b"a", new), (b"c", new), (b"d", None)]
    update_tree(shelf.trees, shelf.writer, root, iter(changes), changed=lambda *pair: told.append(pair))
    assert told == [(old, new), (None, new), (None, None)]


def test_an_update_says_what_the_new_tree_holds() -> None:
    shelf = Shelf()
    rows = [(sort_key(path), entry) for path, entry in a_model(1, 500).items()]
    root, totals = update_tree(shelf.trees, shelf.writer, EMPTY, iter(rows), changed=lambda _old, _new: None)
    assert totals == shelf.trees.totals(root, "")


def test_trees_of_this_test_have_several_levels() -> None:
    shelf = Shelf()
    node = shelf.trees.root(shelf.build(a_model(1, 1500)))
    assert node is not None
    assert node.level >= 1
    assert len(list(shelf.trees.nodes(shelf.build(a_model(1, 1500)), set()))) > 10


def test_nodes_that_were_seen_are_not_walked_again() -> None:
    shelf, model = Shelf(), a_model(1, 1000)
    seen: set[bytes] = set()
    root = shelf.build(model)
    first = [child.id for child, _ in shelf.trees.nodes(root, seen)]
    changed = shelf.update(root, {"zzz": a_file("zzz")})
    again = [child.id for child, _ in shelf.trees.nodes(changed, seen)]
    assert len(first) == len(set(first)) > 5
    assert 1 <= len(again) <= 3


class Large:
    """A tree of 100,000 entries in a store, and the same with one change, read through a counting store."""

    def __init__(self) -> None:
        store = MemoryStore()
        self.writer = Writer(store, None)
        rows = ((sort_key(path), a_file(path, b"x")) for path in (f"top/{n // 1000:03d}/file-{n % 1000:04d}.csv" for n in range(100_000)))
        self.root, _ = update_tree(Trees(Objects(store)), self.writer, EMPTY, rows, changed=lambda _old, _new: None)
        self.writer.flush()
        self.nodes = len(self.writer.written)
        self.path = "top/050/file-0500.csv"
        change = [(sort_key(self.path), a_file(self.path, b"y"))]
        self.changed, _ = update_tree(Trees(Objects(store)), self.writer, self.root, iter(change), changed=lambda _old, _new: None)
        self.writer.flush()
        self.store = CountingStore(store)

    def requests(self, work: Callable[[Trees], object]) -> int:
        """Return how many requests some work takes with nothing remembered."""
        self.store.reset()
        work(Trees(Objects(self.store, cached_bytes=0)))
        return self.store.reads


@pytest.fixture(scope="module")
def large() -> Large:
    return Large()


def test_a_change_writes_few_nodes(large: Large) -> None:
    assert large.nodes > 100
    assert len(large.writer.written) - large.nodes <= 4


def test_a_difference_of_one_entry_reads_few_nodes(large: Large) -> None:
    found: list[tuple[Entry | None, Entry | None]] = []
    assert large.requests(lambda trees: found.extend(trees.differences(large.root, large.changed))) <= 8
    assert [entry.path for pair in found for entry in pair if entry] == [large.path] * 2


def test_a_tree_does_not_differ_from_itself_and_nothing_but_its_root_is_read(large: Large) -> None:
    assert large.requests(lambda trees: list(trees.differences(large.root, large.root))) <= 2


def test_looking_up_a_path_reads_a_node_of_each_level(large: Large) -> None:
    assert large.requests(lambda trees: trees.get(large.root, large.path)) <= 4


def test_listing_the_top_reads_few_nodes(large: Large) -> None:
    assert large.requests(lambda trees: list(trees.listing(large.root, ""))) <= 8


def test_adding_up_everything_reads_few_nodes(large: Large) -> None:
    assert large.requests(lambda trees: trees.totals(large.root, "top")) <= 8


def test_the_first_page_of_a_listing_does_not_read_the_rest(large: Large) -> None:
    assert large.requests(lambda trees: next(iter(trees.listing(large.root, "top/050")))) <= 6


def test_a_damaged_node_is_an_integrity_error() -> None:
    store = MemoryStore()
    writer = Writer(store, None)
    root, _ = update_tree(Trees(Objects(store)), writer, EMPTY, iter([(b"a", a_file("a"))]), changed=lambda _old, _new: None)
    writer.flush()
    assert root.place is not None
    store.put(pack_key(root.place.pack), b"no pack")
    with pytest.raises(IntegrityError):
        Trees(Objects(store)).get(root, "a")


def test_a_node_that_is_not_where_its_first_path_says_is_an_integrity_error() -> None:
    shelf = Shelf()
    root = shelf.build({"b": a_file("b")})
    assert root.place is not None
    with pytest.raises(IntegrityError):
        shelf.trees.child(Child("a", root.id, root.place, 1, 1, 0), 0)
    with pytest.raises(IntegrityError):
        shelf.trees.child(Child("b", root.id, root.place, 1, 1, 0), 1)


def test_an_empty_tree_has_nothing() -> None:
    trees = Shelf().trees
    assert trees.get(EMPTY, "a") is None
    assert [*trees.below(EMPTY, ""), *trees.listing(EMPTY, ""), *trees.nodes(EMPTY, set())] == []
    assert trees.totals(EMPTY, "") == (0, 0, 0)


def test_a_root_may_be_a_single_leaf() -> None:
    shelf = Shelf()
    root = shelf.build({"a": a_file("a")})
    assert isinstance(shelf.trees.root(root), Leaf)
    assert isinstance(root, Root)
