"""``kist diff``."""

from pathlib import Path

import pytest
from tests.cli.running import Kist, write


def test_what_differs_is_listed(saved: Kist, tmp_path: Path) -> None:
    write(tmp_path / "data", new__txt="new")
    saved.ok("save", "data")
    assert saved.ok("diff", "v1", "v3").lines == ["~ data/a.txt", "+ data/new.txt", "- data/old.txt"]


def test_the_newer_side_is_main_if_not_said(saved: Kist) -> None:
    assert saved.ok("diff", "v1").out == saved.ok("diff", "v1", "main").out != ""


@pytest.mark.parametrize(
    "words",
    [
        ("v1", "v2", "data/a.txt"),
        ("data/a.txt@v1", "data/a.txt@v2"),
        ("data/a.txt@v1", "v2"),
        ("data/a.txt@v1", "data/a.txt"),
        ("v1", "data/a.txt@v2"),
    ],
)
def test_one_path_may_be_compared(saved: Kist, words: tuple[str, ...]) -> None:
    assert saved.ok("diff", *words).lines == ["~ data/a.txt"]


def test_different_paths_are_refused(saved: Kist) -> None:
    result = saved("diff", "data/a.txt@v1", "data/old.txt@v2")
    assert (result.code, "are different paths" in result.err) == (2, True)


def test_sizes_and_sums_are_told(saved: Kist) -> None:
    lines = saved.ok("diff", "v1", "v2", "--stat").lines
    assert lines[0].split() == ["~", "4", "B", "→", "8", "B", "data/a.txt"]
    assert lines[-1] == "2 files differ: 0 added, 1 removed, 1 modified; +0 B"


def test_no_difference_is_nothing(saved: Kist) -> None:
    assert saved.ok("diff", "v2", "v2").out == ""
    assert saved.ok("diff", "v2", "v2", "--json").json == []


def test_json_has_the_sizes(saved: Kist) -> None:
    first, second = saved.ok("diff", "v1", "v2", "--json").json
    assert first == {"path": "data/a.txt", "change": "modified", "kind": "file", "old_size": 4, "new_size": 8}
    assert (second["change"], second["new_size"]) == ("removed", None)


def test_a_ref_that_is_missing_is_told(saved: Kist) -> None:
    assert saved("diff", "v1", "v9").code == 3
