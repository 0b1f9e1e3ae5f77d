"""``kist diff -p``: what `patch` takes."""

import shutil
import subprocess
from pathlib import Path

import pytest
from tests.cli.running import Kist, write

from kist.cli.patches import MAX_BYTES

PROGRAM = shutil.which("patch")


def test_text_files_are_compared_line_by_line(saved: Kist) -> None:
    assert saved.ok("diff", "v1", "v2", "-p").lines == [
        "--- a/data/a.txt", "+++ b/data/a.txt", "@@ -1 +1,2 @@", " one", "+two",
        "--- a/data/old.txt", "+++ /dev/null", "@@ -1 +0,0 @@", "-old",
    ]  # fmt: skip


@pytest.mark.skipif(PROGRAM is None, reason="needs the program patch")
def test_a_patch_leads_from_one_version_to_the_other(saved: Kist, tmp_path: Path) -> None:
    write(tmp_path / "data", a__txt="zero\none\ntwo\nno end", new__txt="new\n")
    saved.ok("save", "data")
    saved.ok("restore", "@v1", "out")
    subprocess.run([str(PROGRAM), "-s", "-p1"], cwd=tmp_path / "out", input=saved.ok("diff", "v1", "v3", "-p").out.encode(), check=True)
    assert (tmp_path / "out" / "data" / "a.txt").read_text() == "zero\none\ntwo\nno end"
    assert (tmp_path / "out" / "data" / "new.txt").read_text() == "new\n"
    assert not (tmp_path / "out" / "data" / "old.txt").exists()


@pytest.mark.parametrize("content", [b"\0binary", b"\xff\xfe", b"x" * (MAX_BYTES + 1)])
def test_what_is_no_text_or_too_long_is_named_only(saved: Kist, tmp_path: Path, content: bytes) -> None:
    write(tmp_path / "data", a__txt=content)
    saved.ok("save", "data")
    (line,) = saved.ok("diff", "v2", "v3", "-p").lines
    assert line.startswith("a/data/a.txt and b/data/a.txt differ: not text, or too long (8 B and ")


def test_a_mode_alone_leaves_the_lines_as_they_are(saved: Kist, tmp_path: Path) -> None:
    (tmp_path / "data" / "a.txt").chmod(0o600)
    saved.ok("save", "data")
    assert saved.ok("diff", "v2", "v3", "-p").lines == ["a/data/a.txt and b/data/a.txt differ in mode, labels or tags only"]


def test_a_link_is_its_target(saved: Kist, tmp_path: Path) -> None:
    (tmp_path / "data" / "link").symlink_to("a.txt")
    saved.ok("save", "data")
    assert saved.ok("diff", "v2", "v3", "-p").lines[-1] == "+link a.txt"
