"""Saving from this machine: a path becomes what a folder is, unchanged files are not read, and nothing is believed too early."""

import io
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.parts import CountingStore, a_store, examples, keys, repository

from kist.engine.cache import Cache
from kist.engine.repository import Repository
from kist.errors import Conflict, InvalidInput, NotFound, StoreError
from kist.models import Info
from kist.testing.faulty import Fault, FaultyStore

OLD_NS = 1_700_000_000_000_000_000


@pytest.fixture
def top(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    return repository(cache=Cache(str(tmp_path / "cache.sqlite")))


def fill(top: Path, files: dict[str, bytes]) -> None:
    for path, content in files.items():
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_bytes(content)


def settle() -> None:
    """Wait until files that were just written are old enough to be remembered."""
    time.sleep(0.08)


def held(repo: Repository, path: str = "", *, ref: str | None = None) -> dict[str, bytes]:
    return {one.path: repo.read(one.path, ref=ref) for one in repo.walk(path, ref=ref) if one.kind == "file"}


def bytes_read() -> int:
    """Return how many bytes this process has read so far."""
    return int(Path("/proc/self/io").read_text().split()[1])


def test_a_folder_comes_back(repo: Repository, top: Path) -> None:
    files = {"a.csv": b"1", "empty": b"", "sub/deep/b": b"2" * 100_000, "sub/ä 🐟": b"3", "sub.x": b"4"}
    fill(top, files)
    version = repo.save("data", top)
    assert held(repo) == {f"data/{path}": content for path, content in files.items()}
    assert (version.number, version.stats.files, version.stats.bytes) == (1, 5, 100_003)


def test_a_folder_can_be_the_whole_tree(repo: Repository, top: Path) -> None:
    fill(top, {"a": b"1", "b/c": b"2"})
    repo.save("", top)
    assert held(repo) == {"a": b"1", "b/c": b"2"}


def test_a_file_comes_back(repo: Repository, top: Path) -> None:
    fill(top, {"a": b"1"})
    repo.save("x/y", top / "a")
    assert held(repo) == {"x/y": b"1"}


def test_a_file_can_not_be_the_whole_tree(repo: Repository, top: Path) -> None:
    fill(top, {"a": b"1"})
    with pytest.raises(InvalidInput):
        repo.save("", top / "a")
    assert repo.log() == []


@pytest.mark.parametrize(
    "source", [b"content", bytearray(b"content"), memoryview(b"content"), io.BytesIO(b"content")], ids=lambda one: type(one).__name__
)
def test_content_comes_back(repo: Repository, source: bytes) -> None:
    repo.save("a", source)
    assert repo.read("a") == b"content"


def test_an_open_file_is_content(repo: Repository, top: Path) -> None:
    fill(top, {"a": b"content"})
    with (top / "a").open("rb") as file:
        repo.save("a", file)
    assert repo.read("a") == b"content"


def test_a_file_that_can_only_read_is_content(repo: Repository) -> None:
    class Reading:
        def __init__(self) -> None:
            self.read = io.BytesIO(b"content").read

    repo.save("a", Reading())  # type: ignore[arg-type]  # as some libraries' files are
    assert repo.read("a") == b"content"


def test_a_text_file_is_refused(repo: Repository) -> None:
    with pytest.raises(InvalidInput, match="binary"):
        repo.save("a", io.StringIO("text"))  # type: ignore[arg-type]  # that is the point
    assert repo.log() == []


def test_modes_times_links_and_empty_folders_are_kept(repo: Repository, top: Path) -> None:
    fill(top, {"run": b"#!"})
    (top / "run").chmod(0o751)
    (top / "empty").mkdir(mode=0o700)
    (top / "link").symlink_to("../elsewhere")
    os.utime(top / "run", ns=(OLD_NS, OLD_NS + 7))
    repo.save("data", top)
    run, empty, link = (repo.stat(f"data/{name}") for name in ("run", "empty", "link"))
    assert (run.mode, run.mtime_ns) == (0o751, OLD_NS + 7)
    assert (empty.kind, empty.mode, empty.files) == ("folder", 0o700, 0)
    assert (link.kind, link.target) == ("link", "../elsewhere")


def test_what_the_source_lacks_is_removed(repo: Repository, top: Path) -> None:
    fill(top, {"a": b"1", "b": b"2", "c/d": b"3"})
    repo.save("data", top)
    repo.save("other", b"stays")
    (top / "a").unlink()
    (top / "c/d").unlink()
    (top / "c").rmdir()
    repo.save("data", top)
    assert held(repo) == {"data/b": b"2", "other": b"stays"}
    assert held(repo, ref="v1") == {"data/a": b"1", "data/b": b"2", "data/c/d": b"3"}


def test_unchanged_gives_the_current_version(repo: Repository, top: Path) -> None:
    fill(top, {"a": b"1"})
    first = repo.save("data", top)
    assert repo.save("data", top).id == repo.save("data", top).id == first.id
    assert len(repo.log()) == 1


def test_unchanged_content_gives_the_current_version(repo: Repository) -> None:
    first = repo.save("a", b"1")
    assert repo.save("a", b"1").id == first.id


def test_unchanged_becomes_a_version_if_that_is_wanted(repo: Repository, top: Path) -> None:
    fill(top, {"a": b"1"})
    first = repo.save("data", top)
    again = repo.save("data", top, always=True, message="again")
    assert (again.number, again.parents) == (2, (first.id,))
    assert repo.diff("v1", "v2") == []


def test_another_time_alone_makes_no_version(repo: Repository, top: Path) -> None:
    fill(top, {"a": b"1"})
    first = repo.save("data", top)
    os.utime(top / "a", ns=(OLD_NS, OLD_NS))
    assert repo.save("data", top).id == first.id


def test_another_mode_makes_a_version(repo: Repository, top: Path) -> None:
    fill(top, {"a": b"1"})
    repo.save("data", top)
    (top / "a").chmod(0o600)
    assert repo.save("data", top).number == 2
    assert repo.stat("data/a").mode == 0o600


def test_an_empty_folder_in_an_empty_repository_makes_a_version(repo: Repository, top: Path) -> None:
    assert repo.save("data", top).number == 1
    assert repo.stat("data").kind == "folder"


def test_nothing_at_all_makes_no_version(repo: Repository, top: Path) -> None:
    with pytest.raises(InvalidInput, match="nothing to save"):
        repo.save("", top)
    assert repo.save("", top, always=True).number == 1


def test_a_file_becomes_a_folder_and_a_file_again(repo: Repository, top: Path) -> None:
    repo.save("x", b"file")
    fill(top, {"a": b"1", "b": b"2"})
    repo.save("x", top)
    assert held(repo) == {"x/a": b"1", "x/b": b"2"}
    repo.save("x", b"file again")
    assert held(repo) == {"x": b"file again"}
    assert repo.diff("v1", "v3")[0].change == "modified"


def test_inside_a_folder_kinds_change_too(repo: Repository, top: Path) -> None:
    fill(top, {"a/b": b"1", "c": b"2"})
    repo.save("data", top)
    (top / "a/b").unlink()
    (top / "a").rmdir()
    fill(top, {"a": b"now a file"})
    (top / "c").unlink()
    fill(top, {"c/d": b"now a folder"})
    repo.save("data", top)
    assert held(repo) == {"data/a": b"now a file", "data/c/d": b"now a folder"}


def test_nothing_is_saved_below_a_file(repo: Repository) -> None:
    repo.save("a/b", b"file")
    with pytest.raises(Conflict, match="'a/b' is a file"):
        repo.save("a/b/c", b"below")
    assert repo.log()[0].number == 1


def test_nothing_is_saved_below_a_link(repo: Repository, top: Path) -> None:
    (top / "link").symlink_to("/")
    repo.save("data", top)
    with pytest.raises(Conflict, match="is a link"):
        repo.save("data/link/c", top)


def test_labels_and_tags_are_kept_until_something_else_is_said(repo: Repository, top: Path) -> None:
    fill(top, {"a": b"1"})
    repo.save("data", top, labels={"raw", "b"}, tags={"site": "A"})
    fill(top, {"a": b"2"})
    repo.save("data", top)
    assert repo.stat("data").labels == {"raw", "b"}
    assert repo.stat("data").tags == {"site": "A"}
    repo.save("data", top, labels=(), tags={"site": "B"})
    assert (repo.stat("data").labels, repo.stat("data").tags) == (frozenset(), {"site": "B"})


def test_labels_of_a_file_survive_other_content(repo: Repository) -> None:
    repo.save("a", b"1", labels={"raw"}, tags={"n": [1, None, "x"]})
    repo.save("a", b"2")
    assert repo.stat("a").labels == {"raw"}
    assert repo.stat("a").tags == {"n": [1, None, "x"]}


def test_other_labels_alone_make_a_version(repo: Repository, top: Path) -> None:
    fill(top, {"a": b"1"})
    repo.save("data", top, labels={"raw"})
    assert repo.save("data", top, labels={"clean"}).number == 2
    assert repo.save("data", top, labels={"clean"}).number == 2


def test_labels_are_words_not_one_text(repo: Repository) -> None:
    with pytest.raises(InvalidInput, match="set of words"):
        repo.save("a", b"1", labels="raw")


def test_what_is_ignored_is_neither_kept_nor_left(repo: Repository, top: Path) -> None:
    fill(top, {"a.csv": b"1", "a.tmp": b"2", "sub/b.tmp": b"3", "secret/key": b"4", ".kistignore": b"secret/\n"})
    repo.save("data", top, ignore=["*.tmp"])
    assert set(held(repo)) == {"data/.kistignore", "data/a.csv"}
    repo.save("data", top)
    assert set(held(repo)) == {"data/.kistignore", "data/a.csv", "data/a.tmp", "data/sub/b.tmp"}
    repo.save("data", top, ignore=["*.tmp"])
    assert set(held(repo)) == {"data/.kistignore", "data/a.csv"}


def test_what_can_not_be_kept_is_told_and_left_out(repo: Repository, top: Path) -> None:
    fill(top, {"a": b"1"})
    os.mkfifo(top / "pipe")
    told: list[str] = []
    repo.save("data", top, skipped=lambda path, _: told.append(path))
    assert (set(held(repo)), told) == ({"data/a"}, ["pipe"])


def test_a_source_that_does_not_exist_is_an_error(repo: Repository, top: Path) -> None:
    with pytest.raises(NotFound):
        repo.save("data", top / "nothing")
    assert repo.log() == []


@pytest.mark.parametrize("path", ["/a", "a/", "../a", "a//b", "a\0"])
def test_a_path_that_is_none_is_refused(repo: Repository, path: str) -> None:
    with pytest.raises(InvalidInput):
        repo.save(path, b"1")


def test_progress_counts_items_and_bytes_read_or_not(repo: Repository, top: Path) -> None:
    fill(top, {"a": b"1" * 1000, "b/c": b"2" * 50_000})
    settle()
    for _ in range(2):
        told = [0, 0]

        def tell(items: int, size_bytes: int, told: list[int] = told) -> None:
            told[0] += items
            told[1] += size_bytes

        repo.save("data", top, progress=tell)
        assert told == [4, 51_000]


# What is not read again


def test_unchanged_files_are_not_read(repo: Repository, top: Path) -> None:
    fill(top, {f"f{number}": bytes([number]) * 100_000 for number in range(20)})
    settle()
    repo.save("data", top)
    before = bytes_read()
    repo.save("data", top)
    assert bytes_read() - before < 500_000


def test_unchanged_files_are_not_read_for_another_path_either(repo: Repository, top: Path) -> None:
    fill(top, {f"f{number}": os.urandom(100_000) for number in range(20)})
    settle()
    repo.save("data", top)
    before = bytes_read()
    version = repo.save("copy", top)
    assert bytes_read() - before < 1_000_000
    assert (version.stats.new_bytes, version.stats.reused_bytes) == (0, 2_000_000)
    assert held(repo, "copy") == {f"copy/{path.name}": path.read_bytes() for path in top.iterdir()}


def test_an_unchanged_save_asks_the_store_little(tmp_path: Path, top: Path) -> None:
    store = CountingStore(a_store())
    repo = repository(store, cache=Cache(str(tmp_path / "cache.sqlite")))
    fill(top, {f"d{number % 10}/f{number}": b"%d" % number for number in range(500)})
    settle()
    repo.save("data", top)
    store.reset()
    repo.save("data", top)
    assert sum(store.requests.values()) <= 5
    assert store.requests["put"] == store.requests["create"] == 0


def test_content_that_was_saved_once_is_not_stored_again(repo: Repository, top: Path) -> None:
    data = os.urandom(300_000)
    fill(top, {"a": data})
    assert repo.save("a", top / "a").stats.new_bytes == 300_000
    assert repo.save("b", data).stats.new_bytes == 0
    fill(top, {"c": data[:150_000] + b"!" + data[150_000:]})
    assert repo.save("c", top / "c").stats.new_bytes < 300_000
    assert repo.read("c") == data[:150_000] + b"!" + data[150_000:]


def test_what_changed_within_one_tick_of_the_clock_is_seen(repo: Repository, top: Path) -> None:
    file = top / "a"
    for number in range(60):
        file.write_bytes(b"%04d" % (2 * number))
        os.utime(file, ns=(OLD_NS, OLD_NS))
        repo.save("data", top)
        file.write_bytes(b"%04d" % (2 * number + 1))
        os.utime(file, ns=(OLD_NS, OLD_NS))
        repo.save("data", top)
        assert repo.read("data/a") == b"%04d" % (2 * number + 1)


def test_other_content_of_the_same_size_and_time_is_seen(repo: Repository, top: Path) -> None:
    fill(top, {"a": b"run-1371838,42.0\n"})
    os.utime(top / "a", ns=(OLD_NS, OLD_NS))
    settle()
    repo.save("data", top)
    (top / "a").write_bytes(b"run-2000402,42.0\n")
    os.utime(top / "a", ns=(OLD_NS, OLD_NS))
    repo.save("data", top)
    assert repo.read("data/a") == b"run-2000402,42.0\n"


def test_a_file_that_took_the_place_of_another_is_seen(repo: Repository, top: Path) -> None:
    fill(top, {"a": b"1111", "b": b"2222"})
    for name in "ab":
        os.utime(top / name, ns=(OLD_NS, OLD_NS))
    settle()
    repo.save("data", top)
    (top / "a").rename(top / "t")
    (top / "b").rename(top / "a")
    (top / "t").rename(top / "b")
    repo.save("data", top)
    assert held(repo) == {"data/a": b"2222", "data/b": b"1111"}


def test_another_folder_with_the_same_names_is_not_taken_for_the_first(repo: Repository, tmp_path: Path) -> None:
    for name in ("one", "two"):
        fill(tmp_path / name, {"a": name.encode()})
    settle()
    for name in ("one", "two", "one"):
        repo.save("data", tmp_path / name)
        assert repo.read("data/a") == name.encode()


# What changes while it is read


def changing(file: Path, contents: list[bytes]) -> Callable[[int, int], None]:
    """Return a progress that writes the file anew, with the next content, while it is read."""

    def progress(_items: int, size_bytes: int) -> None:
        if size_bytes and contents:
            time.sleep(0.01)
            file.write_bytes(contents.pop(0))

    return progress


def test_a_file_that_changes_while_it_is_read_is_read_again(repo: Repository, top: Path) -> None:
    fill(top, {"a": b"1" * 100_000})
    told: list[str] = []
    repo.save("data", top, progress=changing(top / "a", [b"2" * 100_000]), skipped=lambda path, _: told.append(path))
    assert repo.read("data/a") == b"2" * 100_000
    assert told == []


def test_a_file_that_does_not_stop_changing_is_told(repo: Repository, top: Path) -> None:
    fill(top, {"a": b"0" * 100_000})
    told: list[tuple[str, str]] = []
    contents = [bytes([number]) * 100_000 for number in range(1, 9)]
    repo.save("data", top, progress=changing(top / "a", contents), skipped=lambda *pair: told.append(pair))
    assert [path for path, _ in told] == ["a"]
    assert "changed while it was read" in told[0][1]


def test_a_small_file_that_changes_after_it_was_read_is_saved_next_time(repo: Repository, top: Path) -> None:
    fill(top, {"a": b"1", "b": b"2"})
    repo.save("data", top, progress=changing(top / "a", [b"3"]))
    repo.save("data", top)
    assert repo.read("data/a") == b"3"


# What goes wrong


@pytest.mark.parametrize("key", ["packs/", "refs/"])
def test_a_save_that_failed_changed_nothing_and_can_be_repeated(tmp_path: Path, top: Path, key: str) -> None:
    inner = a_store()
    store = FaultyStore(inner)
    repo = repository(store, cache=Cache(str(tmp_path / "cache.sqlite")))
    fill(top, {"a": b"1", "b": b"2" * 100_000})
    settle()
    for _ in range(20 if key == "refs/" else 1):
        store.fail_next(Fault.ERROR_BEFORE, verb="create" if key == "refs/" else "put", key=key)
    with pytest.raises(StoreError):
        repo.save("data", top)
    assert keys(inner, "refs/") == []
    again = repository(inner, cache=Cache(str(tmp_path / "cache.sqlite")))
    again.save("data", top)
    assert held(repository(inner)) == {"data/a": b"1", "data/b": b"2" * 100_000}


def test_a_lost_cache_costs_time_and_nothing_else(tmp_path: Path, top: Path) -> None:
    store = a_store()
    fill(top, {"a": b"1", "b/c": b"2" * 100_000})
    settle()
    first = repository(store, cache=Cache(str(tmp_path / "one.sqlite"))).save("data", top)
    assert repository(store, cache=Cache(str(tmp_path / "two.sqlite"))).save("data", top).id == first.id
    assert repository(store).save("data", top).id == first.id


NAMES = st.sampled_from(["a", "b", "sub/a", "sub/b", "sub/deep/c", "sub.x", "z"])
FILES = st.dictionaries(NAMES, st.one_of(st.binary(max_size=3), st.integers(0, 40_000).map(lambda size: b"x" * size)), max_size=6)


@settings(max_examples=examples(15), deadline=None)
@given(steps=st.lists(FILES, min_size=1, max_size=4))
def test_a_path_always_holds_what_the_folder_holds(tmp_path_factory: pytest.TempPathFactory, steps: list[dict[str, bytes]]) -> None:
    base = tmp_path_factory.mktemp("saving")
    repo = repository(cache=Cache(str(base / "cache.sqlite")))
    top = base / "source"
    top.mkdir()
    for number, files in enumerate(steps):
        for old in sorted(top.rglob("*"), reverse=True):
            if old.is_file() and str(old.relative_to(top)) not in files:
                old.unlink()
            elif old.is_dir() and not any(old.iterdir()):
                old.rmdir()
        fill(top, {path: content for path, content in files.items() if not (top / path).exists() or (top / path).read_bytes() != content})
        if number % 2:
            settle()
        repo.save("data", top, always=True)
        assert held(repo) == {f"data/{path}": content for path, content in files.items()}


def test_infos_say_what_there_is(repo: Repository, top: Path) -> None:
    fill(top, {"a": b"1"})
    repo.save("data", top)
    info = repo.stat("data/a")
    assert isinstance(info, Info)
    assert (info.name, info.kind, info.size, info.crc32c) == ("a", "file", 1, 0x90F599E3)
