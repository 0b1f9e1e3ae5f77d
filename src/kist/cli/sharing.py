"""``kist repo grant``, ``revoke`` and ``roles``: who may do what with one repository, beside what they may in its organisation."""

from typing import Annotated

from cyclopts import Parameter

from kist.cli import options
from kist.cli.connecting import in_repo
from kist.cli.options import EVERYWHERE, Everywhere
from kist.cli.output import Column, line, note, print_array, print_object, print_table
from kist.cli.text import escape, local_time

__all__ = ["grant", "revoke", "roles"]

COLUMNS = (Column(title="WHO", style="cyan"), Column(title="ROLE"), Column(title="KIND", spare=1), Column(title="SINCE", spare=2))

WhoArg = Annotated[str, Parameter(help="A user, or a service account: ORG/NAME.")]


def grant(
    repo: options.RepoArg, who: WhoArg, role: options.RoleArg, /, *, org: options.OrgOption = None, everywhere: Everywhere = EVERYWHERE
) -> None:
    """Give somebody a role for a repository, instead of the one they have for it.

    Raises:
        KistError: there is no such repository or nobody of this name, or you are no admin of it.
    """
    with in_repo(repo, org, everywhere) as (client, full_name):
        given = client.grant_role(full_name, principal=who, role=role)
    if everywhere.json:
        print_object(given)
    else:
        line(f"{escape(given.principal)} is {given.role} of {escape(full_name)}")


def revoke(repo: options.RepoArg, who: WhoArg, /, *, org: options.OrgOption = None, everywhere: Everywhere = EVERYWHERE) -> None:
    """Take somebody's role for a repository away; what they may in its organisation stays.

    Raises:
        KistError: they have none, or you are no admin of it.
    """
    with in_repo(repo, org, everywhere) as (client, full_name):
        client.revoke_role(full_name, principal=who)
    if everywhere.json:
        print_object({"repo": full_name, "principal": who, "removed": True})
    else:
        line(f"{escape(who)} has no role of their own for {escape(full_name)} any more")


def roles(repo: options.RepoArg, /, *, org: options.OrgOption = None, everywhere: Everywhere = EVERYWHERE) -> None:
    """List who has a role for a repository, beside the members of its organisation.

    Raises:
        KistError: there is none of this name, or you have no role there.
    """
    with in_repo(repo, org, everywhere) as (client, full_name):
        found = client.list_roles(full_name)
    if everywhere.json:
        print_array(found)
        return
    print_table(COLUMNS, ([one.principal, one.role, one.kind, local_time(one.created)] for one in found))
    if not found and not everywhere.quiet:
        note("kist: nobody but the organisation's members; kist repo grant REPO WHO ROLE gives a role")
