"""Repositories in the catalog: found, described, renamed, deleted and brought back; `kist.service.making` makes them.

A repository lies under a prefix of its own that nobody chooses, so no two ever meet.
"""

import secrets
import string
from datetime import timedelta
from typing import Final

from msgspec import UNSET
from sqlalchemy import Connection

from kist.catalog import buckets, repos, standing
from kist.catalog.buckets import BucketRow
from kist.catalog.repos import Named, RepoRow
from kist.errors import AlreadyExists, Busy, Conflict, InvalidInput, NotFound
from kist.models import Repo
from kist.models.requests import (
    DeleteRepo,
    ListRepos,
    ModifyRepo,
    Page,
    RepoName,
)
from kist.operations import (
    DELETE_REPO,
    DESCRIBE_REPO,
    LIST_REPOS,
    MODIFY_REPO,
    RESTORE_REPO,
)
from kist.service.handlers import Handlers
from kist.service.metadata import changed_metadata, check_metadata, wanted_metadata
from kist.service.rooms import Act

__all__ = ["HANDLERS", "bucket_of", "check_free", "check_name", "new_prefix", "refuse_fixed", "told", "told_of"]

HANDLERS = Handlers()

RESERVED: Final = frozenset(
    {"audit", "buckets", "import", "jobs", "keys", "members", "mounts", "new", "repos", "service-accounts", "settings"}
)
"""Pages of an organisation: no repository is called so."""

_LETTERS: Final = string.ascii_lowercase + string.digits


# Names and places


def bucket_of(act: Act, sql: Connection, nickname: str | None) -> BucketRow:
    """Return a bucket config of the organisation; the default one if none is named.

    Raises:
        NotFound: there is none.
    """
    org = act.standing.org
    if nickname is None:
        if (found := buckets.default(sql, act.standing.org_id)) is None:
            raise NotFound(f"the organisation {org!r} has no default bucket config: name one, or set one (kist bucket set-default)")
        return found
    if (named := buckets.get(sql, act.standing.org_id, nickname)) is None:
        raise NotFound(f"the organisation {org!r} has no bucket config {nickname.strip()!r}: kist bucket list tells which there are")
    return named


def new_prefix(name: str) -> str:
    """Return a prefix that nobody has, and nobody guesses."""
    return "".join(secrets.choice(_LETTERS) for _ in range(8)) + f"_{name}"


def check_name(act: Act, sql: Connection, name: str) -> None:
    """Refuse a name that is taken, or that pages have.

    Raises:
        InvalidInput: a page has it.
        AlreadyExists: it is taken.
    """
    if name.casefold() in RESERVED:
        raise InvalidInput(f"repository {name!r}: a page of the organisation has this name: choose another")
    if repos.get(sql, act.standing.org_id, name) is not None:
        raise AlreadyExists(f"there is a repository {act.standing.org}/{name} already: choose another name, or open that one")


def check_free(sql: Connection, bucket: BucketRow, prefix: str) -> None:
    """Refuse a place in which, or above or below which, another repository lies.

    Raises:
        Conflict: there is one; it is named only if it is of the same organisation.
    """
    for other in repos.overlapping(sql, bucket.place, prefix):
        which = f"the repository {other.name!r}" if other.org_id == bucket.org_id else "a repository of another organisation"
        trash = ", which is deleted but not yet for good" if other.deleted else ""
        raise Conflict(f"{which}{trash} lies at prefix {prefix!r} of the bucket config {bucket.nickname!r}, or above or below it")


# Looking


@HANDLERS.look(LIST_REPOS)
def _list(act: Act, sql: Connection, request: ListRepos) -> Page[Repo]:
    """List repositories, to guests those that they have a role for."""
    only, granted_to = _limits(act, sql)
    if only is None:
        return Page(items=[])
    bucket_id = bucket_of(act, sql, request.bucket_config).id if request.bucket_config else ""
    found = repos.page(
        sql,
        act.standing.org_id,
        search=request.search,
        kind=request.kind,
        metadata=wanted_metadata(request.metadata),
        bucket_id=bucket_id,
        trash=request.deleted,
        granted_to=granted_to,
        only=only,
        after=request.after,
        limit=request.limit + 1,
    )
    more = repos.place_of(found[request.limit - 1]) if len(found) > request.limit else ""
    return Page(items=[told(act, one) for one in found[: request.limit]], next=more)


