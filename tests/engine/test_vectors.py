"""The published vectors of format 1: writing gives just these bytes, reading gives the values back, and no changed byte gets by."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.engine.parts import Shelf

from kist.engine.changed import ChangedPaths, filter_has, with_folders
from kist.engine.entries import Entry, Place
from kist.engine.index import decode_segment, encode_segment
from kist.engine.nodes import Child, Inner, Leaf, decode_node, encode_inner, encode_leaf
from kist.engine.objects import Objects, Writer
from kist.engine.packs import FRAME_HEADER, FrameKind, PackBuffer, check_pack, decode_frame, read_footer, scan_frames
from kist.engine.recipes import RecipeBuilder, decode_recipe, encode_recipe, load_recipe
from kist.engine.records import (
    Checkpoint,
    Forgotten,
    Format,
    RefEntry,
    Run,
    Tombstone,
    VersionRecord,
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
from kist.errors import IntegrityError, KistError
from kist.stores.memory import MemoryStore

Vector = dict[str, Any]
VECTORS = Path(__file__).parents[1] / "vectors"
KINDS: dict[str, type[msgspec.Struct]] = {
    "entry": RefEntry,
    "checkpoint": Checkpoint,
    "forgotten": Forgotten,
    "tombstone": Tombstone,
    "run": Run,
}


def load(name: str) -> Vector:
    found: Vector = json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))
    return found


def each(name: str, group: str = "vectors") -> pytest.MarkDecorator:
    vectors = load(name)[group]
    return pytest.mark.parametrize("vector", vectors, ids=[str(one.get("name", number)) for number, one in enumerate(vectors)])


def place(value: list[Any] | None) -> Place | None:
    return None if value is None else Place(bytes.fromhex(value[0]), *value[1:])


def there(value: list[Any]) -> Place:
    return Place(bytes.fromhex(value[0]), *value[1:])


def flips(data: bytes) -> list[bytes]:
    """Return the data with one byte changed, for each byte and two ways to change it."""
    return [data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :] for at in range(len(data)) for mask in (1, 0xFF)]


def refused(read: Callable[[bytes], object], data: bytes) -> None:
    """Expect that every changed byte is found out."""
    for broken in flips(data):
        with pytest.raises(IntegrityError):
            read(broken)


# format


@each("format")
def test_format(vector: Vector) -> None:
    record = msgspec.convert(vector["value"], Format)
    assert encode_format(record).decode() == vector["text"]
    assert decode_format(vector["text"].encode()) == record
    refused(decode_format, vector["text"].encode())


@each("format", "refused")
def test_format_of_another_time(vector: Vector) -> None:
    with pytest.raises(KistError) as caught:
        decode_format(vector["text"].encode())
    assert caught.value.code == vector["code"]


# Packs


@each("packs")
def test_pack_is_read(vector: Vector) -> None:
    data, pack = bytes.fromhex(vector["bytes"]), bytes.fromhex(vector["pack"])
    check_pack(pack, data)
    frames = read_footer(pack, len(data), data)
    assert isinstance(frames, list)
    for frame, row in zip(frames, vector["frames"], strict=True):
        assert (frame.id.hex(), frame.offset, frame.stored, frame.raw, frame.codec, frame.kind) == tuple(list(row.values())[:6])
        part = data[frame.offset : frame.offset + FRAME_HEADER.size + frame.stored]
        assert decode_frame(frame.place(pack), frame.id, part).hex() == row["content"]
    assert [(frame.id.hex(), raw.hex()) for frame, raw in scan_frames(pack, data)] == [
        (row["id"], row["content"]) for row in vector["frames"]
    ]


@each("packs")
def test_pack_is_written(vector: Vector) -> None:
    buffer, pack = PackBuffer(), bytes.fromhex(vector["pack"])
    buffer.start(pack)
    for row in vector["frames"]:
        buffer.add(FrameKind(row["type"]), bytes.fromhex(row["id"]), bytes.fromhex(row["content"]))
    data = bytes(buffer.finish())
    check_pack(pack, data)
    assert not vector["exact"] or data.hex() == vector["bytes"]


@each("packs")
def test_pack_with_a_changed_byte(vector: Vector) -> None:
    data, pack = bytes.fromhex(vector["bytes"]), bytes.fromhex(vector["pack"])
    refused(lambda broken: check_pack(pack, broken), data)
    footer = sum(12 + row["stored"] for row in vector["frames"]) + 32
    for broken in flips(data[footer:-32]):
        with pytest.raises(IntegrityError):
            read_footer(pack, len(data), data[:footer] + broken + data[-32:])


@each("packs", "refused")
def test_frame_that_is_not_what_its_place_says(vector: Vector) -> None:
    with pytest.raises(IntegrityError):
        decode_frame(Place(bytes(16), 32, vector["stored"], vector["raw"]), bytes.fromhex(vector["id"]), bytes.fromhex(vector["bytes"]))


# Recipes


@each("recipes")
def test_recipe(vector: Vector) -> None:
    children = [(bytes.fromhex(row["id"]), there(row["place"]), row["size"]) for row in vector["children"]]
    raw = bytes.fromhex(vector["bytes"])
    recipe = decode_recipe(raw, what="it")
    assert (recipe.level, list(recipe.children())) == (vector["level"], children)
    assert encode_recipe(vector["level"], children) == raw
    assert digest(raw).hex() == vector["id"]


@each("recipes", "parts")
def test_parts_of_a_recipe(vector: Vector) -> None:
    store = MemoryStore()
    writer = Writer(store, None)
    recipe = RecipeBuilder(writer)
    for number in range(vector["chunks"]):
        head = 1024 * number + (number not in vector["ends"])
        recipe.add(head.to_bytes(4, "little") + bytes(28), Place(bytes(16), 0, 0, 0), 1)
    top_id, where = recipe.finish()
    writer.flush()
    top = load_recipe(Objects(store), top_id, where)
    parts = [len(top.size)] if top.level == 0 else [len(load_recipe(Objects(store), one, place).size) for one, place, _ in top.children()]
    assert parts == vector["parts"]


# Trees


def entry(row: Vector) -> Entry:
    """Return the entry that a vector describes."""
    found: Vector = {name: bytes.fromhex(value) if name in {"hash", "recipe", "sha256"} else value for name, value in row.items()}
    return Entry(**{**found, "place": place(row.get("place")), "labels": tuple(row.get("labels", ()))})


def test_leaf() -> None:
    [vector] = [one for one in load("trees")["vectors"] if one["level"] == 0]
    raw, entries = bytes.fromhex(vector["bytes"]), [entry(row) for row in vector["entries"]]
    leaf = decode_node(raw, what="it")
    assert isinstance(leaf, Leaf)
    assert [leaf.entry(row) for row in range(len(leaf))] == entries
    assert encode_leaf(entries) == raw
    assert digest(raw).hex() == vector["id"]


def test_inner_node() -> None:
    [vector] = [one for one in load("trees")["vectors"] if one["level"]]
    raw = bytes.fromhex(vector["bytes"])
    children = [
        Child(row["first"], bytes.fromhex(row["id"]), there(row["place"]), row["entries"], row["files"], row["size"])
        for row in vector["children"]
    ]
    inner = decode_node(raw, what="it", level=vector["level"])
    assert isinstance(inner, Inner)
    assert inner.children == children
    assert encode_inner(vector["level"], children) == raw
    assert digest(raw).hex() == vector["id"]


@each("trees", "cuts")
def test_cuts_of_a_tree(vector: Vector) -> None:
    shelf, entries = Shelf(), {}
    for number in range(vector["count"]):
        path = vector["template"].format(folder=f"{number // 100:04d}", number=f"{number:06d}", long="x" * 1000)
        entries[path] = Entry(path=path, kind="file", hash=digest(b""), mode=0o644)
    root = shelf.build(entries)
    nodes = [node for _, node in shelf.trees.nodes(root, set())]
    assert [[len(node) for node in nodes if node.level == level] for level in range(len(vector["nodes"]))] == vector["nodes"]
    assert root.id.hex() == vector["root"]


# Versions, refs and the collector's notes


def version(value: Vector) -> VersionRecord:
    """Return the version that a vector describes."""
    hidden = {"parents", "tree", "place", "filter", "changed", "bytes"}
    return VersionRecord(
        parents=tuple((bytes.fromhex(one), there(where)) for one, where in value["parents"]),
        tree=bytes.fromhex(value["tree"]),
        place=place(value["place"]),
        filter=bytes.fromhex(value["filter"]),
        changed=None if value["changed"] is None else tuple(value["changed"]),
        size=value["bytes"],
        **{name: one for name, one in value.items() if name not in hidden},
    )


def record(kind: str, value: Vector) -> msgspec.Struct:
    """Return the record of a kind that a vector describes."""
    bytes_of = {name: bytes.fromhex(value[name]) for name in ("txn", "version", "record", "pack") if name in value}
    lists = {name: tuple(bytes.fromhex(one) for one in value[name]) for name in ("previous", "deleted") if name in value}
    rest = {name: one for name, one in value.items() if name not in {*bytes_of, *lists, "place", "heads"}}
    places = {"place": there(value["place"])} if "place" in value else {}
    heads = {"heads": tuple(value["heads"])} if "heads" in value else {}
    return KINDS[kind](**rest, **bytes_of, **lists, **places, **heads)


@each("records", "versions")
def test_version(vector: Vector) -> None:
    raw, expected = bytes.fromhex(vector["bytes"]), version(vector["value"])
    assert encode(expected) == raw
    assert decode(raw, VersionRecord, what="it") == expected
    assert digest(raw).hex() == vector["id"]


@each("records", "sealed")
def test_sealed_record(vector: Vector) -> None:
    data, kind = bytes.fromhex(vector["bytes"]), KINDS[vector["kind"]]
    expected = record(vector["kind"], vector["value"])
    assert seal(encode(expected)) == data
    assert decode(unseal(data, what="it"), kind, what="it") == expected
    refused(lambda broken: unseal(broken, what="it"), data)


@each("records", "slots")
def test_slot(vector: Vector) -> None:
    assert (slot(vector["seq"]), slot_seq(vector["slot"])) == (vector["slot"], vector["seq"])


# Filters


@each("filters", "bits")
def test_bits_of_a_filter(vector: Vector) -> None:
    data = bytearray(vector["bytes"])
    for bit in vector["bits"]:
        assert not filter_has(bytes(data), vector["path"])
        data[bit // 8] |= 1 << bit % 8
    assert filter_has(bytes(data), vector["path"])


def test_filter_of_many_paths() -> None:
    found, paths = ChangedPaths(), [f"lab/{number % 11:02d}/f{number}" for number in range(1100)]
    for path in paths:
        found(None, Entry(path=path, kind="file"))
    data = found.filter()
    assert data.hex() == load("filters")["filter"]
    assert all(filter_has(data, one) for path in paths for one in with_folders(path))


# Index


@each("index")
def test_segment(vector: Vector) -> None:
    rows = [(bytes.fromhex(row[0]), there(row[1:])) for row in vector["frames"]]
    frames = {bytes.fromhex(pack): [row for row in rows if row[1].pack.hex() == pack] for pack in vector["packs"]}
    data = bytes.fromhex(vector["bytes"])
    assert encode_segment(frames) == data
    assert list(decode_segment(data, what="it").all()) == rows
    refused(lambda broken: decode_segment(broken, what="it"), data)
