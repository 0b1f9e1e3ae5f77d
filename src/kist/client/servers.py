"""The servers that this user logged in to, in ``client.toml`` of the configuration's folder, which only the user can read.

current = "https://kist.lab.org"

[orgs]  # the organisation that is meant where none is named, of a server or of this machine (local)
"https://kist.lab.org" = "earthmover"

[servers."https://kist.lab.org"]
token = "…"
user = "ada"
"""

import contextlib
import ipaddress
import json
import os
import stat
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from kist import settings
from kist.errors import Denied, InvalidInput, KistError, StoreError

__all__ = [
    "LOCAL",
    "Server",
    "Servers",
    "check_url",
    "choose_server",
    "find_server",
    "forget_server",
    "known_servers",
    "remember_org",
    "remember_server",
]

LOCAL: Final = "local"
"""What to say instead of a URL for the catalog of this machine, where a server is configured."""

_FIELDS: Final = {"token": str, "user": str, "insecure": bool}


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server, and the token that speaks for its user there. Plain http is for loopback only, unless `insecure` is said."""

    url: str
    token: str = field(default="", repr=False)
    user: str = ""
    insecure: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """All servers of the file by URL, and the current one's, empty if that is this machine; organisations by the URL, or `LOCAL`."""

    current: str = ""
    servers: Mapping[str, Server] = MappingProxyType({})
    orgs: Mapping[str, str] = MappingProxyType({})


def find_server(server: str | None = None, token: str | None = None, *, insecure: bool | None = None) -> Server | None:
    """Return the server to ask: the one that is said, else that of `KIST_SERVER`, else the current one of the file; None is this machine.

    A token goes only to the server it belongs to: the one that is said to the server that is found; that of `KIST_TOKEN` to the one of
    `KIST_SERVER`, or to any where that is not set; one of the file to the server it is kept for.

    Raises:
        InvalidInput: it is no URL of a server, or not a safe one, or the file makes no sense.
    """
    named = os.environ.get("KIST_SERVER", "")
    known = known_servers()
    wanted = server or named or known.current
    if not wanted or wanted == LOCAL:
        if token:
            raise InvalidInput("a token is for a server, and this machine needs none: name the server, or leave the token out")
        return None
    url = _normal(wanted)
    found = known.servers.get(url, Server(url=url))
    told = token or ("" if named and (named == LOCAL or _normal(named) != url) else os.environ.get("KIST_TOKEN", "")) or found.token
    checked = replace(found, token=_token(told), user=found.user if told == found.token else "")
    safe = replace(checked, insecure=checked.insecure if insecure is None else insecure)
    check_url(safe.url, insecure=safe.insecure)
    return safe


def known_servers() -> Servers:
    """Return what the file says; nothing, where there is none.

    Raises:
        InvalidInput: the file makes no sense.
        Denied: others may read or write it, or this user may not read it.
        StoreError: it can't be read.
    """
    path = _path()
    try:
        with path.open("rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise Denied(f"{path} holds tokens, and others may read it: chmod 600 {path}")
            said = tomllib.load(file)
    except FileNotFoundError:
        return Servers()
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} is no TOML: {error}") from error
    except KistError:
        raise
    except PermissionError as error:
        raise Denied(f"{path} may not be read: it is another user's") from error
    except OSError as error:
        raise StoreError(f"{path} can't be read: {error.strerror}") from error
    return _told(path, said)


def remember_server(server: Server, *, current: bool = True) -> None:
    """Keep a server and its token; `current` makes it the one that is asked where none is named.

    Raises:
        InvalidInput: the file makes no sense.
        StoreError: it could not be written.
    """
    known = known_servers()
    _write(replace(known, current=server.url if current else known.current, servers={**known.servers, server.url: server}))


def forget_server(url: str) -> None:
    """Forget a server and its token, if it is known; if it was the current one, this machine is.

    Raises:
        InvalidInput: the file makes no sense.
        StoreError: it could not be written.
    """
    known = known_servers()
    if url in known.servers or url == known.current:
        left = {name: server for name, server in known.servers.items() if name != url}
        orgs = {name: org for name, org in known.orgs.items() if name != url}
        _write(Servers(current="" if known.current == url else known.current, servers=left, orgs=orgs))