def _limits(act: Act, sql: Connection) -> tuple[str | None, str]:
    """Return the only repository that may be listed (empty: all; None: nothing), and for whom a role must be there (empty: for nobody)."""
    if act.standing.org_role is not None:
        return "", ""
    only = act.who.scope.repo
    if not only:
        return "", act.who.id
    found = standing.find(sql, act.who.id, act.standing.org, only)
    return (only, "") if found.org_role or found.repo_role else (None, "")


@HANDLERS.look(DESCRIBE_REPO)
def _describe(act: Act, sql: Connection, _request: RepoName) -> Repo:
    """Tell a repository's facts."""
    return _here(act, sql)


def told(act: Act, one: Named) -> Repo:
    """Return a repository as people see it."""
    return repos.shown(one, trash_days=act.rooms.rules.trash_days)


def told_of(act: Act, repo_id: str) -> Repo:
    """Return a repository as people see it, by its id.

    Raises:
        NotFound: it is gone.
    """
    with act.rooms.database.reading() as sql:
        return _here(act, sql, repo_id)


def _here(act: Act, sql: Connection, repo_id: str = "") -> Repo:
    found = repos.named(sql, repo_id or act.standing.repo_id)
    if found is None:
        raise NotFound(f"there is no repository {act.standing.org}/{act.standing.repo}")
    return told(act, found)


# Changing


@HANDLERS.change(MODIFY_REPO)
def _modify(act: Act, sql: Connection, request: ModifyRepo) -> Repo:
    """Change a repository's facts."""
    row = _held(act, sql)
    values: dict[str, object] = {}
    if request.new_name is not UNSET and request.new_name != row.name:
        refuse_fixed(act, row.name, "be renamed")
        if request.new_name.casefold() != row.name.casefold():
            check_name(act, sql, request.new_name)
        values["name"] = act.details["new_name"] = request.new_name
    if request.description is not UNSET:
        values["description"] = request.description
    metadata = changed_metadata(row.metadata, request)
    if metadata != row.metadata:
        check_metadata(metadata)
        values["metadata"] = metadata
    if values:
        repos.modify(sql, row.id, values, now=act.now)
    return _here(act, sql)


@HANDLERS.change(DELETE_REPO)
def _delete(act: Act, sql: Connection, request: DeleteRepo) -> Repo:
    """Delete a repository, so that it can be restored for some days."""
    if not (request.imsure and request.imreallysure):
        raise InvalidInput("imsure and imreallysure must be set to True")
    row = _held(act, sql)
    refuse_fixed(act, row.name, "be deleted")
    if row.status == "moving":
        raise Busy(f"{act.standing.org}/{row.name} is being moved: delete it when that is done")
    repos.modify(sql, row.id, {"deleted": act.now}, now=act.now)
    return _here(act, sql)


@HANDLERS.change(RESTORE_REPO)
def _restore(act: Act, sql: Connection, request: RepoName) -> Repo:
    """Bring a deleted repository back."""
    org = act.standing.org
    row = repos.deleted(sql, act.standing.org_id, request.repo)
    taken = repos.get(sql, act.standing.org_id, request.repo)
    if row is None and taken is not None:
        raise Conflict(f"the repository {org}/{taken.name} is not deleted: there is nothing to restore")
    if row is None or row.deleted is None or row.deleted + timedelta(days=act.rooms.rules.trash_days) <= act.now:
        raise NotFound(f"there is no deleted repository {org}/{request.repo} any more")
    if taken is not None:
        raise AlreadyExists(
            f"there is another repository {org}/{taken.name} by now: give that one another name (kist repo rename), then restore"
        )
    repos.modify(sql, row.id, {"deleted": None}, now=act.now)
    return _here(act, sql, row.id)


def refuse_fixed(act: Act, name: str, what: str) -> None:
    """Refuse to take a repository away from under what reaches it without the catalog.

    Raises:
        Conflict: this one is such.
    """
    if f"{act.standing.org}/{name}".casefold() in act.rooms.rules.fixed:
        raise Conflict(
            f"{act.standing.org}/{name} can't {what}: commands save to it where no repository is named; "
            "make another one, and let KIST_REPOSITORY=kist://ORG/NAME name it"
        )


def _held(act: Act, sql: Connection) -> RepoRow:
    """Return the repository, which stays as it is until this transaction ends."""
    row = repos.by_id(sql, act.standing.repo_id, hold=True)
    if row is None or row.deleted:
        raise NotFound(f"there is no repository {act.standing.org}/{act.standing.repo}")
    return row
