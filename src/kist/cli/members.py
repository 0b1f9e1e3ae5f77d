"""``kist member`` and ``kist account``: who belongs to an organisation, people and programs."""

from typing import Annotated, Literal

from cyclopts import Parameter

from kist.cli import options
from kist.cli.asking import confirm
from kist.cli.connecting import in_org
from kist.cli.options import EVERYWHERE, Everywhere
from kist.cli.output import Column, line, note, print_array, print_object, print_table
from kist.cli.text import escape, local_time
from kist.errors import InvalidInput
from kist.models import Role, ServiceAccount

__all__ = ["create_account", "delete_account", "list_accounts", "list_members", "remove", "set_member", "update_account"]

MEMBERS = (
    Column(title="NAME", style="cyan"),
    Column(title="ROLE"),
    Column(title="E-MAIL", flexible=True, spare=2),
    Column(title="SINCE", spare=1),
)
ACCOUNTS = (
    Column(title="NAME", style="cyan"),
    Column(title="ROLE"),
    Column(title="STATE"),
    Column(title="MADE", spare=1),
    Column(title="ID", spare=2),
)

UserArg = Annotated[str, Parameter(help="The name of the user.")]
AccountArg = Annotated[str, Parameter(help="Its name.")]


def list_members(*, org: options.OrgOption = None, everywhere: Everywhere = EVERYWHERE) -> None:
    """List the members of an organisation.

    Raises:
        KistError: you have no role there.
    """
    with in_org(org, everywhere) as (client, name):
        found = client.list_members(name)
    if everywhere.json:
        print_array(found)
    else:
        print_table(MEMBERS, ([one.name, one.role, one.email, local_time(one.created)] for one in found))


def set_member(user: UserArg, role: options.RoleArg, /, *, org: options.OrgOption = None, everywhere: Everywhere = EVERYWHERE) -> None:
    """Give a user a role in an organisation, instead of the one they have.

    Raises:
        KistError: there is no such user, or you are no admin there.
    """
    with in_org(org, everywhere) as (client, name):
        member = client.set_member(org=name, user=user, role=role)
    if everywhere.json:
        print_object(member)
    else:
        line(f"{escape(member.name)} is {member.role} in {escape(name)}")


def remove(user: UserArg, /, *, org: options.OrgOption = None, everywhere: Everywhere = EVERYWHERE) -> None:
    """Take a user out of an organisation, with their roles for its repositories.

    Raises:
        KistError: there is no such member, they are the last admin, or you are none.
    """
    with in_org(org, everywhere) as (client, name):
        client.remove_member(org=name, user=user)
    if everywhere.json:
        print_object({"org": name, "name": user, "removed": True})
    else:
        line(f"{escape(user)} is no member of {escape(name)} any more")


def list_accounts(*, org: options.OrgOption = None, everywhere: Everywhere = EVERYWHERE) -> None:
    """List the service accounts of an organisation.

    Raises:
        KistError: you have no role there.
    """
    with in_org(org, everywhere) as (client, name):
        found = client.list_service_accounts(name)
    if everywhere.json:
        print_array(found)
        return
    print_table(ACCOUNTS, ([one.name, one.role or "", _state(one), local_time(one.created), one.id] for one in found))
    if not found and not everywhere.quiet:
        note(f"kist: {escape(name)} has no service accounts; kist account create NAME makes one")


def create_account(
    name: AccountArg,
    /,
    *,
    role: Annotated[Role | None, Parameter(help="In the whole organisation; without one, it sees what kist repo grant gives it.")] = None,
    org: options.OrgOption = None,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Make an account for a program.

    Raises:
        KistError: the name is taken, or you are no admin there.
    """
    with in_org(org, everywhere) as (client, org_name):
        made = client.create_service_account(org=org_name, name=name, role=role)
    _print(made, org_name, "made", everywhere)
    if not (everywhere.json or everywhere.quiet):
        note(f"kist: kist token create NAME --account {escape(org_name)}/{escape(made.name)} makes a token for it")


def update_account(
    name: AccountArg,
    /,
    *,
    role: Annotated[Literal["reader", "writer", "admin", "none"] | None, Parameter(help="In the whole organisation.")] = None,
    disable: Annotated[bool, Parameter(help="Let it do nothing any more, at once.")] = False,
    enable: Annotated[bool, Parameter(help="Let it in again.")] = False,
    org: options.OrgOption = None,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Change the role of a service account, or disable it.

    Raises:
        KistError: there is no such account, or you are no admin there.
    """
    if (disable and enable) or not (role or disable or enable):
        raise InvalidInput(f"say what shall change: kist account update {name} --role ROLE, --disable or --enable")
    from msgspec import UNSET  # noqa: PLC0415 - --help needs none

    with in_org(org, everywhere) as (client, org_name):
        wanted = UNSET if role is None else None if role == "none" else role
        changed = client.modify_service_account(org=org_name, name=name, role=wanted, disabled=disable if disable or enable else None)
    _print(changed, org_name, "changed", everywhere)


def delete_account(
    name: AccountArg,
    /,
    *,
    confirmed: Annotated[options.ConfirmOption, Parameter("--confirm")] = None,
    org: options.OrgOption = None,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Delete a service account; its keys end at once.

    Raises:
        KistError: it was not confirmed, there is no such account, or you are no admin there.
    """
    with in_org(org, everywhere) as (client, org_name):
        confirm(f"the service account {org_name}/{name} will be gone, and its keys end", name, confirmed)
        client.delete_service_account(org=org_name, name=name)
    if everywhere.json:
        print_object({"org": org_name, "name": name, "deleted": True})
    else:
        line(f"deleted the service account {escape(org_name)}/{escape(name)}")


def _print(account: ServiceAccount, org: str, done: str, everywhere: Everywhere) -> None:
    if everywhere.json:
        print_object(account)
        return
    state = f"; it is {_state(account)}" if account.disabled else ""
    line(f"{done} the service account {escape(org)}/{escape(account.name)}: {account.role or 'no role of its own'}{state}")


def _state(account: ServiceAccount) -> str:
    return "disabled" if account.disabled else ""
