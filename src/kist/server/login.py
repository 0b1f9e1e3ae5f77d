"""Pages that log a browser in and out: by a link, by a password, or by another service; and a terminal by a browser.

A page of another site can make a browser ask for any of them. So forms count only when a page of this site sent them, a link that another
site led to is confirmed by a button, and where it goes on afterwards is a page of this site.
"""

import functools
import math
from datetime import datetime
from http import HTTPStatus
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from kist.errors import Busy, KistError, Unauthenticated
from kist.server import devices
from kist.server.cookies import SESSION, drop_cookie, session_secret, set_cookie
from kist.server.forms import address_of_client, form, own_page, with_next
from kist.server.identity import check_same_origin
from kist.server.oidc import Oidc, Provider
from kist.server.render import Templates
from kist.server.settings import ServerSettings
from kist.service import authentication
from kist.service.authentication import How
from kist.service.dispatch import Service
from kist.service.policy import Principal
from kist.service.throttle import TooOften

__all__ = ["address", "routes", "session_secret"]

_ELSEWHERE: Final = frozenset({"cross-site", "same-site"})


def routes(service: Service, settings: ServerSettings, *, by_link: bool = False) -> list[BaseRoute]:
    """Return the routes; `by_link` says that people log in by a link and nothing else."""
    provider = Provider(settings.oidc, f"{settings.url}{Oidc.CALLBACK}") if settings.oidc and not by_link else None
    pages = Logins(service, settings, provider, by_link=by_link)
    oidc = Oidc(service, settings, provider, log_in=pages.log_in, failed=pages.failed).routes() if provider else []
    return [
        Route("/login", pages.show, methods=["GET"]),
        Route("/login", pages.send, methods=["POST"]),
        Route("/logout", pages.log_out, methods=["POST"]),
        *oidc,
        *devices.routes(service, settings),
    ]


def address(request: HTTPConnection) -> str:
    """Return the address of the page to log in at, which leads back to the page that was asked for."""
    query = request.url.query
    return with_next("/login", request.url.path + (f"?{query}" if query else ""))


class Logins:
    """The pages."""

    def __init__(self, service: Service, settings: ServerSettings, provider: Provider | None, *, by_link: bool) -> None:
        """Take who does the work, and the other service that may say who somebody is."""
        self._rooms, self._provider, self._by_link = service.rooms, provider, by_link
        self._secure = settings.url.startswith("https:")

    async def show(self, request: Request) -> Response:
        """Use a link, or show how to log in, or who is logged in."""
        if token := request.query_params.get("token", ""):
            return await self._by_link_shown(request, token)
        target = own_page(request.query_params.get("next", "/"))
        who = await self._who(request)
        if who is not None and "next" in request.query_params:
            return RedirectResponse(target, HTTPStatus.SEE_OTHER)
        if who is not None:
            return Templates(user=who.name).page("account.html", inside=True, provider=self._provider_name)
        if self._by_link:
            raise Unauthenticated("open the link that was printed: it logs this browser in, once")
        return self._form(target)

    async def send(self, request: Request) -> Response:
        """Log in by a link or a password that a page of this site sent."""
        fields = await form(request)
        if token := fields.get("token", ""):
            return await self._used(request, token)
        target, user = own_page(fields.get("next", "/")), fields.get("user", "")
        prove = functools.partial(
            authentication.by_password, self._rooms, user, fields.get("password", ""), address=address_of_client(request)
        )
        try:
            who = await run_in_threadpool(prove)
        except (Unauthenticated, Busy) as error:
            return self._form(target, user=user, error=error)
        return await self.log_in(request, who.id, RedirectResponse(target, HTTPStatus.SEE_OTHER), "password")

    async def log_out(self, request: Request) -> Response:
        """End the browser's session."""
        check_same_origin(request)
        if secret := session_secret(request):
            await run_in_threadpool(authentication.close_session, self._rooms, secret)
        response = Templates().page("message.html", title="Logged out", message="This browser is not logged in any more.", inside=False)
        drop_cookie(request, response, SESSION)
        return response

    async def log_in(self, request: Request, user_id: str, response: Response, how: How) -> Response:
        """Open a session for whoever was proved, in place of the one that there was, and return the answer with its cookie."""
        opened = functools.partial(authentication.open_session, self._rooms, user_id, how=how, address=address_of_client(request))
        secret, expires = await run_in_threadpool(opened)
        if old := session_secret(request):
            await run_in_threadpool(authentication.close_session, self._rooms, old)
        set_cookie(request, response, SESSION, secret, seconds=_seconds(self._rooms.now(), expires), secure=self._secure)
        return response

    def failed(self, error: KistError) -> Response:
        """Return the page that says why nobody was logged in."""
        if self._by_link:
            raise error
        return self._form("/", error=error)

    async def _by_link_shown(self, request: Request, token: str) -> Response:
        """Use a link; only after a button, if a page of another site led here: who logs in there is for the user to say."""
        if request.method == "HEAD":
            return Templates().page("welcome.html", inside=False)
        if request.headers.get("sec-fetch-site") in _ELSEWHERE:
            return Templates().page("link.html", inside=False, token=token)
        return await self._used(request, token)

    async def _used(self, request: Request, token: str) -> Response:
        try:
            user_id = await run_in_threadpool(authentication.use_link, self._rooms, token)
        except Unauthenticated as error:
            if await self._who(request) is None:
                return self.failed(error)
            return Templates().page("welcome.html", inside=False)  # the link was opened anew by the browser that it logged in
        return await self.log_in(request, user_id, Templates().page("welcome.html", inside=False), "link")

    async def _who(self, request: Request) -> Principal | None:
        try:
            return await run_in_threadpool(authentication.by_session, self._rooms, session_secret(request))
        except Unauthenticated:
            return None

    def _form(self, target: str, *, user: str = "", error: KistError | None = None) -> Response:
        other = with_next(Oidc.BEGIN, target)
        problem = str(error) if error else ""
        status = int(error.http_status) if error else HTTPStatus.OK
        shown = {
            "next": target,
            "name": user,
            "problem": problem,
            "provider": self._provider_name,
            "other": other,
        }
        page = Templates().page("login.html", status, inside=False, **shown)
        if isinstance(error, TooOften):
            page.headers["retry-after"] = str(math.ceil(error.seconds))
        return page

    @property
    def _provider_name(self) -> str:
        return self._provider.name if self._provider else ""


def _seconds(now: datetime, then: datetime) -> int:
    return int((then - now).total_seconds())
