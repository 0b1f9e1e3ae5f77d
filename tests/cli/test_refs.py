"""``kist tag``, ``kist branch`` and ``kist merge``."""

from pathlib import Path

import pytest
from tests.cli.running import Kist, write


@pytest.mark.parametrize("what", ["tag", "branch"])
def test_a_version_gets_a_name(saved: Kist, what: str) -> None:
    assert saved.ok(what, "one", "v1").out.startswith(f"{what} one is ")
    assert saved.ok("cat", "data/a.txt@one").out == "one\n"


def test_the_newest_version_gets_it_if_none_is_said(saved: Kist) -> None:
    saved.ok("tag", "now")
    assert saved.ok("show", "now", "--json").json["name"] == "v2"


def test_names_are_listed(saved: Kist) -> None:
    saved.ok("tag", "one", "v1")
    assert saved.ok("tag").lines[1].split()[:2] == ["one", "v1"]
    assert [(row["branch"], row["version"]["name"]) for row in saved.ok("branch", "--json").json] == [("main", "v2")]


def test_a_tag_names_its_version_by_the_branch_where_that_is(saved: Kist, tmp_path: Path) -> None:
    saved.ok("branch", "dev")
    write(tmp_path / "data", a__txt="dev\n")
    saved.ok("save", "data", "--branch", "dev")
    saved.ok("tag", "mark", "dev")
    name = saved.ok("tag", "--json").json[0]["version"]["name"]
    assert name == "dev:v3"
    assert saved.ok("show", name).lines[0] == saved.ok("show", "mark").lines[0]


def test_no_names_is_an_empty_listing(saved: Kist) -> None:
    assert (saved.ok("tag").out, saved.ok("tag", "--json").json) == ("", [])


@pytest.mark.parametrize(("words", "code"), [(("main",), 4), (("v7",), 2), (("new", "v9"), 3)])
def test_a_name_that_cannot_be_is_refused(saved: Kist, words: tuple[str, ...], code: int) -> None:
    assert saved("tag", *words).code == code


def test_a_branch_is_merged(saved: Kist, tmp_path: Path) -> None:
    saved.ok("branch", "dev")
    saved.ok("save", "more", str(write(tmp_path / "x", x="x")), "--branch", "dev")
    assert saved.ok("merge", "dev", "-m", "bring it").out.startswith("merged dev into main as v3")
    assert saved.ok("ls").lines == ["data/", "more/"]
    assert saved.ok("merge", "dev").out.startswith("main already has all of dev: v3")


def test_what_both_changed_is_a_conflict_unless_ordered(saved: Kist, tmp_path: Path) -> None:
    saved.ok("branch", "dev", "v1")
    write(tmp_path / "data", a__txt="dev\n")
    saved.ok("save", "data/a.txt", "data/a.txt", "--branch", "dev")
    assert saved("merge", "dev").code == 5
    assert saved.ok("merge", "dev", "--on-conflict", "order", "--json").json["changed"] is True
    assert saved.ok("cat", "data/a.txt").out == "dev\n"
