"""Copying one object to another place: within the service where it can, else through this machine in bounded memory.

The target is complete and right, or as it was. Parts are read from one state of the source, several at a time, each as often as it takes
within reason; what is written, the target's store checks (`kist.stores.protocols.PutStream`). A big transfer that is interrupted goes on
where it was, when it is asked for again (`kist.stores.journal`).
"""

import contextlib
import hashlib
import random
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kist.errors import Busy, Conflict, IntegrityError, KistError, NotFound, StoreError, Unsupported
from kist.stores import budget
from kist.stores.journal import Journal
from kist.stores.locations import Location
from kist.stores.protocols import (
    CopyFrom,
    GetBlocks,
    GetPart,
    GetStream,
    ObjectMeta,
    PartUpload,
    Put,
    PutBlocks,
    PutParts,
    PutStream,
    ReadableStore,
)

__all__ = ["Moved", "Sizes", "parts_of", "transfer"]

WINDOW = 4
ATTEMPTS = 5
_MD5 = re.compile(r'"?([0-9a-f]{32})"?')

type Heard = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """From which size on objects are treated differently."""

    small_bytes: int = 4 << 20
    """Up to here an object is read and written whole."""
    part_bytes: int = 8 << 20
    """How much of a bigger one is read at once."""
    journal_bytes: int = 64 << 20
    """From here on it is written in parts that survive an interruption, where the store has them."""


