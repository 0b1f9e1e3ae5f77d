"""Three-way merges: what either side changed is there, theirs wins, and nothing ever lies below a file."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.parts import Shelf, a_file, examples

from kist.engine.entries import Entry, same_entry
from kist.engine.merging import merge

Model = dict[str, Entry]
PATHS = ("a", "a/b", "a/b/c", "a/b/d", "a.b", "e", "e/f", "g")


def an_entry(path: str, what: int) -> Entry:
    if what == 0:
        return Entry(path=path, kind="folder", mode=0o755)
    if what == 1:
        return Entry(path=path, kind="link", target="t")
    return a_file(path, b"%d" % what)


def above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def is_tree(model: Model) -> bool:
    return all(model[one].kind == "folder" for path in model for one in above(path) if one in model)


@st.composite
def models(draw: st.DrawFn) -> Model:
    """Some entries, none of them below a file or a link."""
    model: Model = {}
    for path in PATHS:
        what = draw(st.integers(-3, 4))
        if what >= 0 and all(one not in model or model[one].kind == "folder" for one in above(path)):
            model[path] = an_entry(path, what)
    return model


def changed(old: Model, new: Model) -> set[str]:
    def differs(path: str) -> bool:
        one, two = old.get(path), new.get(path)
        return one is not two if one is None or two is None else not same_entry(one, two)

    return {path for path in {*old, *new} if differs(path)}


def merged(base: Model, ours: Model, theirs: Model) -> tuple[Model, list[str]]:
    shelf = Shelf()
    root = shelf.build(ours)
    found = merge(shelf.trees, shelf.build(base), root, shelf.build(theirs))
    return shelf.content(shelf.update(root, {new_path(key): entry for key, entry in found.changes})), found.conflicts


def new_path(key: bytes) -> str:
    return key.replace(b"\0", b"/").decode()


@settings(max_examples=examples(200), deadline=None)
@given(models(), models(), models())
def test_nothing_lies_below_a_file(base: Model, ours: Model, theirs: Model) -> None:
    assert is_tree(merged(base, ours, theirs)[0])


@settings(max_examples=examples(200), deadline=None)
@given(models(), models(), models())
def test_what_they_changed_is_as_they_made_it(base: Model, ours: Model, theirs: Model) -> None:
    result, _ = merged(base, ours, theirs)
    for path in changed(base, theirs):
        assert result.get(path) == theirs.get(path)


@settings(max_examples=examples(200), deadline=None)
@given(models(), models(), models())
def test_what_they_did_not_touch_is_as_we_had_it_or_named_as_a_conflict(base: Model, ours: Model, theirs: Model) -> None:
    result, conflicts = merged(base, ours, theirs)
    hit = {one for path in conflicts for one in (path, *above(path))}
    for path in {*ours, *result} - changed(base, theirs):
        assert path in hit or result.get(path) == ours.get(path)


@settings(max_examples=examples(100), deadline=None)
@given(models(), models(), models())
def test_a_path_that_both_changed_differently_is_a_conflict(base: Model, ours: Model, theirs: Model) -> None:
    _, conflicts = merged(base, ours, theirs)
    both = changed(base, ours) & changed(base, theirs)
    assert {path for path in both if ours.get(path) != theirs.get(path)} <= set(conflicts)


@settings(max_examples=examples(200), deadline=None)
@given(models(), models(), models())
def test_without_conflicts_it_does_not_matter_who_merges(base: Model, ours: Model, theirs: Model) -> None:
    one, conflicts = merged(base, ours, theirs)
    two, others = merged(base, theirs, ours)
    if not conflicts:
        assert (one, []) == (two, others)


@settings(max_examples=examples(50), deadline=None)
@given(models(), models())
def test_who_changed_nothing_gets_what_the_other_made(base: Model, other: Model) -> None:
    ordered = dict(sorted(other.items(), key=lambda item: item[0].encode().replace(b"/", b"\0")))
    assert merged(base, base, other) == (ordered, [])
    assert merged(base, other, base) == (ordered, [])


@settings(max_examples=examples(50), deadline=None)
@given(models(), models())
def test_who_made_the_same_has_no_conflict(base: Model, both: Model) -> None:
    assert merged(base, both, both)[1] == []


@pytest.mark.parametrize(
    ("ours", "theirs", "result", "conflicts"),
    [
        ({"a": "file"}, {"a/b": "file"}, ["a/b"], ["a/b"]),
        ({"a/b": "file"}, {"a": "file"}, ["a"], ["a/b"]),
        ({"a/b/c": "file", "a/d": "file"}, {"a": "link"}, ["a"], ["a/b/c", "a/d"]),
        ({"a": "folder"}, {"a/b": "file"}, ["a", "a/b"], []),
        ({"a/b": "file"}, {"a": "folder"}, ["a", "a/b"], []),
        ({"a": "folder"}, {"a": "file"}, ["a"], ["a"]),
        ({"a": "file"}, {"b": "file"}, ["a", "b"], []),
        ({"a/b": "file"}, {"a.b": "file", "a/c": "file"}, ["a.b", "a/b", "a/c"], []),
    ],
    ids=str,
)
def test_what_meets_in_an_empty_tree(ours: dict[str, str], theirs: dict[str, str], result: list[str], conflicts: list[str]) -> None:
    def model(kinds: dict[str, str]) -> Model:
        return {path: an_entry(path, {"folder": 0, "link": 1, "file": 2}[kind]) for path, kind in kinds.items()}

    found, named = merged({}, model(ours), model(theirs))
    assert (sorted(found), named) == (result, conflicts)


def test_what_one_side_removed_and_the_other_changed_is_a_conflict_that_the_change_survives_on_their_side() -> None:
    base, changed_one = {"a": a_file("a", b"1")}, {"a": a_file("a", b"2")}
    assert merged(base, {}, changed_one) == (changed_one, ["a"])
    assert merged(base, changed_one, {}) == ({}, ["a"])


def test_what_both_removed_is_no_conflict() -> None:
    assert merged({"a": a_file("a")}, {}, {}) == ({}, [])


@pytest.mark.parametrize(
    "result", [{}, {"a": a_file("a", b"2", mtime_ns=5)}, {"a": Entry(path="a", kind="link", target="t")}], ids=["removed", "other", "link"]
)
def test_another_time_alone_yields_to_every_other_change(result: Model) -> None:
    base, touched = {"a": a_file("a", b"1", mtime_ns=1)}, {"a": a_file("a", b"1", mtime_ns=9)}
    assert merged(base, result, touched) == merged(base, touched, result) == (result, [])


def test_another_time_alone_is_brought_along() -> None:
    base, touched = {"a": a_file("a", b"1", mtime_ns=1)}, {"a": a_file("a", b"1", mtime_ns=9)}
    assert merged(base, base, touched) == (touched, [])


def test_other_times_on_both_sides_are_no_conflict() -> None:
    base, ours, theirs = ({"a": a_file("a", b"1", mtime_ns=time)} for time in (1, 2, 3))
    assert merged(base, ours, theirs) == (theirs, [])
