# ruff: noqa: S101  a suite asserts
"""What every store does.

A store's test subclasses `StoreSuite` and says with a fixture how to get an empty one::

    class TestLocalStore(StoreSuite):
        @pytest.fixture
        def store(self, tmp_path):
            return LocalStore(tmp_path)

A store with put-if-absent that holds subclasses `ConditionalStoreSuite`.
"""

import contextlib
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice

import pytest

from kist.errors import AlreadyExists, InvalidInput, NotFound
from kist.stores import conditional
from kist.stores.budget import map_ordered
from kist.stores.protocols import ConditionalStore, Store

__all__ = ["ConditionalStoreSuite", "StoreSuite"]

ODD_KEYS = (
    "refs/heads/a.b-c_d/fffffffffffffffe-6f1c0e6e-8a52-4d2e-9d3c-0a4bd1c7d5b1",
    "packs/0f/0123456789abcdef0123456789abcdef",
    "with space/and+plus/%25 and %2F",
    "umlaut/ä/漢字/🐟",
    'quote\'s/"double"/back\\slash/semi;colon/a=b&c?d#e',
    "tilde~/(paren)/[bracket]/{brace}/$dollar/!bang/*star/@at/,comma/:colon",
    ".hidden/..two-dots/...",
    "deep/" + "/".join("abcdefgh"),
    "long/" + "x" * 200,
)
BAD_KEYS = ("", "/", "/absolute", "trailing/", "double//slash", ".", "..", "../up", "a/../b", "a/./b", "nul\0", "new\nline", "\ud800")
CLOCK_TOLERANCE = timedelta(minutes=5)
"""How far the clock of a store may be off in these tests; nothing in kist compares it with another clock."""


def keys(store: Store, prefix: str = "", *, start_after: str = "") -> list[str]:
    """Return all keys that a listing yields."""
    return [meta.key for meta in store.list(prefix, start_after=start_after)]


def fill(store: Store, names: list[str]) -> list[str]:
    """Put small objects, and return their keys as they must be listed."""
    list(map_ordered(lambda key: store.put(key, key.encode()), names))
    return sorted(names, key=str.encode)


class OddKeys:
    """What all suites have that try odd keys."""

    refused_keys: frozenset[str] = frozenset()
    """Keys that the service can't have."""

    def refuses(self, key: str, call: Callable[[], object]) -> bool:
        """Say whether a key can't be, and then see that the call says so."""
        if key in self.refused_keys:
            with pytest.raises(InvalidInput):
                call()
        return key in self.refused_keys


