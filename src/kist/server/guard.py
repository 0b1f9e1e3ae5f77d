"""Who may see the site, and what a browser may do with it.

Every request passes here. It must name this machine as its host, so that no web site reaches us by rebinding a name. It must carry the
session that the one-time link opened, unless it asks for that link or the style sheet. Its answer gets headers that leave hostile content
nothing to do.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable
from http import HTTPStatus

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kist.errors import KistError, Unauthenticated

__all__ = ["Guard", "Session"]

HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
HOSTS = ("127.0.0.1", "[::1]", "localhost")
OPEN = ("/login", "/static/")
log = logging.getLogger(__name__)


class Session:
    """The one session of a server: a login token opens it once, and gives the secret that the browser then keeps in a cookie."""

    def __init__(self, login_token: str) -> None:
        """Take the token of the link that is shown to the user."""
        self._token = login_token.encode()
        self._secret = ""

    def open(self, token: str) -> str:
        """Return the session's secret, if the token is right and was not used.

        Raises:
            Unauthenticated: it is not, or it was.
        """
        if self._secret or not secrets.compare_digest(token.encode(errors="surrogatepass"), self._token):
            raise Unauthenticated("This link is not valid, or it was used already. It works once: start kist up again for a new one.")
        self._secret = secrets.token_urlsafe(32)
        return self._secret

    def belongs_to(self, request: Request) -> bool:
        """Say whether a request carries the session's cookie."""
        cookie = request.cookies.get(cookie_name(request), "")
        return bool(self._secret) and secrets.compare_digest(cookie.encode(errors="surrogatepass"), self._secret.encode())


def cookie_name(request: Request) -> str:
    """Return the name of the session's cookie; with the port, since a browser gives all ports of a host the same cookies."""
    return f"kist_session_{_port(request.scope)}"


class Guard:
    """The outermost part of the app."""

    def __init__(self, app: ASGIApp, *, session: Session, refuse: Callable[[int, str], Response]) -> None:
        """Take what lies behind, and how to render a page for those who stay outside, from status and message."""
        self._app, self._session, self._refuse = app, session, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        started = False

        async def send_guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        app: ASGIApp = self._refusal(scope) or self._app
        try:
            await app(scope, receive, send_guarded)
        except asyncio.CancelledError:
            log.warning("kist up ended before an answer did: %s", scope["path"])
        except Exception:
            log.exception("kist up failed on %s", scope["path"])
            if not started:
                failed = self._refuse(
                    HTTPStatus.INTERNAL_SERVER_ERROR, "This should not happen. What went wrong is written where kist up runs."
                )
                await failed(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        if not _names_us(scope):
            here = f"http://localhost:{_port(scope)}/"
            return self._refuse(HTTPStatus.MISDIRECTED_REQUEST, f"This site answers at {here} alone, and the request names another host.")
        if scope["path"].startswith(OPEN) or self._session.belongs_to(Request(scope)):
            return None
        error: KistError = Unauthenticated("Open the link that kist up printed. It logs this browser in, once.")
        return self._refuse(error.http_status, str(error))


def _port(scope: Scope) -> int:
    return int(scope["server"][1])


def _names_us(scope: Scope) -> bool:
    hosts = [value.decode("latin-1").lower() for name, value in scope["headers"] if name == b"host"]
    ours = {f"{host}:{_port(scope)}" for host in HOSTS}
    return len(hosts) == 1 and hosts[0] in ours
