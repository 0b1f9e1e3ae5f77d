"""Paths and entries: what may be kept, how it is sorted, what counts as the same."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.parts import a_file

from kist.engine.entries import Place, check_path, same_entry, sort_key
from kist.errors import InvalidInput

segments = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=8).filter(
    lambda one: one not in {".", ".."}
)


@pytest.mark.parametrize("path", ["a", "a/b", "...", ".hidden", "a b", "logo@2x.png", "50%", "ä/漢字/🐟", "a\nb", "\\", "-", "x" * 4096])
def test_a_path_is_literal(path: str) -> None:
    assert check_path(path) == path


@pytest.mark.parametrize("path", ["", "/", "/a", "a/", "a//b", ".", "..", "a/..", "./a", "a/./b", "a\0b", "\udcff", "x" * 4097, "ä" * 2049])
def test_a_path_that_could_mean_something_else_is_refused(path: str) -> None:
    with pytest.raises(InvalidInput):
        check_path(path)


def test_the_whole_tree_has_the_empty_path_where_that_is_welcome() -> None:
    assert not check_path("", root=True)


@given(st.lists(segments, min_size=1, max_size=4), segments, st.lists(segments, min_size=1, max_size=4))
def test_the_content_of_a_folder_follows_it_directly(folder: list[str], name: str, other: list[str]) -> None:
    top, inside, elsewhere = "/".join(folder), "/".join([*folder, name]), "/".join(other)
    between = sort_key(top) < sort_key(elsewhere) < sort_key(inside)
    assert not between or elsewhere.startswith(f"{top}/")


@given(st.lists(segments, min_size=1, max_size=4), st.lists(segments, min_size=1, max_size=4))
def test_paths_sort_by_their_segments(one: list[str], two: list[str]) -> None:
    by_segments = [name.encode() for name in one] < [name.encode() for name in two]
    assert (sort_key("/".join(one)) < sort_key("/".join(two))) == by_segments


def test_where_the_bytes_lie_does_not_matter() -> None:
    one = a_file("a", b"1")
    assert same_entry(one, msgspec.structs.replace(one, place=Place(b"p" * 16, 1, 2, 3), recipe=b"r" * 32))


def test_a_later_time_matters_only_if_times_do() -> None:
    one = a_file("a", b"1")
    later = msgspec.structs.replace(one, mtime_ns=1)
    assert (same_entry(one, later), same_entry(one, later, times=False)) == (False, True)


@pytest.mark.parametrize(
    "change",
    [{"mode": 0o600}, {"labels": ("x",)}, {"tags": {"a": 1}}, {"id": "1"}, {"timestamp": "t"}, {"hash": b"h" * 32}, {"kind": "link"}],
)
def test_all_else_that_an_entry_says_matters(change: dict[str, object]) -> None:
    one = a_file("a", b"1")
    assert not same_entry(one, msgspec.structs.replace(one, **change), times=False)
