"""``kist key`` and ``kist token``: what programs prove who they are with. A secret is shown once, when it is made, and never again."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from kist.cli.connecting import connected, org_of, split_name
from kist.cli.options import EVERYWHERE, Everywhere
from kist.cli.output import Column, line, note, print_array, print_facts, print_object, print_table
from kist.cli.text import escape, local_time
from kist.errors import InvalidInput
from kist.models import IssuedKey, Key, KeyKind, Role, Scope

if TYPE_CHECKING:
    from kist.client.client import Client

__all__ = ["create_pair", "create_token", "list_pairs", "list_tokens", "revoke_pair", "revoke_token"]

COLUMNS = (
    Column(title="ID", style="cyan"),
    Column(title="NAME", flexible=True),
    Column(title="REACHES", flexible=True, spare=1),
    Column(title="STATE"),
    Column(title="ENDS", spare=2),
    Column(title="USED", spare=3),
    Column(title="MADE", spare=4),
)
WORDS: dict[KeyKind, str] = {"token": "token", "s3": "S3 key"}

NameArg = Annotated[str, Parameter(help="What it is for.")]
IdArg = Annotated[str, Parameter(help="Its id, as list shows it.")]
DaysOption = Annotated[int | Literal["never"], Parameter(help="After how many days it ends.")]
AccountOption = Annotated[str | None, Parameter(metavar="ORG/NAME", help="That of a service account, instead of your own.")]
OrgScope = Annotated[str, Parameter("--org", metavar="ORG", help="It reaches only this organisation.")]
RepoScope = Annotated[str, Parameter("--repo", metavar="ORG/NAME", help="It reaches only this repository.")]
RoleScope = Annotated[Role, Parameter("--role", help="The most that it may do.")]


def create_token(
    name: NameArg,
    /,
    *,
    days: DaysOption = 90,
    org: OrgScope = "",
    repo: RepoScope = "",
    role: RoleScope = "admin",
    account: AccountOption = None,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Make an API token. It is all that standard output gets, and shown this once.

    Raises:
        KistError: it would reach further than you, or there is no such account.
    """
    issued = _create("token", name, days=days, scope=_scope(org, repo, role), account=account)
    if everywhere.json:
        print_object(issued)
        return
    line(escape(issued.secret))
    _note(issued, "KIST_TOKEN, or kist login --token -, takes it", everywhere)


def list_tokens(*, account: AccountOption = None, everywhere: Everywhere = EVERYWHERE) -> None:
    """List API tokens, without their secrets.

    Raises:
        KistError: there is no such account, or you are no admin there.
    """
    _list("token", account, everywhere)


def revoke_token(id: IdArg, /, *, account: AccountOption = None, everywhere: Everywhere = EVERYWHERE) -> None:  # noqa: A002 - its word
    """End an API token, at once.

    Raises:
        KistError: there is none of this id.
    """
    _revoke("token", id, account, everywhere)


def create_pair(
    name: NameArg,
    /,
    *,
    days: DaysOption = 90,
    org: OrgScope = "",
    repo: RepoScope = "",
    role: RoleScope = "admin",
    account: AccountOption = None,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Make an access key and its secret for S3 clients. The secret is shown this once.

    Raises:
        KistError: it would reach further than you, or there is no such account.
    """
    issued = _create("s3", name, days=days, scope=_scope(org, repo, role), account=account)
    if everywhere.json:
        print_object(issued)
        return
    print_facts({"access key": issued.key.id, "secret": issued.secret})
    _note(issued, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY take it", everywhere)


def list_pairs(*, account: AccountOption = None, everywhere: Everywhere = EVERYWHERE) -> None:
    """List S3 keys, without their secrets.

    Raises:
        KistError: there is no such account, or you are no admin there.
    """
    _list("s3", account, everywhere)


def revoke_pair(id: IdArg, /, *, account: AccountOption = None, everywhere: Everywhere = EVERYWHERE) -> None:  # noqa: A002 - its word
    """End an S3 key, at once.

    Raises:
        KistError: there is none of this id.
    """
    _revoke("s3", id, account, everywhere)


def _create(kind: KeyKind, name: str, *, days: int | Literal["never"], scope: Scope, account: str | None) -> IssuedKey:
    valid = None if days == "never" else days
    with connected() as client:
        if account is None:
            return client.create_key(name, kind=kind, days=valid, scope=scope)
        org, service_account = _account(client, account)
        return client.create_service_key(org=org, service_account=service_account, name=name, kind=kind, days=valid, scope=scope)


def _list(kind: KeyKind, account: str | None, everywhere: Everywhere) -> None:
    with connected() as client:
        if account is None:
            keys = client.list_keys()
        else:
            org, service_account = _account(client, account)
            keys = client.list_service_keys(org=org, service_account=service_account)
    found = [key for key in keys if key.kind == kind]
    if everywhere.json:
        print_array(found)
        return
    print_table(COLUMNS, (_row(key) for key in found))
    if not found and not everywhere.quiet:
        note(f"kist: there is no {WORDS[kind]}; kist {'token' if kind == 'token' else 'key'} create NAME makes one")


def _revoke(kind: KeyKind, key_id: str, account: str | None, everywhere: Everywhere) -> None:
    with connected() as client:
        if account is None:
            client.revoke_key(key_id)
        else:
            org, service_account = _account(client, account)
            client.revoke_service_key(org=org, service_account=service_account, key_id=key_id)
    if everywhere.json:
        print_object({"id": key_id, "revoked": True})
    else:
        line(f"the {WORDS[kind]} {escape(key_id)} has ended")


def _account(client: "Client", text: str) -> tuple[str, str]:
    org, name = split_name(text)
    return org or org_of(client, None), name


def _scope(org: str, repo: str, role: Role) -> Scope:
    if not repo:
        return Scope(role=role, org=org)
    repo_org, name = split_name(repo)
    if org and repo_org and repo_org.casefold() != org.casefold():
        raise InvalidInput(f"--repo {repo} is not in the organisation {org}: leave --org out")
    if not (org or repo_org):
        raise InvalidInput(f"--repo {repo}: write ORG/NAME, so that it is clear which one")
    return Scope(role=role, org=repo_org or org, repo=name)


def _row(key: Key) -> list[str]:
    ends = local_time(key.expires) if key.expires else "never"
    used = local_time(key.used) if key.used else "never"
    return [key.id, key.name, _reach(key.scope), _state(key), ends, used, local_time(key.created)]


def _reach(scope: Scope) -> str:
    where = f"{scope.org}/{scope.repo}" if scope.repo else scope.org
    return "everything" if scope.everything else f"{scope.role} in {where}" if where else f"{scope.role} everywhere"


def _state(key: Key) -> str:
    if key.revoked:
        return "revoked"
    return "expired" if key.expires and key.expires <= datetime.now(UTC) else ""


def _note(issued: IssuedKey, use: str, everywhere: Everywhere) -> None:
    if everywhere.quiet:
        return
    key = issued.key
    ends = f"until {local_time(key.expires)}" if key.expires else "until it is revoked"
    note(f"kist: {escape(key.id)} ({escape(key.name)}) is valid {ends}, for {escape(_reach(key.scope))}; the secret is not shown again")
    note(f"kist: {use}")
