"""``kist config list``, ``get``, ``set`` and ``unset``: the current server and organisation of this user. Tokens are never shown."""

import os
from typing import Annotated, Literal

from cyclopts import Parameter

from kist.cli.options import EVERYWHERE, Everywhere
from kist.cli.output import Column, line, note, print_object, print_table
from kist.cli.text import escape
from kist.errors import NotFound

__all__ = ["get", "list_settings", "set_one", "unset"]

Name = Literal["server", "org"]

SETTINGS = (Column(title="NAME", style="cyan"), Column(title="VALUE", flexible=True), Column(title="FROM", spare=1))
SERVERS = (Column(title="SERVER", style="cyan"), Column(title="USER"), Column(title="CURRENT"), Column(title="ORG"))
VARIABLES: dict[Name, str] = {"server": "KIST_SERVER", "org": "KIST_ORG"}
WHATS: dict[Name, str] = {"server": "the server that is asked", "org": "the organisation that is meant"}

NameArg = Annotated[Name, Parameter(help="server: which one is asked; org: which organisation is meant there.")]


def list_settings(*, everywhere: Everywhere = EVERYWHERE) -> None:
    """List what is set, and the servers you are logged in to.

    Raises:
        KistError: the configuration makes no sense.
    """
    from kist import settings  # noqa: PLC0415 - --help needs none
    from kist.client.servers import LOCAL, known_servers  # noqa: PLC0415 - --help needs no client

    known = known_servers()
    facts = {name: _said(name) for name in WHATS}
    if everywhere.json:
        servers = [{"url": one.url, "user": one.user, "org": known.orgs.get(one.url, "")} for one in known.servers.values()]
        print_object({name: value for name, (value, _) in facts.items()} | {"servers": servers})
        return
    rows = [[name, value, source] for name, (value, source) in facts.items()]
    rows += [
        ["data", str(settings.data_home()), ""],
        ["config", str(settings.config_home()), ""],
        ["cache", str(settings.cache_home()), ""],
    ]
    print_table(SETTINGS, rows)
    if not known.servers:
        if not everywhere.quiet:
            note("kist: you are logged in to no server; all is on this machine. kist login SERVER changes that")
        return
    line()
    local = [[LOCAL, "", "" if known.current else "current", known.orgs.get(LOCAL, "")]]
    there = [
        [one.url, one.user, "current" if one.url == known.current else "", known.orgs.get(one.url, "")] for one in known.servers.values()
    ]
    print_table(SERVERS, local + there)


def get(name: NameArg, /, *, everywhere: Everywhere = EVERYWHERE) -> None:
    """Print one setting.

    Raises:
        NotFound: it is not set.
        KistError: the configuration makes no sense.
    """
    value, source = _said(name)
    if not value:
        raise NotFound(f"{name} is not set: kist config set {name} VALUE says {WHATS[name]}")
    if everywhere.json:
        print_object({"name": name, "value": value, "from": source})
    else:
        line(escape(value))


def set_one(
    name: NameArg,
    value: Annotated[str, Parameter(help="A URL that you are logged in to, or local; the name of an organisation.")],
    /,
    *,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Set the current server, or the current organisation there.

    Raises:
        KistError: you are not logged in there, there is no such organisation, or it can't be kept.
    """
    from kist.client.servers import choose_server, remember_org  # noqa: PLC0415 - --help needs no client

    if name == "server":
        value = choose_server(value)
    else:
        from kist.cli.connecting import connected  # noqa: PLC0415 - --help needs no client

        with connected() as client:
            value = client.get_org(value).name
        remember_org(value, server=_current())
    if everywhere.json:
        print_object({"name": name, "value": value})
        return
    line(f"{name} is {escape(value)} from now on")
    if (said := os.environ.get(VARIABLES[name])) and not everywhere.quiet:
        note(f"kist: {VARIABLES[name]}={escape(said)} is set, and goes before it")


def unset(name: NameArg, /, *, everywhere: Everywhere = EVERYWHERE) -> None:
    """Forget a setting: this machine is asked, or the only organisation is meant. Logins stay.

    Raises:
        KistError: it can't be kept.
    """
    from kist.client.servers import LOCAL, choose_server, remember_org  # noqa: PLC0415 - --help needs no client

    if name == "server":
        choose_server(LOCAL)
    else:
        remember_org("", server=_current())
    if everywhere.json:
        print_object({"name": name, "value": ""})
    else:
        line(f"{name} is not set any more")


def _said(name: Name) -> tuple[str, str]:
    """Return what a setting is, and who says so."""
    from kist.client.servers import LOCAL, find_server, known_servers  # noqa: PLC0415 - --help needs no client

    if said := os.environ.get(VARIABLES[name]):
        return said, VARIABLES[name]
    known = known_servers()
    if name == "server":
        return known.current or LOCAL, "client.toml" if known.servers else ""
    server = find_server()
    found = known.orgs.get(server.url if server else LOCAL, "")
    return found, "client.toml" if found else ""


def _current() -> str:
    """Return what the current server's settings are kept under."""
    from kist.client.servers import LOCAL, find_server  # noqa: PLC0415 - --help needs no client

    server = find_server()
    return server.url if server else LOCAL
