"""A store in a bucket, through obstore's blocking calls: its asynchronous ones abort the interpreter at exit now and then.

All waiting is bounded, and what comes back is checked: size, range, order of listings.
"""

import builtins
import contextlib
from collections.abc import Buffer, Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import cast

import obstore

from kist.errors import AlreadyExists, InvalidInput, NotFound, StoreError
from kist.stores.cloud import transfers
from kist.stores.cloud.connection import ATTEMPTS, Connection, again, pause
from kist.stores.cloud.errors import no_range, past_end
from kist.stores.cloud.listing import Listings, meta_of
from kist.stores.keys import check_folder, check_prefix, check_range
from kist.stores.protocols import ObjectMeta, Store
from kist.stores.streams import Pieces
from kist.stores.urls import open_store

__all__ = ["CloudStore"]

_BIG_BYTES = 1 << 20  # from here on an upload may last longer than the silence that reading tolerates
_MULTIPART_BYTES = 64 << 20  # a pack is one request


class CloudStore:
    """Objects in a bucket, below a prefix."""

    def __init__(self, connection: Connection) -> None:
        self.url = connection.address.url
        self.connection = connection
        self._clients = connection.clients
        self._listings = Listings(connection)
        self._ranges = True

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}>"

    def __reduce__(self) -> tuple[object, ...]:
        if self._clients.given_secrets:
            raise InvalidInput(f"{self.url} was opened with secrets, which are not pickled; open it where it is used")
        return _reopen, (self.url, dict(self._clients.options))

    def get(self, key: str) -> bytes:
        """See `kist.stores.protocols.Get`."""
        self.connection.checked(key)
        with self.connection.request(f"read {key!r} from {self.url}"):
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
            part = self._get_range(self.connection.checked(key), start, end)
            if part is not None:
                return part
            self._ranges = False
        return self.get(key)[start:end]

    def get_part(self, meta: ObjectMeta, *, start: int, end: int) -> bytes:
        """See `kist.stores.protocols.GetPart`; a server that has no ranges is read from the beginning."""
        check_range(start, end)
        self.connection.checked(meta.key)
        return transfers.get_part(self.connection, meta, start, end)

    def get_blocks(self, meta: ObjectMeta, *, start: int, end: int) -> Iterator[Buffer]:
        """See `kist.stores.protocols.GetBlocks`; a connection that breaks is taken up where it broke."""
        check_range(start, end)
        self.connection.checked(meta.key)
        return transfers.get_blocks(self.connection, meta, start, end)

    def head(self, key: str) -> ObjectMeta:
        """See `kist.stores.protocols.Head`."""
        self.connection.checked(key)
        with self.connection.request(f"look at {key!r} in {self.url}"):
            return meta_of(obstore.head(self._clients.requests, key))

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectMeta]:
        """See `kist.stores.protocols.List`; a request tells up to 1000 keys."""
        return self._listings.below(check_prefix(prefix), start_after)

    def list_folders(self, prefix: str) -> builtins.list[str]:
        """See `kist.stores.protocols.List`."""
        return self.list_folder(prefix)[1]

    def list_folder(self, prefix: str) -> tuple[builtins.list[ObjectMeta], builtins.list[str]]:
        """See `kist.stores.protocols.ListFolder`; a request tells up to 1000 names."""
        return self._listings.folder(check_folder(prefix))

    def put(self, key: str, data: Buffer) -> None:
        """See `kist.stores.protocols.Put`."""
        self.connection.checked(key)
        for attempt in range(ATTEMPTS):
            if attempt:
                pause(attempt)
            with contextlib.suppress(AlreadyExists):  # a 409: others write this key at the same time, nothing is stored
                self._put(key, data, "overwrite")
                return
        raise StoreError(f"can't write {key!r} to {self.url}: others keep writing it; try again")

    def put_stream(self, key: str, parts: Iterable[Buffer], *, size_bytes: int | None = None) -> None:
        """See `kist.stores.protocols.PutStream`; what is longer than 16 MiB goes in pieces, of which a few are held in memory."""
        self.connection.checked(key)
        pieces = Pieces(parts, piece_bytes=transfers.piece_bytes(size_bytes), size_bytes=size_bytes)
        first: builtins.list[Buffer] = builtins.list(islice(pieces, 2))
        if len(first) <= 1:
            self.put(key, *first or [b""])
        else:
            transfers.put_pieces(self.connection, key, pieces, first)

    def create(self, key: str, data: Buffer) -> None:
        """See `kist.stores.protocols.Create`."""
        self._put(self.connection.checked(key), data, "create")

    def copy_from(self, source: object, source_key: str, key: str, *, meta: ObjectMeta | None = None) -> bool:
        """See `kist.stores.protocols.CopyFrom`; both stores have the same platform, endpoint and credentials."""
        self.connection.checked(source_key)
        self.connection.checked(key)
        if not isinstance(source, CloudStore) or source.connection.clients.realm != self._clients.realm:
            return False
        if meta is None or meta.key != source_key:
            meta = source.head(source_key)
        return self._copy(source.connection, meta, key)

    def signed_url(self, key: str, *, expires_in_seconds: int, method: str = "GET") -> str:
        """See `kist.stores.protocols.Sign`; on Azure, whoever writes by it sends the header ``x-ms-blob-type: BlockBlob``."""
        return transfers.signed(self.connection, self.connection.checked(key), expires_in_seconds, method)

    def where(self, key: str) -> str:
        """See `kist.stores.protocols.Where`."""
        known, s3 = cast("Mapping[str, str]", self._clients.requests.config), self._clients.s3
        service = s3.endpoint if s3 else f"{known.get('endpoint', '')} {known.get('account_name', '')}"
        return f"{self._clients.platform} {service.rstrip('/')} {self.connection.address.bucket}/{self.connection.full_key(key)}"

    def delete(self, key: str) -> None:
        """See `kist.stores.protocols.Delete`."""
        self.connection.checked(key)
        again(lambda: self._delete(key))

    def _delete(self, key: str) -> None:
        with contextlib.suppress(NotFound), self.connection.request(f"delete {key!r} from {self.url}"):
            obstore.delete(self._clients.requests, key)

    def _copy(self, source: Connection, meta: ObjectMeta, key: str) -> bool:
        """Copy an object that can be reached with the same credentials."""
        if source.address.bucket != self.connection.address.bucket:
            return False
        return transfers.copy_here(source, meta, self.connection, key)

    def _put(self, key: str, data: Buffer, mode: str) -> None:
        view = memoryview(data).cast("B")
        client = self._clients.uploads if len(view) >= _BIG_BYTES else self._clients.requests
        multipart = mode == "overwrite" and len(view) > _MULTIPART_BYTES
        try:
            with self.connection.request(f"{'create' if mode == 'create' else 'write'} {key!r} in {self.url}"):
                obstore.put(
                    client,
                    key,
                    view,
                    mode=cast("obstore.PutMode", mode),
                    use_multipart=multipart,
                    chunk_size=transfers.piece_bytes(len(view)),
                    max_concurrency=4,
                )
        except NotFound as error:
            raise StoreError(f"can't write {key!r} to {self.url}: the server says that there is no such bucket") from error

    def _get_range(self, key: str, start: int, end: int) -> bytes | None:
        """Read a range; None if this server has no ranges."""
        with self.connection.request(f"read bytes {start} to {end} of {key!r} from {self.url}"):
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


def _reopen(url: str, options: dict[str, object]) -> Store:
    return cast("Callable[..., Store]", open_store)(url, **options)


def _complete(content: bytes, expected: int, key: str) -> bytes:
    """Return content that is as long as expected.

    Raises:
        StoreError: it is not.
    """
    if len(content) != expected:
        raise StoreError(f"can't read {key!r}: {expected} bytes were announced and {len(content)} came; try again")
    return content
