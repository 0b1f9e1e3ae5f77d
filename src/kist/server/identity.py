"""Who asks, by the headers of a request: a token, or the session of a browser on our own pages. Never both, and never by default."""

import functools
import ipaddress
from typing import Final
from urllib.parse import urlsplit

import anyio.to_thread
from starlette.requests import HTTPConnection

from kist.errors import Denied, Unauthenticated
from kist.server.cookies import session_secret
from kist.service import authentication
from kist.service.policy import NOBODY, Principal
from kist.service.rooms import Rooms

__all__ = ["Networks", "address_of", "check_same_origin", "who_asks"]

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITES: Final = frozenset({"same-origin", "none"})

type Networks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]


async def who_asks(rooms: Rooms, request: HTTPConnection) -> Principal:
    """Return who sent a request; nobody, if it does not say.

    Raises:
        Unauthenticated: what it says proves nothing, or not any more.
        Denied: a page of another site made the browser send it.
    """
    said = request.headers.getlist("authorization")
    if said:
        kind, _, token = said[0].partition(" ")
        if len(said) > 1 or kind.lower() != "bearer":
            raise Unauthenticated("who asks is said as 'Authorization: Bearer TOKEN', once")
        prove = functools.partial(authentication.by_token, rooms, token.strip())
        return await anyio.to_thread.run_sync(prove)
    secret = session_secret(request)
    if not secret:
        return NOBODY
    check_same_origin(request)
    return await anyio.to_thread.run_sync(authentication.by_session, rooms, secret)


def check_same_origin(request: HTTPConnection) -> None:
    """Let pass what only looks, and what a page of this site sent.

    A browser says in `Sec-Fetch-Site` or `Origin` whose page made it ask; what says neither is no browser, and has no cookie by accident.

    Raises:
        Denied: a page of another site sent it.
    """
    if request.scope.get("method") in SAFE:
        return
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is not None:
        own = site in _OWN_SITES
    else:
        own = origin is None or urlsplit(origin).netloc.lower() == request.headers.get("host", "").lower()
    if not own:
        raise Denied("a page of another site asked for this in your name: it was not done")


def address_of(request: HTTPConnection, trusted: Networks) -> str:
    """Return the address that a request came from. What a proxy says of it counts only from proxies that are trusted."""
    address = request.client.host if request.client else ""
    if not _is_in(address, trusted):
        return address
    for said in reversed(",".join(request.headers.getlist("x-forwarded-for")).split(",")):
        hop = said.strip()
        if not _is_address(hop):
            return address
        address = hop
        if not _is_in(address, trusted):
            return address
    return address


def is_proxied(request: HTTPConnection, trusted: Networks) -> bool:
    """Say whether a trusted proxy sent a request on."""
    return _is_in(request.client.host if request.client else "", trusted)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_in(address: str, networks: Networks) -> bool:
    if not networks or not _is_address(address):
        return False
    found = ipaddress.ip_address(address)
    mapped = getattr(found, "ipv4_mapped", None)
    return any((mapped or found) in network for network in networks)
