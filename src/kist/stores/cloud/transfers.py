"""The verbs for big objects that all clouds have: reading parts of one state, writing a stream, copying within a bucket.

What is written in pieces becomes an object in one step, when the last piece is there; before that nobody sees it, and after an error the
pieces are removed. S3 checks the SHA-256 of each piece, which is part of the request's signature; the other clouds are reached over TLS,
and the size of what they hold is compared.
"""

import contextlib
import time
from collections.abc import Buffer, Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal, cast
from urllib.parse import quote

import obstore

from kist.errors import AlreadyExists, Conflict, Denied, InvalidInput, KistError, NotFound, StoreError, Unauthenticated, Unsupported
from kist.stores.cloud import azure
from kist.stores.cloud.connection import Connection, Slot
from kist.stores.cloud.errors import mask, no_range, past_end
from kist.stores.cloud.listing import meta_of
from kist.stores.protocols import ObjectMeta
from kist.stores.streams import Feed, Pieces

if TYPE_CHECKING:
    from obstore import GetOptions  # these exist for type checkers only

__all__ = ["MOST_PIECES", "PIECE_BYTES", "copy_here", "expect_size", "get_blocks", "get_part", "piece_bytes", "put_pieces", "signed"]

PIECE_BYTES: Final = 16 << 20
MOST_PIECES: Final = 10_000
"""How many parts S3 and Google take; Azure takes more."""

LONGEST_SECONDS: Final = 7 * 24 * 3600
"""How long a signature of S3 or Google may hold."""

_WINDOW_BYTES = 64 << 20
_WINDOW = 4
_BLOCK_BYTES = 256 << 10
_COPY_SECONDS = 3600
_METHODS = ("GET", "PUT", "HEAD")


