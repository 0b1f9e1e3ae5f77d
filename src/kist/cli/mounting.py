"""``kist mount add``, ``list``, ``show`` and ``remove``: names for stores, kept for later.

Without ``--org``, none of these sends anything; with it, an organisation keeps the mount for all its members (`kist.cli.shared`).
Secrets are asked for, or come from the environment or standard input; none is ever printed.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from kist.cli.asking import ASKED, secret
from kist.cli.completing import complete_mount, complete_org
from kist.cli.options import EVERYWHERE, Everywhere
from kist.cli.output import Column, line, note, print_array, print_facts, print_object, print_table, warn
from kist.cli.pairing import pair
from kist.cli.text import escape
from kist.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from kist.stores.mounts import Mount

__all__ = ["add", "list_mounts", "remove", "show"]

COLUMNS = (
    Column(title="NAME", style="cyan"),
    Column(title="PROVIDER", spare=1),
    Column(title="STANDS FOR", flexible=True),
    Column(title="FROM", flexible=True, spare=2),
)

NameArg = Annotated[str, Parameter(completer=complete_mount, help="Its name, as in NAME://path.")]
OrgOption = Annotated[str | None, Parameter(completer=complete_org, metavar="ORG", help="That of an organisation, shared by its members.")]


def add(
    name: Annotated[str, Parameter(help="What its URLs begin with: NAME://path. A scheme, such as s3, gets default options.")],
    /,
    *,
    url: Annotated[str | None, Parameter(metavar="URL", help="What it stands for: s3://bucket/prefix, sftp://host/path, ...")] = None,
    provider: Annotated[str | None, Parameter(help="Where, if there is no URL: s3, minio, gs, az, ovh, sftp, webdav, ...")] = None,
    bucket: Annotated[str | None, Parameter(help="At the provider; the first part of a path if not said.")] = None,
    prefix: Annotated[str | None, Parameter(help="What all its keys begin with.")] = None,
    endpoint_url: Annotated[str | None, Parameter(metavar="URL", help="The address of the service, if it has one of its own.")] = None,
    client_id: Annotated[str | None, Parameter(metavar="ID", help="Who asks: an access key, an account, a user name.")] = None,
    secret_id: Annotated[
        str | None,
        Parameter(
            metavar="-",
            allow_leading_hyphen=True,
            help="Proves it. - takes it from KIST_MOUNT_NAME_SECRET_ID, else from standard input; asked for if not said.",
        ),
    ] = None,
    option: Annotated[
        list[str] | None,
        Parameter(("--option", "-o"), metavar="KEY=VALUE", help="Another option of the store; - as VALUE asks for it. May be repeated."),
    ] = None,
    replace: Annotated[bool, Parameter(help="Let another mount of this name make way.")] = False,
    org: OrgOption = None,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Give a store a name, and keep it for later.

    Raises:
        KistError: the name or the place makes no sense, or the name is taken.
    """
    from kist.stores import mounts  # noqa: PLC0415 - --help needs no stores

    options = {
        key: _secret(name, key) if value == ASKED else value
        for key, value in (pair(one, "--option", "region=eu-west-1") for one in option or ())
    }
    if secret_id == ASKED or (secret_id is None and client_id and sys.stdin.isatty()):
        secret_id = _secret(name, "secret_id")
    said = {"url": url, "provider": provider, "bucket": bucket, "prefix": prefix, "endpoint_url": endpoint_url}
    if double := sorted(options.keys() & {"name", "storage_type", "replace", "save", "config", *said}):
        raise InvalidInput(f"--option {double[0]}=… is no option of a store: say --{double[0].replace('_', '-')}, if there is one")
    credentials = {"client_id": client_id, "secret_id": secret_id}
    if org:
        _add_shared(name, org, said, {**credentials, **options}, everywhere)
        return
    made = mounts.mount(name, replace=replace, save=True, **said, **{**credentials, **options})
    mounts.unmount(made.name)  # in this process: what counts from now on is what the file says, unless something goes before it
    made = mounts.find(made.name) or made
    if made.origin != mounts.saved_in():
        warn(f"{made.origin} says something of {made.name!r} too, and goes before {_short(mounts.saved_in())}")
    if everywhere.json:
        print_object(_facts(made))
        return
    line(f"mounted {escape(made.url)} as {made.name}://" if made.url else f"{made.name}:// URLs take these options from now on")
    if not everywhere.quiet:
        note(f"kist: kept in {_short(mounts.saved_in())}, for your eyes only")