class StoreSuite(OddKeys):
    """Reading, writing, listing and deleting."""

    many_keys = 1200
    """How many keys the tests of long listings write; more than a page of S3, that is 1000."""

    has_overlaps = False
    """Whether ``a`` and ``a/b`` may both be objects, which no folder of a machine can offer."""

    replaces_in_one_step = True
    """Whether a reader finds something at any moment while an object is replaced; some servers remove the old one first."""

    def test_what_is_put_is_got(self, store: Store) -> None:
        """Bytes come back."""
        store.put("a/b", b"content")
        assert store.get("a/b") == b"content"

    def test_get_returns_bytes(self, store: Store) -> None:
        """Not a view, nor a buffer of another library."""
        store.put("a", b"content")
        assert type(store.get("a")) is bytes
        assert type(store.get_range("a", start=1, end=3)) is bytes

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_every_buffer_can_be_put(self, store: Store, kind: type) -> None:
        """No caller needs to copy."""
        store.put("a", kind(b"content"))
        assert store.get("a") == b"content"

    def test_a_slice_of_a_buffer_can_be_put(self, store: Store) -> None:
        """Packs are written from a part of a larger buffer."""
        store.put("a", memoryview(bytearray(b"0123456789"))[2:5])
        assert store.get("a") == b"234"

    def test_a_buffer_may_be_reused_after_put(self, store: Store) -> None:
        """The store keeps no reference to it."""
        buffer = bytearray(b"first")
        store.put("a", buffer)
        buffer[:] = b"other"
        assert store.get("a") == b"first"

    def test_an_empty_object(self, store: Store) -> None:
        """Nothing is something."""
        store.put("empty", b"")
        assert (store.get("empty"), store.head("empty").size_bytes) == (b"", 0)

    def test_a_big_object(self, store: Store) -> None:
        """5 MiB in one call."""
        content = bytes(range(256)) * (5 << 12)
        store.put("big", content)
        assert store.get("big") == content

    def test_put_replaces(self, store: Store) -> None:
        """At once, with a shorter object too."""
        for content in (b"one", b"the second", b"3"):
            store.put("a", content)
            assert store.get("a") == content

    @pytest.mark.parametrize("key", ODD_KEYS)
    def test_odd_keys(self, store: Store, key: str) -> None:
        """A key is literal text, or refused."""
        if not self.refuses(key, lambda: store.put(key, b"odd")):
            store.put(key, b"odd")
            assert (store.get(key), store.head(key).key, keys(store)) == (b"odd", key, [key])

    @pytest.mark.parametrize("key", BAD_KEYS)
    def test_what_is_no_key_is_refused(self, store: Store, key: str) -> None:
        """Before anything is asked of the store."""
        for call in (store.get, store.head, store.delete, lambda bad: store.put(bad, b"")):
            with pytest.raises(InvalidInput):
                call(key)

    @pytest.mark.parametrize("verb", ["get", "head", "get_range"])
    def test_what_is_missing_is_not_found(self, store: Store, verb: str) -> None:
        """By every way to read."""
        with pytest.raises(NotFound):
            store.get_range("missing", start=0, end=1) if verb == "get_range" else getattr(store, verb)("missing")

    def test_a_folder_is_no_object(self, store: Store) -> None:
        """What has keys below it can't be read."""
        store.put("a/b", b"")
        with pytest.raises(NotFound):
            store.get("a")

    def test_below_an_object_is_nothing(self, store: Store) -> None:
        """Asking for it is no failure of the store."""
        store.put("a", b"")
        with pytest.raises(NotFound):
            store.get("a/b")

    @pytest.mark.parametrize(("start", "end", "expected"), [(0, 4, b"0123"), (3, 7, b"3456"), (9, 10, b"9"), (0, 10, b"0123456789")])
    def test_a_range(self, store: Store, start: int, end: int, expected: bytes) -> None:
        """Start inclusive, end exclusive."""
        store.put("a", b"0123456789")
        assert store.get_range("a", start=start, end=end) == expected

    @pytest.mark.parametrize(("start", "end", "expected"), [(8, 99, b"89"), (10, 12, b""), (50, 60, b""), (4, 4, b"")])
    def test_a_range_past_the_end(self, store: Store, start: int, end: int, expected: bytes) -> None:
        """Gives what there is."""
        store.put("a", b"0123456789")
        assert store.get_range("a", start=start, end=end) == expected

    def test_a_range_of_an_empty_object(self, store: Store) -> None:
        """Is empty."""
        store.put("empty", b"")
        assert store.get_range("empty", start=0, end=10) == b""

    def test_an_empty_range_of_what_is_missing(self, store: Store) -> None:
        """Is still not found."""
        with pytest.raises(NotFound):
            store.get_range("missing", start=3, end=3)

    @pytest.mark.parametrize(("start", "end"), [(-1, 3), (5, 4)])
    def test_what_is_no_range_is_refused(self, store: Store, start: int, end: int) -> None:
        """Negative numbers do not count from the end."""
        store.put("a", b"0123456789")
        with pytest.raises(InvalidInput):
            store.get_range("a", start=start, end=end)

    def test_head_tells_size_and_time(self, store: Store) -> None:
        """In UTC."""
        store.put("a/b", b"12345")
        meta = store.head("a/b")
        assert (meta.key, meta.size_bytes, meta.modified.utcoffset()) == ("a/b", 5, timedelta())
        assert abs(meta.modified - datetime.now(UTC)) < CLOCK_TOLERANCE

    def test_list_tells_what_head_tells(self, store: Store) -> None:
        """To the second, which is how exact S3 is in headers."""
        store.put("a/b", b"12345")
        [listed], head = store.list(), store.head("a/b")
        assert (listed.key, listed.size_bytes) == (head.key, head.size_bytes)
        assert abs(listed.modified - head.modified) < timedelta(seconds=1)

    def test_an_empty_store_lists_nothing(self, store: Store) -> None:
        """Nor folders."""
        assert (keys(store), keys(store, "a/"), store.list_folders(""), store.list_folders("a/")) == ([], [], [], [])

    def test_list_sorts_by_the_bytes_of_the_key(self, store: Store) -> None:
        """A ``/`` sorts as what it is, behind ``-`` and ``.``."""
        expected = fill(store, ["a/b", "a-b", "a.b", "a0", "aa", "B", "a/b2/c", "a/b.c", "ä", "z", "a!"])
        assert keys(store) == expected

    def test_list_takes_any_string_as_prefix(self, store: Store) -> None:
        """Not only whole segments."""
        fill(store, ["ab/c", "ab/cd", "ab/cd2/e", "abc", "ab/d", "b"])
        assert keys(store, "ab/c") == ["ab/c", "ab/cd", "ab/cd2/e"]
        assert keys(store, "ab") == ["ab/c", "ab/cd", "ab/cd2/e", "ab/d", "abc"]
        assert keys(store, "ab/") == ["ab/c", "ab/cd", "ab/cd2/e", "ab/d"]

    @pytest.mark.parametrize("last", list("azAZ09-_.~ä+"))
    def test_a_prefix_may_end_in_any_character(self, store: Store, last: str) -> None:
        """Also in those next to which others sort."""
        expected = fill(store, [f"p/x{last}{more}" for more in ("0", "a", "~")])
        fill(store, ["p/x", "p/w~~~~~~", "p/y", "p!", "q"])
        assert keys(store, f"p/x{last}") == expected

    def test_list_after_a_key(self, store: Store) -> None:
        """Exclusive, whether or not the key exists."""
        fill(store, ["a/1", "a/2", "a/3", "b/1"])
        assert keys(store, start_after="a/2") == ["a/3", "b/1"]
        assert keys(store, "a/", start_after="a/15") == ["a/2", "a/3"]
        assert keys(store, "a/", start_after="a/3") == []
        assert keys(store, "b/", start_after="a/1") == ["b/1"]

    @pytest.mark.parametrize("after", ["a/", "a//", "a/2/", "a/./x", "a/2\0", "a", "a/1~"])
    def test_list_after_what_is_no_key(self, store: Store, after: str) -> None:
        """It is only compared."""
        everything = fill(store, ["a-", "a/1", "a/2", "b", *(["a/2/3"] if self.has_overlaps else [])])
        assert keys(store, start_after=after) == [key for key in everything if key > after]

    def test_a_long_listing(self, store: Store) -> None:
        """Longer than a page."""
        expected = fill(store, [f"many/{uuid.uuid4().hex}" for _ in range(self.many_keys)])
        assert keys(store, "many/") == expected
        assert keys(store, "many/", start_after=expected[-11]) == expected[-10:]

    def test_list_is_lazy(self, store: Store) -> None:
        """The first key is there before the last is asked for."""
        expected = fill(store, [f"refs/heads/main/{number:016x}" for number in range(20)])
        listing = store.list("refs/heads/main/")
        assert [meta.key for meta in islice(listing, 2)] == expected[:2]

    def test_a_write_is_listed_at_once(self, store: Store) -> None:
        """And a deletion too."""
        for number in range(5):
            store.put(f"now/{number}", b"")
            assert keys(store, "now/") == [f"now/{n}" for n in range(number + 1)]
        store.delete("now/2")
        assert keys(store, "now/") == ["now/0", "now/1", "now/3", "now/4"]

    def test_list_folders(self, store: Store) -> None:
        """Of one level, sorted."""
        fill(store, ["a/x/1", "a/y.z/2/3", "a/file", "a-b/4", "top"])
        assert store.list_folders("") == ["a", "a-b"]
        assert store.list_folders("a/") == ["x", "y.z"]
        assert store.list_folders("a/x/") == []

    def test_a_folder_ends_with_its_last_key(self, store: Store) -> None:
        """There are no empty ones."""
        store.put("a/b/c", b"")
        store.delete("a/b/c")
        assert (store.list_folders(""), store.list_folders("a/"), keys(store)) == ([], [], [])

    def test_list_folders_asks_for_a_folder(self, store: Store) -> None:
        """A prefix in the middle of a segment is refused."""
        with pytest.raises(InvalidInput):
            store.list_folders("a/b")

    def test_delete(self, store: Store) -> None:
        """Removes one key and no other."""
        fill(store, ["a/b", "a/bc", "a/c"])
        store.delete("a/b")
        assert keys(store) == ["a/bc", "a/c"]
        with pytest.raises(NotFound):
            store.get("a/b")

    @pytest.mark.parametrize("key", ["missing", "missing/too", "therefore"])
    def test_to_delete_what_is_missing_is_no_error(self, store: Store, key: str) -> None:
        """The wish is fulfilled."""
        store.put("there", b"")
        store.delete(key)
        assert keys(store) == ["there"]

    def test_to_delete_below_an_object_is_no_error(self, store: Store) -> None:
        """Nor does it touch the object."""
        store.put("there", b"")
        store.delete("there/below")
        assert keys(store) == ["there"]

    def test_a_deleted_key_can_be_put_again(self, store: Store) -> None:
        """It leaves nothing behind that is in the way."""
        store.put("a/b", b"1")
        store.delete("a/b")
        store.put("a/b", b"2")
        assert store.get("a/b") == b"2"

    def test_readers_see_old_or_new(self, store: Store) -> None:
        """Never a mix, while a writer replaces an object."""
        bodies = [bytes([number]) * 100_000 for number in range(4)]
        store.put("a", bodies[0])
        writer = threading.Thread(target=lambda: list(map(partial(store.put, "a"), bodies * 3)))
        writer.start()
        for _ in range(20):
            with contextlib.nullcontext() if self.replaces_in_one_step else contextlib.suppress(NotFound):
                assert store.get("a") in bodies
        writer.join()


