"""``kist repo``: the repositories of an organisation. Who may do what is in `kist.cli.sharing`, moving in `kist.cli.moving`."""

from itertools import islice
from typing import Annotated

from cyclopts import Parameter

from kist.cli import options
from kist.cli.asking import confirm
from kist.cli.connecting import address, in_org, in_repo
from kist.cli.options import EVERYWHERE, Everywhere
from kist.cli.output import Column, line, note, print_array, print_facts, print_object, print_table
from kist.cli.pairing import json_pairs
from kist.cli.text import escape, local_time
from kist.errors import InvalidInput
from kist.models import Repo, RepoKind

__all__ = ["create", "delete", "import_repo", "list_repos", "restore", "show", "update"]

COLUMNS = (
    Column(title="NAME", style="cyan"),
    Column(title="KIND", spare=3),
    Column(title="BUCKET", spare=2),
    Column(title="STATE"),
    Column(title="CHANGED", spare=1),
    Column(title="DESCRIPTION", flexible=True, spare=4),
)

KindOption = Annotated[RepoKind, Parameter(help="What it holds: a tree of files, or arrays.")]
MetadataOption = Annotated[
    list[str] | None,
    Parameter(("--metadata", "-m"), metavar="KEY=VALUE", help="A fact about it, in JSON or plain text; may be repeated."),
]


