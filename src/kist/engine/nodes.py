"""The nodes of trees as values and as bytes (format 1, §6). Pure; whatever is decoded here may be hostile."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from blake3 import blake3

from kist.engine.entries import MAX_PATH_BYTES, Entry, Kind, Place, are_places, check_path, sort_key
from kist.engine.records import canonical_json, decode, encode
from kist.errors import IntegrityError, InvalidInput

__all__ = [
    "EMPTY",
    "ITEM_WEIGHT",
    "Child",
    "Inner",
    "Leaf",
    "Node",
    "Root",
    "Totals",
    "decode_node",
    "encode_inner",
    "encode_leaf",
    "ends_node",
]

KINDS: tuple[Kind, ...] = ("file", "folder", "link")
EMPTY_ID = bytes(32)
MIN_WEIGHT, MEAN_WEIGHT, MAX_WEIGHT, ITEM_WEIGHT = 16 << 10, 64 << 10, 256 << 10, 96
BAD_SEGMENT = re.compile(r"(?:^|[/\0])\.{0,2}(?:[/\0]|$)")


class Root(NamedTuple):
    """A tree: the id of its root node, and where that lies."""

    id: bytes
    place: Place | None


EMPTY = Root(EMPTY_ID, None)


class Totals(NamedTuple):
    """What lies below something: entries of any kind, files, bytes of their content."""

    entries: int = 0
    files: int = 0
    size: int = 0

    def plus(self, other: "Totals") -> "Totals":
        """Return the sum of both."""
        return Totals(self.entries + other.entries, self.files + other.files, self.size + other.size)


class Child(msgspec.Struct, frozen=True):
    """A node as its parent knows it: first path, id, place, and what lies below."""

    first: str
    id: bytes
    place: Place
    entries: int
    files: int
    size: int

    @property
    def totals(self) -> Totals:
        """What lies below."""
        return Totals(self.entries, self.files, self.size)


class More(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The members of an entry that most lack."""

    recipe: bytes = b""
    target: str = ""
    sha256: bytes = b""
    id: str = ""
    timestamp: str = ""
    labels: tuple[str, ...] = ()
    tags: str = ""


class LeafWire(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A node of level 0 as it is stored: columns."""

    level: int
    packs: tuple[bytes, ...]
    path: list[str]
    kind: list[int]
    size: list[int]
    mtime: list[int]
    mode: list[int]
    hash: bytes
    crc: list[int]
    pack: list[int]
    offset: list[int]
    stored: list[int]
    raw: list[int]
    more: dict[int, More]


class InnerWire(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A node of a higher level as it is stored: columns."""

    level: int
    packs: tuple[bytes, ...]
    first: list[str]
    ids: bytes
    pack: list[int]
    offset: list[int]
    stored: list[int]
    raw: list[int]
    entries: list[int]
    files: list[int]
    size: list[int]


class Leaf:
    """A node of level 0, decoded row by row."""

    __slots__ = ("keys", "wire")
    level = 0

    def __init__(self, wire: LeafWire) -> None:
        """Take columns whose lengths were checked."""
        self.wire = wire
        # All at once, which takes a fifth of the time; no byte of UTF-8 is 0xff.
        self.keys = "\0".join(wire.path).encode().replace(b"\0", b"\xff").replace(b"/", b"\0").split(b"\xff")

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self.keys)

    def entry(self, row: int) -> Entry:
        """Return one row as an entry."""
        wire = self.wire
        pack = wire.pack[row]
        place = Place(wire.packs[pack - 1], wire.offset[row], wire.stored[row], wire.raw[row]) if pack else None
        kind = KINDS[wire.kind[row]]
        content = wire.hash[32 * row : 32 * row + 32] if kind == "file" else b""
        if (more := wire.more.get(row)) is None:
            return Entry(
                path=wire.path[row],
                kind=kind,
                size=wire.size[row],
                mtime_ns=wire.mtime[row],
                mode=wire.mode[row],
                hash=content,
                crc32c=wire.crc[row],
                place=place,
            )
        return Entry(
            path=wire.path[row], kind=kind, size=wire.size[row], mtime_ns=wire.mtime[row], mode=wire.mode[row], hash=content,
            crc32c=wire.crc[row], place=place, recipe=more.recipe, target=more.target, sha256=more.sha256, id=more.id,
            timestamp=more.timestamp, labels=more.labels, tags=msgspec.json.decode(more.tags) if more.tags else None,
        )  # fmt: skip

    def totals(self, low: int, high: int) -> Totals:
        """Return what rows ``low <= row < high`` amount to."""
        return Totals(high - low, self.wire.kind[low:high].count(0), sum(self.wire.size[low:high]))


class Inner:
    """A node of a higher level."""

    __slots__ = ("children", "keys", "level")

    def __init__(self, wire: InnerWire) -> None:
        """Take columns whose lengths were checked."""
        self.level = wire.level
        columns = zip(wire.first, wire.pack, wire.offset, wire.stored, wire.raw, wire.entries, wire.files, wire.size, strict=True)
        self.children = [
            Child(first, wire.ids[32 * row : 32 * row + 32], Place(wire.packs[pack], offset, stored, raw), *totals)
            for row, (first, pack, offset, stored, raw, *totals) in enumerate(columns)
        ]
        self.keys = [sort_key(child.first) for child in self.children]

    def __len__(self) -> int:
        """Return the number of children."""
        return len(self.keys)


Node = Leaf | Inner


class PackTable:
    """The distinct packs of a node, in the order of their first use."""

    def __init__(self) -> None:
        """Start with none."""
        self.numbers: dict[bytes, int] = {}

    def number(self, place: Place) -> int:
        """Return the number of a place's pack."""
        return self.numbers.setdefault(place.pack, len(self.numbers))


