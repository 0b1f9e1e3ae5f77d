"""Logging a terminal in by a browser, over HTTP.

The terminal: ``POST /login/device`` with ``{"label": …}`` gives ``device_code``, ``user_code``, ``verification_url``, ``expires_in`` and
``interval`` (seconds); then ``POST /login/device/token`` with ``{"device_code": …}`` gives 202 while nobody has confirmed, once 200 with
``token``, ``user`` and ``expires``, and 401 when it is over. The user types the code at the verification URL, sees which terminal it is,
and allows or refuses it.
"""

import functools
from http import HTTPStatus
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from kist import wire
from kist.errors import InvalidInput, KistError, NotFound, Unauthenticated
from kist.server.cookies import session_secret
from kist.server.forms import address_of_client, body, form, with_next
from kist.server.render import Templates
from kist.server.rest import error_response
from kist.server.settings import ServerSettings
from kist.service import authentication, devices
from kist.service.dispatch import Service
from kist.service.policy import Principal

__all__ = ["PAGE", "routes"]

PAGE: Final = "/login/device"
INTERVAL_SECONDS: Final = 3


class _Ask(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a terminal calls itself."""

    label: Annotated[str, Meta(max_length=1000)] = ""


class _Fetch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The terminal's secret."""

    device_code: Annotated[str, Meta(max_length=1000)]


def routes(service: Service, settings: ServerSettings) -> list[BaseRoute]:
    """Return the routes."""
    terminals = Terminals(service, settings)
    return [
        Route(PAGE, terminals.show, methods=["GET"]),
        Route(PAGE, terminals.ask, methods=["POST"]),
        Route(f"{PAGE}/confirm", terminals.confirm, methods=["POST"]),
        Route(f"{PAGE}/token", terminals.fetch, methods=["POST"]),
    ]


class Terminals:
    """The endpoints."""

    def __init__(self, service: Service, settings: ServerSettings) -> None:
        """Take who does the work, and where people find the server."""
        self._rooms, self._url = service.rooms, settings.url

    async def ask(self, request: Request) -> Response:
        """Give a terminal a code to show."""
        try:
            said = _decoded(await body(request) or b"{}", _Ask)
            asked = await run_in_threadpool(functools.partial(devices.ask, self._rooms, said.label, address=address_of_client(request)))
        except KistError as error:
            return error_response(error)
        told = {
            "device_code": asked.device_code,
            "user_code": asked.user_code,
            "verification_url": self._url + PAGE,
            "expires_in": int((asked.expires - self._rooms.now()).total_seconds()),
            "interval": INTERVAL_SECONDS,
        }
        return Response(msgspec.json.encode(told), media_type=wire.JSON)

    async def fetch(self, request: Request) -> Response:
        """Give a terminal its token, once somebody has allowed it."""
        try:
            said = _decoded(await body(request), _Fetch)
            take = functools.partial(devices.take, self._rooms, said.device_code, address=address_of_client(request))
            issued = await run_in_threadpool(take)
        except KistError as error:
            return error_response(error)
        if issued is None:
            return Response(msgspec.json.encode({"interval": INTERVAL_SECONDS}), HTTPStatus.ACCEPTED, media_type=wire.JSON)
        told = {"token": issued.secret, "user": issued.key.owner, "expires": issued.key.expires}
        return Response(msgspec.json.encode(told), media_type=wire.JSON)

    async def show(self, request: Request) -> Response:
        """Ask somebody who is logged in for the code."""
        who = await self._who(request)
        if who is None:
            return RedirectResponse(with_next("/login", PAGE), HTTPStatus.SEE_OTHER)
        return self._page(who)

    async def confirm(self, request: Request) -> Response:
        """Show which terminal shows a code, or allow or refuse it."""
        fields = await form(request)
        who = await self._who(request)
        if who is None:
            return RedirectResponse(with_next("/login", PAGE), HTTPStatus.SEE_OTHER)
        code, verdict = fields.get("code", ""), fields.get("verdict", "")
        try:
            if verdict == "allow":
                await run_in_threadpool(devices.allow, self._rooms, who, code)
                return _told(who, "Logged in", "The terminal is logged in now. You can close this page.")
            if verdict == "refuse":
                await run_in_threadpool(devices.refuse, self._rooms, who, code)
                return _told(who, "Refused", "The terminal was not logged in.")
            label = await run_in_threadpool(devices.look, self._rooms, who, code)
        except NotFound as error:
            return self._page(who, status=HTTPStatus.NOT_FOUND, problem=str(error))
        return self._page(who, code=code, label=label)

    async def _who(self, request: Request) -> Principal | None:
        try:
            return await run_in_threadpool(authentication.by_session, self._rooms, session_secret(request))
        except Unauthenticated:
            return None

    def _page(self, who: Principal, *, status: int = 200, code: str = "", label: str | None = None, problem: str = "") -> Response:
        return Templates(user=who.name).page("device.html", status, inside=True, code=code, label=label, problem=problem, name=who.name)


def _told(who: Principal, title: str, message: str) -> Response:
    return Templates(user=who.name).page("message.html", title=title, message=message, inside=True)


def _decoded[Said: Struct](content: bytes, kind: type[Said]) -> Said:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"the body makes no sense: {error}") from error
