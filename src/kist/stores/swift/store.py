"""Objects in a container of OpenStack Swift, below a prefix, by Swift's own API.

- What is written goes out with its MD5, which the server compares; what is read whole is compared with the MD5 that the server tells.
- Big objects are segments (`kist.stores.swift.segments`), which end with the object.
- There is no `create`: Swift takes ``If-None-Match: *``, but in a race several writers are told that they had created the object.
"""

import builtins
import hmac
import time
from collections.abc import Buffer, Callable, Generator, Iterable, Iterator
from datetime import UTC, datetime
from hashlib import md5
from itertools import chain, islice
from typing import Final
from urllib.parse import quote, urlsplit

from kist.errors import Conflict, IntegrityError, InvalidInput, KistError, NotFound, StoreError, Unsupported
from kist.stores import budget
from kist.stores.keys import check_folder, check_key, check_prefix, check_range
from kist.stores.protocols import ObjectMeta
from kist.stores.swift.connection import Connections, status_of
from kist.stores.swift.options import Account, Container
from kist.stores.swift.segments import Segments, check_size, put_object, sized

__all__ = ["SwiftStore"]

_PAGE_KEYS: Final = 1000
_PIECE_BYTES: Final = 1 << 20
_AT_ONCE_BYTES: Final = 256 << 20
_COPY_BYTES: Final = 5 << 30
_PAST_END: Final = 416
_ATTEMPTS: Final = 3
_WEEK_SECONDS: Final = 7 * 86400


