"""Files over WebDAV (RFC 4918), by httpx.

``webdav://`` is http and ``webdavs://`` https. Every byte of a name is percent-encoded by the same rule. Nothing here deletes or
replaces a folder by accident, though DELETE and MOVE would: the kind of what is there is looked at first.
Whether MOVE replaces in one step is for the server: some remove the target first, and for a moment readers find nothing.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import quote, unquote, urlsplit
from xml.etree import ElementTree as Xml

import httpx

from kist.errors import StoreError
from kist.stores.other.channels import MARKED, Entry, Feed, unknown_time
from kist.stores.other.errors import Answer

__all__ = ["WebdavChannel", "WebdavLogin"]

_DAV = "{DAV:}"
_ASKED: Final = (
    b'<?xml version="1.0" encoding="utf-8"?><propfind xmlns="DAV:"><prop>'
    b"<resourcetype/><getcontentlength/><getlastmodified/><getetag/></prop></propfind>"
)
_MULTI_STATUS = 207
_LISTING_BYTES = 256 << 20
_MARKS = frozenset("?;#")
_REDIRECTS = frozenset({301, 302, 307, 308})


@dataclass(frozen=True, slots=True, kw_only=True)
class WebdavLogin:
    """Whom to connect to, and as whom; `origin` is ``http://host:port``."""

    origin: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    digest: bool = False
    token: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    connect_timeout_seconds: float
    timeout_seconds: float

    def connect(self) -> "WebdavChannel":
        """Make a client; nothing is sent."""
        auth: httpx.Auth | None = None
        if self.username is not None:
            auth = (httpx.DigestAuth if self.digest else httpx.BasicAuth)(self.username, self.password or "")
        headers = {"Accept-Encoding": "identity", **({"Authorization": f"Bearer {self.token}"} if self.token else {})}
        client = httpx.Client(
            auth=auth,
            headers=headers,
            verify=httpx.create_ssl_context(verify=self.ca_file) if self.ca_file else True,
            timeout=httpx.Timeout(self.timeout_seconds, connect=self.connect_timeout_seconds),
            limits=httpx.Limits(max_connections=1),
        )
        if self.digest:
            client.request("OPTIONS", f"{self.origin}/")  # to be told how to log in: a stream can't be sent a second time
        return WebdavChannel(client, self.origin)


class WebdavChannel:
    """One client with one connection."""

    renames = True
    broken = False

    def __init__(self, client: httpx.Client, origin: str) -> None:
        self._client, self._origin = client, origin
        self.trusted = origin.startswith("https:")
        self._literal = False

    def stat(self, path: str) -> Entry:
        """See `kist.stores.other.channels.Channel`."""
        for _, entry in self._properties(path, depth=0):
            return entry
        raise FileNotFoundError(path)

    def entries(self, path: str) -> list[Entry]:
        """See `kist.stores.other.channels.Channel`."""
        own = _plain(path)
        found = list(self._properties(f"{own}/", depth=1))
        itself = next((entry for at, entry in found if at == own), None)
        if itself is None:
            raise StoreError(f"the server was asked for {own or '/'!r} and speaks of other paths: is it behind a proxy that renames them?")
        if not itself.folder:
            raise NotADirectoryError(path)
        return [entry for at, entry in found if at.rpartition("/")[0] == own and at != own and entry.name]

    def read(self, path: str, start: int, end: int | None) -> bytes:
        """See `kist.stores.other.channels.Channel`; of a server that has no ranges, no more than needed is read."""
        if end is not None and end <= start:
            return b""
        headers = {} if not start and end is None else {"Range": f"bytes={start}-{'' if end is None else end - 1}"}
        with self._client.stream("GET", self._url(path), headers=headers) as answer:
            if answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                return b""
            content = _content(answer, start, end)
        if (content is None or _may_be_a_folder(answer)) and self.stat(path).folder:
            raise FileNotFoundError(path)
        if content is None:
            raise Answer(answer.status_code, answer.reason_phrase)
        return content

    def write(self, path: str, feed: Feed) -> None:
        """See `kist.stores.other.channels.Channel`.

        Servers disagree on what to say when there is no such folder, and say it after the upload: so it is looked for first.
        """
        above = path.rpartition("/")[0]
        if above and not self.stat(above).folder:
            raise NotADirectoryError(above)
        length = {} if feed.size_bytes is None else {"Content-Length": str(feed.size_bytes)}
        answer = self._client.request("PUT", self._url(path), content=(bytes(piece) for piece in feed), headers=length)
        _check(answer, httpx.codes.OK, httpx.codes.CREATED, httpx.codes.NO_CONTENT)

    def rename(self, path: str, target: str) -> None:
        """See `kist.stores.other.channels.Channel`."""
        with contextlib.suppress(FileNotFoundError):
            if self.stat(target).folder:  # MOVE would remove it with all that is below
                raise IsADirectoryError(target)
        if not self._literal and _MARKS & set(target):
            self._try_marks(path)
        self._move(path, target)

    def remove(self, path: str) -> None:
        """See `kist.stores.other.channels.Channel`."""
        if self.stat(path).folder:
            raise IsADirectoryError(path)
        self._delete(path)

    def make_folder(self, path: str) -> None:
        """See `kist.stores.other.channels.Channel`."""
        answer = self._client.request("MKCOL", self._url(f"{path}/"))
        if answer.status_code == httpx.codes.METHOD_NOT_ALLOWED:
            raise FileExistsError(path)
        if answer.status_code == httpx.codes.CONFLICT:
            raise FileNotFoundError(path.rpartition("/")[0])
        _check(answer, httpx.codes.CREATED)

    def remove_folder(self, path: str) -> None:
        """See `kist.stores.other.channels.Channel`; DELETE would remove what is below too."""
        self._delete(f"{path}/")

    def close(self) -> None:
        """See `kist.stores.other.channels.Channel`."""
        with contextlib.suppress(Exception):
            self._client.close()

    def _move(self, path: str, target: str) -> None:
        headers = {"Destination": self._url(target), "Overwrite": "T"}
        answer = self._client.request("MOVE", self._url(path), headers=headers)
        _check(answer, httpx.codes.CREATED, httpx.codes.NO_CONTENT)

    def _try_marks(self, path: str) -> None:
        """Find out with a name that is ours whether MOVE takes a name as it is; a server that cuts it would replace another file.

        Raises:
            NotImplementedError: it does not.
        """
        marked = f"{path}{MARKED}"
        with contextlib.suppress(Answer, FileNotFoundError):
            self._move(path, marked)
            self.stat(marked)
            self._move(marked, path)
            self._literal = True
            return
        raise NotImplementedError("this server takes a '?' or ';' in a name for the end of it: use other names")

    def _delete(self, path: str) -> None:
        answer = self._client.request("DELETE", self._url(path))
        _check(answer, httpx.codes.OK, httpx.codes.NO_CONTENT)

    def _properties(self, path: str, *, depth: int) -> Iterator[tuple[str, Entry]]:
        headers = {"Depth": str(depth), "Content-Type": "application/xml"}
        for url in (self._url(path), self._url(f"{path}/")):
            with self._client.stream("PROPFIND", url, content=_ASKED, headers=headers) as answer:
                if answer.status_code in _REDIRECTS and not url.endswith("/"):
                    continue  # it is a folder, and this server wants that to be said
                _check(answer, _MULTI_STATUS)
                content = _first(answer.iter_bytes(), _LISTING_BYTES)
            return _parse(content)
        raise FileNotFoundError(path)

    def _url(self, path: str) -> str:
        return f"{self._origin}{quote(path, safe='/') or '/'}"


