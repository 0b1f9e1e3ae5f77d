"""The cookies of a browser that is logged in, or about to be: for this host alone, and out of reach of scripts."""

from typing import Final

from starlette.requests import HTTPConnection
from starlette.responses import Response

__all__ = ["OIDC", "SESSION", "cookie", "drop_cookie", "session_secret", "set_cookie"]

SESSION: Final = "session"
OIDC: Final = "oidc"


def session_secret(request: HTTPConnection) -> str:
    """Return the secret of the browser's session, empty if it has none."""
    return cookie(request, SESSION)


def cookie(request: HTTPConnection, use: str) -> str:
    """Return the value of a cookie, empty if there is none."""
    return request.cookies.get(_name(request, use, secure=True)) or (
        "" if _is_secure(request) else request.cookies.get(_name(request, use, secure=False), "")
    )


def set_cookie(request: HTTPConnection, response: Response, use: str, value: str, *, seconds: int, secure: bool) -> None:
    """Set a cookie; `secure` says that people come by https, also where this server is not told so."""
    safe = secure or _is_secure(request)
    response.set_cookie(_name(request, use, secure=safe), value, max_age=seconds, httponly=True, samesite="lax", secure=safe, path="/")


def drop_cookie(request: HTTPConnection, response: Response, use: str) -> None:
    """Let the browser forget a cookie."""
    for secure in (True, False):
        name = _name(request, use, secure=secure)
        if name in request.cookies:
            response.delete_cookie(name, path="/", secure=secure, httponly=True, samesite="lax")


def _is_secure(request: HTTPConnection) -> bool:
    return request.scope.get("scheme") in {"https", "wss"}


def _name(request: HTTPConnection, use: str, *, secure: bool) -> str:
    """Return the name of a cookie: by https one that no other host can set; else with the port, for a browser gives all ports the same."""
    return f"__Host-kist_{use}" if secure else f"kist_{use}_{(request.scope.get('server') or ('', 0))[1]}"
