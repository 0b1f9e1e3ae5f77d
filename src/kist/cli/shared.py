"""Mounts that an organisation shares: ``kist mount add``, ``list``, ``show`` and ``remove`` with ``--org``."""

from collections.abc import Mapping

from kist.cli.connecting import connected
from kist.cli.options import Everywhere
from kist.cli.output import Column, line, note, print_array, print_facts, print_object, print_table
from kist.cli.text import escape, local_time
from kist.errors import InvalidInput, NotFound
from kist.models import Mount

__all__ = ["add_shared", "list_shared", "remove_shared", "show_shared"]

COLUMNS = (
    Column(title="NAME", style="cyan"),
    Column(title="STANDS FOR", flexible=True),
    Column(title="MADE BY", spare=1),
    Column(title="MADE", spare=2),
)


def add_shared(name: str, org: str, url: str | None, said: Mapping[str, str], everywhere: Everywhere) -> None:
    """Share a mount; what is secret of `said` is kept sealed.

    Raises:
        KistError: it makes no sense, or you are no admin of the organisation.
    """
    from kist.stores.mounts.options import holds_secret  # noqa: PLC0415 - --help needs no stores

    if not url:
        raise InvalidInput(f"a mount of an organisation needs its whole URL: kist mount add {name} --org {org} --url s3://bucket/prefix")
    secrets = {key: value for key, value in said.items() if holds_secret({key: value})}
    options = {key: value for key, value in said.items() if key not in secrets}
    with connected() as client:
        made = client.set_mount(org=org, name=name, url=url, options=options, secrets=secrets)
    if everywhere.json:
        print_object(made)
    else:
        line(f"mounted {escape(made.url)} as {escape(made.name)}:// for {escape(made.org)}")


def list_shared(org: str, everywhere: Everywhere) -> None:
    """List the mounts of an organisation.

    Raises:
        KistError: you have no role there.
    """
    with connected() as client:
        found = client.list_mounts(org)
    if everywhere.json:
        print_array(found)
        return
    print_table(COLUMNS, ([one.name, one.url, one.created_by, local_time(one.created)] for one in found))
    if not found and not everywhere.quiet:
        note(f"kist: {escape(org)} has no mounts; kist mount add NAME --org {escape(org)} --url URL shares one")


def show_shared(name: str, org: str, everywhere: Everywhere) -> None:
    """Show what a mount of an organisation stands for; its secrets are never told.

    Raises:
        KistError: there is none, or you have no role there.
    """
    with connected() as client:
        found = _found(client.list_mounts(org), name)
    if everywhere.json:
        print_object(found)
        return
    facts: dict[str, object] = {"name": found.name, "stands for": found.url, **found.options, "organisation": found.org}
    print_facts(facts | {"made": f"{local_time(found.created)} by {found.created_by}"})


def remove_shared(name: str, org: str, everywhere: Everywhere) -> None:
    """Forget a mount of an organisation; what is in its store stays.

    Raises:
        KistError: there is none, or you are no admin there.
    """
    with connected() as client:
        client.remove_mount(org=org, name=name.removesuffix("://"))
    if everywhere.json:
        print_object({"org": org, "name": name.lower(), "removed": True})
    else:
        line(f"removed {escape(name.lower())} from {escape(org)}; what is in its store stays")


def _found(mounts: list[Mount], name: str) -> Mount:
    for one in mounts:
        if one.name == name.removesuffix("://").lower():
            return one
    raise NotFound(f"the organisation has no mount {name!r}: kist mount list --org ORG shows those it has")
