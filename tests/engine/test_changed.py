"""Which paths a version changed: a list while they are few, then a filter that never denies one."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.parts import a_file, examples

from kist.engine.changed import ChangedPaths, filter_has, with_folders
from kist.engine.entries import Place, sort_key


def changed(*paths: str) -> ChangedPaths:
    found = ChangedPaths()
    for path in sorted(paths, key=sort_key):
        found(None, a_file(path))
    return found


def test_few_paths_are_listed_in_the_order_of_trees() -> None:
    found = changed("a.b", "a/b", "a")
    assert (found.listed(), found.filter()) == (("a", "a/b", "a.b"), b"")


def test_a_thousand_paths_are_listed() -> None:
    assert len(changed(*(f"f{number}" for number in range(1000))).listed() or ()) == 1000


def test_more_are_not() -> None:
    found = changed(*(f"f{number}" for number in range(1001)))
    assert found.listed() is None
    assert found.filter()


@settings(max_examples=examples(5), deadline=None)
@given(st.integers(1001, 12_000), st.integers(1, 50))
def test_a_filter_denies_no_path_and_no_folder_above_one(count: int, width: int) -> None:
    paths = [f"top/{number % width}/f{number}" for number in range(count)]
    data = changed(*paths).filter()
    assert all(filter_has(data, one) for path in paths[:: 1 + count // 500] for one in with_folders(path))


def test_a_filter_denies_most_of_what_did_not_change() -> None:
    data = changed(*(f"f{number}" for number in range(2000))).filter()
    assert sum(filter_has(data, f"other{number}") for number in range(2000)) < 60


def test_the_filter_of_very_many_paths_is_small_and_denies_nothing() -> None:
    data = changed(*(f"f{number}" for number in range(10_001))).filter()
    assert len(data) < 100
    assert filter_has(data, "anything")


@pytest.mark.parametrize("change", [{"mtime_ns": 5}, {"place": Place(b"p" * 16, 0, 0, 0)}])
def test_a_time_or_a_place_alone_is_no_change(change: dict[str, object]) -> None:
    found, entry = ChangedPaths(), a_file("a", b"1")
    found(entry, msgspec.structs.replace(entry, **change))
    assert (found.count, found.listed()) == (0, ())


def test_what_came_went_or_became_something_else_is_counted() -> None:
    found, entry = ChangedPaths(), a_file("a", b"1")
    found(None, entry)
    found(a_file("b"), None)
    found(a_file("c", b"1"), a_file("c", b"2"))
    assert (found.count, found.listed()) == (3, ("a", "b", "c"))


def test_nothing_that_stays_nothing_is_no_change() -> None:
    found = ChangedPaths()
    found(None, None)
    assert found.count == 0


def test_the_folders_above_a_path_end_with_the_whole_tree() -> None:
    assert list(with_folders("a/b/c")) == ["a/b/c", "a/b", "a", ""]
