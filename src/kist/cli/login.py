"""``kist login``, ``logout`` and ``whoami``. Passwords and tokens are asked for, or come from the environment or standard input."""

import os
import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from kist.cli.asking import ASKED, secret
from kist.cli.connecting import connected
from kist.cli.options import EVERYWHERE, Everywhere
from kist.cli.output import Column, line, note, print_facts, print_object, print_table
from kist.cli.plain import Json, plain
from kist.cli.text import escape
from kist.errors import InvalidInput

if TYPE_CHECKING:
    from kist.client.client import Client
    from kist.models import Me

__all__ = ["login", "logout", "whoami"]

ORGS = (Column(title="ORGANISATION", style="cyan"), Column(title="ROLE"), Column(title="DESCRIPTION", flexible=True, spare=1))

ServerArg = Annotated[str | None, Parameter(help="Its URL, such as https://kist.lab.org; the current one if not said.")]


def login(
    server: ServerArg = None,
    /,
    *,
    user: Annotated[str | None, Parameter(metavar="NAME", help="Your name or e-mail address there.")] = None,
    password: Annotated[
        str | None,
        Parameter(metavar="-", allow_leading_hyphen=True, help="- reads it from KIST_PASSWORD or standard input; asked for if not said."),
    ] = None,
    token: Annotated[
        str | None, Parameter(metavar="-", allow_leading_hyphen=True, help="A token instead: - reads it from KIST_TOKEN or standard input.")
    ] = None,
    browser: Annotated[bool, Parameter(help="Log in by the server's page in a browser, on this machine or another.")] = False,
    insecure: Annotated[bool, Parameter(help="Use plain http also to another machine, where the network is safe.")] = False,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Log in to a server, which all commands ask from then on. Without a name or token, by its page in a browser, here or elsewhere.

    Raises:
        KistError: the server does not know you, or nobody answers there.
    """
    for option, said in (("--password", password), ("--token", token)):
        if said not in {None, ASKED}:
            raise InvalidInput(
                f"{option} on a command line shows it to others on this machine: write {option} - and type it, or pipe it in"
            )
    if sum([token is not None, browser, user is not None or password is not None]) > 1:
        raise InvalidInput("log in by --token, by --browser, or by --user and --password: choose one")
    with connected(server, insecure=insecure or None) as client:
        if "://" not in client.server:
            raise InvalidInput("say which server: kist login https://kist.lab.org; this machine needs no login")
        if token is not None:
            me = client.login(token=secret("KIST_TOKEN", "token"))
        elif browser or (user is None and password is None and sys.stdin.isatty()):
            me = client.login(token=_by_browser(client.server, everywhere, insecure=insecure))
        else:
            me = _by_password(client, user)
        place = client.server
    if everywhere.json:
        print_object(_facts(me, place))
        return
    line(f"logged in to {escape(place)} as {escape(_name(me))}")
    if not everywhere.quiet:
        before = [name for name in ("KIST_SERVER", "KIST_TOKEN") if os.environ.get(name)]
        note("kist: all commands ask this server from now on; kist logout ends that")
        if before and token is None:
            note(f"kist: {' and '.join(before)} of the environment count for more than this login")


def logout(
    server: ServerArg = None,
    /,
    *,
    forget: Annotated[bool, Parameter(help="Forget the login here without telling the server, if it is gone.")] = False,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """End the login at a server; commands ask this machine from then on, if it was the current one.

    Raises:
        KistError: there is none, or nobody answers there.
    """
    with connected(server) as client:
        place = client.server
        if "://" not in place:
            raise InvalidInput("you are logged in to no server: this machine needs no login")
        if forget:
            from kist.client.servers import forget_server  # noqa: PLC0415 - --help needs no client

            forget_server(place)
        else:
            client.logout()
    if everywhere.json:
        print_object({"server": place, "logged_out": True})
    else:
        line(f"logged out of {escape(place)}")


def whoami(*, everywhere: Everywhere = EVERYWHERE) -> None:
    """Show who you are for the current server, or this machine, and your organisations.

    Raises:
        KistError: the server does not know you, or nobody answers there.
    """
    with connected() as client:
        me, place = client.whoami(), client.server
    if everywhere.json:
        print_object(_facts(me, place))
        return
    scope = me.scope
    reach = "" if scope.everything else f"{scope.role} in {'/'.join(filter(None, (scope.org, scope.repo))) or 'all organisations'} at most"
    name = f"{_name(me)} (service account)" if me.kind == "service-account" else me.name
    print_facts({"name": name, "e-mail": me.email, "server": place, "admin": "of the server" if me.admin else "", "this key": reach})
    if me.orgs:
        line()
    print_table(ORGS, ([one.name, one.role or "guest", one.description] for one in me.orgs))


def _by_password(client: "Client", user: str | None) -> "Me":
    if user is None:
        raise InvalidInput("say who: kist login SERVER --user NAME --password -; or --token -, or --browser")
    return client.login(user=user, password=secret("KIST_PASSWORD", f"password of {user} at {client.server}"))


def _by_browser(url: str, everywhere: Everywhere, *, insecure: bool | None) -> str:
    """Return the token that somebody allows in a browser."""
    from kist.client.device import begin_device, wait_for_device  # noqa: PLC0415 - only where it is used
    from kist.client.servers import Server  # noqa: PLC0415

    server = Server(url=url, insecure=bool(insecure))
    asked = begin_device(server)
    note(f"kist: open {escape(asked.verification_url)} in a browser, and confirm the code {escape(asked.user_code)}")
    if not everywhere.quiet:
        note(f"kist: waiting for that; kist login {escape(url)} --user NAME asks for a password instead")
    return wait_for_device(server, asked)


def _name(me: "Me") -> str:
    """Return what somebody is called everywhere: a service account goes by its organisation too."""
    return f"{me.org}/{me.name}" if me.org else me.name


def _facts(me: "Me", place: str) -> dict[str, Json]:
    facts = plain(me)
    return {"server": place, **(facts if isinstance(facts, dict) else {})}