class ConditionalStoreSuite(StoreSuite):
    """Put-if-absent too."""

    def test_create_a_free_key(self, store: ConditionalStore) -> None:
        """Like put."""
        store.create("a/b", b"1")
        assert store.get("a/b") == b"1"

    @pytest.mark.parametrize("key", ODD_KEYS)
    def test_create_odd_keys(self, store: ConditionalStore, key: str) -> None:
        """Keys are literal for create too."""
        if self.refuses(key, lambda: store.create(key, b"1")):
            return
        store.create(key, b"1")
        with pytest.raises(AlreadyExists):
            store.create(key, b"2")
        assert store.get(key) == b"1"

    def test_create_does_not_replace(self, store: ConditionalStore) -> None:
        """Whoever wrote it, and however."""
        store.put("a", b"1")
        with pytest.raises(AlreadyExists):
            store.create("a", b"2")
        assert store.get("a") == b"1"

    def test_create_does_not_replace_an_empty_object(self, store: ConditionalStore) -> None:
        """Empty is not absent."""
        store.create("a", b"")
        with pytest.raises(AlreadyExists):
            store.create("a", b"2")
        assert store.get("a") == b""

    def test_a_deleted_key_can_be_created_again(self, store: ConditionalStore) -> None:
        """It is free."""
        store.create("a/b", b"1")
        store.delete("a/b")
        store.create("a/b", b"2")
        assert store.get("a/b") == b"2"

    def test_create_refuses_what_is_no_key(self, store: ConditionalStore) -> None:
        """As put."""
        with pytest.raises(InvalidInput):
            store.create("../up", b"")

    def test_of_many_creators_one_wins(self, store: ConditionalStore) -> None:
        """Each of 8 threads wants each of 20 keys."""
        won: list[str] = []
        start = threading.Barrier(8)

        def run(me: bytes) -> None:
            start.wait(30)
            won.extend(key for key in map(str, range(20)) if conditional.create_once(store, key, me, is_ours=me.__eq__))

        threads = [threading.Thread(target=run, args=(uuid.uuid4().bytes,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert sorted(won) == sorted(map(str, range(20)))

    def test_the_probe_is_content(self, store: ConditionalStore) -> None:
        """It finds put-if-absent, and leaves nothing behind."""
        assert conditional.probe(store, "probed/").reasons == ()
        assert conditional.probe_quickly(store, "probed/").put_if_absent
        assert keys(store) == []
