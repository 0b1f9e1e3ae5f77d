"""``kist restore`` and ``kist export``."""

import tarfile
import zipfile
from pathlib import Path

from tests.cli.running import Kist, write


def test_a_version_comes_back(saved: Kist, tmp_path: Path) -> None:
    assert saved.ok("restore", "data@v1", "out").out == "restored data@v1 to out: 3 files, 264 B\n"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.txt", "old.txt", "sub"]
    assert (tmp_path / "out" / "a.txt").read_text() == "one\n"


def test_the_whole_tree_comes_back(saved: Kist, tmp_path: Path) -> None:
    saved.ok("restore", "@v1", "out")
    assert (tmp_path / "out" / "data" / "old.txt").is_file()


def test_a_file_becomes_the_destination(saved: Kist, tmp_path: Path) -> None:
    saved.ok("restore", "data/a.txt@v1", "copy.txt")
    assert (tmp_path / "copy.txt").read_text() == "one\n"


def test_what_is_in_the_way_stays_unless_asked(saved: Kist, tmp_path: Path) -> None:
    write(tmp_path / "out", a__txt="mine")
    assert saved("restore", "data", "out").code == 4
    assert (tmp_path / "out" / "a.txt").read_text() == "mine"
    saved.ok("restore", "data", "out", "--overwrite")
    assert (tmp_path / "out" / "a.txt").read_text() == "one\ntwo\n"


def test_a_restore_as_json_counts(saved: Kist) -> None:
    report = saved.ok("restore", "data", "out", "--json").json
    assert (report["files"], report["folders"], report["size_bytes"], report["local"]) == (2, 2, 264, "out")


def test_a_path_that_is_missing_makes_nothing(saved: Kist, tmp_path: Path) -> None:
    assert saved("restore", "nope", "out").code == 3
    assert not (tmp_path / "out").exists()


def test_an_archive_by_the_name_of_the_file(saved: Kist, tmp_path: Path) -> None:
    assert saved.ok("export", "data@v1", "t.tar.gz").out == "exported data@v1 to t.tar.gz: 3 files, 264 B\n"
    saved.ok("export", "data", "t.zip")
    with tarfile.open(tmp_path / "t.tar.gz") as tar, zipfile.ZipFile(tmp_path / "t.zip") as archive:
        assert "data/old.txt" in tar.getnames()
        assert archive.read("data/a.txt") == b"one\ntwo\n"


def test_an_archive_that_exists_stays_unless_asked(saved: Kist, tmp_path: Path) -> None:
    write(tmp_path, t__zip="mine")
    assert saved("export", "data", "t.zip").code == 4
    saved.ok("export", "data", "t.zip", "--overwrite", "-q")
    assert zipfile.is_zipfile(tmp_path / "t.zip")


def test_an_export_as_json_says_where(saved: Kist) -> None:
    assert saved.ok("export", "data@v1", "t.tar", "--json").json == {
        "file": "t.tar", "path": "data", "ref": "v1", "total": {"items": 3, "size_bytes": 264},
    }  # fmt: skip


def test_json_and_an_archive_do_not_share_standard_output(saved: Kist) -> None:
    assert saved("export", "data", "-", "--json").code == 2


def test_an_unknown_archive_is_refused(saved: Kist) -> None:
    result = saved("export", "data", "t.rar")
    assert (result.code, ".tar.gz" in result.err) == (2, True)