class SwiftStore:
    """Objects in a container, below a prefix. May be used from any thread."""

    def __init__(self, container: Container, account: Account) -> None:
        self.url = container.url
        self._container = container
        self._account = account
        self._root = f"{container.prefix}/" if container.prefix else ""
        self._connections = Connections(account)
        self._segments = Segments(self._connections, container.name)
        self._is_there = False

    def __repr__(self) -> str:
        return f"<SwiftStore {self.url}>"

    def __reduce__(self) -> tuple[object, ...]:
        if self._account.given_secrets:
            raise InvalidInput(f"{self.url} was opened with secrets, which are not pickled; open it where it is used")
        return SwiftStore, (self._container, self._account)

    def get(self, key: str) -> bytes:
        """See `kist.stores.protocols.Get`.

        Raises:
            IntegrityError: it is not what the server's MD5 says.
        """
        head, content = self._read(key)
        _check_length(key, head, len(content))
        if _is_plain(head) and md5(content, usedforsecurity=False).hexdigest() != _etag(head):
            raise IntegrityError(f"{key!r} in {self.url} does not have the MD5 that the server tells; try again")
        return content

    def get_range(self, key: str, *, start: int, end: int) -> bytes:
        """See `kist.stores.protocols.GetRange`."""
        check_range(start, end)
        if start == end:
            self.head(key)
            return b""
        return self._part(key, start, end)

    def get_part(self, meta: ObjectMeta, *, start: int, end: int) -> bytes:
        """See `kist.stores.protocols.GetPart`."""
        check_range(start, end)
        if start < end:
            return self._part(meta.key, start, end, **{"If-Match": f'"{meta.etag}"'})
        if self.head(meta.key).etag != meta.etag:
            raise Conflict(f"{meta.key!r} in {self.url} is not the same any more; look at it again")
        return b""

    def get_stream(self, key: str) -> Generator[bytes, None, None]:
        """See `kist.stores.protocols.GetStream`."""
        try:
            yield from self._stream(key)
        except NotFound as error:
            raise self._missing(error) from error

    def head(self, key: str) -> ObjectMeta:
        """See `kist.stores.protocols.Head`."""
        name = self._name(key)

        def look() -> dict[str, str]:
            with self._connections.request(f"look at {key!r} in {self.url}") as connection:
                found: dict[str, str] = connection.head_object(self._container.name, name)
                return found

        head = self._surely(look)
        try:
            modified = datetime.fromtimestamp(float(head["x-timestamp"]), UTC)
            return ObjectMeta(key=key, size_bytes=int(head["content-length"]), modified=modified, etag=_etag(head))
        except (KeyError, ValueError, OverflowError, OSError) as error:
            raise StoreError(f"can't look at {key!r} in {self.url}: the server does not tell its size and time") from error

    def where(self, key: str) -> str:
        """See `kist.stores.protocols.Where`."""
        return f"swift {self._account.get('auth_url')} {self._container.name}/{self._root}{key}"

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectMeta]:
        """See `kist.stores.protocols.List`; a request tells up to 1000 keys."""
        return self._list(check_prefix(prefix), start_after)

    def list_folders(self, prefix: str) -> builtins.list[str]:
        """See `kist.stores.protocols.List`."""
        return self.list_folder(prefix)[1]

    def list_folder(self, prefix: str) -> tuple[builtins.list[ObjectMeta], builtins.list[str]]:
        """See `kist.stores.protocols.ListFolder`; a request tells up to 1000 names."""
        check_folder(prefix)
        inside = f"{self._root}{prefix}"
        entries = list(self._entries(inside, "", delimiter="/"))
        names = (str(entry["subdir"])[len(inside) : -1] for entry in entries if "subdir" in entry)
        named = ((str(entry["name"])[len(self._root) :], entry) for entry in entries if "name" in entry)
        metas = [_meta(key, entry) for key, entry in named if _is_key(key)]
        return sorted(metas, key=lambda meta: meta.key.encode()), sorted(filter(_is_key, names), key=str.encode)

    def put(self, key: str, data: Buffer) -> None:
        """See `kist.stores.protocols.Put`; the server compares the MD5."""
        name, view = self._name(key), memoryview(data).cast("B")
        if len(view) > _AT_ONCE_BYTES:
            self.put_stream(key, [view], size_bytes=len(view))
            return
        old = self._segments.of(name)
        put_object(self._connections, self._container.name, name, view, f"write {key!r} to {self.url}")
        self._segments.replaced(name, old)

    def put_stream(self, key: str, parts: Iterable[Buffer], *, size_bytes: int | None = None) -> None:
        """See `kist.stores.protocols.PutStream`; in segments, if it is longer than one."""
        name = self._name(key)
        pieces = sized(parts, self._account.segment_bytes, size_bytes)
        first = list(islice(pieces, 2))
        if len(first) == 1:
            check_size(name, len(first[0]), size_bytes)
            self.put(key, first[0])
            return
        old = self._segments.of(name)
        self._segments.store(name, chain(first, pieces), size_bytes)
        self._segments.replaced(name, old)

    def delete(self, key: str) -> None:
        """See `kist.stores.protocols.Delete`."""
        name = self._name(key)
        old = self._segments.of(name)
        try:
            with self._connections.request(f"delete {key!r} from {self.url}") as connection:
                connection.delete_object(self._container.name, name)
        except NotFound:
            return
        self._segments.replaced(name, old)

    def copy_from(self, source: object, source_key: str, key: str, *, meta: ObjectMeta | None = None) -> bool:
        """See `kist.stores.protocols.CopyFrom`: within one account, up to 5 GiB, the longest that Swift copies."""
        if not isinstance(source, SwiftStore) or source._account.identity != self._account.identity:  # noqa: SLF001  of this class
            return False
        origin, name = source._name(source_key), self._name(key)  # noqa: SLF001  of this class
        if (meta or source.head(source_key)).size_bytes > _COPY_BYTES:
            return False
        old = self._segments.of(name)
        headers = {"X-Copy-From": quote(f"/{source._container.name}/{origin}")}  # noqa: SLF001  of this class
        with self._connections.request(f"copy {source_key!r} of {source.url} to {key!r} in {self.url}") as connection:
            connection.put_object(self._container.name, name, None, headers=headers)
        self._segments.replaced(name, old)
        return True

    def signed_url(self, key: str, *, expires_in_seconds: int, method: str = "GET") -> str:
        """See `kist.stores.protocols.Sign`: a TempURL. The first one logs in, to learn the address of the account.

        Raises:
            Unsupported: the option ``temp_url_key`` is not set.
        """
        name, secret = self._name(key), self._account.get("temp_url_key")
        if method not in {"GET", "PUT"} or not 0 < expires_in_seconds <= _WEEK_SECONDS:
            raise InvalidInput(f"can't sign {method!r} for {expires_in_seconds} s: sign GET or PUT, for up to {_WEEK_SECONDS} s")
        if not secret:
            raise Unsupported(f"can't sign a URL of {self.url}: set temp_url_key, the account's or the container's key for TempURL")
        parts = urlsplit(self._connections.storage_url(f"sign a URL of {self.url}"))
        path, until = f"{parts.path.rstrip('/')}/{self._container.name}/{name}", int(time.time()) + expires_in_seconds
        proof = hmac.digest(secret.encode(), f"{method}\n{until}\n{path}".encode(), "sha256").hex()
        return f"{parts.scheme}://{parts.netloc}{quote(path)}?temp_url_sig={proof}&temp_url_expires={until}"

    def _name(self, key: str) -> str:
        return f"{self._root}{check_key(key)}"

    def _read(self, key: str, headers: dict[str, str] | None = None) -> tuple[dict[str, str], bytes]:
        name = self._name(key)

        def read() -> tuple[dict[str, str], bytes]:
            with self._connections.request(f"read {key!r} from {self.url}") as connection:
                head, content = connection.get_object(self._container.name, name, headers=headers)
                return head, bytes(content)

        return self._surely(read)

    def _surely[T](self, work: Callable[[], T]) -> T:
        """Do something with an object; believe that it is missing only if that is said again: while Swift replaces it, that happens."""
        for attempt in range(_ATTEMPTS):
            try:
                return work()
            except NotFound as error:
                if attempt + 1 == _ATTEMPTS:
                    raise self._missing(error) from error
        raise AssertionError

    def _stream(self, key: str) -> Generator[bytes, None, None]:
        digest, size = md5(usedforsecurity=False), 0
        with self._connections.lend(f"read {key!r} from {self.url}") as connection:
            with budget.request():
                head, body = connection.get_object(self._container.name, self._name(key), resp_chunk_size=_PIECE_BYTES)
            while True:
                with budget.request():
                    piece = body.read(_PIECE_BYTES)
                if not piece:
                    break
                digest.update(piece)
                size += len(piece)
                yield piece
            _check_length(key, head, size)
        if _is_plain(head) and digest.hexdigest() != _etag(head):
            raise IntegrityError(f"{key!r} in {self.url} does not have the MD5 that the server tells; try again")

    def _part(self, key: str, start: int, end: int, **conditions: str) -> bytes:
        try:
            head, content = self._read(key, {"Range": f"bytes={start}-{end - 1}", **conditions})
        except StoreError as error:
            if status_of(error) == _PAST_END:
                return b""
            raise
        told = head.get("content-range", "")
        if not told:  # an empty object, or a server that sends the whole
            _check_length(key, head, len(content))
            return content[start:end]
        first, _, total = told.removeprefix("bytes").strip().partition("/")
        if not total.isdigit() or first != f"{start}-{min(end, int(total)) - 1}" or len(content) != min(end, int(total)) - start:
            raise StoreError(
                f"can't read bytes {start} to {end} of {key!r} from {self.url}: the server sent {len(content)}, and says {told!r}"
            )
        return content

    def _missing(self, error: KistError) -> KistError:
        """Tell a missing object from a missing container."""
        if not self._is_there:
            try:
                with self._connections.request(f"look for {self.url}") as connection:
                    connection.head_container(self._container.name)
            except NotFound:
                return StoreError(f"there is no such container as {self._container.name!r}; make it first")
            self._is_there = True
        return error

    def _list(self, prefix: str, start_after: str) -> Iterator[ObjectMeta]:
        last = b""
        for entry in self._entries(f"{self._root}{prefix}", start_after):
            key = str(entry["name"])[len(self._root) :]
            if key.encode() <= last:
                raise StoreError(f"can't list {prefix!r} in {self.url}: the server lists {key!r} out of order")
            last = key.encode()
            if _is_key(key) and key > start_after:
                yield _meta(key, entry)

    def _entries(self, prefix: str, start_after: str, delimiter: str | None = None) -> Iterator[dict[str, object]]:
        # No key has a control character, so nothing is between a string and what is cut off with one.
        after = start_after.partition("\0")[0]
        marker = f"{self._root}{after}" if after else ""
        while True:
            try:
                with self._connections.request(f"list {prefix!r} in {self._container.url}") as connection:
                    _, page = connection.get_container(
                        self._container.name, marker=marker, limit=_PAGE_KEYS, prefix=prefix or None, delimiter=delimiter
                    )
            except NotFound as error:
                raise StoreError(f"there is no such container as {self._container.name!r}; make it first") from error
            yield from page
            if len(page) < _PAGE_KEYS:
                return
            following = str(page[-1].get("name") or page[-1].get("subdir"))
            if following.encode() <= marker.encode():
                raise StoreError(f"can't list {prefix!r} in {self.url}: the server lists {following!r} again and again")
            marker = following


def _meta(key: str, entry: dict[str, object]) -> ObjectMeta:
    etag = str(entry.get("slo_etag") or entry["hash"]).strip('"')
    modified = datetime.fromisoformat(str(entry["last_modified"])).replace(tzinfo=UTC)
    return ObjectMeta(key=key, size_bytes=int(str(entry["bytes"])), modified=modified, etag=etag)


def _etag(head: dict[str, str]) -> str:
    return head.get("etag", "").strip('"')


def _is_plain(head: dict[str, str]) -> bool:
    """Say whether the ETag is the MD5 of the content."""
    return "x-static-large-object" not in head and "x-object-manifest" not in head


def _check_length(key: str, head: dict[str, str], size_bytes: int) -> None:
    if head.get("content-length", "") != str(size_bytes):
        raise StoreError(
            f"can't read {key!r}: {head.get('content-length', 'unknown')} bytes were announced and {size_bytes} came; try again"
        )


def _is_key(key: str) -> bool:
    """Say whether other tools did not write something under a name that kist can't have."""
    try:
        check_key(key)
    except InvalidInput:
        return False
    return True
