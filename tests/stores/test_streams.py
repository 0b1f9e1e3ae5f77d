"""Pieces of a stream, and the feed of a library that takes them elsewhere."""

import threading
from collections.abc import Iterator

import pytest

from kist.errors import IntegrityError
from kist.stores.streams import Feed, Pieces


def test_pieces_have_one_length() -> None:
    pieces = Pieces([b"ab", b"", b"cdefg", b"h"], piece_bytes=3)
    assert [bytes(piece) for piece in pieces] == [b"abc", b"def", b"gh"]
    assert pieces.count_bytes == 8


def test_a_part_that_is_a_piece_is_not_copied() -> None:
    part = b"abc"
    assert next(Pieces([part], piece_bytes=3)) is part


def test_a_piece_stays_when_the_parts_buffer_is_reused() -> None:
    buffer = bytearray(b"abc")

    def parts() -> Iterator[bytearray]:
        yield buffer
        buffer[:] = b"xyz"
        yield buffer

    assert [bytes(piece) for piece in list(Pieces(parts(), piece_bytes=3))] == [b"abc", b"xyz"]


def test_another_length_than_promised_is_told_at_the_end() -> None:
    pieces = Pieces([b"abc", b"de"], piece_bytes=3, size_bytes=6)
    assert [bytes(next(pieces)), bytes(next(pieces))] == [b"abc", b"de"]
    with pytest.raises(IntegrityError, match="6 bytes were promised and 5 came"):
        next(pieces)


def test_blame_raises_what_the_parts_raised() -> None:
    def parts() -> Iterator[bytes]:
        yield b"abc"
        raise ZeroDivisionError

    pieces = Pieces(parts(), piece_bytes=2)
    next(pieces)
    pieces.blame()
    with pytest.raises(ZeroDivisionError) as first:
        next(pieces)
    with pytest.raises(ZeroDivisionError) as again:
        pieces.blame()
    assert again.value is first.value


def test_a_feed_hands_over_every_piece() -> None:
    got: list[bytes] = []
    with Feed() as feed:
        work = feed.start(lambda: got.extend(bytes(piece) for piece in feed))
        for piece in (b"a", b"b", b"c"):
            assert feed.give(piece)
        feed.end()
        work.result(30)
    assert got == [b"a", b"b", b"c"]


def test_a_feed_takes_nothing_once_the_work_has_failed() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with Feed() as feed:
        work = feed.start(fail)
        assert isinstance(work.exception(30), ZeroDivisionError)
        assert not feed.give(b"a")


def test_work_learns_that_its_pieces_failed_before_the_error_goes_on() -> None:
    seen: list[BaseException] = []
    took = threading.Event()

    def work() -> None:
        try:
            for _ in feed:
                took.set()
        except BrokenPipeError as error:
            seen.append(error)

    def feed_and_fail() -> None:
        with feed:
            feed.start(work)
            feed.give(b"a")
            took.wait(30)
            raise ZeroDivisionError

    feed = Feed()
    with pytest.raises(ZeroDivisionError):
        feed_and_fail()
    assert len(seen) == 1
