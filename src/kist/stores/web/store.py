"""Files on the web, over http(s): read only, from servers that promise little.

- A key is path and query of a URL as they are written; only what no request can hold (spaces, other than ASCII, ``#``) is encoded.
- The server is asked for bytes as they are. One that compresses all the same is decoded, except for files that are compressed by name
  (``.gz``), so that sizes are those of the content. One without ranges is read whole, once, and cut.
- What comes is as long as was announced, or it is an error. Without a ``Content-Length`` nobody can tell a cut file from a whole one,
  unless it comes in chunks.
- Nothing is ever listed or written.
"""

import builtins
import contextlib
import re
import zlib
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Final
from urllib.parse import quote

from kist.errors import Conflict, InvalidInput, StoreError, Unsupported
from kist.stores.keys import check_range
from kist.stores.protocols import ObjectMeta
from kist.stores.web.client import Answer, Passing, Place, WebClient, WebSettings, named, when
from kist.stores.web.options import settings_from

__all__ = ["WebStore", "open_web", "split"]

_SAFE: Final = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) != "#")
_CONTROL = re.compile("[\x00-\x1f\x7f]")
_URL = re.compile(r"(?i:(https?))://([^/?#]*)([^#]*)")
_CONTENT_RANGE = re.compile(r"bytes\s+(?:(\d{1,19})-(\d{1,19})|\*)/(\d{1,19}|\*)")
_WHOLE: Final = (200, 203)
_PART: Final = 206
_CHANGED: Final = 412
_PAST_END: Final = 416
_NO_HEAD: Final = (400, 403, 405, 501)
"""What servers answer that know GET only; signed URLs are for one method, and answer 403 to the other."""
_COMPRESSED: Final = (".gz", ".tgz", ".svgz", ".emz", ".wmz")
_GZIP: Final = frozenset({"gzip", "x-gzip", "deflate"})
_ANY_ZLIB: Final = zlib.MAX_WBITS | 32
_PIECE_BYTES: Final = 1 << 18
_COUNTED_BYTES: Final = 64 << 20
_SKIPPED_BYTES: Final = 16 << 20
_WHOLE_BYTES: Final = 2 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class _Body:
    """What an answer says of its body; -1 and "" where it says nothing. `start` and `end` are of the part that it sends."""

    start: int
    end: int
    size_bytes: int
    encoding: str


