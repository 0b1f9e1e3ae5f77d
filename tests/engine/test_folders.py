"""What a scan finds, in which order, and what it refuses to pass over in silence."""

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kist.engine.entries import sort_key
from kist.engine.folders import Item, scan
from kist.errors import Denied, InvalidInput, NotFound

NOBODY = 65534

names = st.text(st.sampled_from("aAb.- \n~é\U0001f600\uffff"), min_size=1, max_size=4).filter(lambda name: name not in (".", ".."))
trees = st.recursive(st.none(), lambda below: st.dictionaries(names, below, max_size=4), max_leaves=15).filter(
    lambda tree: tree is not None
)
type Tree = dict[str, "Tree"] | None


def refuse(path: str, reason: str) -> None:
    pytest.fail(f"{path!r}: {reason}")


def found(source: str | Path) -> list[Item]:
    return list(scan(source, skipped=refuse))


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Root may read everything: be somebody else for a while."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


def build(top: Path, tree: Tree) -> None:
    if tree is None:
        top.touch()
        return
    top.mkdir()
    for name, below in tree.items():
        build(top / name, below)


def test_order_of_a_tree(tmp_path: Path) -> None:
    for name in ("a/b", "a/c/d"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for name in ("a.b", "a b", "a\nb", "a-", "aa", "A", "é", "\U0001f600", "\uffff"):
        (tmp_path / name).touch()
    wanted = ["", "A", "a", "a/b", "a/c", "a/c/d", "a\nb", "a b", "a-", "a.b", "aa", "é", "\uffff", "\U0001f600"]
    assert [item.path for item in found(tmp_path)] == wanted


@given(tree=trees)
def test_order_is_that_of_the_sort_key(tmp_path_factory: pytest.TempPathFactory, tree: Tree) -> None:
    top = tmp_path_factory.mktemp("order") / "top"
    build(top, tree)
    paths = [item.path for item in found(top)]
    assert paths == sorted(paths, key=sort_key)
    assert len(paths) == len(set(paths)) == 1 + sum(1 for _ in top.rglob("*"))


def test_what_an_item_knows(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir(mode=0o750)
    file = tmp_path / "folder" / "file"
    file.write_bytes(b"12345")
    file.chmod(0o4640)
    os.utime(file, ns=(1, 1_700_000_000_123_456_789))
    (tmp_path / "link").symlink_to("folder/none")
    _, folder, item, link = found(tmp_path)
    stat = file.stat()
    assert (item.path, item.kind, item.size, item.mode) == ("folder/file", "file", 5, 0o640)
    assert (item.mtime_ns, item.ctime_ns) == (1_700_000_000_123_456_789, stat.st_ctime_ns)
    assert (item.inode, item.device, item.local) == (stat.st_ino, stat.st_dev, str(file))
    assert (folder.kind, folder.size, folder.mode) == ("folder", 0, 0o750)
    assert (link.kind, link.size, link.target) == ("link", 0, "folder/none")


def test_an_item_opens_and_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    item = found(tmp_path)[1]
    with item.open() as file:
        assert file.readall() == b"content"
    with pytest.raises(AttributeError):
        item.path = "other"  # type: ignore[misc]  # that is the point


@pytest.mark.parametrize("source", [".", "folder", "folder/", "./folder/../folder", "link", "link/"])
def test_ways_to_name_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").touch()
    (tmp_path / "link").symlink_to("folder")
    monkeypatch.chdir(tmp_path / "folder" if source == "." else tmp_path)
    assert [(item.path, item.kind) for item in found(source)] == [("", "folder"), ("file", "file")]


@pytest.mark.parametrize("source", ["file", "link"])
def test_one_file(tmp_path: Path, source: str) -> None:
    (tmp_path / "file").write_bytes(b"12")
    (tmp_path / "link").symlink_to("file")
    [item] = found(tmp_path / source)
    assert (item.path, item.kind, item.size) == ("", "file", 2)
    with item.open() as file:
        assert file.readall() == b"12"


def test_a_scan_survives_a_change_of_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder" / "below").mkdir(parents=True)
    (tmp_path / "folder" / "below" / "file").write_bytes(b"1")
    monkeypatch.chdir(tmp_path)
    items = scan("folder", skipped=refuse)
    monkeypatch.chdir("/")
    with list(items)[2].open() as file:
        assert file.readall() == b"1"


@pytest.mark.parametrize("source", ["none", "none/below", "file/", "file/below", "dangling"])
def test_a_source_that_does_not_exist(tmp_path: Path, source: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("none")
    with pytest.raises(NotFound, match="does not exist"):
        scan(f"{tmp_path}/{source}", skipped=refuse)


@pytest.mark.parametrize("source", ["", "a\0b"])
def test_a_source_that_is_no_path(source: str) -> None:
    with pytest.raises(InvalidInput):
        scan(source, skipped=refuse)


def test_a_source_that_is_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidInput, match="neither a file nor a folder"):
        scan(tmp_path / "pipe", skipped=refuse)


def test_what_can_not_be_kept_is_reported(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/latin-\xe9")).touch()
        (tmp_path / "bad link").symlink_to(os.fsdecode(b"\xff"))
        skipped: dict[str, str] = {}
        items = list(scan(tmp_path, skipped=skipped.__setitem__))
    assert [item.path for item in items] == ["", "file"]
    assert set(skipped) == {"pipe", "socket", "latin-\\xe9", "bad link"}
    assert "UTF-8" in skipped["latin-\\xe9"]


def test_a_path_that_is_too_long_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(17):
        Path("d" * 250).mkdir()
        os.chdir("d" * 250)
    monkeypatch.chdir(tmp_path)
    skipped: dict[str, str] = {}
    items = list(scan(tmp_path, skipped=skipped.__setitem__))
    assert len(items) in (16, 17)
    assert ["too long" in reason or "longer" in reason for reason in skipped.values()] == [True]


def test_a_path_close_to_the_limit_is_kept(tmp_path: Path) -> None:
    deep = "/".join(["é" * 120] * 16)
    (tmp_path / deep).mkdir(parents=True)
    (tmp_path / deep / "a").touch()
    assert found(tmp_path)[-1].path == f"{deep}/a"


def test_a_tree_deeper_than_the_stack(tmp_path: Path) -> None:
    top = str(tmp_path / "top")
    deep = top
    for _ in range(1100):
        os.mkdir(deep)  # noqa: PTH102  quicker
        deep += "/d"
    try:
        assert found(top)[-1].path == "/".join(["d"] * 1099)
    finally:
        subprocess.run(["rm", "-r", top], check=True)


def test_what_vanishes_meanwhile_is_reported(tmp_path: Path) -> None:
    for name in ("a", "b", "c/d"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    skipped: dict[str, str] = {}
    items = scan(tmp_path, skipped=skipped.__setitem__)
    assert [next(items).path, next(items).path] == ["", "a"]
    (tmp_path / "b").unlink()
    (tmp_path / "c" / "d").unlink()
    (tmp_path / "c").rmdir()
    assert list(items) == []
    assert skipped == {"b": "vanished while its folder was read", "c": "vanished while its folder was read"}


def test_a_folder_that_may_not_be_read_is_an_error(open_path: Path) -> None:
    (open_path / "secret").mkdir(mode=0o700)
    (open_path / "secret").chmod(0o000)
    with ordinary_user(), pytest.raises(Denied, match="secret"):
        list(scan(open_path, skipped=refuse))
    with ordinary_user():
        assert [item.path for item in scan(open_path, ignore=["secret"], skipped=refuse)] == [""]
    with ordinary_user(), pytest.raises(Denied, match="secret"):
        scan(open_path / "secret", skipped=refuse)


@pytest.mark.parametrize("name", ["file", ".kistignore"])
def test_a_file_that_may_not_be_read_is_an_error(open_path: Path, name: str) -> None:
    (open_path / name).touch()
    (open_path / name).chmod(0o000)
    with ordinary_user(), pytest.raises(Denied, match=name):
        list(scan(open_path, skipped=refuse))[1].open()


def test_a_file_that_became_something_else_is_not_opened(tmp_path: Path) -> None:
    for name in ("gone", "link", "pipe"):
        (tmp_path / name).write_bytes(b"x")
    gone, link, pipe = found(tmp_path)[1:]
    for name in ("gone", "link", "pipe"):
        (tmp_path / name).unlink()
    (tmp_path / "link").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe")
    for item in (gone, link, pipe):
        with pytest.raises(NotFound):
            item.open()


def test_an_error_of_the_callback_is_not_mistaken_for_one_of_the_disk(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    def skipped(path: str, reason: str) -> None:
        raise FileNotFoundError(path, reason)

    with pytest.raises(FileNotFoundError, match="pipe"):
        list(scan(tmp_path, skipped=skipped))
