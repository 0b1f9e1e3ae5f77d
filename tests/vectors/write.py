"""Writes the test vectors of docs/spec/format-1.md, all but those of the chunker: ``PYTHONPATH=src:. python -m tests.vectors.write``.

It ran once, when format 1 was settled. The vectors are the law from then on: where running it again changes a file, the code is wrong.
Bytes are in hexadecimal; an empty `place` is nil.
"""

import json
from pathlib import Path
from typing import Any

import zstandard
from blake3 import blake3

from kist.engine.changed import ChangedPaths
from kist.engine.entries import Entry, Place, sort_key
from kist.engine.index import encode_segment
from kist.engine.nodes import EMPTY, Child, encode_inner, encode_leaf
from kist.engine.objects import MemoryWriter, Objects
from kist.engine.packs import FRAME_HEADER, FrameKind, PackBuffer, read_footer
from kist.engine.recipes import encode_recipe
from kist.engine.records import (
    CHUNKER,
    Checkpoint,
    Forgotten,
    Format,
    RefEntry,
    Run,
    Tombstone,
    VersionRecord,
    canonical_json,
    digest,
    encode,
    encode_format,
    slot,
)
from kist.engine.trees import Trees
from kist.engine.updates import update_tree
from kist.stores.memory import MemoryStore

FOLDER = Path(__file__).parent
REPO = "0123456789abcdef0123456789abcdef"
PACK, OTHER = bytes(range(16)), bytes(range(16, 32))
PLACE, FAR = Place(PACK, 32, 100, 200), Place(OTHER, 4294967295, 1, 16777216)
TEXT, NOISE = b"compressible " * 20, blake3(b"kist vectors").digest(length=64)

Vector = dict[str, Any]


def named(name: str) -> bytes:
    """Return the 32 bytes that stand for an id: the BLAKE3-256 of a name."""
    return digest(name.encode())


