"""What a restore writes, what it refuses, and that nothing outside the destination is ever touched."""

import os
import resource
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kist.engine.destination import Destination
from kist.engine.entries import Entry, sort_key
from kist.engine.folders import Item, scan
from kist.engine.obstacles import refuse_obstacles
from kist.engine.restoring import restore
from kist.errors import AlreadyExists, Conflict, Denied, IntegrityError, InvalidInput, KistError, StoreError

NOBODY = 65534
TIME_NS = 1_700_000_000_123_456_789

type Pair = tuple[Entry, Callable[[], Iterable[bytes]]]


def file(path: str, content: bytes = b"new", *, mode: int = 0o644, mtime_ns: int = TIME_NS) -> Pair:
    return Entry(path=path, kind="file", size=len(content), mode=mode, mtime_ns=mtime_ns), lambda: (content[:2], content[2:])


def folder(path: str, *, mode: int = 0o755, mtime_ns: int = TIME_NS) -> Pair:
    return Entry(path=path, kind="folder", mode=mode, mtime_ns=mtime_ns), tuple


def link(path: str, target: str) -> Pair:
    return Entry(path=path, kind="link", target=target, mode=0o777, mtime_ns=TIME_NS), tuple


def saved(top: Path) -> list[Pair]:
    """What a save of a folder would keep."""

    def pair(item: Item) -> Pair:
        entry = Entry(path=item.path, kind=item.kind, size=item.size, mode=item.mode, mtime_ns=item.mtime_ns, target=item.target)
        return entry, lambda: [Path(item.local).read_bytes()]

    return [pair(item) for item in scan(top, skipped=print)]


def shown(top: Path) -> dict[str, tuple[object, ...]]:
    """All that a folder holds, in a form that compares."""
    return {
        item.path: (item.kind, item.mode, item.mtime_ns, item.target, Path(item.local).read_bytes() if item.kind == "file" else b"")
        for item in scan(top, skipped=print)
    }