def encode_leaf(entries: Sequence[Entry]) -> bytes:
    """Return the canonical bytes of a node of level 0."""
    packs = PackTable()
    more: dict[int, More] = {}
    for row, entry in enumerate(entries):
        if entry.recipe or entry.target or entry.id or entry.labels or entry.tags or entry.sha256 or entry.timestamp:
            tags = canonical_json(entry.tags).decode() if entry.tags else ""
            more[row] = More(entry.recipe, entry.target, entry.sha256, entry.id, entry.timestamp, entry.labels, tags)
    places = [entry.place for entry in entries]
    return encode(
        LeafWire(
            level=0,
            pack=[1 + packs.number(place) if place else 0 for place in places],
            packs=tuple(packs.numbers),
            path=[entry.path for entry in entries],
            kind=[KINDS.index(entry.kind) for entry in entries],
            size=[entry.size for entry in entries],
            mtime=[entry.mtime_ns for entry in entries],
            mode=[entry.mode for entry in entries],
            hash=b"".join([entry.hash or EMPTY_ID for entry in entries]),
            crc=[entry.crc32c for entry in entries],
            offset=[place.offset if place else 0 for place in places],
            stored=[place.stored if place else 0 for place in places],
            raw=[place.raw if place else 0 for place in places],
            more=more,
        )
    )


def encode_inner(level: int, children: Sequence[Child]) -> bytes:
    """Return the canonical bytes of a node of level 1 or more."""
    packs = PackTable()
    return encode(
        InnerWire(
            level=level,
            pack=[packs.number(child.place) for child in children],
            packs=tuple(packs.numbers),
            first=[child.first for child in children],
            ids=b"".join([child.id for child in children]),
            offset=[child.place.offset for child in children],
            stored=[child.place.stored for child in children],
            raw=[child.place.raw for child in children],
            entries=[child.entries for child in children],
            files=[child.files for child in children],
            size=[child.size for child in children],
        )
    )


class _Level(msgspec.Struct):
    """The one member that tells both kinds of nodes apart."""

    level: int


def decode_node(raw: bytes, *, what: str, level: int | None = None) -> Node:
    """Return a node, checked whatever it says; of any level, or of the one that its parent promised.

    Raises:
        IntegrityError: it is not what format 1 says.
    """
    try:
        if level is None:
            level = msgspec.msgpack.decode(raw, type=_Level).level
        node = checked_leaf(decode(raw, LeafWire, what=what)) if level == 0 else checked_inner(decode(raw, InnerWire, what=what), level)
        if isinstance(node, Leaf):
            check_paths(node.wire.path)
    except (ValueError, IndexError, msgspec.DecodeError, InvalidInput) as error:
        raise IntegrityError(f"{what} is not what format 1 says: {error}") from error
    if any(left >= right for left, right in zip(node.keys, node.keys[1:], strict=False)):
        raise IntegrityError(f"{what} is not sorted")
    return node


def check_paths(paths: list[str]) -> None:
    """Check many paths at once, as `check_path` does one.

    Raises:
        InvalidInput: one of them may not be.
    """
    joined = "\0".join(paths)
    if joined.count("\0") != len(paths) - 1 or BAD_SEGMENT.search(joined) or max(map(len, paths)) > MAX_PATH_BYTES // 4:
        for path in paths:
            check_path(path)


def checked_leaf(wire: LeafWire) -> Leaf:
    """Return the leaf if its columns fit each other."""
    count = len(wire.path)
    columns = (wire.kind, wire.size, wire.mtime, wire.mode, wire.crc, wire.pack, wire.offset, wire.stored, wire.raw)
    numbers_fit = all(len(column) == count for column in columns) and len(wire.hash) == 32 * count
    if not count or not numbers_fit or max(wire.kind) >= len(KINDS) or min(wire.kind) < 0 or max(wire.pack) > len(wire.packs):
        raise ValueError("its columns do not fit each other")
    if min(map(min, (wire.size, wire.pack, wire.mode, wire.crc))) < 0 or not are_places(wire.packs, wire.offset, wire.stored, wire.raw):
        raise ValueError("it has a negative number, or a place that no pack has")
    for row, more in wire.more.items():
        if not 0 <= row < count or len(more.recipe) not in (0, 32):
            raise ValueError("it describes a row that it does not have")
        if more.tags and canonical_json(msgspec.json.decode(more.tags, type=dict[str, object])).decode() != more.tags:
            raise ValueError("it has tags in another form")
    return Leaf(wire)


def checked_inner(wire: InnerWire, level: int) -> Inner:
    """Return the inner node if its columns fit each other."""
    count = len(wire.first)
    columns = (wire.pack, wire.offset, wire.stored, wire.raw, wire.entries, wire.files, wire.size)
    if wire.level != level or not count or any(len(column) != count for column in columns) or len(wire.ids) != 32 * count:
        raise ValueError("its columns do not fit each other")
    if min(map(min, columns)) < 0 or max(wire.pack) >= len(wire.packs) or not are_places(wire.packs, wire.offset, wire.stored, wire.raw):
        raise ValueError("it has a negative number, or a place that no pack has")
    return Inner(wire)


def ends_node(weight: int, key: bytes) -> bool:
    """Say whether a node of this weight ends after the item with this sort key (§6)."""
    if weight < MIN_WEIGHT:
        return False
    threshold = (ITEM_WEIGHT + len(key)) * (1 << 32) // MEAN_WEIGHT
    return weight >= MAX_WEIGHT or int.from_bytes(blake3(key.replace(b"\0", b"/")).digest()[:4], "little") < threshold
