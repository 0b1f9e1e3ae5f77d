"""``kist ls`` and ``kist cat``."""

import base64
import os
from pathlib import Path

import pytest
from tests.cli.running import Kist, write


def test_a_folder_is_listed_by_name(saved: Kist) -> None:
    assert saved.ok("ls").lines == ["data/"]
    assert saved.ok("ls", "data/").lines == ["a.txt", "sub/"]


def test_an_earlier_version_is_listed(saved: Kist) -> None:
    assert saved.ok("ls", "data@v1").lines == ["a.txt", "old.txt", "sub/"]
    assert saved.ok("ls", "@v1").lines == ["data/"]


def test_a_file_lists_itself(saved: Kist) -> None:
    assert saved.ok("ls", "data/a.txt").lines == ["data/a.txt"]


def test_long_lines_have_mode_size_and_time(saved: Kist, tmp_path: Path) -> None:
    os.utime(tmp_path / "data" / "a.txt", (0, 86_400))
    (tmp_path / "data" / "link").symlink_to("a.txt")
    saved.ok("save", "data")
    file, link, folder = saved.ok("ls", "-l", "data").lines
    assert file.split()[0] == "-rw-r--r--"
    assert (file.split()[1:3], file.split()[-1]) == (["8", "B"], "a.txt")
    assert "1970-01-0" in file
    assert link.endswith("link -> a.txt")
    assert (folder.split()[1:3], folder.split()[-1]) == (["256", "B"], "sub/")


def test_everything_below_is_listed_with_the_sums_of_folders(saved: Kist) -> None:
    assert saved.ok("ls", "-R").lines == ["data/", "data/a.txt", "data/sub/", "data/sub/b.bin"]
    assert saved.ok("ls", "-R", "data").lines == ["a.txt", "sub/", "sub/b.bin"]
    assert [(one["size"], one["files"]) for one in saved.ok("ls", "-R", "--json").json] == [(264, 2), (8, 1), (256, 1), (256, 1)]


@pytest.mark.parametrize("recursive", [(), ("-R",)])
def test_pages_join_to_the_whole(saved: Kist, tmp_path: Path, recursive: tuple[str, ...]) -> None:
    for number in range(5):
        write(tmp_path / "many" / f"folder{number}", x="x", y="y")
    saved.ok("save", "many")
    whole, after = saved.ok("ls", "many", *recursive).lines, ""
    pages: list[str] = []
    while page := saved.ok("ls", "many", "-n", "2", "--after", after, *recursive).lines:
        pages, after = [*pages, *page], page[-1]
    assert pages == whole


def test_json_is_an_array_of_what_lies_there(saved: Kist) -> None:
    file, folder = saved.ok("ls", "data", "--json").json
    assert (file["path"], file["kind"], file["size"], file["labels"]) == ("data/a.txt", "file", 8, [])
    assert (folder["kind"], folder["files"], folder["hash"]) == ("folder", 1, "")


def test_an_empty_repository_says_how_to_begin(kist: Kist) -> None:
    result = kist.ok("ls")
    assert (result.out, "kist save PATH begins" in result.err) == ("", True)
    assert kist.ok("ls", "--quiet").err == ""


def test_names_cannot_steer_the_terminal(kist: Kist, tmp_path: Path) -> None:
    (write(tmp_path / "data") / "red\x1b[31m\nnext").write_bytes(b"")
    kist.ok("save", "data")
    assert kist.ok("ls", "data").out == "red\\x1b[31m\\nnext\n"


@pytest.mark.parametrize("words", [("ls", "nope"), ("ls", "data@v9"), ("ls", "-R", "nope"), ("cat", "nope"), ("cat", "data/a.txt@nope")])
def test_what_is_not_there_is_told(saved: Kist, words: tuple[str, ...]) -> None:
    result = saved(*words)
    assert (result.code, result.out, result.err.count("\n")) == (3, "", 1)


def test_a_limit_below_zero_is_refused(saved: Kist) -> None:
    assert saved("ls", "-n", "-1").code == 2


def test_cat_writes_the_bytes(saved: Kist) -> None:
    assert saved.ok("cat", "data/a.txt").out == "one\ntwo\n"
    assert saved.ok("cat", "data/a.txt@v1").out == "one\n"


def test_cat_refuses_a_folder(saved: Kist) -> None:
    result = saved("cat", "data")
    assert (result.code, "is a folder, not a file" in result.err) == (2, True)


def test_cat_as_json_says_text_or_base64(saved: Kist) -> None:
    text, binary = saved.ok("cat", "data/a.txt", "--json").json, saved.ok("cat", "data/sub/b.bin", "--json").json
    assert (text["encoding"], text["content"], text["size"]) == ("utf-8", "one\ntwo\n", 8)
    assert (binary["encoding"], base64.b64decode(binary["content"])) == ("base64", bytes(range(256)))
