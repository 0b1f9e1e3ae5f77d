"""Collecting (format 1, §10): find packs that nothing needs, mark them, delete them once every writer had a whole grace to see it.

Two collectors may run at once, each as slowly as it likes, beside any writers. Age is measured by the store's own clock alone.
A tombstone is never removed while its pack exists: it means that nobody may refer to the pack anew, which stays true for ever.
"""

import contextlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from kist.engine.entries import Place
from kist.engine.index import Located, locate_all, write_segments
from kist.engine.nodes import Root
from kist.engine.packs import FrameKind, pack_key
from kist.engine.reachable import forgotten_versions, names_of, roots
from kist.engine.records import Run, Tombstone, decode, encode, seal, unseal
from kist.engine.rooms import Rooms
from kist.engine.tombstones import TOMBS
from kist.errors import IntegrityError, NotFound, StoreError
from kist.ids import new_id
from kist.models import Collected
from kist.stores.protocols import ObjectMeta

__all__ = ["collect", "mark"]

RUNS = "gc/run/"
DEAD_SHARE = 0.4
SEGMENTS, UNCOVERED = 8, 64
TOMB_GRACES = 6


class Mark(NamedTuple):
    """What a look at the repository found: the store's time, the frames that are needed, tombstones, and where all frames are."""

    now: datetime
    needed: dict[bytes, FrameKind]
    tombs: dict[bytes, ObjectMeta]
    located: Located


class Verdict(NamedTuple):
    """What becomes of the packs. `moved` are the frames that a pack still holds for others, to be packed anew."""

    tomb: list[bytes]
    delete: list[bytes]
    repack: dict[bytes, list[tuple[bytes, Place]]]
    live_bytes: int
    dead_bytes: int


def collect(rooms: Rooms, *, dry_run: bool = False) -> Collected:
    """Do one run.

    Raises:
        IntegrityError: something that must be read to know what is needed is damaged: nothing is collected.
        StoreError: the store failed, or its clock went backwards.
    """
    run = new_id()
    marked = mark(rooms, run)
    verdict = judge(marked, grace=timedelta(seconds=rooms.grace))
    deleted = verdict.delete
    if dry_run:
        rooms.store.delete(RUNS + run)
    else:
        deleted = _carry_out(rooms, run, marked, verdict)
    sizes = marked.located.packs
    return Collected(
        marked=len(verdict.tomb) + len([pack for pack in verdict.repack if pack not in marked.tombs]),
        repacked=len(verdict.repack),
        deleted=len(deleted),
        waiting=len([pack for pack in marked.tombs if pack in sizes and pack not in deleted]),
        freed_bytes=sum(sizes[pack].size_bytes for pack in deleted),
        live_bytes=verdict.live_bytes,
        dead_bytes=verdict.dead_bytes,
    )


def mark(rooms: Rooms, run: str) -> Mark:
    """Look what is needed. The order matters: tombstones, then what is forgotten, then refs, then packs.

    Raises:
        IntegrityError: something that must be read to know what is needed is damaged.
        StoreError: the store failed, or its clock went backwards.
    """
    known: set[bytes] | None = None
    while True:
        now = _store_time(rooms, run)
        tombs = dict(_tombs(rooms))
        forgotten = forgotten_versions(rooms, until=now - timedelta(seconds=rooms.grace))
        try:
            needed = _needed(rooms, forgotten)
        except IntegrityError:
            if forgotten == known:
                raise
            known = forgotten  # a faster collector may have deleted what was forgotten while this one looked: look again
        else:
            return Mark(now, needed, tombs, locate_all(rooms.store))


def _needed(rooms: Rooms, forgotten: set[bytes]) -> dict[bytes, FrameKind]:
    """Return the frames that are reachable. A fork keeps the trees of forgotten versions: any may be the base of a merge."""
    needed: dict[bytes, FrameKind] = {}
    seen: set[bytes] = set()
    bare: set[bytes] = set()
    for entry, record, kept in roots(rooms, forgotten):
        root = Root(record.tree, record.place)
        needed[entry.version] = FrameKind.VERSION
        if kept:
            needed |= {named.id: named.kind for named in names_of(rooms, root, seen)}
        elif rooms.authority.name == "fork":
            needed |= {child.id: FrameKind.TREE for child, _ in rooms.trees.nodes(root, bare)}
    return needed


def judge(marked: Mark, *, grace: timedelta) -> Verdict:
    """Decide what becomes of each pack. Pure."""
    located, tombs, needed = marked.located, marked.tombs, marked.needed
    holder = _holders(marked)
    tomb, delete = [], []
    repack: dict[bytes, list[tuple[bytes, Place]]] = {}
    live = dead = 0
    for pack, frames in located.frames.items():
        size = located.packs[pack].size_bytes
        mine = [(one, place) for one, place in frames if one in needed and holder.get(one, pack) == pack]
        used = sum(place.stored for _, place in mine)
        live, dead = live + used, dead + sum(place.stored for _, place in frames) - used
        if pack in tombs:
            if mine:
                repack[pack] = mine
            elif tombs[pack].modified <= marked.now - grace:
                delete.append(pack)
        elif located.packs[pack].modified <= marked.now - grace:
            if not mine:
                tomb.append(pack)
            elif size - used > DEAD_SHARE * size and sum(place.stored for _, place in frames) - used > DEAD_SHARE * used:
                repack[pack] = mine
    if all(one in holder for one in needed):
        # What packs without a footer hold is unknown: they go, once marked, when nothing that is needed is in such packs alone.
        delete += [pack for pack in located.damaged if pack in tombs and tombs[pack].modified <= marked.now - grace]
    return Verdict(tomb, delete, repack, live, dead)


