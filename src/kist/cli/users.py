"""``kist user``: the users of a server, for its admins; and one's own password."""

from typing import Annotated

from cyclopts import Parameter

from kist.cli.asking import secret
from kist.cli.connecting import connected
from kist.cli.options import EVERYWHERE, Everywhere
from kist.cli.output import Column, line, note, print_array, print_object, print_table
from kist.cli.text import escape, local_time
from kist.errors import InvalidInput
from kist.models import User

__all__ = ["create", "link", "list_users", "set_password", "update"]

COLUMNS = (
    Column(title="NAME", style="cyan"),
    Column(title="E-MAIL", flexible=True),
    Column(title="ADMIN"),
    Column(title="STATE"),
    Column(title="MADE", spare=1),
)
OLD, NEW, USER = "KIST_PASSWORD", "KIST_NEW_PASSWORD", "KIST_USER_PASSWORD"

NameArg = Annotated[str, Parameter(help="The user's name.")]
EmailOption = Annotated[str | None, Parameter(metavar="ADDRESS", help="Their e-mail address, which they can log in with too.")]
PasswordOption = Annotated[bool, Parameter(help=f"Ask for their password, or read it from {USER} or standard input.")]


def list_users(*, everywhere: Everywhere = EVERYWHERE) -> None:
    """List all users of a server.

    Raises:
        KistError: you are no admin of the server.
    """
    with connected() as client:
        found = client.list_users()
    if everywhere.json:
        print_array(found)
        return
    print_table(COLUMNS, ([one.name, one.email, "yes" if one.admin else "", _state(one), local_time(one.created)] for one in found))


def create(
    name: NameArg,
    /,
    *,
    email: EmailOption = None,
    password: PasswordOption = False,
    admin: Annotated[bool, Parameter(help="Let them manage the server's users.")] = False,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Make a user, with an organisation of their own. Without a password they log in by a link, or by another service.

    Raises:
        KistError: the name or the address is taken, or you are no admin of the server.
    """
    said = secret(USER, f"password of {name}", twice=True) if password else None
    with connected() as client:
        made = client.create_user(name, email=email or "", password=said, admin=admin)
    _print(made, "made", everywhere)
    if not (said or everywhere.json or everywhere.quiet):
        note(f"kist: kist user link {escape(made.name)} makes a link that logs them in, once")


def update(
    name: NameArg,
    /,
    *,
    email: EmailOption = None,
    password: PasswordOption = False,
    admin: Annotated[bool | None, Parameter(negative="--no-admin", help="Whether they manage the server's users.")] = None,
    disable: Annotated[bool, Parameter(help="Let them do nothing any more, at once.")] = False,
    enable: Annotated[bool, Parameter(help="Let them in again.")] = False,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Change a user, or disable one.

    Raises:
        KistError: there is no such user, or you are no admin of the server.
    """
    if (disable and enable) or not (email is not None or password or admin is not None or disable or enable):
        raise InvalidInput(
            f"say what shall change: kist user update {name} --email, --password, --admin, --no-admin, --disable or --enable"
        )
    said = secret(USER, f"password of {name}", twice=True) if password else None
    disabled = disable if disable or enable else None
    with connected() as client:
        _print(client.modify_user(name, email=email, password=said, admin=admin, disabled=disabled), "changed", everywhere)


def link(name: NameArg, /, *, everywhere: Everywhere = EVERYWHERE) -> None:
    """Make a link that logs a user in, once.

    Raises:
        KistError: there is no such user, or you are no admin of the server.
    """
    with connected() as client:
        made = client.create_login_link(name)
        place = client.server
    url = f"{place.rstrip('/') if '://' in place else ''}/login?token={made.token}"
    if everywhere.json:
        print_object({"user": made.user, "url": url, "token": made.token, "expires": made.expires})
        return
    line(escape(url))
    if not everywhere.quiet:
        here = "" if "://" in place else " (behind the address that kist up shows)"
        note(f"kist: it logs {escape(made.user)} in once{here}, until {local_time(made.expires)}; it is not shown again")


def set_password(*, everywhere: Everywhere = EVERYWHERE) -> None:
    """Set your own password. Asked for in a terminal; else KIST_PASSWORD and KIST_NEW_PASSWORD, or two lines of standard input.

    Raises:
        KistError: the old one is another, or the new one too short.
    """
    with connected() as client:
        old = secret(OLD, "old password", optional=True)
        client.set_password(secret(NEW, "new password", twice=True), old_password=old)
    if everywhere.json:
        print_object({"changed": True})
    else:
        line("your password is changed; other logins of yours in browsers have ended")


def _print(user: User, done: str, everywhere: Everywhere) -> None:
    if everywhere.json:
        print_object(user)
        return
    facts = [fact for fact in (user.email, "admin of the server" if user.admin else "", _state(user)) if fact]
    line(f"{done} the user {escape(user.name)}" + (f" ({escape(', '.join(facts))})" if facts else ""))


def _state(user: User) -> str:
    return "disabled" if user.disabled else ""
