"""What pages send: small forms, only from pages of this site; and where a browser goes next, only on this site."""

import string
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, quote

import anyio
from starlette.requests import ClientDisconnect, HTTPConnection, Request

from kist.errors import Busy, InvalidInput, StoreError
from kist.server.identity import check_same_origin

__all__ = ["address_of_client", "form", "own_page", "with_next"]

MOST_BYTES: Final = 16 << 10
SECONDS: Final = 15
_FIELDS: Final = 20
_PLAIN: Final = frozenset(string.printable) - frozenset(string.whitespace) - {"\\"}


async def form(request: Request) -> Mapping[str, str]:
    """Return the fields of a form that a page of this site sent.

    Raises:
        Denied: a page of another site did.
        InvalidInput: it is no form, or too long.
        Busy: it came too slowly.
        StoreError: the browser went away.
    """
    check_same_origin(request)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise InvalidInput("a form is sent as application/x-www-form-urlencoded")
    content = await body(request)
    try:
        pairs = parse_qsl(
            content.decode("ascii"), keep_blank_values=True, strict_parsing=bool(content), errors="strict", max_num_fields=_FIELDS
        )
    except ValueError as error:
        raise InvalidInput("this is no form that a page of this site sends") from error
    return dict(pairs)


async def body(request: Request) -> bytes:
    """Return the body of a small request.

    Raises:
        InvalidInput: it is too long.
        Busy: it came too slowly.
        StoreError: the client went away.
    """
    content = bytearray()
    try:
        with anyio.fail_after(SECONDS):
            async for block in request.stream():
                content += block
                if len(content) > MOST_BYTES:
                    raise InvalidInput(f"the body has more than the {MOST_BYTES:,} bytes that it may have")
    except TimeoutError as error:
        raise Busy("the body came too slowly: try again") from error
    except ClientDisconnect as error:
        raise StoreError("the client went away before its request was complete") from error
    return bytes(content)


def own_page(path: str) -> str:
    """Return a page of this site; the first one, if it could be read as one of another site."""
    own = path.startswith("/") and not path.startswith("//") and len(path) <= MOST_BYTES and _PLAIN.issuperset(path)
    return path if own else "/"


def with_next(page: str, path: str) -> str:
    """Return the address of a page, after which another one is to come."""
    return page if own_page(path) == "/" else f"{page}?next={quote(path, safe='/')}"


def address_of_client(request: HTTPConnection) -> str:
    """Return the address that a request came from."""
    trace = request.scope.get("kist")
    return trace.address if trace is not None else request.client.host if request.client else ""