class WebStore:
    """Files below one address. It can be read, part by part too, and that is all."""

    def __init__(self, url: str, settings: WebSettings) -> None:
        home = Place.of(url)
        self._base = home.target.partition("?")[0].rstrip("/")
        self._home = home
        self._settings = settings
        self._client = WebClient(home, settings)
        self.url = f"{home.root}{self._base}"

    def __repr__(self) -> str:
        return f"<WebStore {self.url}>"

    def __reduce__(self) -> tuple[object, ...]:
        if self._settings.credentials:
            raise InvalidInput(f"{self.url} was opened with secrets, which are not pickled; open it where it is used")
        return WebStore, (self.url, self._settings)

    def get(self, key: str) -> bytes:
        """See `kist.stores.protocols.Get`.

        Raises:
            Unsupported: it is longer than 2 GiB; `get_stream` has no limit.
        """
        return self._client.patiently(lambda: self._whole(key, 0, None))

    def get_stream(self, key: str) -> Generator[bytes, None, None]:
        """See `kist.stores.protocols.GetStream`."""
        answer = self._client.patiently(lambda: self._ask("GET", key))
        with contextlib.closing(answer):
            try:
                yield from _gathered(_content(answer, key))
            except Passing as failure:
                raise failure.error from failure.__cause__

    def get_range(self, key: str, *, start: int, end: int) -> bytes:
        """See `kist.stores.protocols.GetRange`; a server that has no ranges is read from its first byte to `end`."""
        check_range(start, end)
        if start == end:
            self.head(key)
            return b""
        return self._client.patiently(lambda: self._part(key, start, end, None))

    def get_part(self, meta: ObjectMeta, *, start: int, end: int) -> bytes:
        """See `kist.stores.protocols.GetPart`; that it changed shows in its ETag, else in its size or time."""
        check_range(start, end)
        if start == end:
            now = self.head(meta.key)
            if (now.etag, now.size_bytes) != (meta.etag, meta.size_bytes):
                raise _changed(meta)
            return b""
        return self._client.patiently(lambda: self._part(meta.key, start, end, meta))

    def head(self, key: str) -> ObjectMeta:
        """See `kist.stores.protocols.Head`.

        Without ``Last-Modified`` it was modified when the server says that it is now. The size is -1 where the server does not tell it and
        more than 64 MiB came. An ETag is told where the server has ranges, so that parts can be had by it.
        """
        return self._client.patiently(lambda: self._look(key))

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectMeta]:  # noqa: ARG002  the verb of all stores
        """Refuse: the web has no listings.

        Raises:
            Unsupported: always.
        """
        raise Unsupported(f"{self.url} can't be listed: the web has no listings; name the file itself")

    def list_folders(self, prefix: str) -> builtins.list[str]:  # noqa: ARG002  the verb of all stores
        """Refuse: the web has no folders.

        Raises:
            Unsupported: always.
        """
        raise Unsupported(f"{self.url} can't be listed: the web has no folders; name the file itself")

    def _ask(self, method: str, key: str, accept: tuple[int, ...] = _WHOLE, **headers: str) -> Answer:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._client.ask(method, self._target(key), headers=sent, accept=accept)

    def _target(self, key: str) -> str:
        """Return what is sent for a key.

        Raises:
            InvalidInput: it has a control character, or leaves the folder that the store is.
        """
        if _CONTROL.search(key):
            raise InvalidInput(f"{key!r} is no path of a URL: it has a control character")
        path = key.partition("?")[0].lower().replace("%2e", ".")
        if self._base and any(segment in {".", ".."} for segment in path.split("/")):
            raise InvalidInput(f"{key!r} leaves {self.url}: it has a segment '.' or '..'")
        try:
            return f"{self._base}/{quote(key, safe=_SAFE)}"
        except UnicodeEncodeError as error:
            raise InvalidInput(f"{key!r} is no path of a URL: it is not Unicode text") from error

    def _whole(self, key: str, start: int, end: int | None) -> bytes:
        """Read from the first byte, and return what is between `start` and `end`."""
        with contextlib.closing(self._ask("GET", key)) as answer:
            return _cut(answer, key, start, end)

    def _part(self, key: str, start: int, end: int, meta: ObjectMeta | None) -> bytes:
        only = {"If_Match": meta.etag} if meta and meta.etag else {}
        accept = (*_WHOLE, _PART, _CHANGED, _PAST_END)
        with contextlib.closing(self._ask("GET", key, accept, Range=f"bytes={start}-{end - 1}", **only)) as answer:
            body = _body(answer, key)
            if meta:
                _same(answer, body, meta)
            if meta and answer.status == _CHANGED:
                raise _changed(meta)
            if answer.status == _PAST_END:
                return _past_end(answer, body, start)
            if meta and answer.status != _PART and start > _SKIPPED_BYTES:
                raise Unsupported(f"can't read parts of {named(answer.place)}: the server sends the whole; read it as a stream")
            if answer.status != _PART:
                return _cut(answer, key, start, end)
            if not body.encoding:
                return _exactly(answer, body, start, end)
        if meta:
            raise Unsupported(f"can't read parts of {named(answer.place)}: the server compresses them; read it whole")
        return self._whole(key, start, end)

    def _look(self, key: str) -> ObjectMeta:
        with contextlib.closing(self._ask("HEAD", key, (*_WHOLE, *_NO_HEAD))) as answer:
            body = _body(answer, key)
            if answer.status in _WHOLE and body.size_bytes >= 0 and not body.encoding:
                return _meta(key, answer, body.size_bytes)
        with contextlib.closing(self._ask("GET", key, (*_WHOLE, _PART, _PAST_END), Range="bytes=0-0")) as answer:
            body = _body(answer, key)
            if body.size_bytes >= 0 and not body.encoding and (answer.status != _PAST_END or not body.size_bytes):
                return _meta(key, answer, body.size_bytes)
        with contextlib.closing(self._ask("GET", key)) as answer:
            return self._measure(key, answer)

    def _measure(self, key: str, answer: Answer) -> ObjectMeta:
        """Find out how long something is of which the server does not tell it."""
        body = _body(answer, key)
        size = body.size_bytes if not body.encoding else -1
        if size < 0:
            size = 0
            for piece in _content(answer, key):
                size += len(piece)
                if size > _COUNTED_BYTES:
                    return _meta(key, answer, -1)
        return _meta(key, answer, size)