def list_mounts(*, org: OrgOption = None, everywhere: Everywhere = EVERYWHERE) -> None:
    """List all mounts: those that are kept, and those of the environment and of other programs' configuration.

    Raises:
        KistError: configuration can't be read.
    """
    if org:
        from kist.cli.shared import list_shared  # noqa: PLC0415 - only there

        list_shared(org, everywhere)
        return
    from kist.stores import mounts  # noqa: PLC0415 - --help needs no stores

    found = mounts.mounts()
    if everywhere.json:
        print_array(map(_facts, found.values()))
        return
    print_table(COLUMNS, ([one.name, one.provider, _meaning(one), _short(one.origin)] for one in found.values()))
    if not found and not everywhere.quiet:
        note("kist: nothing is mounted; kist mount add NAME --url URL begins")


def show(name: NameArg, /, *, org: OrgOption = None, everywhere: Everywhere = EVERYWHERE) -> None:
    """Show what a mount stands for, with its secrets masked.

    Raises:
        KistError: there is none, or its configuration makes no sense.
    """
    if org:
        from kist.cli.shared import show_shared  # noqa: PLC0415 - only there

        show_shared(name, org, everywhere)
        return
    found = _find(name)
    if everywhere.json:
        print_object(_facts(found))
        return
    facts: dict[str, object] = {"name": found.name, "stands for": _meaning(found), "provider": found.provider, "from": _short(found.origin)}
    facts |= _masked(found)
    print_facts(facts)


def remove(name: NameArg, /, *, org: OrgOption = None, everywhere: Everywhere = EVERYWHERE) -> None:
    """Forget a mount that is kept; what is in its store stays.

    Raises:
        KistError: there is none, or it is kept elsewhere.
    """
    if org:
        from kist.cli.shared import remove_shared  # noqa: PLC0415 - only there

        remove_shared(name, org, everywhere)
        return
    from kist.stores import mounts  # noqa: PLC0415 - --help needs no stores

    try:
        mounts.unmount(name, saved=True)
    except NotFound:
        found = _find(name)
        raise InvalidInput(f"the mount {found.name!r} comes from {found.origin}: remove it there") from None
    if everywhere.json:
        print_object({"name": name.lower(), "removed": True})
    else:
        line(f"removed {escape(name.lower())}; what is in its store stays")


def _add_shared(name: str, org: str, said: Mapping[str, str | None], rest: Mapping[str, str | None], everywhere: Everywhere) -> None:
    from kist.cli.shared import add_shared  # noqa: PLC0415 - only there

    place = {key: value for key, value in said.items() if value is not None}
    if extra := sorted(place.keys() & {"provider", "bucket", "prefix"}):
        raise InvalidInput(f"--org takes the whole --url, without --{extra[0]}")
    options = {**rest, "endpoint_url": place.get("endpoint_url")}
    add_shared(name, org, place.get("url"), {key: value for key, value in options.items() if value is not None}, everywhere)


def _find(name: str) -> "Mount":
    from kist.stores import mounts  # noqa: PLC0415 - --help needs no stores

    found = mounts.find(name.removesuffix("://"))
    if found is None:
        raise NotFound(f"there is no mount {name!r}: kist mount list shows those that there are")
    return found


def _facts(found: "Mount") -> dict[str, object]:
    return {"name": found.name, "url": found.url, "provider": found.provider, "options": _masked(found), "origin": found.origin}


def _masked(found: "Mount") -> dict[str, object]:
    from kist.stores.mounts.options import shown  # noqa: PLC0415 - --help needs no stores

    return shown(found.options)


def _meaning(found: "Mount") -> str:
    return found.url or f"default options of {found.name}:// URLs"


def _short(path: str) -> str:
    """Return a path as its owner would write it."""
    home = f"{Path.home()}/"
    return f"~/{path.removeprefix(home)}" if path.startswith(home) else path


def _secret(name: str, key: str) -> str:
    """Return a secret from the environment, the user, or standard input."""
    from kist.stores.mounts.files import spelled  # noqa: PLC0415 - only where there is a secret

    return secret(f"KIST_MOUNT_{spelled(name)}_{key.upper()}", f"{key} of {name}")
