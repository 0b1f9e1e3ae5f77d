"""Packs: what was added comes back from its place, from the footer and from a scan; whatever else is there is an integrity error."""

import contextlib

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.parts import examples

from kist.engine.entries import Place
from kist.engine.packs import (
    FRAME_HEADER,
    MAX_FRAME_BYTES,
    TARGET_BYTES,
    Frame,
    FrameKind,
    PackBuffer,
    check_pack,
    decode_frame,
    pack_key,
    pack_name,
    read_footer,
    scan_frames,
)
from kist.errors import IntegrityError

PACK = bytes(range(16))
TEXT = b"compressible " * 100
NOISE = blake3(b"noise").digest(length=1000)
KINDS = st.sampled_from(FrameKind)
BUFFER = PackBuffer()


def packed(*raws: bytes, kind: FrameKind = FrameKind.DATA, pack: bytes = PACK) -> tuple[bytes, list[tuple[bytes, Place]]]:
    """Return a pack's bytes, and id and place of its frames."""
    BUFFER.start(pack)
    frames = [(blake3(raw).digest(), BUFFER.add(kind, blake3(raw).digest(), raw)) for raw in raws]
    return bytes(BUFFER.finish()), frames


def cut(data: bytes, place: Place) -> bytes:
    return data[place.offset : place.offset + FRAME_HEADER.size + place.stored]


def footer_of(data: bytes, pack: bytes = PACK) -> list[Frame]:
    found = read_footer(pack, len(data), data)
    assert isinstance(found, list)
    return found


@given(st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=8))
def test_frames_come_back_from_their_places(raws: list[bytes]) -> None:
    data, frames = packed(*raws)
    assert [decode_frame(place, frame_id, cut(data, place)) for frame_id, place in frames] == raws


@given(st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=8))
def test_the_footer_says_where_the_frames_are(raws: list[bytes]) -> None:
    data, frames = packed(*raws)
    assert [(frame.id, frame.place(PACK)) for frame in footer_of(data)] == frames


@given(st.lists(st.tuples(KINDS, st.binary(min_size=1, max_size=300)), min_size=1, max_size=8))
def test_a_scan_finds_the_frames_without_the_footer(frames: list[tuple[FrameKind, bytes]]) -> None:
    BUFFER.start(PACK)
    for kind, raw in frames:
        BUFFER.add(kind, blake3(raw).digest(), raw)
    end = BUFFER.size
    data = bytes(BUFFER.finish())[:end]
    assert [(frame.kind, raw) for frame, raw in scan_frames(PACK, data)] == frames


def test_a_scan_of_a_whole_pack_finds_the_frames_and_nothing_in_its_footer() -> None:
    data, frames = packed(TEXT, NOISE)
    assert [(frame.id, frame.place(PACK)) for frame, _ in scan_frames(PACK, data)] == frames


def test_a_scan_passes_over_a_damaged_frame() -> None:
    data, frames = packed(TEXT, TEXT + b"2", NOISE)
    broken = bytearray(data)
    broken[frames[1][1].offset + FRAME_HEADER.size] ^= 1
    assert [raw for _, raw in scan_frames(PACK, bytes(broken))] == [TEXT, NOISE]


def test_a_scan_stops_where_lengths_make_no_sense() -> None:
    data, frames = packed(TEXT, NOISE)
    broken = bytearray(data)
    broken[frames[1][1].offset + 3] ^= 0x80
    assert [raw for _, raw in scan_frames(PACK, bytes(broken))] == [TEXT]


def test_what_compresses_is_stored_compressed() -> None:
    _, [(_, place)] = packed(TEXT)
    assert place.stored < len(TEXT) // 10
    assert place.raw == len(TEXT)


def test_what_does_not_compress_is_stored_as_it_is() -> None:
    data, [(_, place)] = packed(NOISE)
    assert cut(data, place)[FRAME_HEADER.size :] == NOISE


def test_an_intact_pack_passes() -> None:
    check_pack(PACK, packed(TEXT, NOISE)[0])


