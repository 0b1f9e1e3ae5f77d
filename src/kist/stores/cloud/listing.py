"""Listings of a bucket: what comes in pages of any kind, in the order that kist promises.

A page that breaks off is asked for again. What is no such service at all, and answers with a page of its website, looks like an empty
bucket; so the first listing of a store that is empty is believed only when the server also knows that a made-up object does not exist.
"""

import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain, pairwise

import obstore

from kist.errors import Denied, InvalidInput, NotFound, StoreError, Unauthenticated
from kist.stores.cloud.connection import ATTEMPTS, Connection, pause
from kist.stores.cloud.errors import cut_listing
from kist.stores.keys import check_key
from kist.stores.protocols import ObjectMeta

__all__ = ["Listings", "meta_of"]

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


class Listings:
    """The listings of one store."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._believed = False

    def below(self, prefix: str, start_after: str) -> Iterator[ObjectMeta]:
        """Yield what `kist.stores.protocols.List` promises.

        Raises:
            StoreError: the store failed, tells its keys in no order, or is none.
        """
        last = start_after.encode()
        for meta in _in_order(self._pages(prefix, start_after), self._connection.address.url):
            key = meta.key.encode()
            if key > last and meta.key.startswith(prefix):
                last = key
                yield meta
            elif key > prefix.encode() and not meta.key.startswith(prefix):
                return

    def folder(self, prefix: str) -> tuple[list[ObjectMeta], list[str]]:
        """Return what `kist.stores.protocols.ListFolder` promises.

        Raises:
            StoreError: the store failed, or is none.
        """
        found, attempt = None, 0
        while found is None:
            attempt += 1
            with self._connection.request(f"list {prefix!r} in {self._connection.address.url}"):
                try:
                    found = obstore.list_with_delimiter(self._connection.clients.requests, prefix.rstrip("/") or None)
                except obstore.exceptions.GenericError as error:
                    if attempt == ATTEMPTS or not cut_listing(error):
                        raise
            if found is None:
                pause(attempt)
        names = {folder.rstrip("/").rpartition("/")[2] for folder in found["common_prefixes"]}
        metas = [meta_of(entry) for entry in found["objects"]]
        self._believe(empty=not (names or metas))
        return sorted(metas, key=lambda meta: meta.key.encode()), sorted(names, key=str.encode)

    def _pages(self, prefix: str, start_after: str) -> Iterator[list[ObjectMeta]]:
        """Yield pages that hold all keys with a prefix, and maybe some around them; obstore knows whole folders only."""
        folder = prefix.rpartition("/")[0]
        offset = max(_valid_part(start_after), _just_before(prefix), key=str.encode)
        if folder and not offset.startswith(f"{folder}/"):
            if offset.encode() > folder.encode() + b"/":
                return
            offset = ""  # Garage lists nothing if told to start before the prefix
        empty = True
        for page in _unbroken(self._connection, f"list {prefix!r} in {self._connection.address.url}", folder, offset):
            empty = False
            self._believe(empty=False)
            yield page
        self._believe(empty=empty)

    def _believe(self, *, empty: bool) -> None:
        """Look once whether an empty listing may be true.

        Raises:
            StoreError: the server answers whatever is asked, or failed.
        """
        if empty and not self._believed:
            key, url = f"kist-asks-for-nothing-{uuid.uuid4().hex}", self._connection.address.url
            try:
                with self._connection.request(f"look whether {url} is a store"):
                    obstore.get(self._connection.clients.requests, key)
            except (NotFound, Denied, Unauthenticated):
                pass
            else:
                raise StoreError(
                    f"can't list {url}: the endpoint answers whatever is asked, even for an object that can't be there, so it is no such "
                    "service, but perhaps its website; check the endpoint"
                )
        self._believed = True


def _unbroken(connection: Connection, action: str, folder: str, offset: str) -> Iterator[list[ObjectMeta]]:
    """Yield the pages behind an offset; one that breaks off is asked for again, from behind the last key that was told.

    Raises:
        StoreError: the store failed.
    """
    client, told, ordered, attempt, stream = connection.clients.requests, "", True, 0, None
    while True:
        page = None
        with connection.request(action):
            try:
                if stream is None:  # where there is no order, all is told again, and `below` drops what it knows
                    behind = _valid_part(told) if told and ordered else offset
                    stream = obstore.list(client, folder or None, offset=behind or None, chunk_size=_PAGE_KEYS)
                page = next(stream, [])
            except obstore.exceptions.GenericError as error:
                attempt += 1
                if attempt == ATTEMPTS or not cut_listing(error):
                    raise
                stream = None
        if page is None:
            pause(attempt)
            continue
        if not page:
            return
        attempt, metas = 0, [meta_of(entry) for entry in page]
        ordered = ordered and all(a.key.encode() <= b.key.encode() for a, b in pairwise(metas))
        if ordered:  # a server that ignores where to start tells again what it told before
            metas = [meta for meta in metas if not told or meta.key.encode() > told.encode()]
        if metas:
            told = metas[-1].key
            yield metas


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
