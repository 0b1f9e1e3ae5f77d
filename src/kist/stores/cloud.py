"""Stores in the cloud: S3 and what speaks it, Google Cloud Storage, Azure.

Only obstore's blocking calls are used: its asynchronous ones abort the interpreter at exit now and then. Each request happens within the
budget of the process (`kist.stores.budget`), all waiting is bounded, and what comes back is checked: size, range, order of listings.
A process that was forked after its parent used a cloud store gets an error at once, where obstore would hang for ever.
"""

import builtins
import contextlib
import os
import random
import time
from collections.abc import Buffer, Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain, pairwise
from typing import cast

import obstore

from kist.errors import AlreadyExists, InvalidInput, KistError, NotFound, StoreError
from kist.stores import budget
from kist.stores.cloud_errors import FOREIGN, mask, no_range, past_end, translate
from kist.stores.cloud_options import Address, Clients, connect, parse
from kist.stores.keys import check_folder, check_key, check_prefix, check_range
from kist.stores.protocols import ObjectMeta

__all__ = ["CloudStore", "open_cloud"]

_PAGE_KEYS = 1000  # as many as S3 tells at once
_BIG_BYTES = 1 << 20  # from here on an upload may last longer than the silence that reading tolerates
_MULTIPART_BYTES = 64 << 20  # a pack is one request
_PART_BYTES = 16 << 20
_PUT_ATTEMPTS = 4
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)  # obstore's word for "the server did not say"

_first_user: int | None = None


class CloudStore:
    """Objects in a bucket, below a prefix."""

    def __init__(self, address: Address, clients: Clients) -> None:
        self.url = address.url
        self._clients = clients
        self._ranges = True

    def __repr__(self) -> str:
        return f"<CloudStore {self.url}>"

    def __reduce__(self) -> tuple[object, ...]:
        if self._clients.given_secrets:
            raise InvalidInput(f"{self.url} was opened with secrets, which are not pickled; open it where it is used")
        return open_cloud, (self.url,)

    def get(self, key: str) -> bytes:
        """See `kist.stores.protocols.Get`."""
        check_key(key)
        with self._request(f"read {key!r} from {self.url}"):
            result = obstore.get(self._clients.requests, key)
            content = result.bytes().to_bytes()
            return _complete(content, result.meta["size"], key)

    def get_range(self, key: str, *, start: int, end: int) -> bytes:
        """See `kist.stores.protocols.GetRange`; a server that has no ranges is read whole."""
        check_range(start, end)
        if start == end:
            self.head(key)
            return b""
        if self._ranges:
            part = self._get_part(check_key(key), start, end)
            if part is not None:
                return part
            self._ranges = False
        return self.get(key)[start:end]

    def head(self, key: str) -> ObjectMeta:
        """See `kist.stores.protocols.Head`."""
        check_key(key)
        with self._request(f"look at {key!r} in {self.url}"):
            return _meta(obstore.head(self._clients.requests, key))

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectMeta]:
        """See `kist.stores.protocols.List`; a request tells up to 1000 keys."""
        return self._list(check_prefix(prefix), start_after)

    def list_folders(self, prefix: str) -> builtins.list[str]:
        """See `kist.stores.protocols.List`."""
        check_folder(prefix)
        with self._request(f"list {prefix!r} in {self.url}"):
            found = obstore.list_with_delimiter(self._clients.requests, prefix.rstrip("/") or None)
        names = {folder.rstrip("/").rpartition("/")[2] for folder in found["common_prefixes"]}
        return sorted(names, key=str.encode)

    def put(self, key: str, data: Buffer) -> None:
        """See `kist.stores.protocols.Put`."""
        check_key(key)
        for attempt in range(_PUT_ATTEMPTS):
            if attempt:
                time.sleep(random.uniform(0.05, 0.1) * 2**attempt)  # noqa: S311  no secret
            with contextlib.suppress(AlreadyExists):  # a 409: others write this key at the same time, nothing is stored
                self._put(key, data, "overwrite")
                return
        raise StoreError(f"can't write {key!r} to {self.url}: others keep writing it; try again")

    def create(self, key: str, data: Buffer) -> None:
        """See `kist.stores.protocols.Create`."""
        self._put(check_key(key), data, "create")

    def delete(self, key: str) -> None:
        """See `kist.stores.protocols.Delete`."""
        check_key(key)
        with contextlib.suppress(NotFound), self._request(f"delete {key!r} from {self.url}"):
            obstore.delete(self._clients.requests, key)

    def _put(self, key: str, data: Buffer, mode: str) -> None:
        view = memoryview(data).cast("B")
        client = self._clients.uploads if len(view) >= _BIG_BYTES else self._clients.requests
        multipart = mode == "overwrite" and len(view) > _MULTIPART_BYTES
        try:
            with self._request(f"{'create' if mode == 'create' else 'write'} {key!r} in {self.url}"):
                obstore.put(
                    client,
                    key,
                    view,
                    mode=cast("obstore.PutMode", mode),
                    use_multipart=multipart,
                    chunk_size=_PART_BYTES,
                    max_concurrency=4,
                )
        except NotFound as error:
            raise StoreError(f"can't write {key!r} to {self.url}: the server says that there is no such bucket") from error

    def _get_part(self, key: str, start: int, end: int) -> bytes | None:
        """Read a range; None if this server has no ranges."""
        with self._request(f"read bytes {start} to {end} of {key!r} from {self.url}"):
            try:
                result = obstore.get(self._clients.requests, key, options={"range": (start, end)})
            except obstore.exceptions.GenericError as error:
                if no_range(error):
                    return None
                if not past_end(error):
                    raise
                return b""
            content = result.bytes().to_bytes()
            return _complete(content, min(end, result.meta["size"]) - start, key)

    def _list(self, prefix: str, start_after: str) -> Iterator[ObjectMeta]:
        last = start_after.encode()
        for meta in _in_order(self._pages(prefix, start_after), self.url):
            key = meta.key.encode()
            if key > last and meta.key.startswith(prefix):
                last = key
                yield meta
            elif key > prefix.encode() and not meta.key.startswith(prefix):
                return

    def _pages(self, prefix: str, start_after: str) -> Iterator[builtins.list[ObjectMeta]]:
        """Yield pages that hold all keys with a prefix, and maybe some around them; obstore knows whole folders only."""
        folder = prefix.rpartition("/")[0]
        offset = max(_valid_part(start_after), _just_before(prefix), key=str.encode)
        if folder and not offset.startswith(f"{folder}/"):
            if offset.encode() > folder.encode() + b"/":
                return
            offset = ""  # Garage lists nothing if told to start before the prefix
        action = f"list {prefix!r} in {self.url}"
        with self._request(action):
            stream = obstore.list(self._clients.requests, folder or None, offset=offset or None, chunk_size=_PAGE_KEYS)
        while True:
            with self._request(action):
                page = next(stream, None)
            if page is None:
                return
            yield [_meta(entry) for entry in page]

    @contextlib.contextmanager
    def _request(self, action: str) -> Iterator[None]:
        """Make one request, within the budget, and translate its errors."""
        _refuse_forked(action)
        try:
            with budget.request():
                yield
        except KistError:
            raise
        except FOREIGN as error:
            hidden = mask(str(error), self._clients.secrets) != str(error)
            raise translate(error, action, self._clients.secrets) from (None if hidden else error)


