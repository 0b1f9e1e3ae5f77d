"""Logging a terminal in by a browser, on this machine or another: the server gives a code, and somebody who is logged in confirms it."""

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, cast

import httpx
import msgspec

from kist.client.exchange import options
from kist.client.servers import Server
from kist.errors import Busy, IntegrityError, StoreError, Unauthenticated, Unsupported
from kist.wire import decode_error

__all__ = ["DeviceCode", "begin_device", "wait_for_device"]

TIMEOUT: Final = httpx.Timeout(30.0)
SHORTEST, LONGEST = 1.0, 30.0
"""Seconds between two questions, whatever the server says."""
ANSWER_BYTES: Final = 64 << 10
LOST_SECONDS: Final = 60.0
"""A network may be away this long while somebody reads the code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCode:
    """What to show, and for how long it is valid; `device_code` is this terminal's secret."""

    device_code: str = field(repr=False)
    user_code: str
    verification_url: str
    expires_in: float
    interval: float = 3.0


class _Issued(msgspec.Struct, frozen=True, kw_only=True):
    token: str


def begin_device(server: Server) -> DeviceCode:
    """Ask a server for a code.

    Raises:
        Unsupported: it has no page to log in by.
        Busy: too many ask for one.
        StoreError: there was no answer.
    """
    with _opened(server) as http:
        try:
            status, content = _post(http, server, "/login/device", {"label": f"kist on {platform.node() or 'a terminal'}"})
        except httpx.RequestError as error:
            raise StoreError(f"{server.url} does not answer: {_reason(error)}") from error
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}:
        raise Unsupported(f"{server.url} has no page to log in by: kist login {server.url} --user NAME")
    if status != HTTPStatus.OK:
        raise decode_error(status, content)
    return _decoded(server, content, DeviceCode)


def wait_for_device(server: Server, asked: DeviceCode, *, sleep: Callable[[float], object] = time.sleep) -> str:
    """Return the token, once somebody has confirmed the code.

    Raises:
        Unauthenticated: it was refused, or nobody confirmed it in time.
        StoreError: the server is gone.
    """
    began = heard = time.monotonic()
    pause = min(max(asked.interval, SHORTEST), LONGEST)
    with _opened(server) as http:
        while time.monotonic() - began < asked.expires_in:
            sleep(pause)
            try:
                status, content = _post(http, server, "/login/device/token", {"device_code": asked.device_code})
            except httpx.RequestError as error:
                if time.monotonic() - heard > LOST_SECONDS:
                    raise StoreError(f"{server.url} does not answer any more: {_reason(error)}") from error
                continue
            heard = time.monotonic()
            if status == HTTPStatus.OK:
                return _decoded(server, content, _Issued).token
            if status != HTTPStatus.ACCEPTED:
                refused = decode_error(status, content)
                if not isinstance(refused, Busy):
                    raise refused
                pause = min(pause * 2, LONGEST)
    raise Unauthenticated("nobody confirmed the code in time: kist login begins anew")


def _opened(server: Server) -> httpx.Client:
    return httpx.Client(timeout=TIMEOUT, **cast("dict[str, Any]", options(server)))


def _post(http: httpx.Client, server: Server, path: str, said: dict[str, str]) -> tuple[int, bytes]:
    content = b""
    with http.stream("POST", server.url + path, json=said) as response:
        for part in response.iter_bytes():
            content += part
            if len(content) > ANSWER_BYTES:
                raise IntegrityError(f"{server.url} answers with more than a kist server would")
    return response.status_code, content


def _reason(error: httpx.RequestError) -> str:
    return str(error) or type(error).__name__


def _decoded[Said](server: Server, content: bytes, kind: type[Said]) -> Said:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise IntegrityError(f"{server.url} answers with something else than a kist server would") from error
