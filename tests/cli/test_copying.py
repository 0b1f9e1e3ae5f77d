"""``kist cp``, ``kist sync``, and ``kist mv`` of URLs."""

import subprocess
from pathlib import Path

from tests.cli.running import Kist, program, write


def test_a_file_is_copied(kist: Kist, tmp_path: Path) -> None:
    write(tmp_path, a__txt="one")
    assert kist.ok("cp", "a.txt", "b.txt").lines == ["copied 1 file, 3 B, to b.txt"]
    assert (tmp_path / "b.txt").read_text() == "one"


def test_a_folder_needs_an_option(kist: Kist, tmp_path: Path) -> None:
    write(tmp_path / "data", a="1")
    refused = kist("cp", "data", "other")
    assert (refused.code, "kist cp --recursive" in refused.err) == (2, True)
    assert kist.ok("cp", "-R", "data", "other", "--json").json["files"] == 1


def test_a_repository_is_one_of_the_places(kist: Kist, tmp_path: Path) -> None:
    write(tmp_path / "data", a="1")
    kist.ok("cp", "--recursive", "data", "kist://local/default/")
    assert kist.ok("ls", "data").lines == ["a"]
    assert kist.ok("cp", "kist://local/default@v1/data/a", "back").lines == ["copied 1 file, 1 B, to back"]


def test_what_is_there_is_kept_on_request(kist: Kist, tmp_path: Path) -> None:
    write(tmp_path / "data", a="new", b="new")
    write(tmp_path / "other", a="old")
    told = kist.ok("cp", "-R", "--no-overwrite", "data/", "other").out
    assert ("1 was there already" in told, (tmp_path / "other" / "a").read_text()) == (True, "old")


def test_standard_streams(kist: Kist, home: Path, tmp_path: Path) -> None:
    del kist
    reading = program(home, "cp", "/dev/stdin", str(tmp_path / "a"), stdin=subprocess.PIPE)
    reading.communicate(b"piped", timeout=60)
    writing = program(home, "cp", str(tmp_path / "a"), "/dev/stdout", stdout=subprocess.PIPE)
    assert writing.communicate(timeout=60)[0] == b"piped"


def test_sync_says_what_it_did(kist: Kist, tmp_path: Path) -> None:
    write(tmp_path / "data", a="1", b="2")
    write(tmp_path / "other", c="3")
    assert kist.ok("sync", "--dry-run", "--delete", "data", "other").lines == ["would copy 2 files, 2 B, to other; 1 deleted"]
    assert kist.ok("sync", "--delete", "data", "other").lines == ["copied 2 files, 2 B, to other; 1 deleted"]
    assert kist.ok("sync", "data", "other", "--json").json == {"files": 0, "bytes": 0, "server_side": 0, "skipped": 2, "deleted": 0}


def test_a_url_is_moved(kist: Kist, tmp_path: Path) -> None:
    write(tmp_path, a="1")
    kist.ok("mv", f"file://{tmp_path}/a", str(tmp_path / "b"))
    assert ((tmp_path / "a").exists(), (tmp_path / "b").read_text()) == (False, "1")


def test_a_missing_source_is_told(kist: Kist) -> None:
    failed = kist("cp", "memory://nothing/here", "a")
    assert (failed.code, "memory://nothing/here" in failed.err) == (3, True)
