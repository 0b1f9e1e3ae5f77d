"""The nodes of trees: entries come back as they were; bytes that are no node are an integrity error."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.parts import a_file, examples

from kist.engine.entries import Entry, Place
from kist.engine.nodes import MAX_WEIGHT, MIN_WEIGHT, Child, Inner, Leaf, decode_node, encode_inner, encode_leaf, ends_node
from kist.engine.records import digest
from kist.errors import IntegrityError

PLACE = Place(b"p" * 16, 32, 10, 20)
OTHER = Place(b"q" * 16, 1, 2, 3)
FULL = Entry(
    path="a/full",
    kind="file",
    size=2**63 - 1,
    mtime_ns=-1,
    mode=0o777,
    hash=b"h" * 32,
    crc32c=2**32 - 1,
    recipe=b"r" * 32,
    place=PLACE,
    sha256=b"s" * 32,
    id="0123",
    timestamp="2026",
    labels=("one", "zwei"),
    tags={"b": [1, 2.5, None], "a": "ä"},
)
ENTRIES = [
    Entry(path="a", kind="folder", mtime_ns=5, mode=0o755),
    FULL,
    a_file("a/plain", b"1", place=OTHER),
    a_file("a/empty"),
    Entry(path="link", kind="link", target="../ä", mode=0o777),
]
ENTRIES.sort(key=lambda entry: entry.path.replace("/", "\0"))
CHILDREN = [Child("a", b"1" * 32, PLACE, 5, 3, 100), Child("b/c", b"2" * 32, OTHER, 1, 0, 0)]
LEAF, INNER = encode_leaf(ENTRIES), encode_inner(1, CHILDREN)


def altered(body: bytes, /, **members: object) -> bytes:
    return msgspec.msgpack.encode({**msgspec.msgpack.decode(body), **members})


def column(raw: bytes, name: str, value: object, *, row: int = 0) -> bytes:
    values = msgspec.msgpack.decode(raw)[name]
    values[row] = value
    return altered(raw, **{name: values})


def test_entries_come_back_from_a_leaf() -> None:
    leaf = decode_node(LEAF, what="it")
    assert isinstance(leaf, Leaf)
    assert [leaf.entry(row) for row in range(len(leaf))] == ENTRIES


def test_children_come_back_from_an_inner_node() -> None:
    inner = decode_node(INNER, what="it", level=1)
    assert isinstance(inner, Inner)
    assert inner.children == CHILDREN


def test_a_leaf_counts_entries_files_and_bytes() -> None:
    leaf = decode_node(encode_leaf([a_file("a", b"12"), Entry(path="b", kind="folder"), a_file("c", b"345")]), what="it")
    assert isinstance(leaf, Leaf)
    assert (leaf.totals(0, 3), leaf.totals(1, 3)) == ((3, 2, 5), (2, 1, 3))


@pytest.mark.parametrize("tags", [{"a": 1}, {}, None])
def test_empty_tags_are_none(tags: dict[str, object] | None) -> None:
    leaf = decode_node(encode_leaf([a_file("a", tags=tags)]), what="it")
    assert isinstance(leaf, Leaf)
    assert leaf.entry(0).tags == (tags or None)


@pytest.mark.parametrize(
    "raw",
    [
        altered(LEAF, level=-1),
        altered(LEAF, level=1),
        altered(LEAF, path=[]),
        altered(LEAF, hash=b""),
        altered(LEAF, hash=bytes(31 * 5)),
        altered(LEAF, packs=[b"p" * 16]),
        altered(LEAF, packs=[b"p" * 16, b"q" * 15]),
        column(LEAF, "kind", 3),
        column(LEAF, "kind", -1),
        column(LEAF, "size", -1),
        column(LEAF, "mode", -1),
        column(LEAF, "crc", -1),
        column(LEAF, "pack", -1),
        column(LEAF, "offset", -1),
        column(LEAF, "stored", 2**32),
        column(LEAF, "raw", 2**32),
        column(LEAF, "path", "z"),
        column(LEAF, "path", ""),
        column(LEAF, "path", "/a"),
        column(LEAF, "path", "../a"),
        column(LEAF, "path", "a/.", row=1),
        column(LEAF, "path", "a//b", row=1),
        column(LEAF, "path", "a\0b", row=1),
        column(LEAF, "path", "link", row=3),
        column(LEAF, "path", "x" * 4097, row=4),
        column(LEAF, "path", "x\n/..", row=4),
        altered(LEAF, more={5: {"target": "x"}}),
        altered(LEAF, more={-1: {"target": "x"}}),
        altered(LEAF, more={1: {"recipe": b"short"}}),
        altered(LEAF, more={1: {"tags": "[]"}}),
        altered(LEAF, more={1: {"tags": "{"}}),
        altered(LEAF, more={1: {"tags": '{"b":1,"a":2}'}}),
        altered(LEAF, more={1: {"tags": '{"a": NaN}'}}),
        altered(LEAF, more={1: {"target": ""}}),
        altered(LEAF, more={1: {"colour": "red"}}),
        altered(LEAF, colour=[]),
    ],
    ids=range(36),
)
def test_a_leaf_that_contradicts_itself_is_refused(raw: bytes) -> None:
    with pytest.raises(IntegrityError):
        decode_node(raw, what="it")


@pytest.mark.parametrize(
    "raw",
    [
        altered(INNER, level=2),
        altered(INNER, first=[]),
        altered(INNER, ids=bytes(32)),
        altered(INNER, packs=[b"p" * 16]),
        altered(INNER, packs=[b"p" * 16, b""]),
        altered(INNER, first=["b", "a"]),
        altered(INNER, first=["a", "a"]),
        column(INNER, "pack", 2),
        column(INNER, "pack", -1),
        column(INNER, "offset", 2**32),
        column(INNER, "stored", -1),
        column(INNER, "entries", -1),
        column(INNER, "size", -1),
        LEAF,
    ],
    ids=range(14),
)
def test_an_inner_node_that_contradicts_itself_is_refused(raw: bytes) -> None:
    with pytest.raises(IntegrityError):
        decode_node(raw, what="it", level=1)


def test_a_node_has_the_level_that_its_parent_promised() -> None:
    with pytest.raises(IntegrityError):
        decode_node(INNER, what="it", level=0)


@settings(max_examples=examples(300), deadline=None)
@given(raw=st.sampled_from([LEAF, INNER]), data=st.data())
def test_a_node_with_changed_bytes_is_readable_or_an_integrity_error(raw: bytes, data: st.DataObject) -> None:
    body = bytearray(raw)
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        node = decode_node(bytes(body), what="it")
    except IntegrityError:
        return
    if isinstance(node, Leaf):
        assert all(node.entry(row) for row in range(len(node)))


@given(st.binary(max_size=300))
def test_garbage_is_an_integrity_error(garbage: bytes) -> None:
    with pytest.raises(IntegrityError):
        decode_node(garbage, what="it")


def test_no_node_ends_before_its_least_weight() -> None:
    assert not any(ends_node(MIN_WEIGHT - 1, b"%d" % number) for number in range(5000))


def test_every_node_ends_at_its_greatest_weight() -> None:
    assert all(ends_node(MAX_WEIGHT, b"%d" % number) for number in range(5000))


def test_between_them_nodes_end_after_items_in_proportion_to_their_weight() -> None:
    short = sum(ends_node(MIN_WEIGHT, b"%06d" % number) for number in range(20_000)) / 20_000
    long = sum(ends_node(MIN_WEIGHT, b"%06d" % number * 100) for number in range(20_000)) / 20_000
    assert short == pytest.approx(102 / 65536, rel=0.4)
    assert long == pytest.approx(696 / 65536, rel=0.2)


def test_the_same_entries_give_the_same_bytes() -> None:
    assert digest(encode_leaf(list(ENTRIES))) == digest(LEAF)
