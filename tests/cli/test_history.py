"""``kist log`` and ``kist show``."""

from pathlib import Path

import pytest
from tests.cli.running import Kist, write

from kist.engine.opening import create_repository, open_repository
from kist.stores.local import LocalStore


class Plain:
    """A store in a folder that has no conditions: writers fork there."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        inner = LocalStore(folder)
        self.get, self.get_range, self.head, self.list = inner.get, inner.get_range, inner.head, inner.list
        self.list_folders, self.put, self.delete = inner.list_folders, inner.put, inner.delete


def test_versions_are_listed_newest_first(saved: Kist) -> None:
    head, second, first = saved.ok("log").lines
    assert head.split() == ["version", "id", "time", "author", "files", "size", "new", "refs", "message"]
    assert (second.split()[0], second.split()[-2:]) == ("v2", ["main", "second"])
    assert (first.split()[0], first.split()[-1], "ada" in first) == ("v1", "first", True)


def test_no_more_than_the_limit(saved: Kist) -> None:
    assert [version["name"] for version in saved.ok("log", "-n", "1", "--json").json] == ["v2"]


def test_a_path_has_the_versions_that_changed_it(saved: Kist) -> None:
    names = [
        [version["name"] for version in saved.ok("log", path, "--json").json] for path in ("data/a.txt", "data/sub/", "data@v1", "@v1")
    ]
    assert names == [["v2", "v1"], ["v1"], ["v1"], ["v1"]]


def test_branches_and_tags_stand_beside_their_version(saved: Kist) -> None:
    saved.ok("tag", "release", "v1")
    saved.ok("branch", "dev", "v1")
    assert [version["refs"] for version in saved.ok("log", "--json").json] == [["main"], ["dev", "release"]]
    assert "dev, release" in saved.ok("log").lines[2]


def test_a_branch_has_its_own_log(saved: Kist) -> None:
    saved.ok("branch", "dev", "v1")
    assert [version["name"] for version in saved.ok("log", "--branch", "dev", "--json").json] == ["dev:v1"]


def test_a_forgotten_version_stays_and_says_so(saved: Kist) -> None:
    saved.ok("forget", "v1", "--imsure")
    assert "(forgotten) first" in saved.ok("log").lines[2]
    assert "(forgotten)" in saved.ok("show", "v1").lines[0]


def test_doubled_numbers_are_told_apart(saved: Kist, tmp_path: Path) -> None:
    made = create_repository(Plain(tmp_path / "forked"), name=str(tmp_path / "forked"))
    made.save("a", b"a")
    with made.transaction() as one:
        one.put("one", b"1")
        open_repository(tmp_path / "forked").save("two", b"2")
    names = [line.split()[0] for line in saved.ok("-r", str(tmp_path / "forked"), "log").lines[1:]]
    doubled = [name for name in names if name.startswith("v2-")]
    assert (len(doubled), len(set(doubled)), len(doubled[0])) == (2, 2, len("v2-01234567"))
    assert saved("-r", str(tmp_path / "forked"), "show", "v2").code == 2
    assert saved.ok("-r", str(tmp_path / "forked"), "show", doubled[0]).lines[1].startswith("id:")


def test_a_message_keeps_to_its_line_and_colour(kist: Kist, tmp_path: Path) -> None:
    write(tmp_path / "data", a__txt="a")
    kist.ok("save", "data", "-m", "one\ntwo \x1b[31mred")
    assert kist.ok("log").lines[1].endswith(r"one two \x1b[31mred")
    assert kist.ok("show").lines[-2:] == ["    one", r"    two \x1b[31mred"]


def test_a_path_that_never_was_has_no_versions(saved: Kist) -> None:
    result = saved.ok("log", "nope")
    assert (result.out, "no version has 'nope'" in result.err) == ("", True)


def test_a_version_is_shown_with_its_changes(saved: Kist) -> None:
    lines = saved.ok("show").lines
    assert lines[0] == "version v2 (main)"
    assert lines[-2:] == ["~ data/a.txt", "- data/old.txt"]
    assert saved.ok("show", "v2").out == saved.ok("show", "@v2").out == saved.ok("show", "main").out


def test_many_changes_are_counted(saved: Kist, tmp_path: Path) -> None:
    write(tmp_path / "many", **{f"f{number:02}": "x" for number in range(20)})
    saved.ok("save", "many")
    assert saved.ok("show").lines[-1].startswith("and 11 more changes: kist diff ")


def test_a_version_as_json_has_refs_and_changes(saved: Kist) -> None:
    shown = saved.ok("show", "v2", "--json").json
    assert (shown["refs"], [change["change"] for change in shown["changes"]]) == (["main"], ["modified", "removed"])


@pytest.mark.parametrize("words", [("data/a.txt@v1",), ("data/a.txt",)])
def test_a_path_is_shown_with_the_version_that_changed_it_last(saved: Kist, words: tuple[str, ...]) -> None:
    lines = saved.ok("show", *words).lines
    assert lines[0] == "file data/a.txt"
    assert any(line.startswith("blake3:") for line in lines)
    assert lines[-1].split()[1] == ("v1" if words[0].endswith("v1") else "v2")


def test_a_path_as_json_has_its_version(saved: Kist) -> None:
    shown = saved.ok("show", "data@v1", "--json").json
    assert (shown["kind"], shown["files"], shown["version"]["name"]) == ("folder", 3, "v1")


def test_a_ref_goes_before_a_path_of_its_name(saved: Kist, tmp_path: Path) -> None:
    saved.ok("save", "release", str(write(tmp_path / "x", a="a")))
    saved.ok("tag", "release", "v1")
    assert saved.ok("show", "release").lines[0] == "version v1 (release)"
    assert saved.ok("show", "release@main").lines[0] == "folder release"


def test_neither_version_nor_path_is_told(saved: Kist) -> None:
    result = saved("show", "nope")
    assert (result.code, "'nope' is neither a version nor a path in main" in result.err) == (3, True)
