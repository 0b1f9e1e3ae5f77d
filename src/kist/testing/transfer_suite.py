# ruff: noqa: S101  a suite asserts
"""What stores do that have the verbs for big objects: one suite for each optional Protocol.

A store's test adds those that its store has::

    class TestMemoryStore(GetPartSuite, PutStreamSuite, CopySuite, ConditionalStoreSuite):
        @pytest.fixture
        def store(self):
            return MemoryStore()

        @pytest.fixture
        def other(self):
            return MemoryStore()
"""

import threading
from collections.abc import Iterator
from typing import Protocol

import pytest

from kist.errors import Conflict, IntegrityError, InvalidInput, NotFound
from kist.stores.budget import map_ordered
from kist.stores.protocols import CopyFrom, GetPart, PutParts, PutStream, Store
from kist.testing.store_suite import ODD_KEYS, OddKeys, keys

__all__ = ["CopySuite", "Copying", "GetPartSuite", "PutPartsSuite", "PutStreamSuite", "Uploading"]


class Parted(Store, GetPart, Protocol):
    """A store for `GetPartSuite`."""


class Streamed(Store, PutStream, Protocol):
    """A store for `PutStreamSuite`."""


class Uploading(Store, PutParts, Protocol):
    """A store for `PutPartsSuite`."""


class Copying(Store, CopyFrom, Protocol):
    """A store for `CopySuite`."""


class _OwnError(Exception):
    pass


def pattern(size_bytes: int, seed: int = 0) -> bytes:
    """Return bytes in which no two MiB are alike."""
    block = bytes(range(256)) * 4096
    return b"".join((seed + number).to_bytes(4, "big") + block[4:] for number in range(-(-size_bytes >> 20)))[:size_bytes]


def _broken(part: bytes, error: BaseException) -> Iterator[bytes]:
    yield part
    raise error


class GetPartSuite(OddKeys):
    """Reading parts of one state."""

    def test_parts_fit_together(self, store: Parted) -> None:
        """Also when they are read by many threads."""
        content = pattern(3 << 20)
        store.put("a/b", content)
        meta = store.head("a/b")
        parts = map_ordered(lambda start: store.get_part(meta, start=start, end=start + 700_000), range(0, len(content), 700_000))
        assert b"".join(parts) == content

    def test_a_part_of_what_was_listed(self, store: Parted) -> None:
        """A listing tells enough."""
        store.put("a", b"0123456789")
        [meta] = store.list()
        assert store.get_part(meta, start=2, end=5) == b"234"

    def test_a_part_is_bytes(self, store: Parted) -> None:
        """Not a view, nor a buffer of another library."""
        store.put("a", b"0123456789")
        assert type(store.get_part(store.head("a"), start=2, end=5)) is bytes

    @pytest.mark.parametrize(("start", "end", "expected"), [(8, 99, b"89"), (10, 12, b""), (50, 60, b""), (4, 4, b"")])
    def test_a_part_past_the_end(self, store: Parted, start: int, end: int, expected: bytes) -> None:
        """Gives what there is."""
        store.put("a", b"0123456789")
        assert store.get_part(store.head("a"), start=start, end=end) == expected

    def test_a_part_of_an_empty_object(self, store: Parted) -> None:
        """Is empty."""
        store.put("a", b"")
        assert store.get_part(store.head("a"), start=0, end=10) == b""

    @pytest.mark.parametrize("key", ODD_KEYS)
    def test_a_part_under_an_odd_key(self, store: Parted, key: str) -> None:
        """A key is literal text."""
        if self.refuses(key, lambda: store.put(key, b"")):
            return
        store.put(key, b"0123456789")
        assert store.get_part(store.head(key), start=2, end=5) == b"234"

    @pytest.mark.parametrize("content", [b"9876543210", b"0", b"0123456789+"], ids=["other", "shorter", "longer"])
    def test_a_part_of_what_has_changed(self, store: Parted, content: bytes) -> None:
        """Is refused, so that parts of two states never meet."""
        store.put("a", b"0123456789")
        meta = store.head("a")
        store.put("a", content)
        for start, end in ((0, 5), (5, 10), (5, 5)):
            with pytest.raises(Conflict):
                store.get_part(meta, start=start, end=end)

    def test_a_part_of_what_is_gone(self, store: Parted) -> None:
        """Is not found."""
        store.put("a", b"0123456789")
        meta = store.head("a")
        store.delete("a")
        for start, end in ((2, 5), (5, 5)):
            with pytest.raises(NotFound):
                store.get_part(meta, start=start, end=end)

    @pytest.mark.parametrize(("start", "end"), [(-1, 3), (5, 4)])
    def test_what_is_no_part_is_refused(self, store: Parted, start: int, end: int) -> None:
        """Negative numbers do not count from the end."""
        store.put("a", b"0123456789")
        with pytest.raises(InvalidInput):
            store.get_part(store.head("a"), start=start, end=end)

    def test_the_etag_stays_while_the_content_does(self, store: Parted) -> None:
        """However it is asked for."""
        store.put("a", b"1")
        [listed] = store.list()
        assert {listed.etag, store.head("a").etag, store.head("a").etag} == {listed.etag}
        assert listed.etag

    def test_the_etag_changes_when_the_content_does(self, store: Parted) -> None:
        """Also when the size stays."""
        store.put("a", b"1")
        before = store.head("a").etag
        store.put("a", b"2")
        assert store.head("a").etag != before