def piece_bytes(size_bytes: int | None, *, least: int = PIECE_BYTES) -> int:
    """Return how long the pieces of an object are: 16 MiB unless said, or whole MiB so that there are not too many."""
    return max(least, -(-(size_bytes or 0) // (MOST_PIECES << 20)) << 20)


def get_part(connection: Connection, meta: ObjectMeta, start: int, end: int) -> bytes:
    """See `kist.stores.protocols.GetPart`; a server that has no ranges is read from the beginning."""
    end = min(end, meta.size_bytes)
    action = f"read bytes {start} to {end} of {meta.key!r} from {connection.address.url}"
    with _changed_or_gone(connection, meta, action), connection.request(action):
        return _part(connection, meta, start, end, action)


def get_blocks(connection: Connection, meta: ObjectMeta, start: int, end: int) -> Iterator[Buffer]:
    """See `kist.stores.protocols.GetBlocks`; the place in the budget is free while a block is used."""
    end = min(end, meta.size_bytes)
    action = f"read bytes {start} to {end} of {meta.key!r} from {connection.address.url}"
    if start >= end:
        yield get_part(connection, meta, start, end)
        return
    with _changed_or_gone(connection, meta, action), connection.request(action):
        result = _opened(connection, meta, start, end, action)
        blocks, left, at = iter(result.stream(min_chunk_size=_BLOCK_BYTES)), end - start, result.range[0]
    while left:
        with connection.request(action):
            block = next(blocks, None)
        if block is None:
            raise StoreError(f"can't {action}: the answer ended {left} bytes early; try again")
        wanted = memoryview(block)[max(start - at, 0) : max(end - at, 0)]
        at += len(block)
        left -= len(wanted)
        if wanted:
            yield wanted


def put_pieces(connection: Connection, key: str, pieces: Pieces, first: list[Buffer]) -> None:
    """Write an object in pieces; `first` are those that were taken already.

    Raises:
        StoreError: the store failed, or holds another number of bytes than were sent.
    """
    with Feed() as feed:
        upload = feed.start(lambda: _upload(connection, key, feed, pieces.piece_bytes))
        for piece in _few(first, pieces):
            if not feed.give(piece):
                break
        feed.end()
        upload.result()
    expect_size(connection, key, pieces.count_bytes)


def expect_size(connection: Connection, key: str, size_bytes: int) -> None:
    """Look whether an object that was just written is as long as it must be.

    Raises:
        StoreError: it is not.
    """
    with connection.request(f"look at {key!r} in {connection.address.url}"):
        found = obstore.head(connection.clients.requests, key)["size"]
    if found != size_bytes:
        raise StoreError(
            f"{key!r} in {connection.address.url} has {found} bytes where {size_bytes} were written; does anybody else write it?"
        )


def copy_here(source: Connection, meta: ObjectMeta, target: Connection, key: str) -> bool:
    """Copy within one bucket; False where it can't be seen whether a copy is complete."""
    old, new = source.full_key(meta.key), target.full_key(key)
    if old == new:
        return True
    action = f"copy {meta.key!r} of {source.address.url} to {key!r} of {target.address.url}"
    status = ""
    if target.clients.platform == "az":  # the only one that may copy in the background
        try:
            status = signed(target, key, 3600, "HEAD")
        except Unsupported:
            return False
    with target.request(action):
        obstore.copy(target.clients.whole, old, new)
    if status:
        _wait_for_copy(target, status, action)
    expect_size(target, key, meta.size_bytes)
    return True


def signed(connection: Connection, key: str, expires_in_seconds: int, method: str) -> str:
    """See `kist.stores.protocols.Sign`."""
    if method not in _METHODS:
        raise InvalidInput(f"a URL for {method!r} can't be signed: ask for one of {', '.join(_METHODS)}")
    if not 0 < expires_in_seconds <= LONGEST_SECONDS:
        raise InvalidInput(f"a signed URL holds for 1 to {LONGEST_SECONDS} seconds; {expires_in_seconds} were asked for")
    action = f"sign a URL for {key!r} in {connection.address.url}"
    if connection.clients.anonymous:
        raise Unsupported(f"can't {action}: the store was opened without credentials")
    lasts = timedelta(seconds=expires_in_seconds)
    if connection.clients.platform == "az" and (url := _signed_by_account(connection, key, method, lasts, action)):
        return url
    try:
        with connection.request(action):
            return obstore.sign(connection.clients.requests, cast("Literal['GET', 'PUT', 'HEAD']", method), key, expires_in=lasts)
    except (Denied, Unauthenticated, StoreError) as error:
        raise Unsupported(f"can't {action} with these credentials: {error}") from error


def _signed_by_account(connection: Connection, key: str, method: str, lasts: timedelta, action: str) -> str:
    """Sign with the key of the account, if that is known; else see whether obstore does it right."""
    known, blob = cast("Mapping[str, str]", connection.clients.requests.config), f"{connection.address.bucket}/{connection.full_key(key)}"
    account, secret = known.get("account_name", ""), known.get("account_key")
    if secret and account:
        endpoint = known.get("endpoint") or f"https://{account}.blob.core.windows.net"
        return azure.signed_url(endpoint, account, secret, blob, method=method, lasts=lasts)
    if quote(blob, safe=azure.PLAIN) != blob:
        raise Unsupported(f"can't {action}: with these credentials only names of plain letters can be signed; open it with account_key")
    return ""


@contextlib.contextmanager
def _changed_or_gone(connection: Connection, meta: ObjectMeta, action: str) -> Iterator[None]:
    """Let what is gone be not found; Azurite says of it that it has changed."""
    try:
        yield
    except Conflict:
        with connection.request(action):
            obstore.head(connection.clients.requests, meta.key)
        raise


def _part(connection: Connection, meta: ObjectMeta, start: int, end: int, action: str) -> bytes:
    if start >= end:
        _compare(meta, obstore.head(connection.clients.requests, meta.key), action)
        return b""
    result = _opened(connection, meta, start, end, action)
    content = result.bytes().to_bytes() if result.range == (start, end) else _skimmed(result, start, end)
    if len(content) != end - start:
        raise StoreError(f"can't {action}: {end - start} bytes were announced and {len(content)} came; try again")
    return content


def _opened(connection: Connection, meta: ObjectMeta, start: int, end: int, action: str) -> "obstore.GetResult":
    """Ask for a range; a server that has no ranges answers with the whole object."""
    options: GetOptions = {"range": (start, end)}
    if meta.etag and not meta.etag.startswith("W/"):
        options["if_match"] = f'"{meta.etag}"'
    try:
        result = obstore.get(connection.clients.requests, meta.key, options=options)
    except obstore.exceptions.GenericError as error:
        if past_end(error):
            raise Conflict(f"can't {action}: it has changed, and is shorter now; look at it anew") from error
        if not no_range(error):
            raise
        result = obstore.get(connection.clients.requests, meta.key)
    _compare(meta, result.meta, action)
    return result


def _skimmed(result: "obstore.GetResult", start: int, end: int) -> bytes:
    """Read from the beginning up to `end`, and keep what is asked for."""
    kept, at = bytearray(), 0
    for block in result.stream(min_chunk_size=1 << 20):
        kept += memoryview(block)[max(start - at, 0) : max(end - at, 0)]
        at += len(block)
        if at >= end:
            break
    return bytes(kept)


def _compare(meta: ObjectMeta, entry: "obstore.ObjectMeta", action: str) -> None:
    """Look whether an answer is about the object that `meta` tells of.

    Raises:
        Conflict: it is not.
    """
    found = meta_of(entry)
    if meta.etag and found.etag:
        same = found.etag == meta.etag
    else:
        same = found.modified.replace(microsecond=0) == meta.modified.replace(microsecond=0)  # headers tell whole seconds
    if not same or found.size_bytes != meta.size_bytes:
        raise Conflict(f"can't {action}: it has changed; look at it anew")


def _upload(connection: Connection, key: str, feed: Feed, piece_bytes: int) -> None:
    action = f"write {key!r} to {connection.address.url}"
    try:
        with connection.request(action) as slot:
            obstore.put(
                connection.clients.uploads,
                key,
                _elsewhere(slot, feed),
                use_multipart=True,
                chunk_size=piece_bytes,
                max_concurrency=max(1, min(_WINDOW, _WINDOW_BYTES // piece_bytes)),
            )
    except NotFound as error:
        raise StoreError(f"can't {action}: the server says that there is no such bucket, or that the upload is gone") from error
    except AlreadyExists as error:
        raise StoreError(f"can't {action}: others write it at the same time; try again") from error


def _elsewhere(slot: Slot, pieces: Iterator[Buffer]) -> Iterator[Buffer]:
    """Yield pieces, giving up the place in the budget while each is awaited: making it may take a request of its own."""
    while True:
        slot.__exit__(None, None, None)
        try:
            piece = next(pieces, None)
        finally:
            slot.__enter__()
        if piece is None:
            return
        yield piece


def _few(first: list[Buffer], pieces: Pieces) -> Iterator[Buffer]:
    """Yield all pieces.

    Raises:
        InvalidInput: they are more than a cloud takes.
    """
    first.reverse()
    while first:
        yield first.pop()  # so that it is held no longer than it takes
    for count, piece in enumerate(pieces, 3):
        if count > MOST_PIECES:
            raise InvalidInput(f"an object of unknown length may have {MOST_PIECES * PIECE_BYTES >> 30} GiB; say size_bytes to write more")
        yield piece


def _wait_for_copy(connection: Connection, url: str, action: str) -> None:
    """Wait until Azure says that a copy is complete.

    Raises:
        StoreError: it failed, or takes too long.
    """
    import httpx  # noqa: PLC0415  only Azure needs it here

    end, pause = time.monotonic() + _COPY_SECONDS, 0.05
    while time.monotonic() < end:
        with connection.request(action, foreign=(httpx.HTTPError,), said=_unreachable):
            status = httpx.head(url, timeout=60).headers.get("x-ms-copy-status", "success")
        if status == "success":
            return
        if status != "pending":
            break
        time.sleep(pause)
        pause = min(pause * 2, 5)
    raise StoreError(f"can't {action}: the service began, and did not finish it")


def _unreachable(error: BaseException, action: str, secrets: tuple[str, ...]) -> KistError:
    return StoreError(mask(f"can't {action}: whether it is done can't be asked ({type(error).__name__})", secrets))