def plain(value: object) -> Any:  # noqa: ANN401 - any JSON value
    """Return a value as JSON has it, bytes in hexadecimal."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value


def members(record: object) -> Vector:
    """Return the members of a record by their names on the wire."""
    fields = record.__struct_fields__, record.__struct_encode_fields__  # type: ignore[attr-defined]  # a msgspec struct
    return {wire: plain(getattr(record, name)) for name, wire in zip(*fields, strict=True)}


def formats() -> Vector:
    """§3."""
    record = Format(
        authority="create",
        chunker=CHUNKER,
        created="2026-11-20T10:00:00.000000Z",
        encryption=None,
        features={"collect": (), "read": (), "write": ()},
        hash="blake3-256",
        id=REPO,
        kist="repository",
        version=1,
    )

    def refused(name: str, **change: object) -> Vector:
        body = {**members(record), **change}
        return {"name": name, "text": canonical_json({**body, "seal": digest(canonical_json(body)).hex()}).decode(), "code": "unsupported"}

    return {
        "about": {"text": "the object, in UTF-8", "refused": "whole, and of another time: `code` is that of the error"},
        "vectors": [{"name": "create", "value": members(record), "text": encode_format(record).decode()}],
        "refused": [
            refused("a newer version", version=2),
            refused("an unknown feature", features={"collect": [], "read": ["colour"], "write": []}),
            refused("encryption", encryption={"name": "aes"}),
        ],
    }


def packs() -> Vector:
    """§4."""

    def pack(name: str, frames: list[tuple[FrameKind, bytes]], *, exact: bool) -> Vector:
        buffer = PackBuffer()
        buffer.start(PACK)
        for kind, raw in frames:
            buffer.add(kind, digest(raw), raw)
        data = bytes(buffer.finish())
        found = read_footer(PACK, len(data), data)
        assert isinstance(found, list)
        rows = [
            {
                "id": frame.id.hex(),
                "offset": frame.offset,
                "stored": frame.stored,
                "raw": frame.raw,
                "codec": frame.codec,
                "type": frame.kind,
                "content": raw.hex(),
            }
            for frame, (_, raw) in zip(found, frames, strict=True)
        ]
        return {"name": name, "pack": PACK.hex(), "frames": rows, "exact": exact, "bytes": data.hex()}

    bomb = zstandard.ZstdCompressor(level=1).compress(bytes(1000))
    return {
        "about": {
            "exact": "whether a writer gives just these bytes; compressors differ",
            "refused": "a frame, header and payload, that is not what its place (stored, raw) and id say",
        },
        "vectors": [
            pack(
                "stored as it is",
                [(FrameKind.DATA, NOISE), (FrameKind.RECIPE, b"r"), (FrameKind.TREE, b"t"), (FrameKind.VERSION, b"v")],
                exact=True,
            ),
            pack("one compressed", [(FrameKind.DATA, TEXT), (FrameKind.DATA, NOISE)], exact=False),
        ],
        "refused": [
            {
                "name": "an unknown codec",
                "id": digest(NOISE).hex(),
                "stored": 64,
                "raw": 64,
                "bytes": (FRAME_HEADER.pack(64, 64, 2, 1, 0) + NOISE).hex(),
            },
            {
                "name": "an unknown type",
                "id": digest(NOISE).hex(),
                "stored": 64,
                "raw": 64,
                "bytes": (FRAME_HEADER.pack(64, 64, 0, 5, 0) + NOISE).hex(),
            },
            {
                "name": "reserved bytes",
                "id": digest(NOISE).hex(),
                "stored": 64,
                "raw": 64,
                "bytes": (FRAME_HEADER.pack(64, 64, 0, 1, 1) + NOISE).hex(),
            },
            {
                "name": "another id",
                "id": digest(TEXT).hex(),
                "stored": 64,
                "raw": 64,
                "bytes": (FRAME_HEADER.pack(64, 64, 0, 1, 0) + NOISE).hex(),
            },
            {
                "name": "more than it says",
                "id": digest(bytes(1000)).hex(),
                "stored": len(bomb),
                "raw": 999,
                "bytes": (FRAME_HEADER.pack(len(bomb), 999, 1, 1, 0) + bomb).hex(),
            },
        ],
    }


def recipes() -> Vector:
    """§5."""
    chunks = [(named(f"chunk {n}"), Place((PACK, OTHER)[n % 2], 32 + 100 * n, 88, 100 + n), 100 + n) for n in range(5)]
    parts = [(named(f"part {n}"), Place(OTHER, 1000 * n, 500, 700), 1_000_000 + n) for n in range(2)]

    def recipe(name: str, level: int, children: list[tuple[bytes, Place, int]]) -> Vector:
        rows = [{"id": child.hex(), "place": plain(place), "size": size} for child, place, size in children]
        raw = encode_recipe(level, children)
        return {"name": name, "level": level, "children": rows, "bytes": raw.hex(), "id": digest(raw).hex()}

    ends = {"never": [], "by id": [6, 21, 22], "at the greatest length": []}
    return {
        "about": {
            "parts": "chunk n has an id that starts with the u32 1024 n (ends) or 1024 n + 1; `parts` says how many children each part "
            "of level 0 has"
        },
        "vectors": [recipe("chunks", 0, chunks), recipe("parts", 1, parts), recipe("one chunk", 0, chunks[:1])],
        "parts": [
            {"name": "never", "chunks": 100, "ends": ends["never"], "parts": [100]},
            {"name": "by id", "chunks": 30, "ends": ends["by id"], "parts": [7, 15, 8]},
            {"name": "not after its first child", "chunks": 5, "ends": [0, 1, 2, 3, 4], "parts": [2, 2, 1]},
            {"name": "at the greatest length", "chunks": 5000, "ends": [], "parts": [4096, 904]},
        ],
    }


def entries() -> list[Entry]:
    """Return entries of all kinds with all that they can have."""
    return [
        Entry(path="a", kind="folder", mtime_ns=-1, mode=0o755, labels=("raw",)),
        Entry(
            path="a/b.csv",
            kind="file",
            size=300000,
            mtime_ns=1_700_000_000_123_456_789,
            mode=0o640,
            hash=named("content"),
            crc32c=4294967295,
            recipe=named("recipe"),
            place=PLACE,
            sha256=named("sha"),
            id="f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
            timestamp="2026-11-20T10:00:00",
            labels=("clean", "zwölf"),
            tags={"site": "A", "n": [1, 2.5, None, True]},
        ),
        Entry(path="a.b", kind="file", size=200, mtime_ns=5, mode=0o644, hash=named("small"), crc32c=7, place=FAR),
        Entry(path="empty", kind="file", mtime_ns=0, mode=0o600, hash=digest(b"")),
        Entry(path="link", kind="link", mtime_ns=9, mode=0o777, target="../nowhere/ä"),
        Entry(path="ä/🐟", kind="file", size=200, mode=0o644, hash=named("small"), crc32c=7, place=Place(PACK, 7, 8, 200)),
    ]


def a_path(number: int, template: str) -> str:
    """Return the path with a number."""
    return template.format(folder=f"{number // 100:04d}", number=f"{number:06d}", long="x" * 1000)


def tree_cuts(name: str, template: str, count: int) -> Vector:
    """Return where the levels of a tree are cut."""
    objects = Objects(MemoryStore(), cached_bytes=1 << 40)
    trees = Trees(objects)
    paths = [a_path(number, template) for number in range(count)]
    rows = sorted((sort_key(path), Entry(path=path, kind="file", hash=digest(b""), mode=0o644)) for path in paths)
    root, _ = update_tree(trees, MemoryWriter(objects), EMPTY, iter(rows), changed=lambda _old, _new: None)
    levels: dict[int, list[int]] = {}
    for _, node in trees.nodes(root, set()):
        levels.setdefault(node.level, []).append(len(node))
    return {"name": name, "template": template, "count": count, "nodes": [levels[level] for level in sorted(levels)], "root": root.id.hex()}


def nodes() -> Vector:
    """§6."""
    children = [Child("a", named("left"), PLACE, 5, 3, 500_400), Child("b/c", named("right"), Place(PACK, 300, 1, 2), 1, 0, 0)]
    leaf, inner = encode_leaf(entries()), encode_inner(2, children)
    return {
        "about": {
            "entries": "members that an entry lacks have the values of the specification",
            "cuts": "the paths are those of `template` for number 0 to before `count`: {number} with 6 digits, {folder} is number // "
            "100 with 4, {long} is 1000 times x. Each is an empty file with mode 644 (octal), time 0 and checksum 0. `nodes` are the "
            "lengths of the nodes of each level, from level 0, from left to right. `root` is the id of the root where each place is "
            "[16 zero bytes, 0, 0, bytes of the node].",
        },
        "vectors": [
            {
                "name": "leaf",
                "level": 0,
                "entries": [entry_members(entry) for entry in entries()],
                "bytes": leaf.hex(),
                "id": digest(leaf).hex(),
            },
            {
                "name": "inner",
                "level": 2,
                "children": [members(child) for child in children],
                "bytes": inner.hex(),
                "id": digest(inner).hex(),
            },
        ],
        "cuts": [
            tree_cuts("one node", "{number}", 10),
            tree_cuts("short paths", "lab/series-{folder}/run-{number}.csv", 6000),
            tree_cuts("long paths", "{folder}/{long}-{number}", 3000),
        ],
    }


def entry_members(entry: Entry) -> Vector:
    """Return the members of an entry that are not empty."""
    return {name: value for name, value in members(entry).items() if value not in ("", [], None, 0) or name in ("size", "mtime_ns")}


def changes() -> Vector:
    """§7: the filter."""
    found = ChangedPaths()
    for number in range(1100):
        found(None, Entry(path=f"lab/{number % 11:02d}/f{number}", kind="file"))
    return {
        "about": {
            "bits": "the probes of a path in a filter of so many bytes, in order; bit n is bit n mod 8, from the least significant, "
            "of byte n div 8",
            "filter": "of the paths lab/NN/fN for N from 0 to 1099, NN is N mod 11 with two digits, and the folders above them, the empty "
            "path too",
        },
        "bits": [
            {"path": path, "bytes": size, "bits": probes(path, size)}
            for path, size in (("", 1), ("a", 100), ("data/ä.csv", 1390), ("x" * 300, 12_500))
        ],
        "filter": found.filter().hex(),
    }


def probes(path: str, size: int) -> list[int]:
    """Return the bits of a path by the letter of §7."""
    hashed = digest(path.encode())
    one, two = int.from_bytes(hashed[:8], "little"), int.from_bytes(hashed[8:16], "little") | 1
    return [(one + probe * two) % (8 * size) for probe in range(7)]


def records() -> Vector:
    """§7, §8, §10."""
    first = VersionRecord(
        parents=(),
        tree=bytes(32),
        place=None,
        number=1,
        time=1_763_632_800_000_000,
        author="ann",
        message="",
        tool="kist 0.1.0",
        files=0,
        size=0,
        new_bytes=0,
        reused_bytes=0,
        changed=(),
        filter=b"",
        notes={},
    )
    merge = VersionRecord(
        parents=((named("one"), PLACE), (named("two"), FAR)),
        tree=named("tree"),
        place=PLACE,
        number=4294967296,
        time=-5,
        author="Zoë",
        message="line one\nline two 🐟",
        tool="another 1",
        files=2,
        size=300_200,
        new_bytes=300_000,
        reused_bytes=200,
        changed=("a", "a/b.csv", "a.b"),
        filter=b"",
        notes={"stage": "published", "from": "v7"},
    )
    many = VersionRecord(
        parents=((digest(encode(first)), PLACE),),
        tree=named("tree"),
        place=PLACE,
        number=2,
        time=1_763_632_800_000_001,
        author="ann",
        message="many",
        tool="kist 0.1.0",
        files=20_000,
        size=1,
        new_bytes=1,
        reused_bytes=0,
        changed=None,
        filter=b"\xff",
        notes={},
    )
    head = RefEntry(
        repo=REPO,
        ref="heads/main",
        seq=2,
        txn=bytes(range(100, 116)),
        previous=(named("seal one"), named("seal two")),
        version=digest(encode(many)),
        place=PLACE,
        record=encode(many),
        time=1_763_632_800_000_002,
    )
    tag = RefEntry(
        repo=REPO,
        ref="tags/good",
        seq=0,
        txn=bytes(16),
        previous=(),
        version=digest(encode(first)),
        place=FAR,
        record=encode(first),
        time=0,
    )
    proposed = Checkpoint(repo=REPO, ref="heads/main", seq=1000, heads=())
    finished = Checkpoint(repo=REPO, ref="heads/main", seq=1000, heads=(f"refs/heads/main/{slot(999)}-{'0' * 32}",))

    def sealed(name: str, kind: str, record: object) -> Vector:
        body = encode(record)  # type: ignore[arg-type]  # a msgspec struct
        return {"name": name, "kind": kind, "value": members(record), "bytes": (body + digest(body)).hex()}

    return {
        "about": {"bytes": "with the seal at the end; versions are frames and have an `id` instead"},
        "slots": [{"seq": seq, "slot": slot(seq)} for seq in (0, 1, 1000, 2**32, 2**64 - 2)],
        "versions": [
            {"name": name, "value": members(one), "bytes": encode(one).hex(), "id": digest(encode(one)).hex()}
            for name, one in (("first", first), ("merge", merge), ("many", many))
        ],
        "sealed": [
            sealed("head", "entry", head),
            sealed("tag", "entry", tag),
            sealed("proposed", "checkpoint", proposed),
            sealed("finished", "checkpoint", finished),
            sealed("forgotten", "forgotten", Forgotten(repo=REPO, version=named("one"), time=3, author="ann")),
            sealed("tombstone", "tombstone", Tombstone(repo=REPO, pack=PACK, run="0" * 32)),
            sealed("run", "run", Run(repo=REPO, deleted=())),
            sealed("run that deleted", "run", Run(repo=REPO, deleted=(PACK, OTHER))),
        ],
    }


def segments() -> Vector:
    """§9."""
    frames = {
        OTHER: [(named("chunk 1"), Place(OTHER, 32, 5, 6)), (named("chunk 0"), Place(OTHER, 49, 7, 8))],
        PACK: [(named("chunk 0"), Place(PACK, 32, 7, 8))],
    }
    rows = sorted(([one.hex(), *plain(place)] for placed in frames.values() for one, place in placed))
    return {
        "about": {"frames": "id, pack, offset, stored, raw"},
        "vectors": [
            {
                "name": "three frames of two packs",
                "packs": sorted(pack.hex() for pack in frames),
                "frames": rows,
                "bytes": encode_segment(frames).hex(),
            },
            {"name": "none", "packs": [], "frames": [], "bytes": encode_segment({}).hex()},
        ],
    }


def main() -> None:
    """Write all files."""
    found = {
        "format": formats,
        "packs": packs,
        "recipes": recipes,
        "trees": nodes,
        "filters": changes,
        "records": records,
        "index": segments,
    }
    for name, make in found.items():
        (FOLDER / f"{name}.json").write_text(json.dumps(make(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
