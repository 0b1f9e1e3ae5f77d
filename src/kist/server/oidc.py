"""Logging in by another service: OpenID Connect, by a code, with PKCE, nonce and state.

What has to be known when the browser comes back is in a cookie that only this installation can open, so any of several servers can answer.
The service's word counts for its own name for somebody. That it also says an e-mail address makes nobody a user who is there already: who
is logged in may ask for that link themselves.
"""

import base64
import binascii
import functools
import hmac
import secrets
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import ClassVar, Final

import msgspec
from msgspec import Struct
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from kist.errors import Denied, IntegrityError, InvalidInput, KistError, Unauthenticated
from kist.server.cookies import OIDC, cookie, drop_cookie, session_secret, set_cookie
from kist.server.forms import own_page
from kist.server.provider import Provider
from kist.server.render import Templates
from kist.server.settings import ServerSettings
from kist.server.tokens import Claims
from kist.service import authentication
from kist.service.authentication import How
from kist.service.dispatch import Service
from kist.service.identities import by_identity, link_identity

__all__ = ["Oidc", "Provider"]

type LogIn = Callable[[Request, str, Response, How], Awaitable[Response]]
"""Opens a session for a user, and returns the answer with its cookie."""

type Failed = Callable[[KistError], Response]
"""Returns the page that says why nobody was logged in."""

_SECONDS: Final = 600
_PLACE: Final = "login/oidc"
_AGAIN: Final = "this login was begun in another browser, or too long ago: begin anew"


class _Pending(Struct, frozen=True, kw_only=True):
    """A login that was begun; `link_to` is the user who asked for a link."""

    state: str
    nonce: str
    verifier: str
    next: str
    ends: float
    link_to: str = ""


class Oidc:
    """The pages to begin at and to come back to."""

    BEGIN: ClassVar = "/login/oidc"
    CALLBACK: ClassVar = "/login/oidc/callback"

    def __init__(self, service: Service, settings: ServerSettings, provider: Provider | None, *, log_in: LogIn, failed: Failed) -> None:
        """Take who does the work, what the admin set, the other service, and how a browser is logged in, or told why it is not."""
        if provider is None or settings.oidc is None:
            raise InvalidInput("no other service is set to log in by")
        self._rooms, self._provider, self._log_in, self._failed = service.rooms, provider, log_in, failed
        self._settings, self._secure = settings.oidc, settings.url.startswith("https:")

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        return [Route(self.BEGIN, self.begin, methods=["GET"]), Route(self.CALLBACK, self.end, methods=["GET"])]

    async def begin(self, request: Request) -> Response:
        """Send the browser to the other service."""
        try:
            return await self._begun(request)
        except KistError as error:
            return self._failed(error)

    async def end(self, request: Request) -> Response:
        """Log in whom the other service sent back."""
        try:
            response = await self._ended(request)
        except KistError as error:
            response = self._failed(error)
        drop_cookie(request, response, OIDC)  # whatever came of it, it was the answer to this one question
        return response

    async def _begun(self, request: Request) -> Response:
        link_to = await self._asks_link(request) if "link" in request.query_params else ""
        pending = _Pending(
            state=secrets.token_urlsafe(32),
            nonce=secrets.token_urlsafe(32),
            verifier=secrets.token_urlsafe(48),
            next=own_page(request.query_params.get("next", "/")),
            ends=self._rooms.now().timestamp() + _SECONDS,
            link_to=link_to,
        )
        where = functools.partial(self._provider.address, state=pending.state, nonce=pending.nonce, verifier=pending.verifier)
        response = RedirectResponse(await run_in_threadpool(where), HTTPStatus.SEE_OTHER)
        set_cookie(request, response, OIDC, self._sealed(pending), seconds=_SECONDS, secure=self._secure)
        return response

    async def _ended(self, request: Request) -> Response:
        pending = self._pending(request)
        code = self._code(request, pending)
        claims = await run_in_threadpool(functools.partial(self._provider.claims, code, nonce=pending.nonce, verifier=pending.verifier))
        self._check_domain(claims)
        if pending.link_to:
            return await self._linked(request, pending, claims)
        prove = functools.partial(
            by_identity,
            self._rooms,
            self._provider.issuer,
            claims.subject,
            email=claims.email,
            name=claims.name,
            create=self._settings.create_users,
        )
        user_id = await run_in_threadpool(prove)
        return await self._log_in(request, user_id, RedirectResponse(pending.next, HTTPStatus.SEE_OTHER), "identity")

    def _code(self, request: Request, pending: _Pending) -> str:
        """Return the code that came back, if it came for this browser, and from this service."""
        said = request.query_params
        state = said.get("state", "").encode("utf-8", "surrogatepass")
        if not hmac.compare_digest(state, pending.state.encode()) or len(said.getlist("state")) != 1:
            raise Unauthenticated(_AGAIN)
        if said.get("iss", self._provider.issuer) != self._provider.issuer:  # RFC 9207
            raise Unauthenticated("another service answered than the one that was asked: begin anew")
        if "error" in said:
            reason = "".join(sign for sign in said["error"][:64] if sign.isascii() and (sign.isalnum() or sign == "_"))
            raise Unauthenticated(f"{self._provider.name} did not log you in: {reason or 'it does not say why'}")
        if not said.get("code") or len(said.getlist("code")) != 1:
            raise Unauthenticated(f"{self._provider.name} sent no code: begin anew")
        return said["code"]

    async def _asks_link(self, request: Request) -> str:
        """Return whom to link; only a page of this site may ask, lest another one links its own login to this user."""
        if request.headers.get("sec-fetch-site") != "same-origin":
            raise Denied("a link to another service is asked for on the page of your login here, not from elsewhere")
        return (await run_in_threadpool(authentication.by_session, self._rooms, session_secret(request))).id

    async def _linked(self, request: Request, pending: _Pending, claims: Claims) -> Response:
        who = await run_in_threadpool(authentication.by_session, self._rooms, session_secret(request))
        if who.id != pending.link_to:
            raise Denied("this browser is logged in as somebody else now: nothing was linked")
        await run_in_threadpool(link_identity, self._rooms, who.id, self._provider.issuer, claims.subject)
        message = f"{self._provider.name} logs you in from now on."
        return Templates(user=who.name).page("message.html", title="Linked", message=message, inside=True)

    def _check_domain(self, claims: Claims) -> None:
        allowed = [domain.casefold().removeprefix("@") for domain in self._settings.allowed_domains]
        if allowed and claims.email.rpartition("@")[2].casefold() not in allowed:
            said = f"{claims.email!r} is not" if claims.email else "it says no verified e-mail address"
            raise Denied(f"only addresses of {', '.join(allowed)} log in by {self._provider.name}: {said}")

    def _sealed(self, pending: _Pending) -> str:
        return base64.urlsafe_b64encode(self._rooms.keyring.seal(msgspec.json.encode(pending), place=_PLACE)).decode()

    def _pending(self, request: Request) -> _Pending:
        try:
            sealed = base64.urlsafe_b64decode(cookie(request, OIDC).encode("ascii"))
            pending = msgspec.json.decode(self._rooms.keyring.open(sealed, place=_PLACE), type=_Pending)
        except (UnicodeEncodeError, binascii.Error, IntegrityError, msgspec.DecodeError) as error:
            raise Unauthenticated(_AGAIN) from error
        if pending.ends < self._rooms.now().timestamp():
            raise Unauthenticated(_AGAIN)
        return pending