def open_web(url: str, *, create: bool = False, **options: object) -> WebStore:
    """Open a web server, or a folder of it, to read files; nothing is sent.

    Args:
        url: ``https://host/folder``, never with credentials in it.
        create: accepted and not needed.
        options: ``username`` and ``password``, or ``token`` (a bearer token), or ``headers`` (a mapping, or lines ``Name: value``), sent to
            this server only, and in the clear only with ``allow_http``; ``timeout_seconds`` (60), ``connect_timeout_seconds`` (10),
            ``min_bytes_per_second`` (1024), ``max_retries`` (3), ``retry_seconds`` (60).

    Raises:
        InvalidInput: the URL or an option makes no sense.
    """
    del create
    home = Place.of(url)
    settings, allow_http = settings_from(options)
    if settings.credentials and home.scheme == "http" and not allow_http and not _is_here(home.host):
        raise InvalidInput(f"{home.root} would get credentials in the clear; use https, or set allow_http")
    return WebStore(url.partition("#")[0].partition("?")[0], settings)


def split(url: str) -> tuple[str, str]:
    """Return the server of a URL, and path and query as they are written; a fragment is dropped.

    Raises:
        InvalidInput: it is no URL of the web, or holds credentials.
    """
    found = _URL.match(url)
    if not found:
        raise InvalidInput(f"{url.partition('?')[0]!r} is no address on the web: write https://host/path")
    place = Place.of(f"{found[1]}://{found[2]}/")
    return place.root, found[3].removeprefix("/")


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _body(answer: Answer, key: str) -> _Body:
    """Read what the headers say of the body.

    Raises:
        StoreError: they make no sense.
    """
    headers = answer.headers
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding in _GZIP and key.partition("?")[0].lower().endswith(_COMPRESSED):
        encoding = ""  # the file itself is meant: some servers say so of every .gz
    encoding = "" if encoding == "identity" else encoding
    if answer.status in {_PART, _PAST_END}:
        found = _CONTENT_RANGE.fullmatch(headers.get("content-range", "").strip().lower())
        if not found and answer.status == _PAST_END:
            return _Body(start=-1, end=-1, size_bytes=-1, encoding=encoding)
        if not found or (found[1] is None) != (answer.status == _PAST_END):
            raise StoreError(f"can't read {named(answer.place)}: the server sends a part, and does not say which")
        start, end = (int(found[1]), int(found[2]) + 1) if found[1] else (-1, -1)
        return _Body(start=start, end=end, size_bytes=-1 if found[3] == "*" else int(found[3]), encoding=encoding)
    length = headers.get("content-length", "").strip()
    chunked = "transfer-encoding" in headers
    size = int(length) if length.isascii() and length.isdigit() and not chunked else -1
    return _Body(start=0, end=size, size_bytes=size, encoding=encoding)


def _meta(key: str, answer: Answer, size_bytes: int) -> ObjectMeta:
    ranges = answer.status == _PART or answer.headers.get("accept-ranges", "").strip().lower() == "bytes"
    etag = answer.headers.get("etag", "").strip() if ranges and size_bytes >= 0 else ""
    told = (when(answer.headers[name]) for name in ("last-modified", "date") if name in answer.headers)
    modified = next(filter(None, told), None) or datetime.now(UTC)
    return ObjectMeta(key=key, size_bytes=size_bytes, modified=modified, etag=etag if etag.startswith('"') else "")


def _same(answer: Answer, body: _Body, meta: ObjectMeta) -> None:
    """See that an answer is of the object that `meta` tells of.

    Raises:
        Conflict: it is not.
    """
    now = answer.headers.get("etag", "").strip()
    since = when(answer.headers.get("last-modified", ""))
    changed = [
        meta.etag and now.startswith('"') and now != meta.etag,
        body.size_bytes >= 0 and not body.encoding and body.size_bytes != meta.size_bytes,
        not meta.etag and since is not None and since != meta.modified.replace(microsecond=0),
    ]
    if answer.status != _CHANGED and any(changed):
        raise _changed(meta)


