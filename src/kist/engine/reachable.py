"""Which frames a repository needs: everything that its versions name, followed to the end. Shared by collecting and verifying."""

import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import NamedTuple

from kist.engine.entries import Place
from kist.engine.history import FORGOTTEN
from kist.engine.nodes import Leaf, Root
from kist.engine.packs import FrameKind
from kist.engine.recipes import load_recipe, walk_frames
from kist.engine.records import RefEntry, VersionRecord
from kist.engine.refs import entry_seal
from kist.engine.rooms import Rooms
from kist.engine.states import record_of

__all__ = ["Named", "forgotten_versions", "leaf_frames", "names_of", "roots"]


class Named(NamedTuple):
    """A frame that something names: kind, id, and where it should be."""

    kind: FrameKind
    id: bytes
    place: Place


def forgotten_versions(rooms: Rooms, *, until: datetime) -> set[bytes]:
    """Return the ids of the versions that were forgotten until some time, by the store's clock."""
    found = set()
    for meta in rooms.store.list(FORGOTTEN):
        with contextlib.suppress(ValueError):
            if meta.modified <= until:
                found.add(bytes.fromhex(meta.key.removeprefix(FORGOTTEN)))
    return found


def roots(rooms: Rooms, forgotten: set[bytes]) -> Iterator[tuple[RefEntry, VersionRecord, bool]]:
    """Yield all entries with their versions, and whether the content is kept: of all that are not forgotten, and of all heads.

    What is a head is seen in the same listing as the entries: a head of some other moment might be among neither.
    """
    for kind in ("heads", "tags"):
        for name in rooms.store.list_folders(f"refs/{kind}/"):
            followed: set[bytes] = set()
            for entry in rooms.authority.all_entries(f"{kind}/{name}"):  # newest first: those that follow an entry come before it
                is_head = kind == "heads" and entry_seal(entry) not in followed
                followed.update(entry.previous)
                yield entry, record_of(entry), is_head or entry.version not in forgotten


def leaf_frames(leaf: Leaf) -> Iterator[Named]:
    """Yield the one frame that each entry with content names."""
    wire = leaf.wire
    for row, pack in enumerate(wire.pack):
        if pack:
            place = Place(wire.packs[pack - 1], wire.offset[row], wire.stored[row], wire.raw[row])
            recipe = wire.more[row].recipe if row in wire.more else b""
            yield Named(FrameKind.RECIPE, recipe, place) if recipe else Named(FrameKind.DATA, wire.hash[32 * row : 32 * row + 32], place)


def names_of(rooms: Rooms, root: Root, seen: set[bytes], *, progress: Callable[[], None] = lambda: None) -> Iterator[Named]:
    """Yield every frame below a tree's root, and the root, that is not in `seen`; adds them.

    Raises:
        IntegrityError: something that must be read to go on is damaged.
        StoreError: the store failed.
    """
    for child, node in rooms.trees.nodes(root, seen):
        yield Named(FrameKind.TREE, child.id, child.place)
        progress()
        if not isinstance(node, Leaf):
            continue
        for named in leaf_frames(node):
            if named.id in seen:
                continue
            seen.add(named.id)
            yield named
            if named.kind is FrameKind.RECIPE:
                for kind, frame_id, place in walk_frames(rooms.objects, load_recipe(rooms.objects, named.id, named.place)):
                    if frame_id not in seen:
                        seen.add(frame_id)
                        yield Named(kind, frame_id, place)