def _holders(marked: Mark) -> dict[bytes, bytes]:
    """Return which pack without a tombstone counts as the holder of each needed frame: of several the one with the smallest id."""
    holder: dict[bytes, bytes] = {}
    for pack, frames in marked.located.frames.items():
        if pack in marked.tombs:
            continue
        for one, _ in frames:
            if one in marked.needed and not holder.get(one, b"\xff" * 17) < pack:
                holder[one] = pack
    return holder


def _carry_out(rooms: Rooms, run: str, marked: Mark, verdict: Verdict) -> list[bytes]:
    """Act on a verdict: new packs before tombstones, tombstones before anything is deleted. Return what was deleted."""
    repacked = _repack(rooms, marked, verdict.repack)
    for pack in [*verdict.tomb, *(pack for pack in repacked if pack not in marked.tombs)]:
        rooms.store.put(TOMBS + pack.hex(), seal(encode(Tombstone(repo=rooms.format.id, pack=pack, run=run))))
    if rooms.cache:
        rooms.cache.forget_packs([*verdict.tomb, *verdict.repack, *verdict.delete])
    deleted = [pack for pack in verdict.delete if _is_held_elsewhere(rooms, marked, pack)]
    for pack in deleted:
        rooms.store.delete(pack_key(pack))
    if noted := [*deleted, *_unnoted(rooms, marked)]:
        rooms.store.put(RUNS + new_id(), seal(encode(Run(repo=rooms.format.id, deleted=tuple(noted)))))
    _drop_tombs(rooms, marked)
    _compact(rooms)
    return deleted


def _is_held_elsewhere(rooms: Rooms, marked: Mark, pack: bytes) -> bool:
    """Read what other packs hold instead of this one: a footer promises, only the bytes prove."""
    wanted = {one for one, _ in marked.located.frames.get(pack, []) if one in marked.needed}
    if not wanted:
        return True
    holders = [
        (one, place)
        for other, frames in marked.located.frames.items()
        if other not in marked.tombs
        for one, place in frames
        if one in wanted
    ]
    found = {one for one, place in holders if rooms.objects.is_intact(one, place)}
    return found == wanted


def _repack(rooms: Rooms, marked: Mark, packs: dict[bytes, list[tuple[bytes, Place]]]) -> list[bytes]:
    """Store the needed frames of some packs again, in new ones; return those packs of which every needed frame could be read."""
    done = []
    writer = rooms.writer()
    try:
        for pack, frames in packs.items():
            try:
                for one, raw in rooms.objects.read_all(frames):
                    writer.add(marked.needed[one], one, raw)
            except IntegrityError:
                continue  # a damaged pack is left for `verify` to name
            done.append(pack)
        writer.flush()
    finally:
        writer.close()
    return done


def _store_time(rooms: Rooms, run: str) -> datetime:
    """Return what time it is for the store: that of an object that it just took."""
    earlier = [meta.modified for meta in rooms.store.list(RUNS) if meta.key != RUNS + run]
    rooms.store.put(RUNS + run, seal(encode(Run(repo=rooms.format.id, deleted=()))))
    now = rooms.store.head(RUNS + run).modified
    latest = max(earlier, default=now)
    if latest > now + timedelta(seconds=rooms.grace / 4):
        raise StoreError(
            f"the store's clock went backwards: it says {now.isoformat()}, an earlier run was at {latest.isoformat()}: nothing is collected"
        )
    return now


def _tombs(rooms: Rooms) -> Iterator[tuple[bytes, ObjectMeta]]:
    for meta in rooms.store.list(TOMBS):
        try:
            yield bytes.fromhex(meta.key.removeprefix(TOMBS)), meta
        except ValueError:
            continue


def _unnoted(rooms: Rooms, marked: Mark) -> list[bytes]:
    """Return the packs that are gone and have a tombstone, but no note says so: whoever deleted them stopped there."""
    gone = [pack for pack in marked.tombs if pack not in marked.located.packs]
    noted = {pack for _, note in _notes(rooms) for pack in note.deleted} if gone else set()
    return [pack for pack in gone if pack not in noted]


def _notes(rooms: Rooms, *, until: datetime | None = None) -> Iterator[tuple[ObjectMeta, Run]]:
    for meta in [meta for meta in rooms.store.list(RUNS) if until is None or meta.modified <= until]:
        with contextlib.suppress(IntegrityError, NotFound):
            yield meta, decode(unseal(rooms.store.get(meta.key), what=meta.key), Run, what=meta.key)


def _drop_tombs(rooms: Rooms, marked: Mark) -> None:
    """Remove the tombstones of packs that were deleted many graces ago, and the notes that say so."""
    old = marked.now - TOMB_GRACES * timedelta(seconds=rooms.grace)
    for meta, note in _notes(rooms, until=old):
        for pack in note.deleted:
            if pack not in marked.located.packs:
                rooms.store.delete(TOMBS + pack.hex())
        rooms.store.delete(meta.key)


def _compact(rooms: Rooms) -> None:
    """Write one set of segments for all packs if there are many packs without one, or many segments."""
    keys = [meta.key for meta in rooms.store.list("index/")]
    located = locate_all(rooms.store)
    if len(keys) <= SEGMENTS and located.uncovered < UNCOVERED:
        return
    made = write_segments(rooms.store, located.frames)
    for key in keys:
        if key not in made:
            rooms.store.delete(key)
