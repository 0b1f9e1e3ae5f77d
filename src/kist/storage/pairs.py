"""What is to be copied, and to where: everything below a folder, or what differs."""

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from blake3 import blake3

from kist.errors import InvalidInput
from kist.storage.working import Pair, Work
from kist.stores.disk import Disk
from kist.stores.locations import Location
from kist.stores.protocols import Folders, ObjectMeta
from kist.stores.transfers import parts_of

__all__ = ["differing", "everything"]

RACY = timedelta(seconds=2)
"""How close two times must be for a change between them to go unseen."""


def everything(source: Location, target: Location, work: Work, *, overwrite: bool) -> Iterator[Pair]:
    """Yield all that lies below the source, and make the folders that it goes to; what is there is skipped unless `overwrite` is set."""
    made: set[str] = set()
    for meta, name in _named(source):
        one = target.below(name)
        if not overwrite and one.find() is not None:
            work.skipped += 1
            continue
        _make_above(one, made)
        yield replace(source.below(name), key=meta.key), meta, one


def differing(source: Location, target: Location, work: Work, extra: list[Location], *, checksum: bool) -> Iterator[Pair]:
    """Yield what is to be copied; what only the target has goes to `extra`. Both are listed in one order, side by side."""
    theirs = _named(replace(target, store=Disk(follows=False)) if isinstance(target.store, Disk) else target)
    there = next(theirs, None)
    made: set[str] = set()
    for meta, name in _named(source):
        while there is not None and os.fsencode(there[1]) < os.fsencode(name):
            extra.append(target.below(there[1]))
            there = next(theirs, None)
        old = there[0] if there is not None and there[1] == name else None
        if old is not None:
            there = next(theirs, None)
            if _unchanged(source, meta, target, old, checksum=checksum):
                work.skipped += 1
                continue
        one = target.below(name)
        if not work.dry_run:
            _make_above(one, made)
        yield replace(source.below(name), key=meta.key), meta, one
    while there is not None:
        extra.append(target.below(there[1]))
        there = next(theirs, None)


def _unchanged(source: Location, meta: ObjectMeta, target: Location, old: ObjectMeta, *, checksum: bool) -> bool:
    if meta.size_bytes != old.size_bytes:
        return False
    if not checksum and old.modified - meta.modified > RACY:
        return True
    if not checksum and old.modified < meta.modified.replace(microsecond=0):
        return False
    with source.named(), target.named():
        return _digest(source, meta) == _digest(target, old)


def _digest(place: Location, meta: ObjectMeta) -> bytes:
    digest = blake3()
    for part in parts_of(place.store, meta):
        digest.update(part)
    return digest.digest()


def _named(place: Location) -> Iterator[tuple[ObjectMeta, str]]:
    """Yield what lies below a folder, with its path from there, which never leads elsewhere, whatever the store says."""
    with place.named():
        for meta in place.store.list(place.prefix):
            name = meta.key[len(place.prefix) :]
            if {"", ".", ".."} & set(name.split("/")) or "\0" in name:
                raise InvalidInput(f"{place.shown} holds something called {name!r}, which is no path: nothing of this name is copied")
            yield meta, name


def _make_above(place: Location, made: set[str]) -> None:
    above = place.key.rpartition("/")[0]
    if above and above not in made and isinstance(place.store, Folders):
        place.store.make_folder(above)
        made.add(above)
