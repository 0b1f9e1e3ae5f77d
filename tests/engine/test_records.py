"""Sealed objects, `format`, versions and ref entries: bytes that are not what format 1 says are refused, whatever they are."""

import contextlib
import json
import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.parts import a_format, examples

from kist.engine.entries import Place
from kist.engine.records import (
    Checkpoint,
    Forgotten,
    RefEntry,
    Run,
    Tombstone,
    VersionRecord,
    canonical_json,
    decode,
    decode_format,
    digest,
    encode,
    encode_format,
    seal,
    slot,
    slot_seq,
    unseal,
)
from kist.errors import IntegrityError, Unsupported

PLACE = Place(b"p" * 16, 32, 10, 20)
VERSION = VersionRecord(
    parents=((b"a" * 32, PLACE),),
    tree=b"t" * 32,
    place=PLACE,
    number=2,
    time=1_800_000_000_000_000,
    author="ann",
    message="second",
    tool="kist",
    files=1,
    size=10,
    new_bytes=10,
    reused_bytes=0,
    changed=("a", "a/b"),
    filter=b"",
    notes={"stage": "published"},
)
ENTRY = RefEntry(
    repo="0" * 32,
    ref="heads/main",
    seq=2,
    txn=b"x" * 16,
    previous=(b"s" * 32,),
    version=digest(encode(VERSION)),
    place=PLACE,
    record=encode(VERSION),
    time=1,
)
RECORDS = [
    VERSION,
    ENTRY,
    Checkpoint(repo="0" * 32, ref="heads/main", seq=1000, heads=("refs/heads/main/x",)),
    Forgotten(repo="0" * 32, version=b"v" * 32, time=-1, author="ann"),
    Tombstone(repo="0" * 32, pack=b"p" * 16, run="r"),
    Run(repo="0" * 32, deleted=(b"p" * 16,)),
]
each_record = pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)


def replaced(record: msgspec.Struct, **members: object) -> bytes:
    return encode(msgspec.structs.replace(record, **members))


def test_what_was_sealed_comes_back() -> None:
    assert unseal(seal(b"body"), what="it") == b"body"


@given(st.binary(max_size=100), st.data())
def test_a_seal_shows_every_changed_byte(body: bytes, data: st.DataObject) -> None:
    sealed = bytearray(seal(body))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(IntegrityError, match="it is damaged"):
        unseal(bytes(sealed), what="it")


@given(st.binary(max_size=100), st.data())
def test_a_seal_shows_what_was_cut_off(body: bytes, data: st.DataObject) -> None:
    sealed = seal(body)
    with pytest.raises(IntegrityError):
        unseal(sealed[: data.draw(st.integers(0, len(sealed) - 1))], what="it")


@each_record
def test_a_record_comes_back(record: msgspec.Struct) -> None:
    assert decode(encode(record), type(record), what="it") == record


@each_record
def test_a_record_with_a_member_too_many_is_refused(record: msgspec.Struct) -> None:
    body = msgspec.msgpack.encode({**msgspec.msgpack.decode(encode(record)), "more": 1})
    with pytest.raises(IntegrityError):
        decode(body, type(record), what="it")


@each_record
def test_a_record_that_lacks_a_member_is_refused(record: msgspec.Struct) -> None:
    members = msgspec.msgpack.decode(encode(record))
    for name in members:
        body = msgspec.msgpack.encode({key: value for key, value in members.items() if key != name})
        with pytest.raises(IntegrityError):
            decode(body, type(record), what="it")


@each_record
def test_a_record_with_its_members_in_another_order_is_refused(record: msgspec.Struct) -> None:
    body = msgspec.msgpack.encode(dict(reversed(msgspec.msgpack.decode(encode(record)).items())))
    with pytest.raises(IntegrityError, match="canonical"):
        decode(body, type(record), what="it")


def test_a_number_in_a_longer_form_than_needed_is_refused() -> None:
    run = encode(Run(repo="", deleted=()))
    assert run.endswith(b"\x90")
    with pytest.raises(IntegrityError, match="canonical"):
        decode(run[:-1] + b"\xdc\x00\x00", Run, what="it")


@each_record
def test_bytes_behind_a_record_are_refused(record: msgspec.Struct) -> None:
    with pytest.raises(IntegrityError):
        decode(encode(record) + b"\xc0", type(record), what="it")


@each_record
@settings(max_examples=examples(100), deadline=None)
@given(data=st.data())
def test_a_record_with_changed_bytes_is_a_record_or_an_integrity_error(record: msgspec.Struct, data: st.DataObject) -> None:
    body = bytearray(encode(record))
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(IntegrityError):
        decode(bytes(body), type(record), what="it")


@each_record
@given(garbage=st.binary(max_size=200))
def test_garbage_is_an_integrity_error(record: msgspec.Struct, garbage: bytes) -> None:
    with pytest.raises(IntegrityError):
        decode(garbage, type(record), what="it")


@each_record
def test_values_nested_without_end_are_an_integrity_error(record: msgspec.Struct) -> None:
    with pytest.raises(IntegrityError):
        decode(b"\x91" * 100_000, type(record), what="it")