class PutStreamSuite(OddKeys):
    """Writing what need not fit into memory."""

    big_bytes = 35 << 20
    """Enough for the store to cut it into pieces, the last one short."""

    def test_parts_are_put_together(self, store: Streamed) -> None:
        """In their order, empty ones too."""
        store.put_stream("a/b", [b"one", b"", bytearray(b"two"), memoryview(b"xthreex")[1:-1]])
        assert store.get("a/b") == b"onetwothree"

    @pytest.mark.parametrize("parts", [[], [b""]], ids=["none", "empty"])
    def test_a_stream_of_nothing(self, store: Streamed, parts: list[bytes]) -> None:
        """Is an empty object."""
        store.put_stream("a", parts)
        assert (store.get("a"), store.head("a").size_bytes) == (b"", 0)

    @pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
    def test_a_big_stream(self, store: Streamed, known: bool) -> None:  # noqa: FBT001  pytest passes it
        """Whether or not its length is said."""
        content = pattern(self.big_bytes)
        parts = (content[start : start + 3_000_000] for start in range(0, len(content), 3_000_000))
        store.put_stream("big", parts, size_bytes=len(content) if known else None)
        assert store.get("big") == content

    @pytest.mark.parametrize("count", [3, 40])
    def test_a_buffer_may_be_reused_for_the_next_part(self, store: Streamed, count: int) -> None:
        """The store keeps no reference to it."""
        buffer = bytearray(1 << 20)

        def parts() -> Iterator[bytearray]:
            for number in range(count):
                buffer[:] = bytes([number]) * len(buffer)
                yield buffer

        store.put_stream("a", parts())
        assert store.get("a") == b"".join(bytes([number]) * len(buffer) for number in range(count))

    def test_a_stream_replaces(self, store: Streamed) -> None:
        """Also by something shorter."""
        for content in (b"first", b"2"):
            store.put_stream("a", [content])
            assert store.get("a") == content

    @pytest.mark.parametrize("key", ODD_KEYS)
    def test_a_stream_to_an_odd_key(self, store: Streamed, key: str) -> None:
        """A key is literal text."""
        if self.refuses(key, lambda: store.put_stream(key, [b"odd"])):
            return
        store.put_stream(key, [b"odd"])
        assert (store.get(key), keys(store)) == (b"odd", [key])

    def test_a_stream_to_what_is_no_key(self, store: Streamed) -> None:
        """Is refused, as by put."""
        with pytest.raises(InvalidInput):
            store.put_stream("../up", [b""])

    @pytest.mark.parametrize("error", [_OwnError(), OSError(5, "disk"), ValueError(), NotFound("x"), KeyboardInterrupt()], ids=repr)
    def test_what_parts_raise_passes(self, store: Streamed, error: BaseException) -> None:
        """As it is; what was there stays, and nothing new comes."""
        store.put("old", b"old")
        for key in ("old", "new"):
            with pytest.raises(type(error)) as caught:
                store.put_stream(key, _broken(b"new", error))
            assert caught.value is error
        assert (store.get("old"), keys(store)) == (b"old", ["old"])

    @pytest.mark.parametrize("error", [OSError(5, "disk"), KeyboardInterrupt()], ids=repr)
    def test_what_parts_raise_late_passes(self, store: Streamed, error: BaseException) -> None:
        """Also when much was sent already."""
        store.put("a", b"old")
        with pytest.raises(type(error)) as caught:
            store.put_stream("a", _broken(pattern(self.big_bytes), error))
        assert (caught.value is error, store.get("a"), keys(store)) == (True, b"old", ["a"])

    @pytest.mark.parametrize("size_bytes", [0, 2, 4])
    def test_another_length_than_promised(self, store: Streamed, size_bytes: int) -> None:
        """Is no object."""
        store.put("a", b"old")
        with pytest.raises(IntegrityError):
            store.put_stream("a", [b"new"], size_bytes=size_bytes)
        assert store.get("a") == b"old"

    def test_another_length_than_promised_of_something_big(self, store: Streamed) -> None:
        """Although much was sent."""
        with pytest.raises(IntegrityError):
            store.put_stream("a", [pattern(self.big_bytes)], size_bytes=self.big_bytes + 1)
        assert keys(store) == []

    def test_a_stream_is_seen_when_it_ends(self, store: Streamed) -> None:
        """Until then readers see the old state; and whoever makes the parts may use the store."""
        store.put("a", b"old")
        seen: list[tuple[bytes, list[str]]] = []

        def parts() -> Iterator[bytes]:
            for start in range(0, self.big_bytes, 12 << 20):
                yield content[start : start + (12 << 20)]
                seen.append((store.get("a"), keys(store)))

        content = pattern(self.big_bytes)
        store.put_stream("a", parts())
        assert seen == [(b"old", ["a"])] * len(seen)
        assert store.get("a") == content


