"""Checking and mending: is every byte as it was written, is all there that versions name, and which paths are hit if not.

Looks at the store alone, never at what a cache remembers.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal, NamedTuple

from kist.engine.entries import Place
from kist.engine.index import Located, decode_segment, locate_all, write_segments
from kist.engine.nodes import Child, Leaf, Root
from kist.engine.objects import Objects
from kist.engine.packs import Frame, check_pack, decode_frame, pack_key, scan_frames
from kist.engine.reachable import Named, leaf_frames
from kist.engine.recipes import load_recipe, walk_frames
from kist.engine.records import Checkpoint, Forgotten, RefEntry, Run, Tombstone, decode, decode_format, encode, seal, unseal
from kist.engine.refs import check_entry, entry_seal
from kist.engine.rooms import Rooms
from kist.engine.saving import Progress
from kist.engine.states import record_of
from kist.engine.tombstones import TOMBS
from kist.engine.trees import Trees
from kist.errors import IntegrityError, KistError, NotFound
from kist.models import Problem, Report
from kist.stores.budget import map_ordered

__all__ = ["repair", "verify"]

Level = Literal["metadata", "data"]
MAX_PATHS = 1000


class Pack(NamedTuple):
    """What reading a whole pack found: the frames that are intact, and whether every byte is as it was written."""

    id: bytes
    size_bytes: int
    intact: frozenset[bytes]
    problem: str


def verify(rooms: Rooms, level: Level, *, progress: Progress) -> Report:
    """Check a repository.

    Args:
        rooms: its parts.
        level: ``"metadata"`` follows all names and checks all that is read on the way; ``"data"`` reads every byte.
        progress: is told how many packs and bytes were read.

    Raises:
        StoreError: the store failed.
    """
    run = _Verification(rooms)
    entries = run.refs()
    located = run.packs()
    held = {one for frames in located.frames.values() for one, _ in frames}
    read = 0
    if level == "data":
        held = set()
        for pack in map_ordered(lambda pack: read_pack(rooms, pack, dict(located.frames.get(pack, []))), located.packs, window=3):
            held |= pack.intact
            read += pack.size_bytes
            if pack.problem and pack.id not in located.damaged:
                run.problem(pack_key(pack.id), pack.problem)
            progress(1, pack.size_bytes)
    needed = run.trees(entries)
    run.missing(entries, needed - held)
    return Report(
        level=level,
        versions=len({entry.version for entry in entries}),
        packs=len(located.packs),
        frames=sum(len(frames) for frames in located.frames.values()),
        bytes_read=read,
        problems=tuple(run.problems),
    )


def read_pack(rooms: Rooms, pack: bytes, frames: dict[bytes, Place]) -> Pack:
    """Read a whole pack and check every frame of it."""
    try:
        data = rooms.store.get(pack_key(pack))
    except NotFound:
        return Pack(pack, 0, frozenset(), "the pack is gone")
    problem = ""
    try:
        check_pack(pack, data)
    except IntegrityError as error:
        problem = str(error)
    if not problem:
        return Pack(pack, len(data), frozenset(frames), "")
    intact = set()
    for one, place in frames.items():
        try:
            decode_frame(place, one, data[place.offset : place.offset + 12 + place.stored])
        except IntegrityError:
            continue
        intact.add(one)
    return Pack(pack, len(data), frozenset(intact), problem)


class _Verification:
    """One check: what was found so far."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._objects = Objects(rooms.store)
        self._trees = Trees(self._objects)
        self.problems: list[Problem] = []

    def problem(self, key: str, what: str, paths: tuple[str, ...] = ()) -> None:
        """Note a problem."""
        self.problems.append(Problem(key=key, what=what, paths=paths[:MAX_PATHS]))

    def refs(self) -> list[RefEntry]:
        """Check `format`, refs, segments and the collector's notes; return the entries of refs, newest first."""
        self._check("format", decode_format)
        entries: dict[str, RefEntry] = {}
        for meta in self._rooms.store.list("refs/"):
            kind = meta.key.split("/")[1]
            if kind in ("heads", "tags"):
                ref = meta.key.removeprefix("refs/").rpartition("/")[0]
                entry = self._check(meta.key, partial(check_entry, self._rooms.format.id, ref, meta.key))
                if entry is not None:
                    entries[meta.key] = entry
            else:
                self._check(meta.key, self._sealed(Forgotten if kind == "forgotten" else Checkpoint, meta.key))
        for prefix, record in (("gc/tomb/", Tombstone), ("gc/run/", Run)):
            for meta in self._rooms.store.list(prefix):
                self._check(meta.key, self._sealed(record, meta.key))
        for meta in self._rooms.store.list("index/"):
            self._check(meta.key, partial(decode_segment, what=f"index segment {meta.key}"))
        self._chains(entries)
        return list(entries.values())

    def packs(self) -> Located:
        """Check all footers."""
        located = locate_all(self._rooms.store, trust_segments=False)
        for pack, what in located.damaged.items():
            self.problem(pack_key(pack), what)
        return located

    def trees(self, entries: list[RefEntry]) -> set[bytes]:
        """Follow all versions that are kept; return the ids of all frames that they need."""
        needed: set[bytes] = set()
        seen: set[bytes] = set()
        for entry in self._kept(entries, needed):
            for _, named in self._named(entry, seen, report=True):
                needed.add(named.id)
        return needed

    def missing(self, entries: list[RefEntry], lost: set[bytes]) -> None:
        """Say which paths need frames of which no intact copy is left."""
        if not lost:
            return
        hit: dict[bytes, tuple[Place, dict[str, None]]] = {}
        for entry in self._kept(entries, set()):
            if entry.version in lost:
                hit.setdefault(entry.version, (entry.place, {}))[1][f"@v{entry.seq}"] = None
        seen: set[bytes] = set()
        for entry in self._kept(entries, set()):
            for path, named in self._named(entry, seen, report=False, expand=lost):
                if named.id in lost:
                    hit.setdefault(named.id, (named.place, {}))[1][f"{path}@v{entry.seq}"] = None
        for one, (place, paths) in hit.items():
            self.problem(pack_key(place.pack), f"frame {one.hex()[:16]} is needed, and no intact copy is left", tuple(paths))

    def _kept(self, entries: list[RefEntry], needed: set[bytes]) -> Iterator[RefEntry]:
        """Yield the entries whose content is kept, once for each version."""
        forgotten = {meta.key.rpartition("/")[2] for meta in self._rooms.store.list("refs/forgotten/")}
        newest: dict[str, int] = {}
        for entry in entries:
            newest[entry.ref] = max(newest.get(entry.ref, 0), entry.seq)
        done: set[bytes] = set()
        for entry in entries:
            needed.add(entry.version)
            is_head = entry.ref.startswith("heads/") and entry.seq == newest[entry.ref]
            if entry.version not in done and (is_head or entry.version.hex() not in forgotten):
                done.add(entry.version)
                yield entry

    def _named(self, entry: RefEntry, seen: set[bytes], *, report: bool, expand: set[bytes] | None = None) -> Iterator[tuple[str, Named]]:
        """Yield all frames that a version names and that were not seen yet, each with a path that needs it."""
        record = record_of(entry)
        root = Root(record.tree, record.place)
        try:
            top = self._trees.as_child(root)
        except IntegrityError as error:
            if report and record.place:
                self.problem(pack_key(record.place.pack), str(error), (f"@v{entry.seq}",))
            if record.place:
                yield "", Named(3, root.id, record.place)  # type: ignore[arg-type]  # FrameKind.TREE
            return
        stack: list[tuple[Child, int]] = [(top[0], top[1].level)] if top else []
        while stack:
            child, level = stack.pop()
            if child.id in seen:
                continue
            seen.add(child.id)
            yield f"{child.first} …", Named(3, child.id, child.place)  # type: ignore[arg-type]  # FrameKind.TREE
            try:
                node = self._trees.child(child, level)
            except IntegrityError as error:
                if report:
                    self.problem(pack_key(child.place.pack), str(error), (f"{child.first} …@v{entry.seq}",))
                continue
            if isinstance(node, Leaf):
                yield from self._content(node, seen, entry, report=report, expand=expand)
            else:
                stack += [(below, level - 1) for below in reversed(node.children)]

    def _content(
        self, leaf: Leaf, seen: set[bytes], entry: RefEntry, *, report: bool, expand: set[bytes] | None
    ) -> Iterator[tuple[str, Named]]:
        rows = (row for row, pack in enumerate(leaf.wire.pack) if pack)
        for row, named in zip(rows, leaf_frames(leaf), strict=True):
            path = leaf.wire.path[row]
            if named.id in seen and expand is None:
                continue
            seen.add(named.id)
            yield path, named
            if named.kind != 2:  # noqa: PLR2004 - FrameKind.RECIPE
                continue
            try:
                for kind, frame_id, place in walk_frames(self._objects, load_recipe(self._objects, named.id, named.place)):
                    if frame_id not in seen or expand is not None:
                        seen.add(frame_id)
                        yield path, Named(kind, frame_id, place)
            except IntegrityError as error:
                if report:
                    self.problem(pack_key(named.place.pack), str(error), (f"{path}@v{entry.seq}",))

    def _check[T](self, key: str, parse: Callable[[bytes], T]) -> T | None:
        try:
            return parse(self._rooms.store.get(key))
        except NotFound:
            return None
        except KistError as error:
            self.problem(key, str(error))
            return None

    def _sealed(self, record: type[object], key: str) -> Callable[[bytes], object]:
        return lambda data: decode(unseal(data, what=key), record, what=key)

    def _chains(self, entries: dict[str, RefEntry]) -> None:
        """Every entry names the ones that its writer saw: one that nobody stores any more was removed."""
        known = {entry_seal(entry) for entry in entries.values()}
        for key, entry in entries.items():
            if any(one not in known for one in entry.previous):
                self.problem(key, f"the entry before {entry.ref} number {entry.seq} is missing or damaged")


