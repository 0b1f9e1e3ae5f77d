"""The app: which page is where, and how errors look."""

import functools
from http import HTTPStatus
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from kist.engine.repository import Repository
from kist.errors import KistError, Unauthenticated
from kist.server.downloads import Downloads
from kist.server.guard import Guard, Session, cookie_name
from kist.server.pages import Pages
from kist.server.render import Templates

__all__ = ["make_app"]

TITLES = {
    400: "That can't be",
    401: "Please log in",
    404: "Not found",
    405: "That can't be done here",
    421: "Not this address",
    500: "Something went wrong",
    501: "That can't be done here",
    502: "The store did not answer",
    503: "Too much at once",
}


def make_app(repository: Repository, *, login_token: str) -> Starlette:
    """Return the site of a repository, for the one browser that opens ``/login?token=…`` first."""
    templates = Templates(repository.name)
    session = Session(login_token)
    pages, downloads = Pages(repository, templates), Downloads(repository)
    on_error = functools.partial(_on_error, session, templates)
    return Starlette(
        routes=[
            Route("/", pages.versions, methods=["GET"]),
            Route("/files", pages.files, methods=["GET"]),
            Route("/changes", pages.changes, methods=["GET"]),
            Route("/download", downloads.file, methods=["GET"]),
            Route("/archive", downloads.folder, methods=["GET"]),
            Route("/login", functools.partial(_log_in, session, templates), methods=["GET"]),
            Mount("/static", StaticFiles(directory=Path(__file__).parent / "static")),
        ],
        middleware=[Middleware(Guard, session=session, refuse=functools.partial(_outside, templates))],
        exception_handlers={KistError: on_error, HTTPException: on_error},
    )


async def _log_in(session: Session, templates: Templates, request: Request) -> Response:
    """Open the session, with a page that goes on by itself: a redirect after a link on another site would not carry the strict cookie."""
    response = templates.page("welcome.html", inside=False)
    if session.belongs_to(request) or request.method == "HEAD":
        return response
    try:
        secret = session.open(request.query_params.get("token", ""))
    except Unauthenticated as error:
        return _outside(templates, error.http_status, str(error))
    response.set_cookie(cookie_name(request), secret, httponly=True, samesite="strict")
    return response


def _outside(templates: Templates, status: int, message: str) -> Response:
    """Return a page that says nothing of the repository."""
    return templates.page("message.html", status, title=TITLES[status], message=message, inside=False)


def _on_error(session: Session, templates: Templates, request: Request, error: Exception) -> Response:
    """Return the page of an error that was meant; a bug never comes here."""
    if isinstance(error, HTTPException):
        status, message = error.status_code, "There is no such page."
    else:
        status, message = getattr(error, "http_status", int(HTTPStatus.INTERNAL_SERVER_ERROR)), str(error)
    title, message = TITLES.get(status, "That did not work"), message[:1].upper() + message[1:]
    return templates.page("message.html", status, title=title, message=message, inside=session.belongs_to(request))
