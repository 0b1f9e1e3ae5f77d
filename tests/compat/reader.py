"""A reader of format 1 that was written from docs/spec/format-1.md alone, with BLAKE3, zstd and msgpack, and nothing of kist.

It is small, slow and strict; that it reads what kist wrote shows that the specification says enough. Sections are cited as §n.
"""

import json
import re
import struct
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import zstandard
from blake3 import blake3

Place = list[Any]
Record = dict[str, Any]
Row = dict[str, Any]


def digest(data: bytes) -> bytes:
    """BLAKE3-256."""
    return blake3(data).digest()


def unsealed(data: bytes) -> bytes:
    """§1: the bytes before the seal."""
    assert digest(data[:-32]) == data[-32:], "the seal is wrong"
    return data[:-32]


def unpacked(data: bytes, *members: str) -> Record:
    """§1: a map with exactly these members in this order, in its one form."""
    found: Record = msgspec.msgpack.decode(data)
    assert msgspec.msgpack.encode(found) == data, "not canonical"
    assert tuple(found) == members, f"members {tuple(found)}"
    return found


def sort_key(path: str) -> bytes:
    """§1: how paths sort."""
    return path.encode().replace(b"/", b"\0")


class Reader:
    """A repository in a folder."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.format = self.read_format()

    def read_format(self) -> Record:
        """§3."""
        text = (self.top / "format").read_bytes()
        found: Record = json.loads(text)
        body = {name: value for name, value in found.items() if name != "seal"}

        def canonical(value: Record) -> bytes:
            return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

        assert canonical(found) == text
        assert digest(canonical(body)).hex() == found["seal"]
        assert (found["kist"], found["version"], found["encryption"], found["hash"]) == ("repository", 1, None, "blake3-256")
        assert found["features"]["read"] == []
        return found

    # §4

    def frame(self, frame_id: bytes, place: Place) -> bytes:
        """Return a frame's raw bytes: from its place, or from where the index says it is."""
        for one in [place, *self.places.get(frame_id, [])]:
            try:
                raw = self.frame_at(one)
            except FileNotFoundError:
                continue
            if digest(raw) == frame_id:
                return raw
        raise AssertionError(f"frame {frame_id.hex()} is lost")

    def frame_at(self, place: Place) -> bytes:
        """Return the raw bytes of what is at a place."""
        pack, offset, stored, raw = place
        name = pack.hex()
        with (self.top / "packs" / name[:2] / name).open("rb") as file:
            file.seek(offset)
            header, payload = file.read(12), file.read(stored)
        found_stored, found_raw, codec, kind, reserved = struct.unpack("<IIBBH", header)
        assert (found_stored, found_raw, reserved, len(payload)) == (stored, raw, 0, stored)
        assert kind in {1, 2, 3, 4}
        assert codec in {0, 1}
        content: bytes = payload if codec == 0 else zstandard.ZstdDecompressor().decompress(payload)
        assert len(content) == raw
        return content

    @cached_property
    def places(self) -> dict[bytes, list[Place]]:
        """§9: where all frames are, by segments, and by the footers of packs that none covers."""
        found: dict[bytes, list[Place]] = {}
        packs = {bytes.fromhex(file.name): file for file in self.top.glob("packs/*/*")}
        covered: set[bytes] = set()
        for file in self.top.glob("index/*"):
            names, rows = self.segment(file.read_bytes())
            covered |= set(names)
            for frame_id, place in rows:
                if place[0] in packs:
                    found.setdefault(frame_id, []).append(place)
        for pack, file in packs.items():
            rows = self.footer(pack, file.read_bytes())
            for frame_id, place in rows if pack not in covered else ():
                found.setdefault(frame_id, []).append(place)
        return found

    def segment(self, data: bytes) -> tuple[list[bytes], list[tuple[bytes, Place]]]:
        """Return the packs and frames of a segment."""
        body = unsealed(data)
        magic, version, reserved, packs, frames = struct.unpack_from("<8sIIII", body)
        assert (magic, version, reserved) == (b"kistindx", 1, 0)
        names = [body[24 + 16 * number : 40 + 16 * number] for number in range(packs)]
        fan_out = struct.unpack_from("<257I", body, 24 + 16 * packs)
        start = 24 + 16 * packs + 4 * 257
        assert len(body) == start + 48 * frames
        rows = list(struct.iter_unpack("<32sIIII", body[start:]))
        assert rows == sorted(rows)
        assert list(fan_out) == [sum(row[0][0] < first for row in rows) for first in range(257)]
        return names, [(row[0], [names[row[1]], *row[2:]]) for row in rows]

    def footer(self, pack: bytes, data: bytes) -> list[tuple[bytes, Place]]:
        """Return the frames of a whole pack, and check all of it."""
        assert data[:32] == struct.pack("<8sII16s", b"kistpack", 1, 0, pack)
        assert digest(data[:-32]) == data[-32:]
        start, count, reserved = struct.unpack("<IIQ", data[-80:-64])
        assert reserved == 0
        assert start + 48 * count + 80 == len(data)
        assert digest(pack + data[start:-64]) == data[-64:-32]
        rows, expected = [], 32
        for frame_id, offset, stored, raw, codec, kind, zero in struct.iter_unpack("<32sIIIBBH", data[start:-80]):
            assert (offset, zero) == (expected, 0)
            assert data[offset : offset + 12] == struct.pack("<IIBBH", stored, raw, codec, kind, 0)
            rows.append((frame_id, [pack, offset, stored, raw]))
            expected = offset + 12 + stored
        assert expected == start
        return rows

    # §5

    def content(self, row: Row) -> bytes:
        """Return the bytes of a file."""
        if row["place"] is None:
            data = b""
        elif row.get("recipe"):
            data = b"".join(self.frame(one, place) for one, place in self.chunks(row["recipe"], row["place"], None))
        else:
            data = self.frame(row["hash"], row["place"])
        assert (len(data), digest(data)) == (row["size"], row["hash"])
        return data

    def chunks(self, recipe_id: bytes, place: Place, level: int | None) -> Iterator[tuple[bytes, Place]]:
        """Yield the chunks of a recipe."""
        recipe = unpacked(self.frame(recipe_id, place), "level", "packs", "ids", "raw", "pack", "offset", "stored", "size")
        assert level is None or recipe["level"] == level
        for row, pack in enumerate(recipe["pack"]):
            where = [recipe["packs"][pack], recipe["offset"][row], recipe["stored"][row], recipe["raw"][row]]
            child = recipe["ids"][32 * row : 32 * row + 32]
            if recipe["level"]:
                yield from self.chunks(child, where, recipe["level"] - 1)
            else:
                yield child, where

    # §6

    def tree(self, root: bytes, place: Place | None) -> list[Row]:
        """Return all entries of a tree."""
        if place is None:
            assert root == bytes(32)
            return []
        level = msgspec.msgpack.decode(self.frame(root, place))["level"]
        rows = list(self.entries(root, place, level))
        keys = [sort_key(row["path"]) for row in rows]
        assert keys == sorted(set(keys))
        return rows

    def entries(self, node_id: bytes, place: Place, level: int) -> Iterator[Row]:
        """Yield the entries below a node."""
        raw = self.frame(node_id, place)
        if level == 0:
            yield from self.leaf(raw)
            return
        names = ("level", "packs", "first", "ids", "pack", "offset", "stored", "raw", "entries", "files", "size")
        node = unpacked(raw, *names)
        assert node["level"] == level
        for row, pack in enumerate(node["pack"]):
            where = [node["packs"][pack], node["offset"][row], node["stored"][row], node["raw"][row]]
            below = list(self.entries(node["ids"][32 * row : 32 * row + 32], where, level - 1))
            files = [one for one in below if one["kind"] == "file"]
            assert below[0]["path"] == node["first"][row]
            assert (len(below), len(files), sum(one["size"] for one in files)) == (
                node["entries"][row],
                node["files"][row],
                node["size"][row],
            )
            yield from below

    def leaf(self, raw: bytes) -> Iterator[Row]:
        """Yield the entries of a node of level 0."""
        names = ("level", "packs", "path", "kind", "size", "mtime", "mode", "hash", "crc", "pack", "offset", "stored", "raw", "more")
        node = unpacked(raw, *names)
        for row, path in enumerate(node["path"]):
            pack = node["pack"][row]
            yield {
                "path": path,
                "kind": ("file", "folder", "link")[node["kind"][row]],
                **{name: node[name][row] for name in ("size", "mtime", "mode", "crc")},
                "hash": node["hash"][32 * row : 32 * row + 32],
                "place": [node["packs"][pack - 1], node["offset"][row], node["stored"][row], node["raw"][row]] if pack else None,
                **node["more"].get(row, {}),
            }

    # §7

    def version(self, raw: bytes) -> Record:
        """Return a version."""
        names = (
            "parents", "tree", "place", "number", "time", "author", "message", "tool",
            "files", "bytes", "new_bytes", "reused_bytes", "changed", "filter", "notes",
        )  # fmt: skip
        return unpacked(raw, *names)

    # §8

    def refs(self, ref: str) -> list[Record]:
        """Return the entries of a ref, newest first."""
        found = []
        for file in sorted((self.top / "refs" / ref).iterdir()):
            if not re.fullmatch(r"[0-9a-f]{16}(-[0-9a-f]{32})?", file.name):
                continue
            data = file.read_bytes()
            entry = unpacked(unsealed(data), "repo", "ref", "seq", "txn", "previous", "version", "place", "record", "time")
            slot = f"{2**64 - 1 - entry['seq']:016x}"
            fork = f"-{entry['txn'].hex()}" if self.format["authority"] == "fork" else ""
            assert (entry["repo"], entry["ref"], file.name) == (self.format["id"], ref, slot + fork)
            assert digest(entry["record"]) == entry["version"]
            found.append({**entry, "seal": data[-32:], "record": self.version(entry["record"])})
        return found

    def heads(self, branch: str) -> list[Record]:
        """§8.2: the entries of a branch that are nobody's ancestor, those that count; one under `create`."""
        entries = self.refs(f"heads/{branch}")
        if self.format["authority"] == "create":
            return entries[:1]
        floor, known = -1, []
        for file in sorted((self.top / "refs/checkpoints" / branch).glob("*"), reverse=True):
            if not file.name.endswith("-proposed"):
                point = unpacked(unsealed(file.read_bytes()), "repo", "ref", "seq", "heads")
                floor, known = point["seq"], [key.rpartition("/")[2] for key in point["heads"]]
        listed = [one for one in entries if one["seq"] > floor or f"{2**64 - 1 - one['seq']:016x}-{one['txn'].hex()}" in known]
        previous = {seal for one in listed for seal in one["previous"]}
        return sorted((one for one in listed if one["seal"] not in previous), key=lambda one: (one["seq"], one["version"]))

    def state(self, branch: str) -> dict[str, Row]:
        """Return what a branch holds, by path; heads that touch a file and what is below it are beyond this reader."""
        return self.merged([(head["version"], head["place"]) for head in self.heads(branch)])

    def merged(self, versions: list[tuple[bytes, Place]]) -> dict[str, Row]:
        """§8.2: fold versions, each on the best common ancestors of it and those before it."""
        if not versions:
            return {}
        *before, last = versions
        record = self.version(self.frame(*last))
        theirs = {row["path"]: row for row in self.tree(record["tree"], record["place"])}
        if not before:
            return theirs
        ours, base = self.merged(before), self.merged(self.best(before, last))
        result = dict(ours)
        for path in {*base, *theirs}:
            was, mine, their = (meaning(tree.get(path)) for tree in (base, ours, theirs))
            if their == was or (mine not in (was, their) and self.latest(before, path) > self.latest([last], path)):
                continue
            result.pop(path, None)
            if path in theirs:
                result[path] = theirs[path]
        return dict(sorted(result.items(), key=lambda item: sort_key(item[0])))

    def history(self, versions: list[tuple[bytes, Place]]) -> dict[bytes, tuple[Record, Place]]:
        """Return versions and all that they build on."""
        found: dict[bytes, tuple[Record, Place]] = {}
        todo = list(versions)
        while todo:
            version, place = todo.pop()
            if version not in found:
                found[version] = self.version(self.frame(version, place)), place
                todo += [(parent, where) for parent, where in found[version][0]["parents"]]
        return found

    def best(self, before: list[tuple[bytes, Place]], last: tuple[bytes, Place]) -> list[tuple[bytes, Place]]:
        """Return the best common ancestors."""
        left, right = self.history(before), self.history([last])
        common = {version: right[version] for version in left if version in right}
        above = {one for version, (_, place) in common.items() for one in self.history([(version, place)]) if one != version}
        found = [(record["number"], version, place) for version, (record, place) in common.items() if version not in above]
        return [(version, place) for _, version, place in sorted(found)]

    def latest(self, versions: list[tuple[bytes, Place]], path: str) -> tuple[int, bytes]:
        """Return time and id of the last version that changed a path."""
        history = self.history(versions)
        return max(((record["time"], version) for version, (record, _) in history.items() if path in record["changed"]), default=(0, b""))


def meaning(row: Row | None) -> Row | None:
    """Return what counts as a change: not where bytes lie, and not times alone."""
    return row and {name: value for name, value in row.items() if name not in {"place", "recipe", "mtime"}}