class PutPartsSuite(OddKeys):
    """Uploads in parts."""

    upload_bytes = 35 << 20

    def test_parts_in_any_order(self, store: Uploading) -> None:
        """And side by side."""
        content = pattern(self.upload_bytes)
        upload = store.begin_parts("a/b c", size_bytes=len(content))
        size, receipts = upload.part_bytes, {}

        def send(number: int) -> None:
            receipts[number] = upload.put_part(number, memoryview(content)[number * size : (number + 1) * size])

        numbers = range(-(-len(content) // size))
        threads = [threading.Thread(target=send, args=(number,)) for number in reversed(numbers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert keys(store) == []
        upload.finish([receipts[number] for number in numbers])
        assert store.get("a/b c") == content

    def test_an_upload_is_taken_up(self, store: Uploading) -> None:
        """By whoever has its token."""
        content = pattern(self.upload_bytes)
        first = store.begin_parts("a", size_bytes=len(content))
        size = first.part_bytes
        receipt = first.put_part(1, content[size : 2 * size])
        second, receipts = store.take_up("a", first.token)
        assert (receipts, second.part_bytes) == ({1: receipt}, size)
        for number in set(range(-(-len(content) // size))) - {1}:
            receipts[number] = second.put_part(number, content[number * size : (number + 1) * size])
        second.finish([receipts[number] for number in sorted(receipts)])
        assert store.get("a") == content

    def test_a_part_may_be_sent_again(self, store: Uploading) -> None:
        """The last receipt counts."""
        upload = store.begin_parts("a", size_bytes=3)
        upload.put_part(0, b"old")
        upload.finish([upload.put_part(0, b"new")])
        assert store.get("a") == b"new"

    def test_an_upload_that_is_given_up(self, store: Uploading) -> None:
        """Leaves what was there."""
        store.put("a", b"old")
        upload = store.begin_parts("a", size_bytes=3)
        upload.put_part(0, b"new")
        upload.abort()
        assert store.get("a") == b"old"
        with pytest.raises(NotFound):
            store.take_up("a", upload.token)

    def test_an_upload_of_nothing(self, store: Uploading) -> None:
        """Has one part, which is empty."""
        upload = store.begin_parts("a", size_bytes=0)
        upload.finish([upload.put_part(0, b"")])
        assert store.get("a") == b""

    @pytest.mark.parametrize("key", ODD_KEYS)
    def test_an_upload_to_an_odd_key(self, store: Uploading, key: str) -> None:
        """A key is literal text."""
        if self.refuses(key, lambda: store.begin_parts(key, size_bytes=3)):
            return
        upload = store.begin_parts(key, size_bytes=3)
        upload.finish([upload.put_part(0, b"odd")])
        assert (store.get(key), keys(store)) == (b"odd", [key])


class CopySuite(OddKeys):
    """Copies within a service; `other` is a second store in it."""

    def test_a_copy(self, store: Copying) -> None:
        """Is whole, and replaces."""
        store.put("a/b", b"content")
        store.put("c", b"other content")
        assert store.copy_from(store, "a/b", "c") is True
        assert (store.get("c"), store.get("a/b")) == (b"content", b"content")

    def test_a_copy_from_another_store(self, store: Copying, other: Store) -> None:
        """Of the same service."""
        other.put("a/b", b"content")
        for meta in (None, other.head("a/b"), *other.list("a/")):
            assert store.copy_from(other, "a/b", "c/d", meta=meta) is True
        assert (store.get("c/d"), keys(store)) == (b"content", ["c/d"])

    @pytest.mark.parametrize("key", ODD_KEYS)
    def test_a_copy_from_and_to_odd_keys(self, store: Copying, other: Store, key: str) -> None:
        """A key is literal text."""
        if self.refuses(key, lambda: store.copy_from(other, "a", key)):
            return
        other.put(key, b"odd")
        assert store.copy_from(other, key, key) is True
        assert (store.get(key), keys(store)) == (b"odd", [key])

    def test_a_copy_onto_itself(self, store: Copying) -> None:
        """Changes nothing."""
        store.put("a", b"content")
        assert store.copy_from(store, "a", "a") is True
        assert store.get("a") == b"content"

    def test_a_copy_of_nothing(self, store: Copying, other: Store) -> None:
        """An empty object is one."""
        other.put("a", b"")
        assert store.copy_from(other, "a", "b") is True
        assert store.get("b") == b""

    def test_a_copy_of_what_is_missing(self, store: Copying, other: Store) -> None:
        """Leaves what was there."""
        store.put("a", b"old")
        with pytest.raises(NotFound):
            store.copy_from(other, "missing", "a")
        other.put("gone", b"content")
        meta = other.head("gone")
        other.delete("gone")
        with pytest.raises(NotFound):
            store.copy_from(other, "gone", "a", meta=meta)
        assert store.get("a") == b"old"

    def test_a_copy_from_a_stranger(self, store: Copying) -> None:
        """Is not done, and no error."""
        assert store.copy_from(object(), "a", "a") is False
        assert keys(store) == []
