"""``kist stat`` and ``kist url``, and ``ls``, ``cat`` and ``rm`` of URLs."""

from pathlib import Path

import pytest
from tests.cli.running import Kist, write


@pytest.fixture
def place(saved: Kist) -> str:
    del saved
    return "kist://local/default"


def test_a_url_is_listed(saved: Kist, place: str) -> None:
    assert saved.ok("ls", f"{place}/data").lines == ["a.txt", "sub/"]
    assert saved.ok("ls", "-R", f"{place}@v1/").lines == ["data/a.txt", "data/old.txt", "data/sub/b.bin"]
    assert saved.ok("ls", "-R", "-n", "1", "--after", "data/a.txt", place).lines == ["data/sub/b.bin"]


def test_long_lines_have_size_and_time(saved: Kist, place: str) -> None:
    file, folder = saved.ok("ls", "-l", f"{place}/data").lines
    assert (file.split()[:2], file.split()[-1], folder.split()) == (["8", "B"], "a.txt", ["sub/"])


def test_json_lists_what_stat_tells(saved: Kist, place: str) -> None:
    (file,) = saved.ok("ls", f"{place}/data/a.txt", "--json").json
    assert file == saved.ok("stat", f"{place}/data/a.txt", "--json").json
    assert (file["name"], file["kind"], file["size_bytes"]) == ("a.txt", "file", 8)


def test_a_missing_folder_is_told(saved: Kist, place: str) -> None:
    assert saved("ls", f"{place}/no").code == 3


def test_the_content_of_a_url(saved: Kist, place: str) -> None:
    assert saved.ok("cat", f"{place}@v1/data/a.txt").out == "one\n"
    assert saved("cat", "--json", f"{place}/data/a.txt").code == 2


def test_stat_of_a_path(saved: Kist, tmp_path: Path) -> None:
    write(tmp_path, a="123")
    lines = saved.ok("stat", str(tmp_path / "a")).lines
    assert lines[1:3] == ["kind      file", "size      3 B (3 bytes)"]
    assert saved.ok("stat", str(tmp_path)).lines[1:] == ["kind      folder"]


def test_a_url_is_removed(saved: Kist, place: str) -> None:
    assert saved("rm", f"{place}/data").code == 2
    assert saved.ok("rm", "-R", f"{place}/data/sub").lines == [f"removed {place}/data/sub: 1 file"]
    assert saved.ok("ls", "data").lines == ["a.txt"]


def test_a_place_that_signs_nothing_says_so(saved: Kist, place: str) -> None:
    failed = saved("url", f"{place}/data/a.txt")
    assert (failed.code, "can't sign" in failed.err) == (9, True)


def test_what_is_public_already_is_its_own_url(saved: Kist) -> None:
    assert saved.ok("url", "https://example.org/a?b=c").lines == ["https://example.org/a?b=c"]
