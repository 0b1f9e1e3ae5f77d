"""The bytes of format 1 that are not packs: sealed objects, `format`, versions and ref entries.

Pure: values in, values out. `docs/spec/format-1.md` is the law; sections are cited as §n. Whatever is decoded here may be hostile.
"""

import json
import re
from typing import Any

import msgspec
from blake3 import blake3

from kist.engine.entries import Place, are_places, check_path
from kist.errors import IntegrityError, InvalidInput, Unsupported

__all__ = [
    "CHUNKER",
    "FORMAT_VERSION",
    "Checkpoint",
    "Forgotten",
    "Format",
    "RefEntry",
    "Run",
    "Tombstone",
    "VersionRecord",
    "canonical_json",
    "decode",
    "decode_format",
    "digest",
    "encode",
    "encode_format",
    "seal",
    "slot",
    "slot_seq",
    "unseal",
]

FORMAT_VERSION = 1
SEAL_BYTES = 32
ID_BYTES = 32
MAX_SEQ = 2**64 - 1
CHUNKER: dict[str, object] = {"average": 65536, "max": 262144, "min": 16384, "name": "fastcdc-2020", "normalization": 2, "seed": 0}


class VersionRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """§7: an immutable state of a repository. `time` counts microseconds since 1970 UTC; bytes are of content, not as stored."""

    parents: tuple[tuple[bytes, Place], ...]
    tree: bytes
    place: Place | None
    number: int
    time: int
    author: str
    message: str
    tool: str
    files: int
    size: int = msgspec.field(name="bytes")
    new_bytes: int
    reused_bytes: int
    changed: tuple[str, ...] | None
    filter: bytes
    notes: dict[str, str]


class RefEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """§8: one update of a branch or tag; `record` are the bytes of its version, so that a log reads refs alone."""

    repo: str
    ref: str
    seq: int
    txn: bytes
    previous: tuple[bytes, ...]
    version: bytes
    place: Place
    record: bytes
    time: int


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """§8.2: the keys of the heads of a whole listing of a branch, at or after sequence number `seq`."""

    repo: str
    ref: str
    seq: int
    heads: tuple[str, ...]


class Forgotten(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """§10: a version that was ended on purpose."""

    repo: str
    version: bytes
    time: int
    author: str


class Tombstone(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """§10: nobody may refer to this pack anew."""

    repo: str
    pack: bytes
    run: str


class Run(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """§10: a collector's note of the packs that it deleted."""

    repo: str
    deleted: tuple[bytes, ...]


class Format(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """§3: what a repository is. Members in the order of their names, which is that of the JSON."""

    authority: str
    chunker: dict[str, Any]
    created: str
    encryption: None
    features: dict[str, tuple[str, ...]]
    hash: str
    id: str
    kist: str
    version: int


def digest(data: msgspec.Raw | bytes | bytearray | memoryview) -> bytes:
    """Return the BLAKE3-256 of some bytes (32 bytes)."""
    return blake3(data).digest()


def seal(body: bytes) -> bytes:
    """Return `body` followed by its seal (§1)."""
    return body + digest(body)


def unseal(data: bytes, *, what: str) -> bytes:
    """Return the body of a sealed object.

    Raises:
        IntegrityError: the seal is not that of the bytes.
    """
    body, found = data[:-SEAL_BYTES], data[-SEAL_BYTES:]
    if len(data) < SEAL_BYTES or digest(body) != found:
        raise IntegrityError(f"{what} is damaged: its {len(data)} bytes do not match their seal")
    return body


def encode(record: msgspec.Struct) -> bytes:
    """Return the canonical msgpack of a record (§1)."""
    return msgspec.msgpack.encode(record)


def decode[T](data: bytes, kind: type[T], *, what: str) -> T:
    """Return the record of type `kind` that canonical msgpack holds.

    Raises:
        IntegrityError: it holds something else, or is not canonical.
    """
    try:
        record = msgspec.msgpack.decode(data, type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise IntegrityError(f"{what} is not what format 1 says: {error}") from error
    if msgspec.msgpack.encode(record) != data:
        raise IntegrityError(f"{what} is not in canonical form")
    if isinstance(record, VersionRecord):
        check_version(record, what)
    elif isinstance(record, RefEntry):
        check_ref_entry(record, what)
    return record


def check_version(record: VersionRecord, what: str) -> None:
    """Refuse a version whose members contradict each other.

    Raises:
        IntegrityError: they do.
    """
    sizes = (record.number, record.files, record.size, record.new_bytes, record.reused_bytes)
    ids = [record.tree, *(parent for parent, _ in record.parents)]
    if any(size < 0 for size in sizes) or any(len(one) != ID_BYTES for one in ids) or record.number < 1:
        raise IntegrityError(f"{what} has an impossible number, size or id")
    if not all(_is_place(place) for place in (record.place, *(place for _, place in record.parents)) if place):
        raise IntegrityError(f"{what} names a place that no pack has")
    try:
        for path in record.changed or ():
            check_path(path)
    except InvalidInput as error:
        raise IntegrityError(f"{what} names a path that no tree has: {error}") from error


def check_ref_entry(entry: RefEntry, what: str) -> None:
    """Refuse an entry whose record is not that of its version.

    Raises:
        IntegrityError: it is not.
    """
    if digest(entry.record) != entry.version or not 0 <= entry.seq < MAX_SEQ or len(entry.txn) != 16:  # noqa: PLR2004 - §8
        raise IntegrityError(f"{what} does not hold the version that it names")
    if not _is_place(entry.place):
        raise IntegrityError(f"{what} names a place that no pack has")


def _is_place(place: Place) -> bool:
    return are_places((place.pack,), (place.offset, place.stored, place.raw))


def slot(seq: int) -> str:
    """Return the key segment of a sequence number: the newest sorts first (§2)."""
    return f"{MAX_SEQ - seq:016x}"


def slot_seq(name: str) -> int | None:
    """Return the sequence number of a slot's first 16 digits, or None if this is no slot."""
    return MAX_SEQ - int(name[:16], 16) if re.fullmatch(r"[0-9a-f]{16}(-[0-9a-f]{32})?", name) else None


def canonical_json(value: object) -> bytes:
    """Return the one JSON text of a value: members sorted, no spaces, UTF-8 (§1)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def encode_format(record: Format) -> bytes:
    """Return the sealed JSON of `format`."""
    body = msgspec.to_builtins(record)
    return canonical_json({**body, "seal": digest(canonical_json(body)).hex()})


def decode_format(data: bytes) -> Format:
    """Return what `format` says.

    Raises:
        IntegrityError: it is damaged.
        Unsupported: a newer kist wrote this repository.
    """
    try:
        body = json.loads(data)
        found = body.pop("seal")
        is_whole = canonical_json({**body, "seal": found}) == data and digest(canonical_json(body)).hex() == found
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        raise IntegrityError("the repository's `format` is damaged: it is not sealed JSON") from error
    if not is_whole:
        raise IntegrityError("the repository's `format` is damaged: it does not match its seal")
    if body.get("kist") != "repository" or body.get("version") != FORMAT_VERSION or body.get("encryption") is not None:
        raise Unsupported(
            f"this repository has format {body.get('version')!r}; this kist reads format {FORMAT_VERSION}: install a newer kist"
        )
    try:
        record = msgspec.convert(body, Format)
    except msgspec.ValidationError as error:
        raise IntegrityError(f"the repository's `format` is not what format 1 says: {error}") from error
    if unknown := sorted({name for names in record.features.values() for name in names}):
        raise Unsupported(f"this repository needs {', '.join(unknown)}, which this kist does not know: install a newer kist")
    return record