@pytest.mark.parametrize(
    "members",
    [
        {"number": 0},
        {"number": -1},
        {"files": -1},
        {"size": -1},
        {"new_bytes": -1},
        {"reused_bytes": -1},
        {"tree": b"t" * 31},
        {"parents": ((b"a" * 33, PLACE),)},
        {"changed": ("../up",)},
        {"changed": ("a\0",)},
    ],
    ids=str,
)
def test_a_version_that_can_not_be_is_refused(members: dict[str, object]) -> None:
    with pytest.raises(IntegrityError):
        decode(replaced(VERSION, **members), VersionRecord, what="it")


@pytest.mark.parametrize(
    "place", [Place(b"short", 0, 0, 0), Place(b"p" * 16, -1, 0, 0), Place(b"p" * 16, 0, -1, 0), Place(b"p" * 16, 0, 0, 1 << 40)], ids=str
)
def test_a_place_that_no_pack_has_is_refused(place: Place) -> None:
    for record in (replaced(VERSION, place=place), replaced(VERSION, parents=((b"a" * 32, place),))):
        with pytest.raises(IntegrityError):
            decode(record, VersionRecord, what="it")
    with pytest.raises(IntegrityError):
        decode(replaced(ENTRY, place=place), RefEntry, what="it")


def test_an_entry_holds_the_version_that_it_names() -> None:
    with pytest.raises(IntegrityError, match="does not hold the version"):
        decode(replaced(ENTRY, version=b"v" * 32), RefEntry, what="it")


@pytest.mark.parametrize("members", [{"seq": -1}, {"seq": 2**64 - 1}, {"txn": b"x" * 15}], ids=str)
def test_an_entry_that_can_not_be_is_refused(members: dict[str, object]) -> None:
    with pytest.raises(IntegrityError):
        decode(replaced(ENTRY, **members), RefEntry, what="it")


def test_the_newest_slot_sorts_first() -> None:
    names = [slot(seq) for seq in (0, 1, 2, 1000, 2**32, 2**63)]
    assert names == sorted(names, reverse=True)


@given(st.integers(0, 2**64 - 2))
def test_a_slot_says_its_number(seq: int) -> None:
    assert (slot_seq(slot(seq)), slot_seq(f"{slot(seq)}-{'0' * 32}")) == (seq, seq)


@pytest.mark.parametrize("name", ["", "x", "0" * 15, "0" * 17, "F" * 16, "0" * 16 + "-", "0" * 16 + "-" + "0" * 31, "0" * 16 + "\n"])
def test_other_names_are_no_slots(name: str) -> None:
    assert slot_seq(name) is None


def test_json_is_sorted_tight_and_not_escaped_without_need() -> None:
    assert canonical_json({"b": [1, "ä\n"], "a": None}).decode() == '{"a":null,"b":[1,"ä\\n"]}'


def test_the_format_comes_back() -> None:
    record = a_format()
    assert decode_format(encode_format(record)) == record


def sealed_json(body: dict[str, object]) -> bytes:
    return canonical_json({**body, "seal": digest(canonical_json(body)).hex()})


def builtins_of_a_format() -> dict[str, object]:
    body: dict[str, object] = msgspec.to_builtins(a_format())
    return body


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"version": 0},
        {"version": "1"},
        {"version": None},
        {"encryption": {"name": "aes"}},
        {"kist": "other"},
        {"version": 7, "something": "new"},
        {"features": {"collect": [], "read": ["colours"], "write": []}},
    ],
    ids=str,
)
def test_what_a_newer_kist_wrote_is_refused_as_such(change: dict[str, object]) -> None:
    with pytest.raises(Unsupported, match="install a newer kist"):
        decode_format(sealed_json({**builtins_of_a_format(), **change}))


def test_an_unknown_feature_is_named() -> None:
    features: dict[str, object] = {"collect": [], "read": ["colours"], "write": []}
    with pytest.raises(Unsupported, match="colours"):
        decode_format(sealed_json({**builtins_of_a_format(), "features": features}))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"[]",
        b'"seal"',
        b"{}",
        b'{"seal":null}',
        b'{"seal":NaN}',
        b'{"a":NaN,"seal":""}',
        b'{"a":"\\ud800","seal":""}',
        b'{"a":1e999,"seal":""}',
        b"\xff",
        b"[" * 100_000,
        b"9" * 5000,
    ],
    ids=lambda text: repr(text[:20]),
)
def test_what_is_no_sealed_json_is_an_integrity_error(text: bytes) -> None:
    with pytest.raises(IntegrityError, match="format"):
        decode_format(text)


def test_a_format_with_spaces_is_refused() -> None:
    text = json.dumps(json.loads(encode_format(a_format())), sort_keys=True).encode()
    with pytest.raises(IntegrityError, match="seal"):
        decode_format(text)


@pytest.mark.parametrize("change", [{"authority": 1}, {"something": "new"}, {"features": []}, {"id": math.pi}], ids=str)
def test_a_format_whose_members_make_no_sense_is_an_integrity_error(change: dict[str, object]) -> None:
    with pytest.raises(IntegrityError):
        decode_format(sealed_json({**builtins_of_a_format(), **change}))
