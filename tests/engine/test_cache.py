"""What a machine remembers: it comes back, and whatever happens to it is no error to anybody."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from kist.engine.cache import Cache, KnownFile, decode_known, encode_known, signature
from kist.engine.entries import Place

PLACE = Place(b"p" * 16, 32, 10, 20)
OTHER = Place(b"q" * 16, 1, 2, 3)
SIGN = signature(1, -2, 3, 4, 2**64 - 1)
ONE = (b"a\0b", encode_known(SIGN, KnownFile(b"h" * 32, 7, b"r" * 32, PLACE)))
TWO = (b"a\x01", encode_known(SIGN, KnownFile(b"i" * 32, 0, b"", None)))


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(tmp_path / "cache" / "repository.sqlite")


def use(cache: Cache) -> None:
    """Call all that there is; whether it remembers anything does not matter."""
    cache.remember([(b"f" * 32, PLACE)])
    cache.places([b"f" * 32])
    assert cache.knows_frames in {True, False}
    cache.forget_packs([b"p" * 16])
    cache.remember_entry("refs/heads/main/x", b"data")
    cache.entry("refs/heads/main/x")
    cache.summaries([b"n"], "a")
    cache.remember_summaries("a", [(b"n", b"lines")])
    cache.remember_files("/home", [ONE, TWO], [b"gone"])
    list(cache.files("/home"))
    cache.index_entries([("heads/main", 1, b"t", b"v", b"")], [("a", "heads/main", 1, b"t")])
    cache.indexed("heads/main")
    cache.versions("heads/main", "00")
    cache.changes("heads/main", "a")
    cache.filters("heads/main")
    cache.close()


def test_places_come_back(file: str) -> None:
    Cache(file).remember([(b"f" * 32, PLACE), (b"g" * 32, OTHER)])
    assert Cache(file).places([b"f" * 32, b"x" * 32, b"g" * 32]) == {b"f" * 32: PLACE, b"g" * 32: OTHER}


def test_very_many_places_are_asked_for_at_once(file: str) -> None:
    cache = Cache(file)
    placed = {b"%032d" % number: PLACE for number in range(5000)}
    cache.remember(placed.items())
    assert cache.places(list(placed)) == placed


def test_a_cache_says_whether_it_knows_any_frame(file: str) -> None:
    cache = Cache(file)
    assert not cache.knows_frames
    cache.remember([(b"f" * 32, PLACE)])
    assert cache.knows_frames


def test_what_lies_in_some_packs_is_forgotten(file: str) -> None:
    cache = Cache(file)
    cache.remember([(b"f" * 32, PLACE), (b"g" * 32, OTHER)])
    cache.remember_files("/home", [ONE, TWO], [])
    cache.forget_packs([PLACE.pack])
    assert cache.places([b"f" * 32, b"g" * 32]) == {b"g" * 32: OTHER}
    assert list(cache.files("/home")) == [TWO]


def test_a_ref_entry_comes_back(file: str) -> None:
    cache = Cache(file)
    cache.remember_entry("refs/heads/main/x", b"data")
    assert (cache.entry("refs/heads/main/x"), cache.entry("refs/heads/main/y")) == (b"data", None)


def test_files_come_back_in_the_order_of_a_scan(file: str) -> None:
    cache = Cache(file)
    cache.remember_files("/home", [TWO, ONE], [])
    assert list(cache.files("/home")) == [ONE, TWO]
    assert list(cache.files("/elsewhere")) == []


@pytest.mark.parametrize("known", [KnownFile(b"h" * 32, 7, b"r" * 32, PLACE), KnownFile(b"h" * 32, 2**32 - 1, b"", None)])
def test_a_known_file_comes_back_behind_its_signature(known: KnownFile) -> None:
    value = encode_known(SIGN, known)
    assert value.startswith(SIGN)
    assert decode_known(value) == known


def test_summaries_of_leaves_come_back(file: str) -> None:
    cache = Cache(file)
    cache.remember_summaries("a", [(b"n" * 32, b"lines"), (b"m" * 32, b"other")])
    assert cache.summaries([b"n" * 32, b"x" * 32], "a") == {b"n" * 32: b"lines"}
    assert cache.summaries([b"n" * 32], "b") == {}


def test_files_that_are_gone_are_forgotten(file: str) -> None:
    cache = Cache(file)
    cache.remember_files("/home", [ONE, TWO], [])
    cache.remember_files("/home", [], [ONE[0]])
    assert list(cache.files("/home")) == [TWO]


def test_changes_come_back_newest_first(file: str) -> None:
    cache = Cache(file)
    cache.index_entries(
        [], [("a", "heads/main", seq, b"t") for seq in (1, 3, 2)] + [("a", "heads/dev", 9, b"t"), ("b", "heads/main", 8, b"t")]
    )
    assert cache.changes("heads/main", "a") == [(3, b"t"), (2, b"t"), (1, b"t")]


def test_only_entries_with_a_filter_have_one(file: str) -> None:
    cache = Cache(file)
    cache.index_entries([("heads/main", 1, b"t", b"v", b""), ("heads/main", 2, b"u", b"w", b"\xff")], [])
    assert cache.filters("heads/main") == [(2, b"u", b"\xff")]
    assert cache.indexed("heads/main") == {(1, b"t"), (2, b"u")}


@pytest.mark.parametrize(("prefix", "found"), [("76", [(1, b"t"), (2, b"u")]), ("7678", [(2, b"u")]), ("ff", [])])
def test_indexed_entries_are_found_by_how_their_versions_start(file: str, prefix: str, found: list[tuple[int, bytes]]) -> None:
    cache = Cache(file)
    cache.index_entries([("heads/main", 1, b"t", b"vw", b""), ("heads/main", 2, b"u", b"vx", b""), ("heads/dev", 3, b"u", b"vx", b"")], [])
    assert cache.versions("heads/main", prefix) == found


def test_numbers_that_no_database_holds_are_no_error(file: str) -> None:
    cache = Cache(file)
    cache.index_entries([("heads/main", 2**63, b"t", b"v", b"")], [("a", "heads/main", 2**63, b"t")])
    cache.remember([(b"g" * 32, Place(b"p" * 16, 2**64, 0, 0))])
    cache.remember([(b"f" * 32, PLACE)])
    assert cache.places([b"f" * 32]) == {b"f" * 32: PLACE}


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_thrown_away(file: str, content: bytes) -> None:
    Path(file).parent.mkdir()
    Path(file).write_bytes(content)
    cache = Cache(file)
    cache.remember([(b"f" * 32, PLACE)])
    assert cache.places([b"f" * 32]) == {b"f" * 32: PLACE}


def test_a_database_that_is_damaged_in_the_middle_is_no_error(file: str) -> None:
    cache = Cache(file)
    cache.remember((b"%032d" % number, PLACE) for number in range(3000))
    cache.close()
    data = bytearray(Path(file).read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    Path(file).write_bytes(data)
    use(Cache(file))
    use(Cache(file))


def test_a_database_that_is_damaged_while_it_is_open_is_no_error(file: str) -> None:
    cache = Cache(file)
    cache.remember((b"%032d" % number, PLACE) for number in range(3000))
    for name in Path(file).parent.iterdir():
        name.write_bytes(b"\xff" * name.stat().st_size)
    use(cache)
    use(Cache(file))


def test_a_database_whose_tables_are_gone_is_no_error(file: str) -> None:
    cache = Cache(file)
    other = sqlite3.connect(file)
    for (name,) in other.execute("select name from sqlite_master where type = 'table'").fetchall():
        other.execute(f"drop table {name}")
    other.close()
    use(cache)


def test_a_locked_database_is_no_error(file: str) -> None:
    cache = Cache(file, wait_seconds=0.01)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("begin exclusive")
    use(cache)
    use(Cache(file, wait_seconds=0.01))
    other.close()
    cache = Cache(file)
    cache.remember([(b"f" * 32, PLACE)])
    assert cache.places([b"f" * 32]) == {b"f" * 32: PLACE}


def test_a_folder_that_can_not_be_made_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    use(Cache(str(tmp_path / "file" / "cache.sqlite")))


def test_a_folder_in_the_place_of_the_file_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "cache.sqlite").mkdir()
    use(Cache(str(tmp_path / "cache.sqlite")))


def test_a_closed_cache_remembers_nothing_and_is_no_error(file: str) -> None:
    cache = Cache(file)
    cache.close()
    use(cache)


def test_two_processes_share_one(file: str) -> None:
    code = """
import sys
from kist.engine.cache import Cache
from kist.engine.entries import Place
cache = Cache(sys.argv[1])
for number in range(200):
    cache.remember([(b"%s%031d" % (sys.argv[2].encode(), number), Place(b"p" * 16, number, 1, 1))])
"""
    started = [subprocess.Popen([sys.executable, "-c", code, file, name]) for name in "abcd"]
    assert [process.wait(60) for process in started] == [0] * 4
    assert len(Cache(file).places([b"%s%031d" % (name, number) for name in (b"a", b"b", b"c", b"d") for number in range(200)])) == 800


def test_only_its_user_may_look_into_the_folder(file: str) -> None:
    Cache(file)
    assert Path(file).parent.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("change", range(5))
def test_a_signature_differs_if_anything_differs(change: int) -> None:
    values = [1, 2, 3, 4, 5]
    before = signature(*values)
    values[change] += 1
    assert signature(*values) != before