def choose_server(url: str) -> str:
    """Make a server that one is logged in to the one that is asked where none is named, or this machine by `LOCAL`; return its URL.

    Raises:
        InvalidInput: nobody is logged in there, it is no URL of a server, or the file makes no sense.
        StoreError: the file could not be written.
    """
    known, wanted = known_servers(), "" if url == LOCAL else _normal(url)
    if wanted and wanted not in known.servers:
        raise InvalidInput(f"you are not logged in to {wanted}: kist login {wanted} does that, and makes it the current one")
    _write(replace(known, current=wanted))
    return wanted or LOCAL


def remember_org(org: str, *, server: str = LOCAL) -> None:
    """Keep which organisation is meant at a server, or on this machine, where none is named; an empty one forgets it.

    Raises:
        InvalidInput: the file makes no sense.
        StoreError: it could not be written.
    """
    known = known_servers()
    left = {url: name for url, name in known.orgs.items() if url != server}
    _write(replace(known, orgs={**left, server: org} if org else left))


def check_url(url: str, *, insecure: bool = False) -> None:
    """Refuse a URL that a token should not be sent to.

    Raises:
        InvalidInput: it is plain http to another machine, and `insecure` is not set.
    """
    parts = urlsplit(url)
    if parts.scheme == "http" and not insecure and not _is_loopback(parts.hostname or ""):
        raise InvalidInput(f"{url} would send the token in clear text: use https, or say insecure=True where the network is safe")


def _normal(url: str) -> str:
    """Return the one spelling of a server's URL."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise InvalidInput(f"the URL of the server makes no sense: {error}") from error
    if parts.username is not None or parts.password is not None:
        raise InvalidInput("the URL of a server holds no user and no password: kist login keeps a token")
    if parts.scheme not in {"http", "https"} or not host or parts.query or parts.fragment or not url.isprintable() or " " in url:
        raise InvalidInput(f"{url!r} is no URL of a server: write https://host, or {LOCAL!r} for this machine")
    usual = {"http": 80, "https": 443}[parts.scheme]
    place = (f"[{host}]" if ":" in host else host) + (f":{port}" if port not in {None, usual} else "")
    return f"{parts.scheme}://{place}{parts.path.rstrip('/')}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _token(token: str) -> str:
    if not token.isascii() or not token.isprintable() or " " in token:
        raise InvalidInput("the token has characters that no token has: copy it again")
    return token


def _told(path: Path, said: dict[str, object]) -> Servers:
    """Return what a file says, if it makes sense."""
    current, tables, orgs = said.pop("current", ""), said.pop("servers", {}), said.pop("orgs", {})
    if said or not isinstance(current, str) or not isinstance(tables, dict) or not isinstance(orgs, dict):
        wrong = ", ".join(map(repr, said)) or "one of them"
        raise InvalidInput(f"{path}: known are 'current', a URL, and tables [servers.URL] and [orgs]; {wrong} is not as it should be")
    servers = {}
    for url, table in tables.items():
        if not isinstance(table, dict) or any(type(value) is not _FIELDS.get(name) for name, value in table.items()):
            raise InvalidInput(f"{path}, [servers.{url!r}]: known are token and user, texts, and insecure, true or false")
        servers[url] = Server(
            url=url, token=str(table.get("token", "")), user=str(table.get("user", "")), insecure=table.get("insecure") is True
        )
    return Servers(current=current, servers=servers, orgs={str(url): str(org) for url, org in orgs.items()})


def _write(servers: Servers) -> None:
    """Replace the file at once."""
    lines = [f"current = {json.dumps(servers.current)}"] if servers.current else []
    lines += (
        ["", "[orgs]", *(f"{json.dumps(url)} = {json.dumps(org)}" for url, org in sorted(servers.orgs.items()))] if servers.orgs else []
    )
    for url, server in sorted(servers.servers.items()):
        lines += ["", f"[servers.{json.dumps(url)}]"]
        lines += [f"{name} = {json.dumps(value)}" for name in _FIELDS if (value := getattr(server, name))]
    path = _path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, made = tempfile.mkstemp(dir=path.parent, prefix=".client-")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write("\n".join(lines).strip() + "\n")
                file.flush()
                os.fsync(file.fileno())
            Path(made).replace(path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                Path(made).unlink()
            raise
    except OSError as error:
        raise StoreError(f"{path} could not be written: {error.strerror}") from error


def _path() -> Path:
    return settings.config_home() / "client.toml"