def names(top: Path) -> set[str]:
    return {str(path.relative_to(top)) for path in top.rglob("*")}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A folder that no restore may touch."""
    victim = tmp_path / "outside"
    victim.mkdir()
    (victim / "passwd").write_bytes(b"old")
    before = shown(victim)
    yield victim
    assert shown(victim) == before


def test_a_folder_comes_back_as_it_was(tmp_path: Path, out: Path) -> None:
    source = tmp_path / "source"
    for name in ("", "empty", "read only", "read only/below", "a", "a/b"):
        (source / name).mkdir()
    for name in ("x", "a/x", "a/b/y\nz", "read only/x", "é\U0001f600"):
        (source / name).write_bytes(name.encode() * 1000)
        os.utime(source / name, ns=(0, TIME_NS))
    (source / "x").chmod(0o444)
    (source / "a/x").chmod(0o755)
    (source / "a/to folder").symlink_to("../read only")
    (source / "a/absolute").symlink_to("/usr/bin/python3")
    (source / "a/nowhere").symlink_to("../../../../etc/none")
    (source / "read only").chmod(0o555)
    (source / "a").chmod(0o2770)
    os.utime(source / "empty", ns=(0, -1_500_000_000))
    report = restore(saved(source), out, overwrite=False)
    assert shown(out) == shown(source)
    assert (report.files, report.folders, report.links, report.local) == (5, 6, 3, str(out))
    assert report.size_bytes == sum(path.stat().st_size for path in source.rglob("*") if path.is_file() and not path.is_symlink())


@pytest.mark.parametrize("workers", [1, 4])
def test_any_number_of_workers(out: Path, workers: int) -> None:
    entries = [
        pair
        for number in range(20)
        for pair in [folder(f"{number:02}"), *(file(f"{number:02}/{name:02}", b"%d" % name) for name in range(20))]
    ]
    assert restore(entries, out, overwrite=False, workers=workers).files == 400
    assert {path.read_bytes() for path in out.glob("*/19")} == {b"19"}
    assert len(names(out)) == 420


def test_workers_wait_for_content_together(out: Path) -> None:
    barrier = threading.Barrier(4, timeout=10)

    def content() -> Iterator[bytes]:
        barrier.wait()
        yield b"x"

    entries = [(Entry(path=f"{number}", kind="file", size=1), content) for number in range(8)]
    assert restore(entries, out, overwrite=False, workers=4).files == 8


def test_parents_that_are_no_entries_are_made(out: Path) -> None:
    restore([file("a/b/c")], out, overwrite=False)
    assert (out / "a/b/c").read_bytes() == b"new"
    assert (out / "a").stat().st_mode & 0o700 == 0o700


def test_no_entries_make_an_empty_folder(out: Path) -> None:
    assert restore([], out / "below", overwrite=False).files == 0
    assert names(out) == {"below"}


def test_special_bits_do_not_come_back(out: Path) -> None:
    restore([folder("d", mode=0o3755), file("d/x", mode=0o6755)], out, overwrite=False)
    assert [(out / name).stat().st_mode & 0o7777 for name in ("d", "d/x")] == [0o755, 0o755]


def test_progress_adds_up(out: Path) -> None:
    told: list[tuple[int, int]] = []
    restore([folder("a"), file("a/b", b"12345"), link("c", "a")], out, overwrite=False, progress=lambda *done: told.append(done))
    assert [sum(column) for column in zip(*told, strict=True)] == [3, 5]


def test_a_tree_deeper_than_descriptors(out: Path) -> None:
    deep = ["/".join(["d"] * depth) for depth in range(1, 400)]
    entries = [*(folder(path) for path in deep), file(f"{deep[-1]}/x"), *(file(f"{path}/y") for path in reversed(deep))]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(list(Path("/proc/self/fd").iterdir())) + 100, hard))
    try:
        assert restore(entries, out, overwrite=False).files == len(deep) + 1
        assert restore(entries, out, overwrite=True, workers=3).folders == len(deep)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        subprocess.run(["rm", "-r", str(out)], check=True)


# Where it goes


def test_one_file_becomes_the_destination(out: Path) -> None:
    assert restore([file("")], out / "new" / "x.csv", overwrite=False, name="a.csv").local == str(out / "new" / "x.csv")
    assert names(out) == {"new", "new/x.csv"}


@pytest.mark.parametrize("end", ["", "/"])
def test_one_file_goes_into_a_folder(out: Path, end: str) -> None:
    if not end:
        out.mkdir()
    assert restore([file("")], f"{out}{end}", overwrite=False, name="a.csv").files == 1
    assert names(out) == {"a.csv"}


def test_one_link_becomes_the_destination(out: Path) -> None:
    restore([link("", "/none")], out, overwrite=False)
    assert str(out.readlink()) == "/none"


def test_one_file_by_a_bare_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    restore([file("")], "x.csv", overwrite=False)
    assert names(tmp_path) == {"x.csv"}


@pytest.mark.parametrize("name", ["", "..", "a/b", "/etc/passwd"])
def test_one_file_needs_a_name_to_go_into_a_folder(out: Path, name: str) -> None:
    out.mkdir()
    with pytest.raises(InvalidInput):
        restore([file("")], out, overwrite=True, name=name)


def test_a_destination_that_is_a_link_to_a_folder(tmp_path: Path, out: Path) -> None:
    (tmp_path / "real").mkdir()
    out.symlink_to("real")
    restore([file("a")], out, overwrite=False)
    assert names(tmp_path / "real") == {"a"}


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_does_not_replace_a_file_given_as_destination(out: Path, overwrite: bool) -> None:  # noqa: FBT001
    out.write_bytes(b"old")
    with pytest.raises(AlreadyExists):
        restore([folder(""), file("a")], out, overwrite=overwrite)
    assert out.read_bytes() == b"old"


def test_a_destination_that_is_there_keeps_its_mode(out: Path) -> None:
    out.mkdir(mode=0o750)
    restore([folder("", mode=0o500), file("a")], out, overwrite=True)
    assert out.stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize("destination", ["", "a\0b"])
def test_a_destination_that_is_no_path(destination: str) -> None:
    with pytest.raises(InvalidInput):
        restore([file("a")], destination, overwrite=True)


def test_an_iterator_is_refused(out: Path) -> None:
    with pytest.raises(InvalidInput, match="more than once"):
        restore(iter([file("a")]), out, overwrite=True)
    assert not out.exists()


# What is in the way


OBSTACLES: dict[str, Callable[[Path, Path], None]] = {
    "file": lambda place, _: place.touch(),
    "link": lambda place, outside: place.symlink_to(outside / "passwd"),
    "dangling link": lambda place, _: place.symlink_to("none"),
    "folder": lambda place, _: place.mkdir(),
}


@pytest.mark.parametrize("level", ["z/last", "z"])
@pytest.mark.parametrize("obstacle", OBSTACLES)
def test_without_overwrite_nothing_is_written_if_something_is_in_the_way(out: Path, outside: Path, obstacle: str, level: str) -> None:
    place = out / level
    place.parent.mkdir(parents=True)
    OBSTACLES[obstacle](place, outside)
    if (obstacle, level) == ("folder", "z"):
        (place / "last").touch()
    before = shown(out)
    with pytest.raises(AlreadyExists, match="z"):
        restore([file("first"), folder("z"), file("z/last")], out, overwrite=False)
    assert shown(out) == before


def test_without_overwrite_folders_merge(out: Path) -> None:
    (out / "a").mkdir(parents=True, mode=0o700)
    (out / "a" / "mine").write_bytes(b"old")
    restore([folder("a", mode=0o755), link("a/link", "new"), file("a/new")], out, overwrite=False)
    assert names(out) == {"a", "a/mine", "a/new", "a/link"}
    assert (out / "a").stat().st_mode & 0o777 == 0o700


def test_without_overwrite_a_file_that_appears_meanwhile_stays(out: Path) -> None:
    out.mkdir()

    def content() -> Iterator[bytes]:
        (out / "a").write_bytes(b"theirs")
        yield b"new"

    with pytest.raises(AlreadyExists, match="a"):
        restore([(Entry(path="a", kind="file", size=3), content)], out, overwrite=False)
    assert (out / "a").read_bytes() == b"theirs"
    assert names(out) == {"a"}


def test_overwrite_replaces_files_and_links(out: Path, outside: Path) -> None:
    (out / "d").mkdir(parents=True, mode=0o700)
    (out / "d" / "file").write_bytes(b"old")
    (out / "d" / "link").symlink_to(outside / "passwd")
    (out / "d" / "mine").write_bytes(b"old")
    (out / "folder").symlink_to(outside)
    (out / "other").write_bytes(b"old")
    entries = [
        folder("d"),
        file("d/file"),
        file("d/link"),
        folder("folder"),
        file("folder/passwd"),
        folder("other"),
        link("other/link", "x"),
    ]
    restore(entries, out, overwrite=True)
    assert [(out / name).read_bytes() for name in ("d/file", "d/link", "d/mine", "folder/passwd")] == [b"new", b"new", b"old", b"new"]
    assert not (out / "d" / "link").is_symlink()
    assert not (out / "folder").is_symlink()
    assert (out / "d").stat().st_mode & 0o777 == 0o755


def test_overwrite_replaces_a_file_by_a_link(out: Path) -> None:
    out.mkdir()
    (out / "a").write_bytes(b"old")
    restore([link("a", "target")], out, overwrite=True)
    assert str((out / "a").readlink()) == "target"


@pytest.mark.parametrize("pair", [file("z"), link("z", "x")])
def test_overwrite_never_removes_a_folder(out: Path, pair: Pair) -> None:
    (out / "z").mkdir(parents=True)
    with pytest.raises(AlreadyExists, match="is a folder"):
        restore([file("a"), pair], out, overwrite=True)
    assert names(out) == {"z"}


def test_a_folder_that_appears_meanwhile_is_not_removed(out: Path) -> None:
    def content() -> Iterator[bytes]:
        (out / "a").mkdir()
        yield b"new"

    with pytest.raises(AlreadyExists, match="is a folder"):
        restore([(Entry(path="a", kind="file", size=3), content)], out, overwrite=True)
    assert names(out) == {"a"}


def test_a_second_restore_over_a_read_only_folder(open_path: Path) -> None:
    out = open_path / "out"
    out.mkdir()
    os.chown(out, NOBODY, -1) if os.geteuid() == 0 else None
    entries = [folder("a", mode=0o555), file("a/x", mode=0o400), folder("a/y", mode=0o500), file("a/y/z")]
    with ordinary_user():
        restore(entries, out, overwrite=False)
        restore(entries, out, overwrite=True)
        assert [(out / name).stat().st_mode & 0o777 for name in ("a", "a/x", "a/y")] == [0o555, 0o400, 0o500]
        (out / "a").chmod(0o700)
        (out / "a" / "y").chmod(0o700)


def test_a_folder_that_may_not_be_written(open_path: Path) -> None:
    out = open_path / "out"
    out.mkdir(mode=0o755)
    with ordinary_user(), pytest.raises(Denied, match="x"):
        restore([file("x")], out, overwrite=False)
    for mode in (0o300, 0o000):
        out.chmod(mode)
        with ordinary_user(), pytest.raises(Denied, match="out"):
            restore(TWINS["files"], out, overwrite=True)
    out.chmod(0o755)
    with ordinary_user(), pytest.raises(Denied, match="below"):
        restore([file("x")], out / "below", overwrite=False)


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Root may write everywhere: be somebody else for a while."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


# What a hostile repository may try

HOSTILE: dict[str, list[Pair]] = {
    "parent": [file("../passwd")],
    "parent within": [folder("a"), file("a/../../outside/passwd")],
    "parent at the end": [folder("a/..")],
    "absolute": [file("/etc/kist-was-here")],
    "double slash": [file("a//b")],
    "dot": [file("./a")],
    "trailing slash": [folder("a/")],
    "nul": [file("a\0b")],
    "not Unicode": [file("\udce9")],
    "too long": [file("a/" * 2048 + "a")],
    "twice": [file("a"), file("a")],
    "folder and file": [folder("a"), file("a")],
    "out of order": [file("b"), file("a")],
    "after its folder": [folder("a"), file("a.b"), file("a/b")],
    "below a file": [file("a"), file("a/b")],
    "below a link": [link("a", "../outside"), file("a/passwd")],
    "far below a link": [link("a", "../outside"), folder("a/b"), file("a/b/c")],
    "folder below a link": [link("a", "../outside"), folder("a/b")],
    "below the item itself": [file(""), file("passwd")],
    "root twice": [folder(""), folder("")],
    "link without target": [link("a", "")],
    "link with nul": [link("a", "x\0y")],
    "link not Unicode": [link("a", "\udce9")],
    "link too long": [link("a", "x" * 4096)],
    "time": [file("a", mtime_ns=1 << 80)],
    "kind": [(Entry(path="a", kind="device"), tuple)],  # type: ignore[arg-type]  # a repository may hold anything
}


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("attack", HOSTILE)
def test_a_hostile_tree_is_refused_before_anything_is_written(out: Path, outside: Path, attack: str, overwrite: bool) -> None:  # noqa: FBT001
    with pytest.raises(InvalidInput):
        restore([file("!first"), *HOSTILE[attack]] if HOSTILE[attack][0][0].path else HOSTILE[attack], out, overwrite=overwrite)
    assert not out.exists()
    assert outside.exists()


class Fickle:
    """Entries that show their true face only when they are written."""

    def __init__(self, *rounds: list[Pair]) -> None:
        self.rounds = list(rounds)

    def __iter__(self) -> Iterator[Pair]:
        return iter(self.rounds.pop(0) if len(self.rounds) > 1 else self.rounds[0])


@pytest.mark.parametrize("attack", [name for name in HOSTILE if name not in {"below the item itself", "root twice"}])
def test_entries_are_checked_again_when_they_are_written(out: Path, outside: Path, attack: str) -> None:
    harmless = [file("!first")]
    with pytest.raises(InvalidInput):
        restore(Fickle(harmless, harmless, [*harmless, *HOSTILE[attack]]), out, overwrite=True, workers=3)
    assert names(out) <= {"!first", "a"}
    assert outside.exists()


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_link_planted_while_a_file_is_fetched(out: Path, outside: Path, overwrite: bool) -> None:  # noqa: FBT001
    def content() -> Iterator[bytes]:
        (out / "a").rename(out / "moved")
        (out / "a").symlink_to(outside)
        yield b"new"

    entries = [
        folder("a"),
        (Entry(path="a/a", kind="file", size=3), content),
        link("a/link", "x"),
        folder("a/p"),
        file("a/p/c"),
        file("a/passwd"),
    ]
    entries.append(folder("b"))  # makes the restore leave `a`, and come back to it for the link
    with pytest.raises((AlreadyExists, Conflict), match="out/a"):
        restore(entries, out, overwrite=overwrite)
    assert (out / "moved" / "passwd").read_bytes() == b"new"
    assert names(outside) == {"passwd"}


SWAP = """
import itertools, os
for number in itertools.count():
    for act, *names in (os.rename, "a", f"hidden-{number}"), (os.symlink, "../outside", "a"), (os.unlink, "a"):
        try:
            act(*names)
        except OSError:
            pass
