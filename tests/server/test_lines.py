"""Comparing texts line by line."""

from difflib import SequenceMatcher

from hypothesis import given
from hypothesis import strategies as st

from kist.server.lines import MAX_EDITS, Line, compare_lines

TEXTS = st.lists(st.sampled_from("abcd"), max_size=30)


def sketch(lines: list[Line]) -> list[str]:
    """Return lines as a diff would write them."""
    signs = {"same": " ", "removed": "-", "added": "+"}
    return [f"...{line.skipped}" if line.change == "gap" else signs[line.change] + line.text for line in lines]


def longest_common(old: list[str], new: list[str]) -> int:
    """Return the length of the longest common subsequence, by the book."""
    above = [0] * (len(new) + 1)
    for one in old:
        row = [0]
        for at, two in enumerate(new):
            row.append(above[at] + 1 if one == two else max(row[at], above[at + 1]))
        above = row
    return above[-1]


def test_equal_texts_have_no_difference() -> None:
    assert compare_lines(["a", "b"], ["a", "b"]) == []


def test_a_change_is_shown_with_three_lines_around_it() -> None:
    old = [str(number) for number in range(20)]
    new = [*old[:10], "new", *old[11:]]
    assert sketch(compare_lines(old, new)) == ["...7", " 7", " 8", " 9", "-10", "+new", " 11", " 12", " 13", "...6"]


def test_lines_have_their_numbers_in_both_texts() -> None:
    lines = compare_lines(["a", "c"], ["a", "b", "c"])
    assert [(line.old, line.new) for line in lines] == [(1, 1), (None, 2), (2, 3)]


def test_a_new_text_is_all_added() -> None:
    assert sketch(compare_lines([], ["a", "b"])) == ["+a", "+b"]


@given(TEXTS, TEXTS)
def test_both_texts_can_be_read_off(old: list[str], new: list[str]) -> None:
    lines = compare_lines(old, new)
    for side, text, others in (("old", old, {"same", "removed"}), ("new", new, {"same", "added"})):
        at = 0
        for line in lines:
            if line.change == "gap":
                at += line.skipped
            elif line.change in others:
                assert (getattr(line, side), line.text) == (at + 1, text[at])
                at += 1
        assert at == len(text) or not lines


@given(TEXTS, TEXTS)
def test_no_shorter_script_exists(old: list[str], new: list[str]) -> None:
    edits = sum(line.change in {"added", "removed"} for line in compare_lines(old, new))
    assert edits == len(old) + len(new) - 2 * longest_common(old, new)


def test_texts_that_differ_too_much_are_replaced_as_a_whole() -> None:
    old = [f"old {number}" for number in range(20_000)]
    new = [f"new {number}" for number in range(20_000)]
    lines = compare_lines(["head", *old, "tail"], ["head", *new, "tail"])
    assert [line.change for line in lines] == ["same", *["removed"] * 20_000, *["added"] * 20_000, "same"]


def test_as_many_edits_as_allowed_are_found_one_by_one() -> None:
    old = [str(number) for number in range(4000)]
    new = [line for number, line in enumerate(old) if number % 10 or number >= 10 * MAX_EDITS]
    assert SequenceMatcher(None, old, new, autojunk=False).ratio() > 0.9
    assert sum(line.change == "removed" for line in compare_lines(old, new)) == 400
