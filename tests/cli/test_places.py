"""Which repository is meant, and what NAME@REF says."""

from pathlib import Path

import pytest
from tests.cli.running import Kist, write

from kist.cli.options import Everywhere
from kist.cli.places import Address, find, last_part, open_place, tidy
from kist.errors import NotFound


def test_the_repository_that_nobody_names_is_made_when_it_is_first_used(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = Kist(capsys, home)("ls", "--json")
    assert result.json == []
    assert f"your repository is made at {home}/data/repositories/local/default" in result.err
    assert (home / "data" / "repositories" / "local" / "default" / "format").is_file()


def test_its_place_is_told_once(kist: Kist) -> None:
    assert "is made at" not in kist.ok("log").err


def test_quiet_leaves_it_out(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert Kist(capsys, home)("-q", "ls").err == ""


def test_a_repository_that_is_named_is_not_made(kist: Kist, tmp_path: Path) -> None:
    result = kist("-r", str(tmp_path / "nowhere"), "log")
    assert (result.code, "kist init" in result.err) == (3, True)
    assert not (tmp_path / "nowhere").exists()


def test_the_environment_names_one(kist: Kist, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kist.ok("init", str(tmp_path / "other"))
    write(tmp_path / "data", a__txt="a")
    kist.ok("save", "data", "-r", str(tmp_path / "other"))
    monkeypatch.setenv("KIST_REPOSITORY", str(tmp_path / "other"))
    assert kist.ok("ls").lines == ["data/"]


def test_the_option_may_stand_before_or_behind_the_command(kist: Kist, tmp_path: Path) -> None:
    kist.ok("init", str(tmp_path / "other"))
    place = str(tmp_path / "other")
    before, behind = kist.ok("-r", place, "status", "--json").json, kist.ok("--json", "status", f"--repository={place}").json
    assert before == behind
    assert before["repository"] == place


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (None, Address("", None)),
        ("data", Address("data", None)),
        ("data/", Address("data", None)),
        ("/", Address("", None)),
        ("data@v1", Address("data", "v1")),
        ("data/@v1", Address("data", "v1")),
        ("@v1", Address("", "v1")),
        ("data/logo@2x.png", Address("data/logo@2x.png", None)),
        ("data/logo@2x.png@v1", Address("data/logo@2x.png", "v1")),
        ("data@main", Address("data", "main")),
        ("data@as-of:2026-11-20T10:00+01:00", Address("data", "as-of:2026-11-20T10:00+01:00")),
        ("data@no ref", Address("data@no ref", None)),
    ],
)
def test_the_last_at_counts_where_a_ref_follows_and_no_such_path_exists(
    kist: Kist, tmp_path: Path, text: str | None, address: Address
) -> None:
    (write(tmp_path / "data") / "logo@2x.png").write_bytes(b"png")
    kist.ok("save", "data")
    assert find(open_place(Everywhere()), text) == address


@pytest.mark.usefixtures("kist")
def test_neither_path_nor_ref_is_told_as_such() -> None:
    with pytest.raises(NotFound, match=r"nothing at 'logo@2x.png' in main, and no branch or tag '2x.png'"):
        find(open_place(Everywhere()), "logo@2x.png")


def test_an_address_reads_as_it_is_typed() -> None:
    assert [str(Address("a", None)), str(Address("a", "v1")), str(Address("", "v1")), str(Address("", None))] == [
        "a",
        "a@v1",
        "@v1",
        "@main",
    ]


def test_a_name_loses_its_slashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert (tidy("a/b//"), last_part("."), last_part("a/b/"), last_part("/")) == ("a/b", tmp_path.name, "b", "")
