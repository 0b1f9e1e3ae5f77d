"""Requests over http(s) to servers that nobody vouches for: each ends in an answer or a clear error, in bounded time.

- Until the headers are there, connecting, redirects and all, `timeout_seconds` may pass; later no silence may last so long, and on the
  whole at least `min_bytes_per_second` must come. Time that the reader takes is not counted.
- At most ten redirects are followed, never from https to http. Credentials and headers of the user go to the place they were given for
  and to nobody else.
- What may pass (no connection, 408, 425, 429, 5xx) is tried again, as `Retry-After` says, within `retry_seconds`.
- Messages name the URL without its query, which may be a signature.
"""

import contextlib
import os
import random
import threading
import time
import urllib.request
import weakref
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import unquote, urlsplit

import httpcore
import httpx

from kist.errors import Busy, Denied, InvalidInput, KistError, NotFound, StoreError, Unauthenticated, Unsupported
from kist.stores import budget
from kist.stores.web.pace import Pace, PacedBackend, paced

__all__ = ["Answer", "Passing", "Place", "WebClient", "WebSettings", "named", "when"]

_REDIRECTS: Final = 10
_MOVED: Final = frozenset({301, 302, 303, 307, 308})
_PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_BUSY: Final = 429
_LONGEST_WAIT_SECONDS: Final = 30
_PORTS: Final = {"http": 80, "https": 443}
_MEANINGS: Final[dict[int, tuple[type[KistError], str]]] = {
    401: (Unauthenticated, "the server asks who you are; give username and password, token or headers as options"),
    403: (Denied, "the server does not allow it"),
    404: (NotFound, "there is no such thing"),
    405: (Unsupported, "the server does not do that"),
    407: (Denied, "the proxy asks who you are; put username and password into HTTP_PROXY or HTTPS_PROXY"),
    410: (NotFound, "it is gone for good"),
    451: (Denied, "the server may not show it"),
    501: (Unsupported, "the server does not do that"),
}


class Passing(Exception):
    """A failure that may pass: `error` is what to raise if it does not."""

    def __init__(self, error: KistError, *, wait_seconds: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.wait_seconds = wait_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a request goes: `target` is path and query as they are sent."""

    scheme: str
    host: str
    port: int
    target: str = "/"

    @classmethod
    def of(cls, url: str) -> "Place":
        """Take an address apart.

        Raises:
            InvalidInput: it is none, or holds credentials, which are not repeated.
        """
        try:
            parts = httpx.URL(url)
        except (httpx.InvalidURL, ValueError, TypeError) as error:
            raise InvalidInput(f"{url.partition('?')[0]!r} is no address on the web: {error}") from None
        if parts.userinfo:
            raise InvalidInput(f"credentials don't belong into a URL (of {parts.host!r}); give username and password as options")
        if parts.scheme not in _PORTS or not parts.host:
            raise InvalidInput(f"{url.partition('?')[0]!r} is no address on the web: write https://host/path")
        port = parts.port or _PORTS[parts.scheme]
        return cls(scheme=parts.scheme, host=parts.raw_host.decode(), port=port, target=parts.raw_path.decode())

    @property
    def root(self) -> str:
        """The server alone, as a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}{'' if self.port == _PORTS[self.scheme] else f':{self.port}'}"

    def may_have_credentials_of(self, other: "Place") -> bool:
        """Say whether this is the same server, or the same with TLS."""
        mine, its = ((place.scheme, place.port) for place in (self, other))
        return self.host == other.host and (mine == its or (its == ("http", 80) and mine == ("https", 443)))


