"""``kist save``."""

import os
import re
from pathlib import Path

import pytest
from tests.cli.running import Kist, write

from kist.engine.opening import open_repository


def test_a_folder_becomes_a_version_under_its_own_name(kist: Kist, tmp_path: Path) -> None:
    write(tmp_path / "data", a__txt="a" * 3000)
    assert re.fullmatch(r"saved data as v1 \([0-9a-f]{12}\): 1 file, 3.0 kB; 3.0 kB new\n", kist.ok("save", "data").out)
    assert kist.ok("cat", "data/a.txt").out == "a" * 3000


def test_a_name_may_be_given(kist: Kist, tmp_path: Path) -> None:
    write(tmp_path / "data", a__txt="a")
    kist.ok("save", "kept/here/", "./data/")
    assert kist.ok("ls", "kept/here").lines == ["a.txt"]


def test_the_folder_one_is_in_has_a_name(kist: Kist, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write(tmp_path / "data", a__txt="a"))
    kist.ok("save", ".")
    assert kist.ok("ls").lines == ["data/"]


def test_nothing_new_makes_no_version(saved: Kist) -> None:
    assert saved.ok("save", "data").out.startswith("data is unchanged: v2 (")
    assert saved.ok("save", "data", "--always").out.startswith("saved data as v3 (")


def test_the_whole_tree_can_be_saved(saved: Kist, tmp_path: Path) -> None:
    write(tmp_path / "all", only__txt="x")
    assert saved.ok("save", "/", "all").out.startswith("saved the whole tree as v3")
    assert saved.ok("ls").lines == ["only.txt"]


def test_message_author_labels_and_tags_are_kept(kist: Kist, tmp_path: Path) -> None:
    write(tmp_path / "data", a__txt="a")
    words = ("-m", "- why", "--author", "bob", "--label", "raw", "-l", "wet", "--tag", "site=A", "-t", "depth=12.5", "-t", "empty=")
    kist.ok("save", "data", *words)
    version, info = kist.ok("show", "--json").json, kist.ok("show", "data@v1", "--json").json
    assert (version["message"], version["author"], info["labels"]) == ("- why", "bob", ["raw", "wet"])
    assert info["tags"] == {"site": "A", "depth": 12.5, "empty": ""}


def test_patterns_leave_things_out(kist: Kist, tmp_path: Path) -> None:
    write(tmp_path / "data", a__txt="a", b__log="b", c__tmp="c")
    kist.ok("save", "data", "--ignore", "*.log", "-i", "*.tmp")
    assert kist.ok("ls", "data").lines == ["a.txt"]


def test_a_branch_takes_the_version(saved: Kist, tmp_path: Path) -> None:
    saved.ok("branch", "dev")
    write(tmp_path / "data", a__txt="other\n")
    assert saved.ok("save", "data", "--branch", "dev").out.startswith("saved data as dev:v3 (")
    assert (saved.ok("cat", "data/a.txt").out, saved.ok("cat", "data/a.txt@dev").out) == ("one\ntwo\n", "other\n")


def test_what_was_left_out_is_listed_up_to_ten(kist: Kist, tmp_path: Path) -> None:
    data = write(tmp_path / "data", a__txt="a")
    for number in range(13):
        os.mkfifo(data / f"pipe{number:02}")
    result = kist.ok("save", "data")
    assert result.err.count("kist: pipe") == 10
    assert "and 3 more things not kept" in result.err
    assert "1 file," in result.out


def test_json_says_all_of_it(kist: Kist, tmp_path: Path) -> None:
    os.mkfifo(write(tmp_path / "data", a__txt="a") / "pipe")
    first, second = kist.ok("save", "data", "--json").json, kist.ok("--json", "save", "data").json
    assert (first["name"], first["path"], first["changed"], second["changed"]) == ("v1", "data", True, False)
    assert (first["id"], first["skipped"][0]["path"]) == (second["id"], "pipe")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "say what to save"),
        (("-",), "needs a name"),
        (("/",), "has no name of its own"),
        (("data", "--tag", "site"), "write KEY=VALUE"),
        (("data", "--on-conflict", "win"), "on-conflict"),
        (("data", "--branch", "v3"), "reads like a version number"),
        (("a/../b", "data"), "segment"),
    ],
)
def test_nonsense_is_refused(kist: Kist, tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    write(tmp_path / "data", a__txt="a")
    result = kist("save", *words)
    assert (result.code, result.out) == (2, "")
    assert told in result.err


def test_a_source_that_is_missing_makes_no_version(kist: Kist) -> None:
    result = kist("save", "data", "gone")
    assert (result.code, "gone does not exist" in result.err) == (3, True)
    assert kist.ok("log", "--json").json == []


def test_a_branch_that_is_missing_is_told(saved: Kist) -> None:
    assert (saved("save", "data", "--branch", "nope").code, saved("save", "data", "--branch", "nope").err.count("\n")) == (3, 1)


def test_a_conflict_leaves_through_its_exit_code(saved: Kist, tmp_path: Path) -> None:
    result = saved("save", "data/a.txt/below", str(write(tmp_path / "more", x="x")))
    assert (result.code, "is a file" in result.err) == (5, True)


def test_the_commands_and_the_calls_are_the_same(saved: Kist) -> None:
    repository = open_repository(saved.home / "data" / "repositories" / "local" / "default")
    assert repository.read("data/a.txt", ref="v1") == b"one\n"
    assert [version.message for version in repository.log("data")] == ["second", "first"]
