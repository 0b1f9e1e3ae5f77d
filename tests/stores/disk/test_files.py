"""A file of this machine that appears whole, or not at all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kist.errors import AlreadyExists, Conflict, NotFound
from kist.stores.disk import Disk
from kist.stores.disk.files import replacing, sync_all


def test_nothing_has_a_name_before_the_end(tmp_path: Path) -> None:
    with replacing(str(tmp_path / "a")) as file:
        os.write(file, b"1")
        assert list(tmp_path.iterdir()) == [] or sys.platform != "linux"
    assert (tmp_path / "a").read_bytes() == b"1"


def test_a_process_that_is_killed_leaves_nothing(tmp_path: Path) -> None:
    code = f"""
import os, signal
from kist.stores.disk.files import replacing
with replacing({str(tmp_path / "a")!r}) as file:
    os.write(file, b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code], check=False, env={"PYTHONPATH": str(Path(__file__).parents[3] / "src")})
    assert list(tmp_path.iterdir()) == []


def test_a_new_file_has_the_mode_that_the_user_wants(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with replacing(str(tmp_path / "a")):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_only_a_new_one_is_refused_at_once_and_at_the_end(tmp_path: Path) -> None:
    path = str(tmp_path / "a")

    def beaten() -> None:
        with replacing(path, only_new=True):
            (tmp_path / "a").write_bytes(b"other")

    with pytest.raises(AlreadyExists):
        beaten()
    with pytest.raises(AlreadyExists), replacing(path, only_new=True):
        pass
    assert [one.name for one in tmp_path.iterdir()] == ["a"]


def test_a_name_that_is_taken_meanwhile_is_replaced(tmp_path: Path) -> None:
    with replacing(str(tmp_path / "a")) as file:
        os.write(file, b"mine")
        (tmp_path / "a").write_bytes(b"other")
    assert ((tmp_path / "a").read_bytes(), [one.name for one in tmp_path.iterdir()]) == (b"mine", ["a"])


def test_a_folder_in_the_way_or_none_at_all(tmp_path: Path) -> None:
    with pytest.raises(Conflict), replacing(str(tmp_path)):
        pass
    with pytest.raises(NotFound, match="make it first"), replacing(str(tmp_path / "no" / "a")):
        pass


def test_many_are_made_durable_together(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"old")
    with Disk().together() as disk:
        for name in "ab":
            disk.put(str(tmp_path / name).lstrip("/"), b"new")
    assert [(tmp_path / name).read_bytes() for name in "ab"] == [b"new", b"new"]


def test_folders_that_are_gone_need_no_sync(tmp_path: Path) -> None:
    sync_all([str(tmp_path), str(tmp_path / "gone")])