def named(place: Place) -> str:
    """Return a URL as messages may say it."""
    path, asks, _ = place.target.partition("?")
    return f"{place.root}{path[:300]}{'?…' if asks else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """How long to wait, and what to tell the server of whoever asks."""

    timeout_seconds: float = 60
    connect_timeout_seconds: float = 10
    min_bytes_per_second: float = 1024
    retry_seconds: float = 60
    max_retries: int = 3
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)


class Answer:
    """What a server says: status and headers are there, the body comes as it is read. Close it."""

    def __init__(self, place: Place, raw: httpcore.Response, pace: Pace) -> None:
        self.place = place
        self.status = raw.status
        self.headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in raw.headers}
        self._raw = raw
        self._pace = pace

    def chunks(self) -> Generator[bytes, None, None]:
        """Yield the body as it is on the wire.

        Raises:
            Passing: it breaks off, or comes too slowly.
        """
        pieces = iter(self._raw.iter_stream())
        while True:
            with budget.request(), paced(self._pace), _translated(self.place), self._pace.step() as came:
                piece = next(pieces, None)
                came(len(piece or b""))
            if piece is None:
                return
            yield piece

    def close(self) -> None:
        """Let go of the connection, whatever is still to come."""
        with contextlib.suppress(httpcore.NetworkError, httpcore.ProtocolError, OSError):
            self._raw.close()


class WebClient:
    """Sends requests for one server, and wherever it redirects to. May be used from any thread, and after a fork."""

    def __init__(self, home: Place, settings: WebSettings) -> None:
        self._home = home
        self._settings = settings
        self._lock = threading.Lock()
        self._pools: dict[tuple[int, str, str], httpcore.ConnectionPool] = {}
        weakref.finalize(self, _close_all, self._pools)

    def patiently[T](self, work: Callable[[], T]) -> T:
        """Do something, again if what is in the way may pass."""
        end = time.monotonic() + self._settings.retry_seconds
        for attempt in range(self._settings.max_retries + 1):
            try:
                return work()
            except Passing as failure:
                wait = failure.wait_seconds
                if wait is None:
                    wait = random.uniform(0.5, 1) * min(0.2 * 2**attempt, 5)  # noqa: S311  no secret
                if attempt == self._settings.max_retries or wait > _LONGEST_WAIT_SECONDS or time.monotonic() + wait > end:
                    raise failure.error from failure.__cause__
                time.sleep(wait)
        raise AssertionError("unreachable")

    def ask(self, method: str, target: str, *, headers: Mapping[str, str] | None = None, accept: Collection[int] = (200,)) -> Answer:
        """Send one request and follow redirects; close what comes back.

        Raises:
            Passing: it may be worth another try.
            KistError: the server answers another status than those of `accept`.
        """
        pace = Pace(self._settings.timeout_seconds, self._settings.min_bytes_per_second)
        place = Place(scheme=self._home.scheme, host=self._home.host, port=self._home.port, target=target)
        for _ in range(_REDIRECTS + 1):
            answer = self._ask_once(method, place, headers or {}, pace)
            if answer.status in accept:
                return answer
            answer.close()
            if answer.status not in _MOVED:
                raise _refused(answer, method)
            place = _next_place(answer)
        raise StoreError(f"can't read {named(self._home_of(target))}: the server redirects more than {_REDIRECTS} times")

    def _home_of(self, target: str) -> Place:
        return Place(scheme=self._home.scheme, host=self._home.host, port=self._home.port, target=target)

    def _ask_once(self, method: str, place: Place, headers: Mapping[str, str], pace: Pace) -> Answer:
        sent = {"User-Agent": "kist", "Accept": "*/*", "Accept-Encoding": "identity", **headers}
        if place.may_have_credentials_of(self._home):
            sent.update(self._settings.credentials)
        port = None if place.port == _PORTS[place.scheme] else place.port  # a proxy is told the URL as people write it
        url = httpcore.URL(scheme=place.scheme.encode(), host=place.host.encode(), port=port, target=place.target.encode())
        times = self._settings.timeout_seconds
        waits = {"connect": min(times, self._settings.connect_timeout_seconds), "read": times, "write": times, "pool": times}
        lines = [("Host", place.root.partition("://")[2]), *sent.items()]
        with budget.request(), paced(pace), _translated(place):
            raw = self._pool(place).handle_request(httpcore.Request(method.encode(), url, headers=lines, extensions={"timeout": waits}))
        return Answer(place, raw, pace)

    def _pool(self, place: Place) -> httpcore.ConnectionPool:
        proxy = _proxy_of(place)
        key = os.getpid(), place.scheme, proxy
        with self._lock:
            if key not in self._pools:
                self._pools[key] = _new_pool(place.scheme, proxy)
            return self._pools[key]


def when(value: str) -> datetime | None:
    """Read a date of HTTP; None if it is none."""
    try:
        moment = parsedate_to_datetime(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _close_all(pools: dict[tuple[int, str, str], httpcore.ConnectionPool]) -> None:
    for (process, _, _), pool in pools.items():
        if process == os.getpid():
            pool.close()


def _new_pool(scheme: str, proxy: str) -> httpcore.ConnectionPool:
    context = httpx.create_ssl_context() if scheme == "https" else None
    size = budget.REQUESTS * 2
    backend = PacedBackend()
    if not proxy:
        return httpcore.ConnectionPool(
            context, max_connections=size, max_keepalive_connections=8, keepalive_expiry=15, network_backend=backend
        )
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    if parts.scheme not in _PORTS or not parts.hostname:
        raise InvalidInput(f"can't use a proxy of the kind {parts.scheme!r}; HTTP_PROXY and HTTPS_PROXY name an http or https proxy")
    login = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return httpcore.HTTPProxy(
        address,
        proxy_auth=login,
        ssl_context=context,
        max_connections=size,
        max_keepalive_connections=8,
        keepalive_expiry=15,
        network_backend=backend,
    )


def _proxy_of(place: Place) -> str:
    """Return the proxy that the environment names for a place, or nothing."""
    proxies = urllib.request.getproxies()
    found = proxies.get(place.scheme) or proxies.get("all") or ""
    return "" if found and urllib.request.proxy_bypass(place.host) else found


def _next_place(answer: Answer) -> Place:
    """Return where a redirect leads.

    Raises:
        StoreError: nowhere, or from https to http.
    """
    try:
        here = httpx.URL(f"{answer.place.root}{answer.place.target}")
        place = Place.of(str(here.join(answer.headers.get("location", ""))).partition("#")[0])
    except (InvalidInput, httpx.InvalidURL, ValueError) as error:
        raise StoreError(f"can't read {named(answer.place)}: the server redirects to no address on the web") from error
    if "location" not in answer.headers:
        raise StoreError(f"can't read {named(answer.place)}: the server redirects, and does not say where to")
    if (answer.place.scheme, place.scheme) == ("https", "http"):
        raise StoreError(f"can't read {named(answer.place)}: the server redirects from https to http ({named(place)}), which is not safe")
    return place


def _refused(answer: Answer, method: str) -> Exception:
    """Return what to raise for a status that nobody asked for."""
    what = f"can't {'look at' if method == 'HEAD' else 'read'} {named(answer.place)}"
    status = answer.status
    if status in _PASSING:
        kind, meaning = (Busy, "it wants fewer requests") if status == _BUSY else (StoreError, "it has a problem of its own")
        return Passing(kind(f"{what}: the server answers {status}, {meaning}; try again later"), wait_seconds=_retry_after(answer))
    error, meaning = _MEANINGS.get(status, (StoreError, "which is no answer to that"))
    return error(f"{what}: {meaning} (HTTP {status})")


def _retry_after(answer: Answer) -> float | None:
    """Return how many seconds the server wants to be left alone."""
    value = answer.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), 1e9)
    moment = when(value)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds()) if moment else None


@contextlib.contextmanager
def _translated(place: Place) -> Iterator[None]:
    """Turn what httpcore raises into what may pass."""
    what = f"can't read {named(place)}"
    try:
        yield
    except httpcore.ConnectTimeout as error:
        raise Passing(StoreError(f"{what}: nobody answers; is the address right, and the server running?")) from error
    except (httpcore.TimeoutException, TimeoutError) as error:
        raise Passing(StoreError(f"{what}: the server is silent or too slow; try again, or raise timeout_seconds")) from error
    except httpcore.ConnectError as error:
        raise Passing(StoreError(f"{what}: no connection ({error}); is the address right, and the server running?")) from error
    except httpcore.ProtocolError as error:
        raise Passing(StoreError(f"{what}: the server broke off, or does not speak HTTP ({error})")) from error
    except (httpcore.NetworkError, httpcore.ProxyError, httpcore.UnsupportedProtocol, OSError) as error:
        if isinstance(error, KistError):
            raise
        raise Passing(StoreError(f"{what}: the connection broke ({error})")) from error