def _changed(meta: ObjectMeta) -> Conflict:
    return Conflict(f"{meta.key.partition('?')[0]!r} is not the same any more; look at it again")


def _past_end(answer: Answer, body: _Body, start: int) -> bytes:
    if body.size_bytes > start:
        raise StoreError(f"can't read {named(answer.place)}: it has {body.size_bytes} bytes, and the server refuses those from {start} on")
    return b""


def _exactly(answer: Answer, body: _Body, start: int, end: int) -> bytes:
    """Read a part that must be the one that was asked for."""
    ends_there = body.end == end or (body.end < end and body.end == body.size_bytes)
    if body.start != start or not ends_there:
        told = f"{body.start} to {body.end} of {body.size_bytes}"
        raise StoreError(f"can't read bytes {start} to {end} of {named(answer.place)}: the server sends bytes {told}")
    return _limited(answer, answer.chunks(), body.end - start)


def _limited(answer: Answer, chunks: Iterable[bytes], size_bytes: int) -> bytes:
    """Put pieces together that must be so long.

    Raises:
        StoreError: more comes.
        Passing: less comes.
    """
    content = bytearray()
    for piece in chunks:
        content += piece
        if len(content) > size_bytes:
            raise StoreError(f"can't read {named(answer.place)}: {size_bytes} bytes were announced, and more came")
    if len(content) != size_bytes:
        raise Passing(StoreError(f"can't read {named(answer.place)}: {size_bytes} bytes were announced, and {len(content)} came"))
    return bytes(content)


def _cut(answer: Answer, key: str, start: int, end: int | None) -> bytes:
    """Read what is between `start` and `end` of a body that begins at its beginning, and no more than needed.

    Raises:
        Unsupported: it does not fit into memory.
    """
    content, position = bytearray(), 0
    if end is None and _body(answer, key).size_bytes > _WHOLE_BYTES:
        raise _too_long(answer)
    for piece in _content(answer, key):
        content += piece[max(0, start - position) : None if end is None else max(0, end - position)]
        position += len(piece)
        if len(content) > _WHOLE_BYTES:
            raise _too_long(answer)
        if end is not None and position >= end:
            break
    return bytes(content)


def _too_long(answer: Answer) -> Unsupported:
    return Unsupported(f"can't read {named(answer.place)} at once: it is longer than 2 GiB; read it as a stream")


def _content(answer: Answer, key: str) -> Generator[bytes, None, None]:
    """Yield a body from its first byte on, decoded, and see that it is whole.

    Raises:
        Unsupported: it is compressed in a way that nobody asked for.
        Passing: it is not whole.
    """
    body = _body(answer, key)
    if not body.encoding:
        size = 0
        for piece in answer.chunks():
            size += len(piece)
            yield piece
        if body.size_bytes not in {-1, size}:
            raise Passing(StoreError(f"can't read {named(answer.place)}: {body.size_bytes} bytes were announced, and {size} came"))
    elif body.encoding in _GZIP:
        yield from _decoded(answer)
    else:
        raise Unsupported(f"can't read {named(answer.place)}: the server sends it as {body.encoding!r}, though asked for it as it is")


def _decoded(answer: Answer) -> Generator[bytes, None, None]:
    """Yield a body that the server compressed by gzip or zlib."""
    decoder = zlib.decompressobj(_ANY_ZLIB)
    try:
        for piece in answer.chunks():
            rest = piece
            while rest:
                if decoder.eof:  # a file of several members
                    decoder = zlib.decompressobj(_ANY_ZLIB)
                yield decoder.decompress(rest, _PIECE_BYTES)
                rest = decoder.unused_data or decoder.unconsumed_tail
        yield decoder.flush()
    except zlib.error as error:
        raise StoreError(f"can't read {named(answer.place)}: what the server compressed is broken ({error})") from error
    if not decoder.eof:
        raise Passing(StoreError(f"can't read {named(answer.place)}: it broke off before its end"))


def _gathered(chunks: Iterable[bytes]) -> Generator[bytes, None, None]:
    """Yield the same bytes in pieces that are worth a step each."""
    waiting = bytearray()
    for chunk in chunks:
        waiting += chunk
        if len(waiting) >= _PIECE_BYTES:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)