@given(st.data())
def test_a_pack_with_a_changed_byte_is_refused(data: st.DataObject) -> None:
    broken = bytearray(packed(TEXT, NOISE)[0])
    broken[data.draw(st.integers(0, len(broken) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(IntegrityError):
        check_pack(PACK, bytes(broken))


@given(st.data())
def test_a_truncated_pack_is_refused(data: st.DataObject) -> None:
    whole = packed(TEXT, NOISE)[0]
    short = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(IntegrityError):
        check_pack(PACK, short)
    with pytest.raises(IntegrityError):
        read_footer(PACK, len(whole), short[-len(whole) :])


def test_a_pack_under_the_key_of_another_is_refused() -> None:
    data = packed(TEXT)[0]
    for check in (lambda: check_pack(b"o" * 16, data), lambda: read_footer(b"o" * 16, len(data), data)):
        with pytest.raises(IntegrityError):
            check()


@given(st.binary(max_size=300), st.integers(0, 2**33))
def test_a_footer_of_garbage_is_an_integrity_error(garbage: bytes, size: int) -> None:
    with pytest.raises(IntegrityError):
        read_footer(PACK, size, garbage)


@given(st.data())
def test_a_footer_with_a_changed_byte_is_refused(data: st.DataObject) -> None:
    whole, frames = packed(TEXT, NOISE)
    end = frames[-1][1].offset + FRAME_HEADER.size + frames[-1][1].stored
    broken = bytearray(whole)
    broken[data.draw(st.integers(end, len(whole) - 33))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(IntegrityError):
        read_footer(PACK, len(whole), bytes(broken))


def test_too_few_bytes_of_a_footer_say_how_many_it_takes() -> None:
    data, _ = packed(*[b"%d" % number for number in range(50)])
    needed = read_footer(PACK, len(data), data[-100:])
    assert isinstance(needed, int)
    assert len(footer_of(data)) == 50
    assert read_footer(PACK, len(data), data[-needed:]) == footer_of(data)


def test_a_footer_that_claims_more_frames_than_there_is_room_for_is_refused() -> None:
    data = bytearray(packed(TEXT)[0])
    data[-76:-72] = b"\xff\xff\xff\xff"
    with pytest.raises(IntegrityError, match="do not fit"):
        read_footer(PACK, len(data), bytes(data))


@pytest.mark.parametrize("raw", [TEXT, NOISE])
@given(data=st.data())
def test_a_frame_with_a_changed_byte_never_gives_other_content(raw: bytes, data: st.DataObject) -> None:
    whole, [(frame_id, place)] = packed(raw)
    broken = bytearray(cut(whole, place))
    broken[data.draw(st.integers(0, len(broken) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(IntegrityError):
        assert decode_frame(place, frame_id, bytes(broken)) == raw  # zstd has bits that mean nothing


@settings(max_examples=examples(200))
@given(st.binary(max_size=200), st.integers(0, 300), st.integers(0, 2**32), st.binary(min_size=32, max_size=32))
def test_any_bytes_are_an_integrity_error_where_a_frame_should_be(data: bytes, stored: int, raw: int, frame_id: bytes) -> None:
    with pytest.raises(IntegrityError):
        decode_frame(Place(PACK, 32, stored, raw), frame_id, data)


@settings(max_examples=examples(200))
@given(st.binary(max_size=200), st.integers(0, 2), st.integers(0, 5), st.integers(0, 1))
def test_any_payload_behind_a_fitting_header_is_an_integrity_error(payload: bytes, codec: int, kind: int, zero: int) -> None:
    data = FRAME_HEADER.pack(len(payload), 100, codec, kind, zero) + payload
    with pytest.raises(IntegrityError):
        decode_frame(Place(PACK, 32, len(payload), 100), b"i" * 32, data)


def test_a_frame_that_would_unpack_to_more_than_it_says_is_refused() -> None:
    import zstandard  # noqa: PLC0415 - only here

    bomb = zstandard.ZstdCompressor().compress(bytes(1 << 20))
    data = FRAME_HEADER.pack(len(bomb), 1000, 1, 1, 0) + bomb
    with pytest.raises(IntegrityError):
        decode_frame(Place(PACK, 32, len(bomb), 1000), blake3(bytes(1000)).digest(), data)


def test_a_frame_without_a_content_size_is_refused() -> None:
    import zstandard  # noqa: PLC0415 - only here

    payload = zstandard.ZstdCompressor(write_content_size=False).compress(TEXT)
    data = FRAME_HEADER.pack(len(payload), len(TEXT), 1, 1, 0) + payload
    with pytest.raises(IntegrityError, match="size"):
        decode_frame(Place(PACK, 32, len(payload), len(TEXT)), blake3(TEXT).digest(), data)


def test_a_frame_larger_than_any_may_be_is_refused() -> None:
    data = FRAME_HEADER.pack(0, MAX_FRAME_BYTES + 1, 0, 1, 0)
    with pytest.raises(IntegrityError, match="header"):
        decode_frame(Place(PACK, 32, 0, MAX_FRAME_BYTES + 1), b"i" * 32, data)


@settings(max_examples=examples(100))
@given(st.binary(max_size=400))
def test_a_scan_of_garbage_finds_only_what_it_can_prove(garbage: bytes) -> None:
    for frame, raw in scan_frames(PACK, garbage):
        assert frame.id == blake3(raw).digest()


def test_a_pack_is_full_at_its_target() -> None:
    BUFFER.start(PACK)
    block = blake3(b"block").digest(length=1 << 20)
    for number in range(TARGET_BYTES >> 20):
        assert not BUFFER.full
        BUFFER.add(FrameKind.DATA, b"%032d" % number, block)
    assert BUFFER.full


def test_a_pack_of_very_many_small_frames_is_full_too() -> None:
    BUFFER.start(PACK)
    count = 0
    while not BUFFER.full:
        BUFFER.add(FrameKind.DATA, b"%032d" % count, b"%d" % count)
        count += 1
    assert len(footer_of(bytes(BUFFER.finish()))) == count < 10_000


def test_a_buffer_is_used_again() -> None:
    packed(TEXT, NOISE)
    data, frames = packed(b"other", pack=b"q" * 16)
    check_pack(b"q" * 16, data)
    assert [frame.id for frame in footer_of(data, b"q" * 16)] == [frame_id for frame_id, _ in frames]


@given(st.binary(min_size=16, max_size=16))
def test_a_key_says_which_pack_it_is(pack: bytes) -> None:
    assert pack_name(pack_key(pack)) == pack


@pytest.mark.parametrize(
    "key",
    ["packs/00/", "packs/00/00", f"packs/00/{'1' * 32}", f"packs/11/{'1' * 30}", f"packs/AA/{'A' * 32}", f"x/11/{'1' * 32}", "packs/zz/zz"],
)
def test_other_keys_are_no_packs(key: str) -> None:
    assert pack_name(key) is None
