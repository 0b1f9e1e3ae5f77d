"""Listings of a bucket: what comes in pages of any kind, in the order that kist promises."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain, pairwise

import obstore

from kist.errors import InvalidInput, StoreError
from kist.stores.cloud_connection import Connection
from kist.stores.keys import check_key
from kist.stores.protocols import ObjectMeta

__all__ = ["listed", "meta_of"]

_PAGE_KEYS = 1000  # as many as S3 tells at once
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)  # obstore's word for "the server did not say"


def meta_of(entry: "obstore.ObjectMeta") -> ObjectMeta:
    """Return what obstore tells of an object.

    The ETag is without its quotes, since listings of Azure and of rclone have none; a weak one stays as it is.

    Raises:
        StoreError: it does not tell when the object was written.
    """
    if entry["last_modified"] == _EPOCH:
        raise StoreError(f"the server does not say when {entry['path']!r} was written, and its age must be known")
    etag = entry["e_tag"] or ""
    if not etag.startswith("W/"):
        etag = etag.removeprefix('"').removesuffix('"')
    return ObjectMeta(key=entry["path"], size_bytes=entry["size"], modified=entry["last_modified"], etag=etag)


def listed(connection: Connection, prefix: str, start_after: str) -> Iterator[ObjectMeta]:
    """Yield what `kist.stores.protocols.List` promises.

    Raises:
        StoreError: the store failed, or tells its keys in no order.
    """
    last = start_after.encode()
    for meta in _in_order(_pages(connection, prefix, start_after), connection.address.url):
        key = meta.key.encode()
        if key > last and meta.key.startswith(prefix):
            last = key
            yield meta
        elif key > prefix.encode() and not meta.key.startswith(prefix):
            return


def _pages(connection: Connection, prefix: str, start_after: str) -> Iterator[list[ObjectMeta]]:
    """Yield pages that hold all keys with a prefix, and maybe some around them; obstore knows whole folders only."""
    folder = prefix.rpartition("/")[0]
    offset = max(_valid_part(start_after), _just_before(prefix), key=str.encode)
    if folder and not offset.startswith(f"{folder}/"):
        if offset.encode() > folder.encode() + b"/":
            return
        offset = ""  # Garage lists nothing if told to start before the prefix
    action = f"list {prefix!r} in {connection.address.url}"
    with connection.request(action):
        stream = obstore.list(connection.clients.requests, folder or None, offset=offset or None, chunk_size=_PAGE_KEYS)
    while True:
        with connection.request(action):
            page = next(stream, None)
        if page is None:
            return
        yield [meta_of(entry) for entry in page]


def _in_order(pages: Iterable[list[ObjectMeta]], url: str) -> Iterator[ObjectMeta]:
    """Yield what pages hold, sorted by key: as it comes if the first page is sorted, else when all are there.

    Raises:
        StoreError: a later page breaks the order.
    """
    rest = iter(pages)
    first = next(rest, [])
    if any(a.key.encode() > b.key.encode() for a, b in pairwise(first)):
        everything = [*first, *(meta for page in rest for meta in page)]
        yield from sorted(everything, key=lambda meta: meta.key.encode())
        return
    last = b""
    for page in chain([first], rest):
        for meta in page:
            key = meta.key.encode()
            if key < last:
                raise StoreError(f"{url} lists its keys in no order: {meta.key!r} came late")
            last = key
            yield meta


def _valid_part(start_after: str) -> str:
    """Return the beginning of a string up to where it could no more be a key: what obstore takes as an offset."""
    good: list[str] = []
    for segment in start_after.split("/"):
        try:
            good.append(check_key(segment))
        except InvalidInput:
            break
    return "/".join(good)


def _just_before(prefix: str) -> str:
    """Return a string that sorts before all keys with a prefix, and behind nearly all others that do; empty if there is no good one."""
    if not prefix or prefix.endswith("/"):
        return ""
    before = chr(ord(prefix[-1]) - 1)
    return f"{prefix[:-1]}{before}~~~~" if before.isascii() and (before.isalnum() or before in "-_") else _valid_part(prefix[:-1])
