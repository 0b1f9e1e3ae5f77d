"""The one app of a server: its API, its pages, and what machines ask it. Which is where, and how errors look."""

import functools
import hmac
import ipaddress
import time
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from kist import wire
from kist.engine.repository import Repository
from kist.errors import KistError, NotFound, Unauthenticated
from kist.operations import OPERATIONS
from kist.server import login, openapi
from kist.server.guard import Guard
from kist.server.limits import Rates
from kist.server.metrics import MEDIA_TYPE, Figures
from kist.server.render import Templates
from kist.server.rest import Rest, error_response
from kist.server.settings import ServerSettings
from kist.server.sites import Sites
from kist.service.dispatch import Service

__all__ = ["make_app"]

TITLES: Final = {
    400: "That can't be",
    401: "Please log in",
    403: "Not allowed",
    404: "Not found",
    405: "That can't be done here",
    421: "Not this address",
    429: "Too much at once",
    500: "Something went wrong",
    501: "That can't be done here",
    502: "The store did not answer",
    503: "Too much at once",
}
DOCUMENT: Final = f"{wire.BASE}/openapi.json"
READY_SECONDS: Final = 1.0
LINK: Final = "Open the link that kist up printed. It logs this browser in, once."
BUG: Final = "This should not happen. What went wrong is written in the log of the server"


def make_app(
    service: Service, settings: ServerSettings, *, here: Mapping[str, Repository] | None = None, by_link: bool = False
) -> Starlette:
    """Return the app of a service.

    Args:
        service: does the work.
        settings: what the admin set.
        here: repositories that have pages though they are in no organisation, by names.
        by_link: people log in only by the link that was printed.
    """
    trusted = tuple(ipaddress.ip_network(one, strict=False) for one in settings.trusted_proxies)
    figures = Figures(lambda: service.rooms.database.connections)
    on_error = functools.partial(_on_error, by_link)
    machines = _Machines(service, settings, figures)
    return Starlette(
        routes=[
            *machines.routes(),
            Route(wire.BASE, _api_page, methods=["GET"]),
            Route(DOCUMENT, _api_document, methods=["GET"]),
            Mount("/static", StaticFiles(directory=Path(__file__).parent / "static")),
            *login.routes(service, settings, by_link=by_link),
            *Sites(service, here or {}).routes(),
        ],
        middleware=[
            Middleware(
                Guard,
                settings=settings,
                trusted=trusted,
                rates=Rates(settings.limits.address_rate, settings.limits.address_burst),
                figures=figures,
                refuse=_refused,
            ),
            Middleware(_Operations, rest=Rest(service, settings.limits)),
        ],
        exception_handlers={KistError: on_error, HTTPException: on_error},
    )


class _Operations:
    """Leads to the operations whatever is below their path, before a route could think that a character fits none."""

    def __init__(self, app: ASGIApp, *, rest: ASGIApp) -> None:
        self._app, self._rest = app, rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        is_operation = path.startswith(f"{wire.BASE}/") and path != DOCUMENT
        await (self._rest if is_operation else self._app)(scope, receive, send)


class _Machines:
    """What machines ask a server: whether it lives, whether it can work, and its figures."""

    def __init__(self, service: Service, settings: ServerSettings, figures: Figures) -> None:
        self._service, self._settings, self._figures = service, settings, figures
        self._is_migrated, self._problem, self._asked_again = False, "", 0.0

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        metrics = [Route("/metrics", self._metrics, methods=["GET"])] if self._settings.metrics.enabled else []
        return [Route("/healthz", self._healthz, methods=["GET"]), Route("/readyz", self._readyz, methods=["GET"]), *metrics]

    async def _healthz(self, _request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _readyz(self, _request: Request) -> Response:
        now = time.monotonic()
        if now > self._asked_again:
            self._asked_again = now + READY_SECONDS
            try:
                await run_in_threadpool(self._try)
                self._problem = ""
            except KistError as error:
                self._problem = type(error).__name__
        if self._problem:
            return PlainTextResponse(f"not ready: {self._problem}\n", HTTPStatus.SERVICE_UNAVAILABLE)
        return PlainTextResponse("ok\n")

    def _try(self) -> None:
        """Raise unless the database answers, has its schema, and the keyring works."""
        rooms = self._service.rooms
        if not self._is_migrated:
            if any(name.endswith("_pre") for name in rooms.database.pending()):
                raise NotFound("the database lacks migrations")
            self._is_migrated = True
        with rooms.database.reading() as sql:
            sql.exec_driver_sql("select 1")
        rooms.keyring.open(rooms.keyring.seal(b"ready", place="readyz"), place="readyz")

    def _metrics(self, request: Request) -> Response:
        """Answer whoever has the token; without one, this machine, unless something in front of us asked."""
        token = self._settings.metrics.token
        said = request.headers.get("authorization", "").removeprefix("Bearer ")
        forwarded = any(name in request.headers for name in ("forwarded", "x-forwarded-for", "via"))
        own = not token and not forwarded and _is_loopback(request.client.host if request.client else "")
        if not own and not (token and hmac.compare_digest(said.encode(), token.encode())):
            raise NotFound("there is no such page")
        return Response(self._figures.text(), media_type=MEDIA_TYPE)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _api_page(_request: Request) -> Response:
    return Templates().page("api.html", root=wire.BASE, operations=list(OPERATIONS.values()))


def _api_document(_request: Request) -> Response:
    return Response(openapi.rendered(), media_type=wire.JSON)


def _on_error(by_link: bool, request: Request, error: Exception) -> Response:  # noqa: FBT001 - given by name
    """Return the page of an error that was meant; a bug never comes here."""
    known: KistError | None = error if isinstance(error, KistError) else None
    if isinstance(known, Unauthenticated):
        if by_link:
            return _page(request.scope, int(known.http_status), LINK)
        if request.method in {"GET", "HEAD"}:
            return RedirectResponse(login.address(request), HTTPStatus.SEE_OTHER)
    if isinstance(error, HTTPException):
        return _page(request.scope, error.status_code, "There is no such page.")
    return _page(request.scope, known.http_status if known else 500, str(error))


def _refused(scope: Scope, error: KistError | None) -> Response:
    """Return what the guard answers itself: as programs read it below the API, else as a page."""
    number = scope["kist"].request
    if scope["path"].startswith(wire.BASE + "/"):
        return error_response(error or KistError(f"{BUG}, request {number}"))
    if error is None:
        return _page(scope, HTTPStatus.INTERNAL_SERVER_ERROR, f"{BUG}, request {number}.")
    response = error_response(error)
    page = _page(scope, response.status_code, str(error))
    page.headers.update({name: value for name, value in response.headers.items() if name == "retry-after"})
    return page


def _page(scope: Scope, status: int, message: str) -> Response:
    templates: Templates | None = scope.get("kist.templates")
    title, told = TITLES.get(status, "That did not work"), message[:1].upper() + message[1:]
    return (templates or Templates()).page("message.html", status, title=title, message=told, inside=templates is not None)
