"""Archives: the same bytes for the same entries, unpacked by other people's tools, and safe whatever the repository holds."""

import gzip
import io
import os
import resource
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Buffer, Callable, Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kist.engine.archives import Sink, export_tar, export_zip, format_of
from kist.engine.entries import Entry, sort_key
from kist.engine.folders import scan
from kist.errors import IntegrityError, InvalidInput, StoreError

TIME_NS = 1_700_000_000_123_456_789

type Pair = tuple[Entry, Callable[[], Iterable[bytes]]]
type Export = Callable[[Iterable[Pair], Sink, str], None]


def file(path: str, content: bytes = b"content", *, mode: int = 0o644, mtime_ns: int = TIME_NS, piece: int = 1000) -> Pair:
    def pieces() -> Iterator[bytes]:
        return (content[at : at + piece] for at in range(0, len(content), piece))

    return Entry(path=path, kind="file", size=len(content), mode=mode, mtime_ns=mtime_ns), pieces


def folder(path: str, *, mode: int = 0o755, mtime_ns: int = TIME_NS) -> Pair:
    return Entry(path=path, kind="folder", mode=mode, mtime_ns=mtime_ns), tuple


def link(path: str, target: str) -> Pair:
    return Entry(path=path, kind="link", target=target, mode=0o777, mtime_ns=TIME_NS), tuple


def tree(*, piece: int = 1000) -> list[Pair]:
    pairs = [
        folder("", mode=0o750),
        folder("empty"),
        folder("a", mode=0o700),
        file("a/script.sh", b"#!/bin/sh\n" * 100_000, mode=0o755, piece=piece),
        file("a/nothing", b"", mtime_ns=0),
        file("a/new\nline"),
        file("\xe9\U0001f600.csv", mtime_ns=1_600_000_000_000_000_000, mode=0o6444),
        file("long/" + "n" * 200 + "/" + "m" * 200, os.urandom(0) + b"x" * 3_000_000, piece=piece),
        folder("long"),
        link("link", "a/script.sh"),
        link("link to nowhere", "/" + "t" * 150 + "\xe9"),
    ]
    return sorted(pairs, key=lambda pair: sort_key(pair[0].path))


def to_tar(entries: Iterable[Pair], sink: Sink, top: str) -> None:
    export_tar(entries, sink, gzip=False, top=top)


def to_tgz(entries: Iterable[Pair], sink: Sink, top: str) -> None:
    export_tar(entries, sink, gzip=True, top=top)


def to_zip(entries: Iterable[Pair], sink: Sink, top: str) -> None:
    export_zip(entries, sink, top=top)


every_format = pytest.mark.parametrize("export", [to_tar, to_tgz, to_zip])


def packed(export: Export, entries: Iterable[Pair], top: str = "top") -> bytes:
    sink = io.BytesIO()
    export(entries, sink, top)
    return sink.getvalue()


def unpacked(command: list[str], archive: bytes, into: Path) -> Path:
    if shutil.which(command[0]) is None:
        pytest.skip(f"needs {command[0]}")
    into.mkdir()
    (into.parent / "archive").write_bytes(archive)
    subprocess.run(command, cwd=into, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "LC_ALL": "C.UTF-8"})
    return into


def shown(top: Path, *, unit_ns: int = 1) -> dict[str, tuple[object, ...]]:
    return {
        item.path: (
            item.kind,
            item.mode,
            item.kind != "link" and item.mtime_ns // unit_ns,
            item.target,
            Path(item.local).read_bytes() if item.kind == "file" else b"",
        )
        for item in scan(top, skipped=print)
    }


