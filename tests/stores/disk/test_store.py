"""The user's own files: any name, links followed, whole or not at all."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from kist.errors import AlreadyExists, Conflict, IntegrityError, InvalidInput, NotFound, Unsupported
from kist.stores.disk import Disk, split
from kist.stores.disk.files import replacing


def key(path: Path | str) -> str:
    return str(path).lstrip("/")


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def below(folder: Path, store: Disk | None = None) -> list[str]:
    return [meta.key.removeprefix(key(folder) + "/") for meta in (store or Disk()).list(f"{key(folder)}/")]


def test_urls_and_paths_name_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    named = [
        f"file://{tmp_path}/a%20b",
        f"FILE://localhost{tmp_path}/a%20b",
        f"{tmp_path}/a b",
        "a b",
        "./x/../a b",
        "~/a b",
        f"file:{tmp_path}/a%20b",
    ]
    assert {split(url) for url in named} == {("file:///", key(tmp_path / "a b"))}


def test_a_path_is_literal(tmp_path: Path) -> None:
    assert split(f"{tmp_path}/100%25#?.txt") == ("file:///", key(tmp_path / "100%25#?.txt"))


def test_above_a_link_is_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "far" / "sub").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "far" / "sub")
    assert split(f"{tmp_path}/link/../a")[1] == key(tmp_path / "far" / "a")


def test_another_machine_is_refused() -> None:
    with pytest.raises(InvalidInput, match="machine 'server'"):
        split("file://server/a")


def test_what_is_put_replaces_and_keeps_the_mode(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    path.chmod(0o640)
    Disk().put(key(path), b"new")
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"new", 0o640)
    assert names(tmp_path) == ["a"]


def test_a_link_keeps_pointing_at_what_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    Disk().put(key(tmp_path / "link"), b"new")
    assert ((tmp_path / "real").read_bytes(), (tmp_path / "link").is_symlink()) == (b"new", True)


def test_a_stream_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def parts() -> Iterator[bytes]:
        yield b"ne"
        raise RuntimeError

    with pytest.raises(RuntimeError):
        Disk().put_stream(key(path), parts())
    assert (path.read_bytes(), names(tmp_path)) == (b"old", ["a"])


def test_a_stream_of_another_length_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="5 bytes were announced"):
        Disk().put_stream(key(tmp_path / "a"), [b"four"], size_bytes=5)
    assert names(tmp_path) == []


def test_no_folder_is_made_by_writing(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="make it first"):
        Disk().put(key(tmp_path / "no" / "a"), b"")


def test_a_folder_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(Conflict, match="is a folder"):
        Disk().put(key(tmp_path), b"")


def test_create_makes_only_what_is_new(tmp_path: Path) -> None:
    Disk().create(key(tmp_path / "a"), b"1")
    with pytest.raises(AlreadyExists):
        Disk().create(key(tmp_path / "a"), b"2")
    assert ((tmp_path / "a").read_bytes(), names(tmp_path)) == (b"1", ["a"])


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Unsupported, match="a pipe"):
        Disk().get(key(tmp_path / "pipe"))


def test_a_listing_is_sorted_by_key_and_follows_links(tmp_path: Path) -> None:
    for name in ("a/b", "a.txt", "a-b", "z\n1"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "link").symlink_to("a")
    (tmp_path / "nowhere").symlink_to("gone")
    assert below(tmp_path) == ["a-b", "a.txt", "a/b", "link/b", "loop/a-b", "loop/a.txt", "loop/a/b", "loop/link/b", "loop/z\n1", "z\n1"]


def test_a_disk_that_does_not_follow_lists_links_themselves(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "a").write_bytes(b"")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "link").symlink_to(tmp_path / "far")
    assert below(tmp_path / "here", Disk(follows=False)) == ["link"]


def test_unfinished_files_are_not_listed(tmp_path: Path) -> None:
    upload = Disk().begin_parts(key(tmp_path / "a"), size_bytes=10)
    with replacing(str(tmp_path / "b")):
        assert below(tmp_path) == []
    upload.abort()
    assert names(tmp_path) == ["b"]


def test_a_part_is_of_the_file_that_was_looked_at(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"0123456789")
    meta = Disk().head(key(tmp_path / "a"))
    assert Disk().get_part(meta, start=2, end=5) == b"234"
    (tmp_path / "a").write_bytes(b"9876543210")
    with pytest.raises(Conflict, match="changed"):
        Disk().get_part(meta, start=2, end=5)


def test_parts_may_come_in_any_order(tmp_path: Path) -> None:
    upload = Disk().begin_parts(key(tmp_path / "a"), size_bytes=12 << 20)
    size = upload.part_bytes
    second = upload.put_part(1, bytes((12 << 20) - size))
    first = upload.put_part(0, b"x" * size)
    assert not (tmp_path / "a").exists()
    upload.finish([first, second])
    assert (tmp_path / "a").read_bytes() == b"x" * size + bytes((12 << 20) - size)


def test_an_unfinished_file_is_taken_up(tmp_path: Path) -> None:
    upload = Disk().begin_parts(key(tmp_path / "a"), size_bytes=20 << 20)
    receipt = upload.put_part(0, b"x" * upload.part_bytes)
    again, receipts = Disk().take_up(key(tmp_path / "a"), upload.token)
    assert receipts[0] == receipt
    again.abort()
    with pytest.raises(NotFound):
        Disk().take_up(key(tmp_path / "a"), upload.token)


def test_a_token_leads_nowhere_else(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        Disk().take_up(key(tmp_path / "a"), "../../etc/passwd")


def test_of_a_link_the_link_is_deleted(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"")
    (tmp_path / "link").symlink_to("real")
    Disk().delete(key(tmp_path / "link"))
    assert names(tmp_path) == ["real"]