SIZES = Sizes()


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What a transfer did: how many bytes, and whether the service did it by itself."""

    size_bytes: int
    server_side: bool = False


def transfer(source: Location, meta: ObjectMeta, target: Location, *, heard: Heard = lambda _: None, sizes: Sizes = SIZES) -> Moved:
    """Copy the object that `meta` tells of to `target`, replacing what is there; `heard` is told of bytes as they are done.

    Raises:
        NotFound: the source is gone, or the folder of the target is missing.
        Conflict: the source changes all the time.
        Unsupported: the target can't be written.
        IntegrityError: what arrived is not what was sent.
        StoreError: a store failed; its message names the URL.
    """
    with _about(source, target):
        store = target.store
        if isinstance(store, CopyFrom) and _again(lambda: store.copy_from(source.store, meta.key, target.key, meta=meta)):
            heard(meta.size_bytes)
            return Moved(size_bytes=meta.size_bytes, server_side=True)
        if not isinstance(store, Put):
            raise Unsupported(f"{target.shown} can't be written: this kind of place is read-only")
        for attempt in range(ATTEMPTS):
            try:
                return Moved(size_bytes=_through_here(source, meta, target, heard, sizes))
            except Conflict:
                if attempt + 1 == ATTEMPTS or source.store.head(meta.key).etag == meta.etag:
                    raise
                meta = source.store.head(meta.key)
        raise AssertionError


def parts_of(store: ReadableStore, meta: ObjectMeta, *, sizes: Sizes = SIZES) -> Iterator[bytes]:
    """Yield an object in parts, all of one state, some of them read ahead.

    Raises:
        NotFound: it is gone.
        Conflict: it has changed.
        StoreError: the store failed, again and again.
    """
    part_bytes = sizes.part_bytes
    if 0 <= meta.size_bytes <= sizes.small_bytes:
        yield _whole(store, meta)
    elif isinstance(store, GetStream) and not (isinstance(store, GetPart) and meta.etag):
        yield from store.get_stream(meta.key)
    else:
        starts = range(0, meta.size_bytes, part_bytes)
        yield from budget.map_ordered(lambda start: _part(store, meta, start, part_bytes), starts, window=WINDOW)
        if not (isinstance(store, GetPart) and meta.etag):
            _refuse_changed(store, meta)


def _through_here(source: Location, meta: ObjectMeta, target: Location, heard: Heard, sizes: Sizes) -> int:
    store = target.store
    pinned = isinstance(source.store, GetPart) and bool(meta.etag)
    if isinstance(store, PutParts) and pinned and meta.size_bytes >= sizes.journal_bytes:
        return _in_parts(source, meta, target, store, heard)
    if 0 <= meta.size_bytes <= sizes.small_bytes:
        data = _whole(source.store, meta)
        _again(lambda: store.put(target.key, data))  # type: ignore[attr-defined]  # `transfer` has looked
        heard(len(data))
        return len(data)
    if isinstance(store, PutStream):
        return _again(lambda: _streamed(source.store, meta, (store, target.key), heard, sizes))
    data = b"".join(parts_of(source.store, meta, sizes=sizes))  # a store that takes objects whole only
    _again(lambda: store.put(target.key, data))  # type: ignore[attr-defined]  # as above
    heard(len(data))
    return len(data)


def _streamed(source: ReadableStore, meta: ObjectMeta, target: tuple[PutStream, str], heard: Heard, sizes: Sizes) -> int:
    store, key = target
    done = 0

    def parts() -> Iterator[bytes]:
        nonlocal done
        for part in parts_of(source, meta, sizes=sizes):
            yield part
            done += len(part)
            heard(len(part))

    try:
        store.put_stream(key, parts(), size_bytes=meta.size_bytes if meta.size_bytes >= 0 else None)
    except BaseException:
        heard(-done)
        raise
    return done


def _in_parts(source: Location, meta: ObjectMeta, target: Location, store: PutParts, heard: Heard) -> int:
    """Copy side by side, in parts that survive an interruption."""
    journal = Journal(source.url, meta, target.url)
    upload, receipts = _begun(journal, store, target.key, meta)
    size, part = meta.size_bytes, upload.part_bytes

    def one(number: int) -> None:
        receipts[number] = _moved_part(source.store, meta, upload, number)
        journal.note(number, receipts[number])
        heard(min(part, size - number * part))

    count = -(-size // part)
    heard(sum(min(part, size - number * part) for number in receipts))
    try:
        for _ in budget.map_ordered(one, (number for number in range(count) if number not in receipts), window=WINDOW):
            pass
        upload.finish([receipts[number] for number in range(count)])
    except (Conflict, IntegrityError, NotFound):
        heard(-sum(min(part, size - number * part) for number in receipts))
        with contextlib.suppress(KistError):
            upload.abort()
        journal.end()
        raise
    journal.end()
    return size


def _moved_part(source: ReadableStore, meta: ObjectMeta, upload: PartUpload, number: int) -> str:
    """Read a part and write it: in blocks as they come, where both can; return its receipt."""
    start, count = number * upload.part_bytes, upload.part_bytes
    if isinstance(source, GetBlocks) and isinstance(upload, PutBlocks):
        end = min(start + count, meta.size_bytes)
        return _again(lambda: upload.put_blocks(number, source.get_blocks(meta, start=start, end=end)))
    data = _part(source, meta, start, count)
    return _again(lambda: upload.put_part(number, data))


def _begun(journal: Journal, store: PutParts, key: str, meta: ObjectMeta) -> tuple[PartUpload, dict[int, str]]:
    """Take up what an earlier process has begun, or begin."""
    token, noted = journal.read()
    if token:
        with contextlib.suppress(KistError):
            upload, there = _again(lambda: store.take_up(key, token))
            return upload, {number: receipt for number, receipt in there.items() if noted.get(number) == receipt}
    if abandoned := journal.abandoned():
        with contextlib.suppress(KistError):
            store.take_up(key, abandoned)[0].abort()
    upload = _again(lambda: store.begin_parts(key, size_bytes=meta.size_bytes))
    journal.begin(upload.token)
    return upload, {}


def _whole(store: ReadableStore, meta: ObjectMeta) -> bytes:
    """Read a small object, and compare it with the MD5 that its ETag is on many stores."""
    data = _again(lambda: store.get(meta.key))
    said = _MD5.fullmatch(meta.etag)
    if said and hashlib.md5(data, usedforsecurity=False).hexdigest() != said[1] and _again(lambda: store.get(meta.key)) != data:
        raise IntegrityError(f"{meta.key!r} was read twice and came with different bytes: try again, over https if you can")
    return data


def _part(store: ReadableStore, meta: ObjectMeta, start: int, count: int) -> bytes:
    """Read a part: of the state that `meta` tells of, where the store can; else of the state of the moment."""
    end = min(start + count, meta.size_bytes)

    def read() -> bytes:
        if isinstance(store, GetPart) and meta.etag:
            data = store.get_part(meta, start=start, end=end)
        else:
            data = store.get_range(meta.key, start=start, end=end)
        if len(data) != end - start:
            _refuse_changed(store, meta)
            raise StoreError(f"{end - start} bytes of {meta.key!r} were asked for, and {len(data)} came")
        return data

    return _again(read)


def _refuse_changed(store: ReadableStore, meta: ObjectMeta) -> None:
    now = store.head(meta.key)
    if (now.size_bytes, now.modified, now.etag) != (meta.size_bytes, meta.modified, meta.etag):
        raise Conflict(f"{meta.key!r} has changed while it was read: try again")


def _again[T](work: Callable[[], T]) -> T:
    """Do something that may be done twice, some times over while the store fails."""
    for attempt in range(ATTEMPTS):
        try:
            return work()
        except (StoreError, Busy, IntegrityError):  # where other bytes arrive, nothing is replaced
            if attempt + 1 == ATTEMPTS:
                raise
        time.sleep(random.uniform(0.5, 1) * min(0.1 * 2**attempt, 5))  # noqa: S311  no secret
    raise AssertionError


@contextlib.contextmanager
def _about(source: Location, target: Location) -> Iterator[None]:
    """Let every error name both URLs."""
    try:
        yield
    except KistError as error:
        text = str(error)
        if source.shown in text and target.shown in text:
            raise
        raise type(error)(f"can't copy {source.shown} to {target.shown}: {text}") from error
