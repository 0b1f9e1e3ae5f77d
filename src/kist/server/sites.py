"""The pages of people: their repositories, and the site of each. All that they show passes the service's policy, on every request."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, cast

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from kist.engine.opening import open_repository
from kist.engine.repository import Repository
from kist.errors import NotFound, Unauthenticated, Unsupported
from kist.models import Org, Repo
from kist.models import requests as ask
from kist.operations import DESCRIBE_REPO, GET_ORG, LIST_ORGS, LIST_REPOS, OPEN_REPO, Operation
from kist.server.downloads import Downloads
from kist.server.identity import who_asks
from kist.server.pages import Pages
from kist.server.render import Templates
from kist.service.dispatch import Service
from kist.service.policy import Principal
from kist.service.rooms import Caller

__all__ = ["HERE", "Sites"]

HERE: Final = "-"
"""Stands where an organisation would, in the paths of repositories that belong to none; no organisation can be called so."""
OPENED: Final = 64
ORGS: Final = 100
ON_HOME: Final = 20
ON_PAGE: Final = 100

type Endpoint = Callable[[Pages, Downloads, Request], Response]

_PAGES: Final[dict[str, Endpoint]] = {
    "": lambda pages, _downloads, request: pages.versions(request),
    "/files": lambda pages, _downloads, request: pages.files(request),
    "/changes": lambda pages, _downloads, request: pages.changes(request),
    "/download": lambda _pages, downloads, request: downloads.file(request),
    "/archive": lambda _pages, downloads, request: downloads.folder(request),
}


class Sites:
    """The endpoints."""

    def __init__(self, service: Service, here: Mapping[str, Repository]) -> None:
        """Take the service, and repositories that are shown to whoever is logged in, by names."""
        self._service, self._here = service, here
        self._opened: OrderedDict[str, tuple[object, datetime | None, Repository]] = OrderedDict()
        self._lock = threading.Lock()

    def routes(self) -> list[BaseRoute]:
        """Return the routes; those of organisations fit any path, so they come last."""
        sites = [Route("/{org}/{repo}" + path, self._site(show), methods=["GET"]) for path, show in _PAGES.items()]
        return [Route("/", self._home, methods=["GET"]), Route("/{org}", self._org, methods=["GET"]), *sites]

    async def _home(self, request: Request) -> Response:
        who = await self._who(request)
        return await run_in_threadpool(self._show_home, _Asked(self._service, who, request))

    async def _org(self, request: Request) -> Response:
        who = await self._who(request)
        return await run_in_threadpool(self._show_org, _Asked(self._service, who, request))

    def _site(self, show: Endpoint) -> Callable[[Request], object]:
        async def site(request: Request) -> Response:
            who = await self._who(request)
            return await run_in_threadpool(self._show_site, show, _Asked(self._service, who, request))

        return site

    async def _who(self, request: Request) -> Principal:
        who = await who_asks(self._service.rooms, request)
        request.scope["kist"].principal = who.id
        if not who.id:
            raise Unauthenticated("log in to see this page")
        return who

    def _show_home(self, asked: "_Asked") -> Response:
        found = []
        for org in asked.call(LIST_ORGS, ask.ListOrgs(limit=ORGS)).items:
            page = asked.call(LIST_REPOS, ask.ListRepos(org=org.name, limit=ON_HOME))
            found.append((org, page.items, page.next))
        pinned = [(f"/{HERE}/{name}", repository.name) for name, repository in self._here.items()]
        return _listing(asked, found, pinned=pinned)

    def _show_org(self, asked: "_Asked") -> Response:
        query = asked.request.query_params
        name, search = asked.request.path_params["org"], query.get("search", "")[:128]
        org = asked.call(GET_ORG, ask.OrgName(org=name))
        page = asked.call(LIST_REPOS, ask.ListRepos(org=org.name, search=search, after=query.get("after", "")[:1024], limit=ON_PAGE))
        return _listing(asked, [(org, page.items, page.next)], org=org, search=search)

    def _show_site(self, show: Endpoint, asked: "_Asked") -> Response:
        org, name = asked.request.path_params["org"], asked.request.path_params["repo"]
        if org == HERE:
            if name not in self._here:
                raise NotFound("there is no such page")
            repository, place, base = self._here[name], self._here[name].name, f"/{HERE}/{name}"
        else:
            repo = asked.call(DESCRIBE_REPO, ask.RepoName(org=org, repo=name))
            repository, place, base = self._open(asked, repo), repo.full_name, f"/{repo.full_name}"
        asked.request.scope["kist.templates"] = templates = Templates(place, base=base, user=asked.who.name)
        return show(Pages(repository, templates), Downloads(repository), asked.request)

    def _open(self, asked: "_Asked", repo: Repo) -> Repository:
        """Return a repository; it stays open while nothing changes about where it is, and as long as its credentials last."""
        if repo.kind != "files":
            raise Unsupported(f"{repo.full_name} holds arrays: it has no pages")
        stamp, now = (repo.updated, repo.bucket_config, repo.prefix), self._service.rooms.now()
        with self._lock:
            found = self._opened.get(repo.id)
            if found and found[0] == stamp and (found[1] is None or found[1] > now):
                self._opened.move_to_end(repo.id)
                return found[2]
        access = asked.call(OPEN_REPO, ask.OpenRepo(org=repo.org, repo=repo.name))
        repository = open_repository(access.url, **cast("dict[str, Any]", access.options))
        with self._lock:
            self._opened[repo.id] = (stamp, access.expires, repository)
            if len(self._opened) > OPENED:
                self._opened.popitem(last=False)
        return repository


class _Asked:
    """A request, and who asks."""

    def __init__(self, service: Service, who: Principal, request: Request) -> None:
        self._service, self.who, self.request = service, who, request

    def call[In: ask.Request, Out](self, operation: Operation[In, Out], asked: In) -> Out:
        """Do an operation; this process may see credentials that whoever asks may not."""
        address = self.request.scope["kist"].address
        return self._service.call(operation, asked, Caller(who=self.who, address=address, inside=True))


def _listing(
    asked: _Asked,
    found: list[tuple[Org, list[Repo], str]],
    *,
    org: Org | None = None,
    search: str = "",
    pinned: list[tuple[str, str]] | None = None,
) -> Response:
    templates = Templates(user=asked.who.name)
    return templates.page("repos.html", found=found, org=org, search=search, pinned=pinned or [])