"""


def test_a_folder_swapped_for_a_link_over_and_over(out: Path, outside: Path) -> None:
    entries = [
        folder("a"),
        *(file(f"a/{number}") for number in range(3)),
        folder("a/d"),
        file("a/d/x"),
        link("a/l", "x"),
        folder("b"),
        file("b/x"),
    ]
    out.mkdir()
    done = 0
    with subprocess.Popen([sys.executable, "-c", SWAP], cwd=out) as attacker:
        for attempt in range(1000):
            try:
                restore(entries, out, overwrite=True, workers=1 + attempt % 2)
                done += 1
            except KistError:
                continue
        attacker.kill()
    assert done < 1000
    assert names(outside) == {"passwd"}


TWINS = {
    "files": [file("README"), file("readme")],
    "far apart": [file("B"), file("C"), file("X"), file("b")],
    "folders": [folder("A"), file("A/x"), folder("a"), file("a/x")],
    "deep": [folder("a"), folder("a/b"), file("a/b/X"), file("a/c"), folder("a/c d"), file("a/c d/Z"), file("a/c d/y"), file("a/c d/z")],
    "beyond ASCII": [file("\xc9"), file("\xe9")],
    "composed or not": [file("e\u0301"), file("\xe9")],
}


@pytest.mark.parametrize("twins", TWINS)
def test_names_that_a_disk_takes_for_one_are_refused_there(out: Path, twins: str) -> None:
    refuse_obstacles(TWINS[twins], str(out), overwrite=True, folds_case=lambda _: False)
    with pytest.raises(InvalidInput, match="case"):
        refuse_obstacles(TWINS[twins], str(out), overwrite=True, folds_case=lambda _: True)


def test_names_that_differ_enough_fit_on_every_disk(out: Path) -> None:
    entries = [file("A"), folder("B"), file("B/a"), file("B/b"), file("a.b"), file("b\xe9"), folder("c"), file("c/A"), file("c/B")]
    refuse_obstacles(entries, str(out), overwrite=True, folds_case=lambda _: True)


def test_this_disk_is_asked_whether_case_counts(out: Path) -> None:
    if (Path(__file__).parent / Path(__file__).name.upper()).exists():
        with pytest.raises(InvalidInput, match="case"):
            restore(TWINS["files"], out, overwrite=True)
    else:
        restore(TWINS["files"], out, overwrite=True)
        assert names(out) == {"README", "readme"}
    assert names(out.parent) <= {"out", "out/README", "out/readme"}


# What is left after an error


@pytest.mark.parametrize("workers", [1, 3])
def test_a_file_that_fails_leaves_the_old_one_and_no_temporary(out: Path, workers: int) -> None:
    out.mkdir()
    (out / "b").write_bytes(b"old")

    def content() -> Iterator[bytes]:
        yield b"half"
        raise StoreError("the network is down")

    entries = [file("a"), (Entry(path="b", kind="file", size=8), content), file("c", b"c" * 10)]
    with pytest.raises(StoreError, match=r"'b': the network is down"):
        restore(entries, out, overwrite=True, workers=workers)
    assert {"b"} <= names(out) <= {"a", "b", "c"}
    assert (out / "b").read_bytes() == b"old"


def test_a_foreign_error_keeps_its_type_and_names_the_path(out: Path) -> None:
    def content() -> Iterator[bytes]:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken") as caught:
        restore([(Entry(path="a/b", kind="file", size=8), content)], out, overwrite=True)
    assert "a/b" in "".join(caught.value.__notes__)
    assert names(out) == {"a"}


@pytest.mark.parametrize("size", [2, 4])
def test_content_of_another_size_is_refused(out: Path, size: int) -> None:
    with pytest.raises(IntegrityError, match="'a' should have"):
        restore([(Entry(path="a", kind="file", size=size), lambda: (b"123",))], out, overwrite=True)
    assert names(out) == set()


def test_content_without_end_does_not_fill_the_disk(out: Path) -> None:
    def content() -> Iterator[bytes]:
        while True:
            yield b"x" * 65536

    with pytest.raises(IntegrityError):
        restore([(Entry(path="a", kind="file", size=100_000), content)], out, overwrite=True)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupt_stops_all_workers(out: Path, workers: int) -> None:
    def content() -> Iterator[bytes]:
        yield b"x"
        raise KeyboardInterrupt

    endless = Entry(path="a", kind="file", size=1 << 40)
    entries: list[Pair] = [(endless, content), (Entry(path="b", kind="file", size=1 << 40), lambda: iter(lambda: b"x", b""))]
    with pytest.raises(KeyboardInterrupt):
        restore(entries, out, overwrite=True, workers=workers)
    assert names(out) == set()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("kist-restore")]


def test_an_error_of_the_entries_passes_as_it_is(out: Path) -> None:
    class Broken:
        def __iter__(self) -> Iterator[Pair]:
            yield file("a")
            raise IntegrityError("pack 12 is damaged")

    with pytest.raises(IntegrityError, match=r"^pack 12 is damaged$"):
        restore(Broken(), out, overwrite=True)
    assert not out.exists()


def test_a_full_disk_is_said_so(tmp_path: Path) -> None:
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limit[1]))
    try:
        with pytest.raises(StoreError, match=r"big can't be written: File too large"):
            restore([file("big", b"x" * 5000)], tmp_path, overwrite=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert names(tmp_path) == set()


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_descriptors_are_given_back(out: Path) -> None:
    before = open_descriptors()
    restore([folder("a"), file("a/b"), link("c", "d")], out, overwrite=False, workers=3)
    with pytest.raises(AlreadyExists):
        restore([folder("a"), file("a/b")], out, overwrite=False)
    with Destination(str(out), overwrite=True, fresh=False) as target:
        target.enter("x/y/z")
    assert open_descriptors() == before


plain = st.text("ab.é ", min_size=1, max_size=3).filter(lambda name: name not in (".", ".."))
paths = st.lists(plain, min_size=1, max_size=4).map("/".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(
    wanted=st.dictionaries(paths, st.sampled_from(["file", "folder", "link"]), max_size=8),
    present=st.dictionaries(paths, st.sampled_from(["file", "folder", "link"]), max_size=4),
    overwrite=st.booleans(),
)
def test_whatever_is_there_a_restore_does_all_or_says_why(
    tmp_path_factory: pytest.TempPathFactory,
    wanted: dict[str, str],
    present: dict[str, str],
    overwrite: bool,  # noqa: FBT001
) -> None:
    make: dict[str, Callable[[str], Pair]] = {"file": file, "folder": folder, "link": lambda path: link(path, "../../outside")}
    top = tmp_path_factory.mktemp("any")
    (top / "outside").mkdir()
    out = top / "out"
    for path, kind in present.items():
        try:
            restore([make[kind](path)], out, overwrite=False)
        except KistError:
            continue
    before = shown(out) if out.exists() else {}
    entries = [make[wanted[path]](path) for path in sorted(wanted, key=sort_key)]
    try:
        restore(entries, out, overwrite=overwrite)
    except (InvalidInput, AlreadyExists):
        assert (shown(out) if out.exists() else {}).keys() >= before.keys() - set(wanted)
    else:
        after = shown(out)
        assert {path: after[path][0] for path in wanted} == wanted
    assert names(top / "outside") == set()
