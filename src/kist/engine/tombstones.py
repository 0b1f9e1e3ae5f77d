"""A writer's side of collecting (format 1, §10): nothing is acknowledged that refers to a pack which may go away."""

from collections.abc import Iterator

from kist.engine.clock import Clock
from kist.engine.objects import Objects, Reuse, Writer
from kist.engine.packs import FrameKind, pack_key
from kist.engine.recipes import load_recipe, walk_frames
from kist.engine.records import digest
from kist.errors import Conflict, IntegrityError, NotFound
from kist.stores.budget import map_ordered
from kist.stores.protocols import Store

__all__ = ["GRACE_SECONDS", "TOMBS", "Guard", "tombstones"]

GRACE_SECONDS = 24 * 3600.0
TOMBS = "gc/tomb/"


def tombstones(store: Store) -> set[bytes]:
    """Return the packs that have a tombstone."""
    found = set()
    for meta in store.list(TOMBS):
        try:
            found.add(bytes.fromhex(meta.key.removeprefix(TOMBS)))
        except ValueError:
            continue
    return found


class Guard:
    """Stores again what one change uses in packs that have a tombstone, or are gone."""

    def __init__(self, objects: Objects, store: Store, writer: Writer, clock: Clock, *, grace: float) -> None:
        """Guard one writer; `grace` is in seconds."""
        self._objects, self._store, self._writer, self._clock, self._grace = objects, store, writer, clock, grace
        self._looked = float("-inf")

    def before(self) -> None:
        """Return right before the write of a ref entry; everything that the change uses is safe for half a grace.

        Raises:
            Conflict: something that the change uses is gone, and its source can't be read again.
            StoreError: the store failed.
        """
        while self._clock.elapsed() - self._looked > self._grace / 2:
            self._looked = self._clock.elapsed()
            self._store_again(tombstones(self._store) | set(self._missing()))

    def after(self) -> None:
        """Look again after the write: what got a tombstone meanwhile is stored again before the acknowledgement.

        Raises:
            Conflict: something that the change uses is gone, and its source can't be read again.
            StoreError: the store failed.
        """
        late = self._clock.elapsed() - self._looked > self._grace / 2
        self._store_again(tombstones(self._store) | (set(self._missing()) if late else set()))

    def _missing(self) -> Iterator[bytes]:
        """Yield the packs of earlier writers that this change uses and that are gone."""
        packs = {reuse.place.pack for reuse in self._writer.reused.values()}
        for pack, exists in zip(packs, map_ordered(self._exists, packs), strict=True):
            if not exists:
                yield pack

    def _exists(self, pack: bytes) -> bool:
        try:
            self._store.head(pack_key(pack))
        except NotFound:
            return False
        return True

    def _store_again(self, packs: set[bytes]) -> None:
        writer = self._writer
        used = dict(self._used()) if packs else {}
        hit = {one: reuse for one, reuse in used.items() if reuse.place.pack in packs}
        own = [one for one, place in writer.written.items() if place.pack in packs]
        for one, reuse in hit.items():
            writer.store_again(reuse.kind, one, self._read(one, reuse))
        for one in own:
            writer.store_again(writer.kinds.get(one, FrameKind.DATA), one, self._objects.read(one, writer.written[one]))
        if hit or own:
            writer.flush()

    def _used(self) -> Iterator[tuple[bytes, Reuse]]:
        """Yield all frames that the change uses and did not write: also those that a recipe lists."""
        for one, reuse in list(self._writer.reused.items()):
            yield one, reuse
            if reuse.kind is FrameKind.RECIPE:
                recipe = load_recipe(self._objects, one, reuse.place)
                for kind, frame_id, place in walk_frames(self._objects, recipe):
                    yield frame_id, Reuse(place, kind, None, 0)

    def _read(self, frame_id: bytes, reuse: Reuse) -> bytes:
        """Read a frame from where it lies, as long as that exists, else from its source."""
        try:
            return self._objects.read(frame_id, reuse.place)
        except IntegrityError as gone:
            raw = reuse.again(reuse.offset, reuse.place.raw) if reuse.again else b""
            if digest(raw) != frame_id:
                raise Conflict("part of what this save relied on was collected while it ran, and its source changed: save again") from gone
            return raw
