"""``kist bucket``: where the repositories of an organisation may be.

Credentials are asked for, or come from the environment or standard input; none is ever printed.
"""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from kist.cli import options
from kist.cli.asking import ASKED, confirm, secret
from kist.cli.connecting import in_org
from kist.cli.options import EVERYWHERE, Everywhere
from kist.cli.output import Column, line, note, paint, print_array, print_facts, print_object, print_table, warn
from kist.cli.pairing import pair, text_pairs
from kist.cli.plain import bucket_facts
from kist.cli.text import count, escape, local_time
from kist.errors import InvalidInput, StoreError
from kist.models import BucketConfig

if TYPE_CHECKING:
    from kist.client.client import Client

__all__ = ["check", "create", "delete", "list_buckets", "rotate", "set_default", "show", "update"]

COLUMNS = (
    Column(title="NICKNAME", style="cyan"),
    Column(title="DEFAULT", style="yellow"),
    Column(title="REPOS", right=True),
    Column(title="PLACE", flexible=True),
    Column(title="CREDENTIALS", spare=1),
    Column(title="CHANGED", spare=2),
)
ABILITIES = (Column(title="ABILITY", style="cyan"), Column(title="HAS", flexible=True))
LISTED = 20
OPEN = frozenset({"access_key_id", "account_name", "username", "tenant_id", "client_id"})
"""Credentials that name somebody and prove nothing: these may stand on a command line, where other users of the machine see them."""

Method = Literal["ambient", "public", "keys", "role"]

RegionOption = Annotated[str | None, Parameter(metavar="NAME", help="In which region the bucket is.")]
EndpointOption = Annotated[str | None, Parameter(metavar="URL", help="The address of the service, if it has one of its own.")]
ConfigOption = Annotated[
    list[str] | None, Parameter(("--config", "-c"), metavar="KEY=VALUE", help="What else the platform has to know; nothing secret.")
]
CredentialOption = Annotated[
    list[str] | None,
    Parameter(
        metavar="KEY=-",
        help="A credential; - takes it from KIST_BUCKET_NICKNAME_KEY, or standard input (if there are several, a line each), or asks.",
    ),
]
AuthOption = Annotated[
    Method | None, Parameter(help="Whose credentials: the serving machine's, nobody's, these keys, or a role's; keys if some are given.")
]
NestedOption = Annotated[bool, Parameter(help="Let its place lie in another one's, or the other way round.")]