def repair(rooms: Rooms) -> list[str]:
    """Mend what can be mended: salvage intact frames of damaged packs into new ones, bar the damaged packs, and rebuild the index.

    A frame that no pack holds intact any more is stored again by the next save of the same content.

    Raises:
        StoreError: the store failed.
    """
    done = []
    located = locate_all(rooms.store, trust_segments=False)
    writer = rooms.writer()
    damaged = []
    try:
        for pack in located.packs:
            data = rooms.store.get(pack_key(pack))
            try:
                check_pack(pack, data)
            except IntegrityError:
                frames = _salvage(pack, data, dict(located.frames.get(pack, [])))
                for frame, raw in frames:
                    writer.add(frame.kind, frame.id, raw)  # type: ignore[arg-type]  # checked when it was scanned
                damaged.append(pack)
                done.append(f"pack {pack.hex()}: {len(frames)} intact frames stored again")
        writer.flush()
    finally:
        writer.close()
    for pack in damaged:
        rooms.store.put(TOMBS + pack.hex(), seal(encode(Tombstone(repo=rooms.format.id, pack=pack, run="repair"))))
    if rooms.cache:
        rooms.cache.forget_packs(damaged)
        rooms.cache.forget_files()  # that a file is as it was does not say that its chunks are
    keys = [meta.key for meta in rooms.store.list("index/")]
    made = write_segments(rooms.store, locate_all(rooms.store, trust_segments=False).frames)
    for key in keys:
        rooms.store.delete(key)
    return [*done, f"index: {len(made)} segments written"]


def _salvage(pack: bytes, data: bytes, frames: dict[bytes, Place]) -> list[tuple[Frame, bytes]]:
    """Return the intact frames of a damaged pack: by its footer if that is whole, and by scanning."""
    found = {frame.id: (frame, raw) for frame, raw in scan_frames(pack, data)}
    for one, place in frames.items():
        header = data[place.offset : place.offset + 12 + place.stored]
        try:
            raw = decode_frame(place, one, header)
        except IntegrityError:
            continue
        found.setdefault(one, (Frame(one, place.offset, place.stored, place.raw, header[8], header[9]), raw))
    return [item for one, item in found.items() if not frames or one in frames]
