"""``kist org``: organisations."""

from typing import Annotated

from cyclopts import Parameter

from kist.cli import options
from kist.cli.asking import confirm
from kist.cli.connecting import connected, org_of
from kist.cli.options import EVERYWHERE, Everywhere
from kist.cli.output import Column, line, note, print_array, print_facts, print_object, print_table
from kist.cli.text import escape, local_time
from kist.errors import InvalidInput
from kist.models import Org

__all__ = ["create", "delete", "list_orgs", "show", "update"]

COLUMNS = (
    Column(title="NAME", style="cyan"),
    Column(title="ROLE"),
    Column(title="KIND", spare=2),
    Column(title="MADE", spare=1),
    Column(title="DESCRIPTION", flexible=True, spare=3),
)


def list_orgs(*, everywhere: Everywhere = EVERYWHERE) -> None:
    """List your organisations, and those that share a repository with you.

    Raises:
        KistError: nobody can be asked.
    """
    with connected() as client:
        found = client.list_orgs()
    if everywhere.json:
        print_array(found)
        return
    print_table(
        COLUMNS, ([one.name, _role(one), "personal" if one.personal else "", local_time(one.created), one.description] for one in found)
    )
    if not found and not everywhere.quiet:
        note("kist: you belong to no organisation; kist org create NAME makes one")


def create(
    name: Annotated[str, Parameter(help="Up to 100 letters, digits, '.', '_' or '-'.")],
    /,
    *,
    description: options.DescriptionOption = None,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Make an organisation; you are its admin.

    Raises:
        KistError: the name is taken or can't be, or you may not.
    """
    with connected() as client:
        made = client.create_org(name, description=description or "")
    if everywhere.json:
        print_object(made)
        return
    line(f"made the organisation {escape(made.name)}")
    if not everywhere.quiet:
        note(f"kist: kist bucket create NICKNAME URI --org {escape(made.name)} says where its repositories may be")


def show(name: options.OrgArg | None = None, /, *, everywhere: Everywhere = EVERYWHERE) -> None:
    """Show an organisation; the current one if none is named.

    Raises:
        KistError: there is none of this name, or you have no role there.
    """
    with connected() as client:
        _print(client.get_org(org_of(client, name, everywhere)), everywhere)


def update(name: options.OrgArg, /, *, description: options.DescriptionOption = None, everywhere: Everywhere = EVERYWHERE) -> None:
    """Change what an organisation says of itself.

    Raises:
        KistError: there is none of this name, or you are no admin of it.
    """
    if description is None:
        raise InvalidInput(f"say what shall change: kist org update {name} --description TEXT")
    with connected() as client:
        _print(client.modify_org(name, description=description), everywhere)


def delete(
    name: options.OrgArg,
    /,
    *,
    confirm_name: Annotated[options.ConfirmOption, Parameter("--confirm")] = None,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Delete an organisation that has no repositories; deleted ones count until they are gone for good.

    Raises:
        KistError: it was not confirmed, there are repositories, or you may not.
    """
    with connected() as client:
        client.get_org(name)
        confirm(f"the organisation {name} will be gone, with its members' roles, bucket configs and keys", name, confirm_name)
        client.delete_org(name, imsure=True, imreallysure=True)
    if everywhere.json:
        print_object({"name": name, "deleted": True})
    else:
        line(f"deleted the organisation {escape(name)}")


def _print(org: Org, everywhere: Everywhere) -> None:
    if everywhere.json:
        print_object(org)
        return
    facts = {"name": org.name, "description": org.description, "kind": "personal" if org.personal else "shared", "your role": _role(org)}
    print_facts(facts | {"made": local_time(org.created), "id": org.id})


def _role(org: Org) -> str:
    return org.role or "guest"