def create(
    repo: options.RepoArg,
    /,
    *,
    bucket: options.BucketOption = None,
    kind: KindOption = "files",
    description: options.DescriptionOption = None,
    metadata: MetadataOption = None,
    org: options.OrgOption = None,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Make a repository, on the default bucket config unless another is said.

    Raises:
        KistError: the name is taken or can't be, there is no such bucket config, or you may not write in the organisation.
    """
    facts = json_pairs(metadata, "--metadata", "site=A or depth=12.5")
    with in_repo(repo, org, everywhere) as (client, full_name):
        client.create_repo(full_name, bucket_config_nickname=bucket, kind=kind, description=description or "", metadata=facts)
        made = client.describe_repo(full_name)
    _report("made", made, everywhere)


def list_repos(
    *,
    search: Annotated[str, Parameter(("--search", "-s"), metavar="TEXT", help="Only those with this in their name or description.")] = "",
    kind: Annotated[RepoKind | None, Parameter(help="Only those of this kind.")] = None,
    bucket: options.BucketOption = None,
    metadata: MetadataOption = None,
    deleted: Annotated[bool, Parameter(help="Those that are deleted, and can be restored yet.")] = False,
    limit: options.LimitOption = None,
    org: options.OrgOption = None,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """List repositories.

    Raises:
        KistError: you have no role in the organisation.
    """
    if limit is not None and limit < 0:
        raise InvalidInput(f"a limit of {limit} repositories makes no sense")
    facts = json_pairs(metadata, "--metadata", "site=A or depth=12.5") or None
    with in_org(org, everywhere) as (client, org_name):
        found = islice(
            client.iter_repos(org_name, search=search, kind=kind, bucket_config=bucket or "", filter_metadata=facts, deleted=deleted), limit
        )
        if everywhere.json:
            print_array(found)
            return
        rows = [[one.name, one.kind, one.bucket_config, _state(one), local_time(one.updated), one.description] for one in found]
    print_table(COLUMNS, rows)
    if not (rows or search or kind or bucket or facts or deleted or limit == 0 or everywhere.quiet):
        note("kist: there are no repositories; kist repo create NAME makes one")


def show(repo: options.RepoArg, /, *, org: options.OrgOption = None, everywhere: Everywhere = EVERYWHERE) -> None:
    """Show a repository's facts, and how to open it.

    Raises:
        KistError: there is none of this name, or you have no role there.
    """
    with in_repo(repo, org, everywhere) as (client, full_name):
        found = client.describe_repo(full_name)
    if everywhere.json:
        print_object(found)
        return
    _print(found)
    url = escape(address(found.full_name))
    line()
    line(f"  kist ls {url}")
    line(f"  kist save PATH -r {url}")
    line(f'  kist.Client().get_repo("{escape(found.full_name)}")')
    line(f'  kist.open_repository("{url}")')


def update(
    repo: options.RepoArg,
    /,
    *,
    new_name: Annotated[str | None, Parameter("--name", metavar="NAME", help="A new name in the same organisation.")] = None,
    description: options.DescriptionOption = None,
    metadata: MetadataOption = None,
    remove_metadata: Annotated[list[str] | None, Parameter(metavar="KEY", help="A fact to be forgotten; may be repeated.")] = None,
    org: options.OrgOption = None,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Change a repository's name, description or metadata.

    Raises:
        KistError: there is none, the new name is taken, or you are no admin of it.
    """
    facts = json_pairs(metadata, "--metadata", "site=A or depth=12.5")
    if not (new_name or description is not None or facts or remove_metadata):
        raise InvalidInput(f"say what shall change: kist repo update {repo} --name, --description, --metadata or --remove-metadata")
    with in_repo(repo, org, everywhere) as (client, full_name):
        known = client.describe_repo(full_name).metadata if facts else {}
        changed = client.modify_repo(
            full_name,
            new_name=new_name,
            description=description,
            add_metadata={key: value for key, value in facts.items() if key not in known},
            update_metadata={key: value for key, value in facts.items() if key in known},
            remove_metadata=remove_metadata or (),
        )
    if everywhere.json:
        print_object(changed)
    else:
        _print(changed)


def delete(
    repo: options.RepoArg,
    /,
    *,
    confirmed: Annotated[options.ConfirmOption, Parameter("--confirm")] = None,
    org: options.OrgOption = None,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Delete a repository; it can be restored for some days. Its name, with or without the organisation, confirms it.

    Raises:
        KistError: it was not confirmed, there is none, or you are no admin of it.
    """
    with in_repo(repo, org, everywhere) as (client, full_name):
        found = client.describe_repo(full_name)
        said = found.name if confirmed == found.full_name else confirmed
        confirm(f"the repository {found.full_name} will be deleted with all its versions", found.name, said)
        deleted = client.delete_repo(full_name, imsure=True, imreallysure=True)
    if everywhere.json:
        print_object(deleted)
        return
    until = f"; until {local_time(deleted.purge_at)} kist repo restore {escape(found.full_name)} brings it back" if deleted.purge_at else ""
    line(f"deleted {escape(found.full_name)}{until}")


def restore(repo: options.RepoArg, /, *, org: options.OrgOption = None, everywhere: Everywhere = EVERYWHERE) -> None:
    """Restore a deleted repository.

    Raises:
        KistError: there is none of this name that is deleted, the name was taken meanwhile, or you are no admin of it.
    """
    with in_repo(repo, org, everywhere) as (client, full_name):
        restored = client.restore_repo(full_name)
    _report("restored", restored, everywhere)


def import_repo(
    repo: options.RepoArg,
    prefix: Annotated[str, Parameter(help="Where it lies, below the bucket config's place.")],
    /,
    *,
    bucket: options.BucketOption = None,
    description: options.DescriptionOption = None,
    metadata: MetadataOption = None,
    org: options.OrgOption = None,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Take in a repository that lies in a bucket already; nothing of it is copied or changed.

    Raises:
        KistError: there is none, it overlaps another one, the name is taken, or you are no admin of the organisation.
    """
    facts = json_pairs(metadata, "--metadata", "site=A or depth=12.5")
    with in_repo(repo, org, everywhere) as (client, full_name):
        client.import_repo(full_name, prefix=prefix, bucket_config_nickname=bucket, description=description or "", metadata=facts)
        taken = client.describe_repo(full_name)
    _report("took in", taken, everywhere)


def _report(done: str, repo: Repo, everywhere: Everywhere) -> None:
    if everywhere.json:
        print_object(repo)
        return
    line(f"{done} {escape(repo.full_name)} on {escape(repo.bucket_config)}")
    if not everywhere.quiet:
        note(f"kist: kist save PATH -r {escape(address(repo.full_name))} saves to it")


def _print(repo: Repo) -> None:
    facts: dict[str, object] = {"name": repo.full_name, "description": repo.description, "kind": repo.kind, "state": _state(repo)}
    facts |= {"bucket": repo.bucket_config, "prefix": repo.prefix}
    facts |= {f"  {key}": value for key, value in sorted(repo.metadata.items())}
    facts |= {"made": f"{local_time(repo.created)} by {repo.created_by}", "changed": local_time(repo.updated), "id": repo.id}
    print_facts(facts)


def _state(repo: Repo) -> str:
    if repo.status == "deleted" and repo.purge_at:
        return f"deleted, gone on {local_time(repo.purge_at)}"
    return "" if repo.status == "online" else repo.status