def create(
    nickname: Annotated[str, Parameter(help="3 to 64 letters, digits, '.', '_' or '-'.")],
    uri: Annotated[str, Parameter(help="s3://bucket/prefix, gs://..., az://..., or a folder.")],
    /,
    *,
    region: RegionOption = None,
    endpoint_url: EndpointOption = None,
    config: ConfigOption = None,
    credential: CredentialOption = None,
    auth: AuthOption = None,
    allow_nested: NestedOption = False,
    org: options.OrgOption = None,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Make a bucket config: where repositories may be. The first one is the default. No bucket is made, and none is asked.

    Raises:
        KistError: the nickname or the place is taken or can't be, or you are no admin there.
    """
    credentials = _credentials(nickname, credential)
    with in_org(org, everywhere) as (client, name):
        made = client.create_bucket_config(
            org=name,
            nickname=nickname,
            uri=_uri(uri),
            extra_config=text_pairs(config, "--config", "use_ssl=false") or None,
            credentials=credentials,
            auth_config=_method(auth),
            region_name=region,
            endpoint_url=endpoint_url,
            allow_nested=allow_nested,
        )
    if everywhere.json:
        print_object(made)
        return
    line(f"made the bucket config {escape(made.nickname)}: {escape(made.uri)}" + (" (the default)" if made.is_default else ""))
    if not everywhere.quiet:
        note(f"kist: kist bucket check {escape(made.nickname)} tries it")


def list_buckets(*, org: options.OrgOption = None, everywhere: Everywhere = EVERYWHERE) -> None:
    """List bucket configs.

    Raises:
        KistError: you have no role in the organisation.
    """
    with in_org(org, everywhere) as (client, name):
        found = client.list_bucket_configs(name)
    if everywhere.json:
        print_array(found)
        return
    print_table(
        COLUMNS,
        (
            [one.nickname, "default" if one.is_default else "", f"{one.repos:,}", _place(one), one.auth_method, local_time(one.updated)]
            for one in found
        ),
    )
    if not found and not everywhere.quiet:
        note("kist: there are no bucket configs; kist bucket create NICKNAME URI makes one")


def show(nickname: options.BucketArg, /, *, org: options.OrgOption = None, everywhere: Everywhere = EVERYWHERE) -> None:
    """Show a bucket config, and the repositories that use it.

    Raises:
        KistError: there is none of this nickname.
    """
    with in_org(org, everywhere) as (client, name):
        config = client.get_bucket_config(org=name, nickname=nickname)
        names = [one.full_name for one in client.list_repos_for_bucket_config(org=name, nickname=nickname)] if config.repos else []
    if everywhere.json:
        print_object(bucket_facts(config) | {"used_by": list(names)})
        return
    _print(config)
    for full_name in names[:LISTED]:
        line(f"used by:    {escape(full_name)}")
    if len(names) > LISTED:
        line(f"            and {count(len(names) - LISTED, 'more repository', 'more repositories')}")


def update(
    nickname: options.BucketArg,
    /,
    *,
    name: Annotated[str | None, Parameter(metavar="NICKNAME", help="A new nickname; always allowed.")] = None,
    uri: Annotated[str | None, Parameter(metavar="URI", help="Another place.")] = None,
    region: RegionOption = None,
    endpoint_url: EndpointOption = None,
    config: ConfigOption = None,
    allow_nested: NestedOption = False,
    org: options.OrgOption = None,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Change a bucket config; only its nickname while repositories use it. kist repo move takes those elsewhere.

    Raises:
        KistError: there is none, repositories use it, or you are no admin there.
    """
    said = {"region_name": region, "endpoint_url": endpoint_url}
    extra = text_pairs(config, "--config", "use_ssl=false") | {key: value for key, value in said.items() if value is not None}
    if not (name or uri or extra):
        raise InvalidInput(f"say what shall change: kist bucket update {nickname} --name, --uri, --region, --endpoint-url or --config")
    with in_org(org, everywhere) as (client, org_name):
        changed = client.modify_bucket_config(
            org=org_name,
            nickname=nickname,
            new_nickname=name,
            uri=_uri(uri) if uri else None,
            extra_config=_merged(client, org_name, nickname, extra) if extra else None,
            allow_nested=allow_nested,
        )
    if everywhere.json:
        print_object(changed)
    else:
        _print(changed)


def set_default(nickname: options.BucketArg, /, *, org: options.OrgOption = None, everywhere: Everywhere = EVERYWHERE) -> None:
    """Make a bucket config the one of new repositories.

    Raises:
        KistError: there is none, or you are no admin there.
    """
    with in_org(org, everywhere) as (client, name):
        config = client.set_default_bucket_config(org=name, nickname=nickname)
    if everywhere.json:
        print_object(config)
    else:
        line(f"new repositories are on {escape(config.nickname)} ({escape(config.uri)}) from now on")


def rotate(
    nickname: options.BucketArg,
    /,
    *,
    credential: CredentialOption = None,
    auth: AuthOption = None,
    org: options.OrgOption = None,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Give a bucket config new credentials, also while repositories use it.

    Raises:
        KistError: there is none, its platform takes no such credentials, or you are no admin there.
    """
    if not credential and not auth:
        raise InvalidInput(f"say which: kist bucket rotate {nickname} --credential access_key_id=ID --credential secret_access_key=-")
    credentials = _credentials(nickname, credential)
    with in_org(org, everywhere) as (client, name):
        config = client.rotate_credentials(org=name, nickname=nickname, credentials=credentials, auth_config=_method(auth))
    if everywhere.json:
        print_object(config)
    else:
        line(f"{escape(config.nickname)} uses new credentials from now on ({escape(config.auth_method)})")


def check(nickname: options.BucketArg, /, *, org: options.OrgOption = None, everywhere: Everywhere = EVERYWHERE) -> int:
    """Try what the place of a bucket config can do, below a random name that is removed again. The exit code is 11 if something is wrong.

    Raises:
        KistError: there is none, or you are no admin there.
    """
    with in_org(org, everywhere) as (client, name):
        found = client.check_bucket_config(org=name, nickname=nickname)
    if everywhere.json:
        print_object(found)
        return 0 if found.ok else StoreError.exit_code
    print_table(ABILITIES, ([ability, has] for ability, has in found.abilities.items()))
    for problem in found.problems:
        warn(problem)
    line(f"{paint('ok', 'green') if found.ok else paint('not ok', 'red')}: {escape(found.nickname)}, tried in {found.seconds:.1f} s")
    return 0 if found.ok else StoreError.exit_code


def delete(
    nickname: options.BucketArg,
    /,
    *,
    confirmed: Annotated[options.ConfirmOption, Parameter("--confirm")] = None,
    org: options.OrgOption = None,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Delete a bucket config that no repository uses; what lies in the bucket stays.

    Raises:
        KistError: it was not confirmed, repositories use it, there is none, or you are no admin there.
    """
    with in_org(org, everywhere) as (client, name):
        client.get_bucket_config(org=name, nickname=nickname)
        confirm(f"the bucket config {nickname} of {name} will be gone; what lies in the bucket stays", nickname, confirmed)
        client.delete_bucket_config(org=name, nickname=nickname, imsure=True, imreallysure=True)
    if everywhere.json:
        print_object({"org": name, "nickname": nickname, "deleted": True})
    else:
        line(f"deleted the bucket config {escape(nickname)}; what lies in the bucket stays")


def _print(config: BucketConfig) -> None:
    facts: dict[str, object] = {"nickname": config.nickname + (" (the default)" if config.is_default else ""), "place": config.uri}
    facts |= {"platform": config.platform, **{name: str(value) for name, value in config.extra_config.items()}}
    facts |= {"credentials": config.auth_method, "repos": f"{config.repos:,}"}
    facts |= {"made": f"{local_time(config.created)} by {config.created_by}", "changed": local_time(config.updated), "id": config.id}
    print_facts(facts)


def _place(config: BucketConfig) -> str:
    endpoint = config.extra_config.get("endpoint_url")
    return f"{config.uri} at {endpoint}" if endpoint else config.uri


def _uri(text: str) -> str:
    """Return the URL of a place; a path is a folder."""
    if "://" in text:
        return text
    if not text.startswith(("/", "~", ".")):
        raise InvalidInput(f"{text!r} is no place: write s3://{text}, or ./{text} for a folder")
    return f"file://{os.path.abspath(os.path.expanduser(text))}"  # noqa: PTH100, PTH111 - pathlib has nothing that leaves links alone


def _merged(client: "Client", org: str, nickname: str, extra: Mapping[str, str]) -> dict[str, str | bool]:
    """Return what a bucket config's platform knows, with what is said anew; an empty value takes a key out."""
    known = {**client.get_bucket_config(org=org, nickname=nickname).extra_config, **extra}
    return {key: value for key, value in known.items() if value not in {"", None}}


def _method(auth: Method | None) -> dict[str, str] | None:
    return {"method": auth} if auth else None


def _credentials(nickname: str, said: Sequence[str] | None) -> dict[str, str] | None:
    """Return credentials by their names; those that prove something come from where nobody else sees them."""
    from kist.stores.mounts.files import spelled  # noqa: PLC0415 - only where there is a secret

    found: dict[str, str] = {}
    pairs = [pair(one, "--credential", "secret_access_key=-") for one in said or ()]
    alone = sum(value == ASKED for _, value in pairs) == 1
    for key, value in pairs:
        if value != ASKED and key not in OPEN:
            raise InvalidInput(f"--credential {key}=… shows a secret to others on this machine: write {key}=- and type it, or pipe it in")
        variable = f"KIST_BUCKET_{spelled(nickname)}_{key.upper()}"
        found[key] = value if value != ASKED else secret(variable, f"{key} of {nickname}", whole=alone)
    return found or None
