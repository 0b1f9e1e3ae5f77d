"""A writer's side of collecting (format 1, §10): nothing is acknowledged that refers to a pack which may go away."""

from collections.abc import Iterable, Iterator

from kist.engine.cache import Cache
from kist.engine.clock import Clock
from kist.engine.history import FORGOTTEN
from kist.engine.objects import Objects, Reuse, Writer
from kist.engine.packs import FrameKind, pack_key
from kist.engine.recipes import load_recipe, walk_frames
from kist.engine.records import digest
from kist.errors import Conflict, IntegrityError, KistError, NotFound
from kist.stores.budget import map_ordered
from kist.stores.protocols import Store

__all__ = ["GRACE_SECONDS", "TOMBS", "Guard", "is_forgotten", "tombstones"]

GRACE_SECONDS = 24 * 3600.0
TOMBS = "gc/tomb/"
GONE = "part of what this change relied on was collected while it ran, and its source changed: save again"


def tombstones(store: Store) -> set[bytes]:
    """Return the packs that have a tombstone."""
    found = set()
    for meta in store.list(TOMBS):
        try:
            found.add(bytes.fromhex(meta.key.removeprefix(TOMBS)))
        except ValueError:
            continue
    return found


def is_forgotten(store: Store, version: bytes) -> bool:
    """Say whether a version was forgotten."""
    return _exists(store, FORGOTTEN + version.hex())


def _exists(store: Store, key: str) -> bool:
    try:
        store.head(key)
    except NotFound:
        return False
    return True


class Guard:
    """Stores again what one change uses in packs that have a tombstone, or are gone. One for each attempt to write a ref entry."""

    def __init__(
        self,
        objects: Objects,
        store: Store,
        writer: Writer,
        clock: Clock,
        *,
        grace: float,
        began: float | None = None,
        cache: Cache | None = None,
        kept: Iterable[bytes] = (),
    ) -> None:
        """Guard one writer.

        Args:
            objects: reads frames.
            store: where they are.
            writer: knows what the change wrote and what it used.
            clock: measures.
            grace: of collecting, in seconds.
            began: when the change began, in elapsed seconds; now, if not said.
            cache: is told what to forget.
            kept: versions of which the entry keeps content unchecked, although others may forget them: all but what the store's own rule
                makes the head until the entry is written.
        """
        self._objects, self._store, self._writer, self._clock, self._grace = objects, store, writer, clock, grace
        self._began = clock.elapsed() if began is None else began
        self._cache, self._kept = cache, tuple(kept)
        self._looked = float("-inf")

    def before(self) -> bool:
        """Return right before the write of a ref entry: everything that the change uses is safe for half a grace.

        Returns:
            False: a version whose content the entry would keep was forgotten; look what there is now.

        Raises:
            Conflict: something that the change uses is gone, and its source can't be read again.
            StoreError: the store failed.
        """
        while self._is_late():
            self._looked = self._clock.elapsed()
            used = self._used()
            if used or self._writer.written:
                self._store_again(used, tombstones(self._store) | self._missing(used))
            if self._forgotten():
                return False
        return True

    def after(self) -> None:
        """Look again after the write: what got a tombstone meanwhile is stored again before the acknowledgement.

        Raises:
            Conflict: the write came so late that something the entry uses or keeps was gone by then.
            StoreError: the store failed.
        """
        late, used = self._is_late(), self._used()
        if used or self._writer.written:
            self._store_again(used, tombstones(self._store) | (self._missing(used) if late else set()))
        if late and self._forgotten():
            raise Conflict(GONE)

    def _is_late(self) -> bool:
        return self._clock.elapsed() - self._looked > self._grace / 2

    def _forgotten(self) -> bool:
        return any(is_forgotten(self._store, version) for version in self._kept)

    def _missing(self, used: dict[bytes, Reuse]) -> set[bytes]:
        """Return the packs that this change uses and that are gone: its own ones too if they are old enough for that."""
        packs = dict.fromkeys(reuse.place.pack for reuse in used.values())
        if self._clock.elapsed() - self._began > self._grace:
            packs |= dict.fromkeys(place.pack for place in self._writer.written.values())
        exist = map_ordered(lambda pack: _exists(self._store, pack_key(pack)), packs)
        return {pack for pack, exists in zip(packs, exist, strict=True) if not exists}

    def _store_again(self, used: dict[bytes, Reuse], packs: set[bytes]) -> None:
        """Store again what lies in some packs, and let the cache forget what it knew of them."""
        writer = self._writer
        hit = {one: reuse for one, reuse in used.items() if reuse.place.pack in packs}
        own = {one: place for one, place in writer.written.items() if place.pack in packs}
        if not hit and not own:
            return
        self._forget(reuse.place.pack for reuse in hit.values())
        self._forget(place.pack for place in own.values())
        here = writer.release()
        for one, reuse in hit.items():
            writer.store_again(reuse.kind, one, self._read(one, reuse))
        for one, place in own.items():
            kind = writer.kinds.get(one, FrameKind.DATA)
            buffer = here.get(place.pack)
            writer.store_again(kind, one, buffer.read(one, place) if buffer else self._read(one, Reuse(place, kind, None, 0)))
        writer.flush()

    def _used(self) -> dict[bytes, Reuse]:
        """Return all frames that the change uses and did not write: also those that a recipe lists which it did not make."""
        used = dict(self._writer.reused)
        for one, reuse in self._writer.reused.items():
            if reuse.kind is FrameKind.RECIPE and reuse.again is None:
                for frame_id, named in self._named(one, reuse):
                    if frame_id not in self._writer.written:
                        used.setdefault(frame_id, named)
        return used

    def _named(self, recipe: bytes, reuse: Reuse) -> Iterator[tuple[bytes, Reuse]]:
        try:
            for kind, frame_id, place in walk_frames(self._objects, load_recipe(self._objects, recipe, reuse.place)):
                yield frame_id, Reuse(place, kind, None, 0)
        except IntegrityError as gone:
            self._forget([reuse.place.pack])
            raise Conflict(GONE) from gone

    def _read(self, frame_id: bytes, reuse: Reuse) -> bytes:
        """Read a frame from where it lies, as long as that exists, else from its source."""
        try:
            return self._objects.read(frame_id, reuse.place)
        except IntegrityError as gone:
            try:
                raw = reuse.again(reuse.offset, reuse.place.raw) if reuse.again else b""
            except (OSError, KistError):
                raw = b""
            if digest(raw) != frame_id:
                raise Conflict(GONE) from gone
            return raw

    def _forget(self, packs: Iterable[bytes]) -> None:
        """Keep later changes from relying on these packs."""
        if self._cache:
            self._cache.forget_packs(dict.fromkeys(packs))