def open_cloud(url: str, *, create: bool = False, **options: object) -> CloudStore:
    """Open ``s3://bucket/prefix``, ``gs://bucket/prefix`` or ``az://container/prefix``; nothing is sent.

    Args:
        url: bucket and prefix.
        create: accepted and not needed; a prefix needs no making, and buckets are never made.
        options: ``timeout_seconds`` (of a request, 300), ``connect_timeout_seconds`` (10), ``retry_seconds`` (60), ``max_retries`` (5),
            ``allow_http``; all else is the platform's: ``endpoint``, ``region``, ``access_key_id``, ``secret_access_key``, …

    Raises:
        InvalidInput: the URL or an option makes no sense.
    """
    del create
    address = parse(url)
    return CloudStore(address, connect(address, options))


def _refuse_forked(action: str) -> None:
    """Remember the first process that makes a request.

    Raises:
        StoreError: this process was forked from it.
    """
    global _first_user  # noqa: PLW0603  one per process is the point
    if _first_user is None:
        _first_user = os.getpid()
    elif _first_user != os.getpid():
        raise StoreError(
            f"can't {action}: this process was forked from one that had used a cloud store already, and its connections did not survive; "
            "start workers with 'spawn' or 'forkserver', or before the first use"
        )


def _complete(content: bytes, expected: int, key: str) -> bytes:
    """Return content that is as long as expected.

    Raises:
        StoreError: it is not.
    """
    if len(content) != expected:
        raise StoreError(f"can't read {key!r}: {expected} bytes were announced and {len(content)} came; try again")
    return content


def _meta(entry: "obstore.ObjectMeta") -> ObjectMeta:
    if entry["last_modified"] == _EPOCH:
        raise StoreError(f"the server does not say when {entry['path']!r} was written, and its age must be known")
    return ObjectMeta(key=entry["path"], size_bytes=entry["size"], modified=entry["last_modified"])


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