def _parse(content: bytes) -> Iterator[tuple[str, Entry]]:
    """Yield the path and the properties of each response.

    Raises:
        StoreError: this is no such answer.
    """
    if len(content) >= _LISTING_BYTES or b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise StoreError("the server's list of properties is too long, or defines words of its own: it is not trusted")
    try:
        tree = Xml.fromstring(content)  # noqa: S314  without definitions there is nothing to expand
    except Xml.ParseError as error:
        raise StoreError(f"the server's list of properties is no XML: {error}") from error
    for response in tree.iter(f"{_DAV}response"):
        path = _plain(unquote(urlsplit(response.findtext(f"{_DAV}href", "")).path))
        known: dict[str, Xml.Element] = {}
        for group in response.iter(f"{_DAV}propstat"):
            if " 200 " in f"{group.findtext(f'{_DAV}status', ' 200 ')} ":
                known.update({item.tag: item for item in group.iterfind(f"{_DAV}prop/*")})
        if known:
            yield path, _entry(path.rpartition("/")[2], {tag.removeprefix(_DAV): item for tag, item in known.items()})


def _entry(name: str, known: dict[str, Xml.Element]) -> Entry:
    kind = known.get("resourcetype")
    texts = {tag: (item.text or "").strip() for tag, item in known.items()}
    etag, size = texts.get("getetag", ""), texts.get("getcontentlength", "")
    return Entry(
        name=name,
        folder=kind is not None and kind.find(f"{_DAV}collection") is not None,
        size_bytes=int(size) if size.isdecimal() else 0,
        modified=_time(texts.get("getlastmodified", "")),
        etag="" if etag.startswith("W/") else etag,
    )


def _time(text: str) -> datetime:
    try:
        return parsedate_to_datetime(text).astimezone(UTC)
    except ValueError:
        return unknown_time()


def _plain(path: str) -> str:
    return path.rstrip("/")


def _check(answer: httpx.Response, *expected: int) -> None:
    """Accept an answer that is expected.

    Raises:
        FileNotFoundError: there is no such thing.
        Answer: it is another.
    """
    if answer.status_code in {httpx.codes.NOT_FOUND, httpx.codes.GONE}:
        raise FileNotFoundError(f"HTTP {answer.status_code}")
    if answer.status_code not in expected:
        raise Answer(answer.status_code, answer.reason_phrase)


def _content(answer: httpx.Response, start: int, end: int | None) -> bytes | None:
    """Read from an answer what was asked for; None if the server refuses, as many do for a folder."""
    if answer.status_code == httpx.codes.PARTIAL_CONTENT:
        _check_range(answer, start)
        return _first(answer.iter_raw(), None if end is None else end - start)
    if answer.status_code == httpx.codes.OK:
        return _first(answer.iter_raw(), end)[start:]
    if answer.status_code in {httpx.codes.NOT_FOUND, httpx.codes.GONE}:
        raise FileNotFoundError(f"HTTP {answer.status_code}")
    return None


def _check_range(answer: httpx.Response, start: int) -> None:
    said = answer.headers.get("Content-Range", "")
    if not said.startswith(f"bytes {start}-"):
        raise StoreError(f"bytes from {start} on were asked for, and the server sent {said!r}")


def _may_be_a_folder(answer: httpx.Response) -> bool:
    """Say whether this looks like the page that servers make of a folder."""
    kind = answer.headers.get("Content-Type", "")
    return kind.startswith(("text/html", "httpd/")) or not (answer.headers.get("ETag") or answer.headers.get("Last-Modified"))


def _first(parts: Iterator[bytes], count: int | None) -> bytes:
    """Join parts until there are `count` bytes; more are neither read nor returned."""
    found: list[bytes] = []
    missing = count
    for part in parts:
        found.append(part if missing is None else part[:missing])
        if missing is not None:
            missing -= len(found[-1])
            if missing <= 0:
                break
    return b"".join(found)