def wanted(entries: Iterable[Pair], *, unit_ns: int = 1) -> dict[str, tuple[object, ...]]:
    return {
        entry.path: (entry.kind, entry.mode & 0o777, entry.kind != "link" and entry.mtime_ns // unit_ns, entry.target, b"".join(content()))
        for entry, content in entries
    }


def listed(entries: list[Pair]) -> list[Pair]:
    """Without what has a folder above it that is no entry: a tool gives that one any mode and time."""
    return [pair for pair in entries if not pair[0].path.startswith("long/")]


@pytest.mark.peer("tar")
@pytest.mark.parametrize("export", [to_tar, to_tgz])
def test_tar_unpacks_to_what_was_saved(tmp_path: Path, export: Export) -> None:
    entries = listed(tree())
    found = unpacked(["tar", "-xpf", "../archive"], packed(export, entries), tmp_path / "out")
    assert shown(found / "top") == wanted(entries)


@pytest.mark.peer("unzip")
def test_unzip_unpacks_to_what_was_saved(tmp_path: Path) -> None:
    entries = [pair for pair in listed(tree()) if "\n" not in pair[0].path]  # unzip replaces control characters
    found = unpacked(["unzip", "-q", "../archive"], packed(to_zip, entries), tmp_path / "out")
    second = 1_000_000_000
    assert shown(found / "top", unit_ns=second) == wanted(entries, unit_ns=second)


@pytest.mark.peer("unzip")
def test_unzip_finds_nothing_wrong(tmp_path: Path) -> None:
    unpacked(["unzip", "-tq", "../archive"], packed(to_zip, tree()), tmp_path / "out")


def test_python_reads_the_tar_back() -> None:
    with tarfile.open(fileobj=io.BytesIO(packed(to_tgz, tree()))) as archive:
        members = {member.name: member for member in archive}
        assert list(members) == [f"top/{entry.path}".rstrip("/") for entry, _ in tree()]
        assert {(member.uid, member.gid, member.uname, member.gname) for member in members.values()} == {(0, 0, "", "")}
        assert members["top/\xe9\U0001f600.csv"].mode == 0o444
        assert archive.extractfile("top/a/script.sh").read() == b"#!/bin/sh\n" * 100_000  # type: ignore[union-attr]  # it is a file


def test_python_reads_the_zip_back() -> None:
    with zipfile.ZipFile(io.BytesIO(packed(to_zip, tree()))) as archive:
        assert archive.testzip() is None
        assert archive.read("top/link") == b"a/script.sh"
        assert archive.getinfo("top/link").external_attr >> 16 == 0o120777
        assert archive.getinfo("top/empty/").external_attr & 0x10


@every_format
def test_the_same_entries_give_the_same_bytes(export: Export, tmp_path: Path) -> None:
    whole = packed(export, tree())
    assert packed(export, tree(piece=77)) == whole
    with (tmp_path / "named").open("wb", buffering=0) as sink:
        export(tree(piece=1 << 20), sink, "top")
    assert (tmp_path / "named").read_bytes() == whole


@every_format
def test_time_zone_and_user_leave_no_trace(export: Export, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = packed(export, tree())
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("LC_ALL", "C")
    assert packed(export, tree()) == whole
    assert b"root" not in packed(export, [folder("x")])


@pytest.mark.parametrize("mtime_ns", [0, -1, -1_500_000_000, 2**31 * 10**9, 5 * 10**18, -(1 << 63), (1 << 63) - 1])
@every_format
def test_any_time_fits(export: Export, mtime_ns: int) -> None:
    archive = packed(export, [file("x", mtime_ns=mtime_ns)])
    if export is to_zip:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            assert 1980 <= opened.infolist()[0].date_time[0] <= 2107
    else:
        with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
            assert float(opened.getmembers()[0].mtime) == pytest.approx(mtime_ns / 1e9)


@every_format
def test_one_file_takes_the_name_of_the_top(export: Export) -> None:
    archive = packed(export, [file("")], "data.csv")
    assert names_in(export, archive) == ["data.csv"]
    with pytest.raises(InvalidInput, match="top"):
        packed(export, [file("")], "")


@every_format
def test_without_a_top_entries_stand_at_the_root(export: Export) -> None:
    assert names_in(export, packed(export, [folder(""), folder("a"), file("a/b")], "")) == ["a", "a/b"]


@every_format
def test_nothing_is_an_archive_too(export: Export) -> None:
    assert names_in(export, packed(export, [])) == []


def names_in(export: Export, archive: bytes) -> list[str]:
    if export is to_zip:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            return [name.rstrip("/") for name in opened.namelist()]
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        return opened.getnames()


HOSTILE: dict[str, list[Pair]] = {
    "parent": [file("../x")],
    "absolute": [file("/etc/x")],
    "twice": [file("a"), file("a")],
    "below a link": [link("a", "/etc"), file("a/passwd")],
    "nul": [file("a\0b")],
    "not Unicode": [file("\udce9")],
    "target": [link("a", "\udce9")],
}


@every_format
@pytest.mark.parametrize("attack", HOSTILE)
def test_a_hostile_tree_gives_no_archive(export: Export, attack: str) -> None:
    sink = io.BytesIO()
    with pytest.raises(InvalidInput):
        export([file("!first", b"x" * 1000), *HOSTILE[attack]], sink, "top")
    assert not is_whole(sink.getvalue())


@every_format
@pytest.mark.parametrize("top", ["..", "/etc", "a/../b", "a//b"])
def test_a_hostile_top_is_refused(export: Export, top: str) -> None:
    with pytest.raises(InvalidInput):
        packed(export, [file("a")], top)


@pytest.mark.parametrize("name", ["..\\x", "a\\..\\x", "a/..\\x", "\\x", "C:x", "x\\.."])
def test_a_zip_holds_no_name_that_leads_outside_on_windows(name: str) -> None:
    with pytest.raises(InvalidInput, match=r"tar\.gz"):
        packed(to_zip, [file(name)], "")
    assert names_in(to_tar, packed(to_tar, [file(name)], "")) == [name]


@pytest.mark.parametrize("name", ["a\\b", "a..\\b", "a\\..b", "10:30", "..."])
def test_other_odd_names_are_welcome_in_a_zip(name: str) -> None:
    assert names_in(to_zip, packed(to_zip, [file(name)], "")) == [name]


@every_format
@pytest.mark.parametrize("size", [6, 8])
def test_content_of_another_size_is_refused(export: Export, size: int) -> None:
    sink = io.BytesIO()
    with pytest.raises(IntegrityError, match=r"'b'.*should have"):
        export([file("a"), (Entry(path="b", kind="file", size=size), lambda: [b"content"])], sink, "top")
    assert not is_whole(sink.getvalue())


@every_format
def test_an_archive_that_failed_is_not_taken_for_whole(export: Export) -> None:
    def content() -> Iterator[bytes]:
        yield b"x" * 1_000_000
        raise StoreError("the network is down")

    sink = io.BytesIO()
    with pytest.raises(StoreError, match="'b': the network is down"):
        export([file("a"), (Entry(path="b", kind="file", size=2_000_000), content)], sink, "top")
    assert not is_whole(sink.getvalue())


def is_whole(archive: bytes) -> bool:
    if archive.endswith(bytes(1024)) or zipfile.is_zipfile(io.BytesIO(archive)):
        return True
    try:
        gzip.decompress(archive)
    except (EOFError, OSError):
        return False
    return bool(archive)


@every_format
def test_a_sink_that_takes_little_at_a_time(export: Export) -> None:
    class Slow(io.RawIOBase):
        taken = b""

        def writable(self) -> bool:
            return True

        def write(self, data: Buffer, /) -> int:
            self.taken += bytes(data)[:1000]
            return min(1000, memoryview(data).nbytes)

    sink = Slow()
    entries = [file("a", b"abc" * 10_000)]
    export(entries, sink, "top")
    assert sink.taken == packed(export, entries)


def test_a_tar_of_ten_gibibytes_streams() -> None:
    """Zeros come from one buffer, and the sink keeps only the first of them."""
    size = 10 << 30
    zeros = bytes(1 << 20)

    class Beginning:
        begin, length = b"", 0

        def write(self, data: Buffer, /) -> None:
            self.begin = self.begin or bytes(data)
            self.length += memoryview(data).nbytes

    sink = Beginning()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    export_tar([(Entry(path="big", kind="file", size=size), lambda: (zeros for _ in range(size >> 20)))], sink, gzip=False, top="")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10
    assert sink.length == 10240 * -(-(512 + size + 1024) // 10240)
    with tarfile.open(fileobj=io.BytesIO(sink.begin)) as archive:
        assert archive.next().size == size  # type: ignore[union-attr]  # there is one


def test_a_large_file_gets_zip64() -> None:
    sink = io.BytesIO()
    with pytest.raises(IntegrityError):
        export_zip([(Entry(path="big", kind="file", size=5 << 30), tuple)], sink, top="")
    assert sink.getvalue()[4:6] == b"\x2d\0"  # version needed to extract: 4.5


@given(st.lists(st.binary(max_size=600_000), max_size=6))
def test_pieces_do_not_show(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    entry = Entry(path="x", kind="file", size=len(whole))
    assert packed(to_zip, [(entry, lambda: pieces)]) == packed(to_zip, [(entry, lambda: [whole])])


@pytest.mark.parametrize(("name", "form"), [("t.tar.gz", "tar.gz"), ("t.tgz", "tar.gz"), ("t.TAR", "tar"), ("a/b.c.zip", "zip")])
def test_a_file_name_says_which_archive(name: str, form: str) -> None:
    assert format_of(name) == form


@pytest.mark.parametrize("name", ["t", "t.gz", "t.7z", "zip", ""])
def test_other_file_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match=r"\.tar\.gz"):
        format_of(name)
