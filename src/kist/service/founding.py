"""What a user alone begins with: the user, the personal organisation, its bucket config and its first repository, in one transaction."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from kist import settings
from kist.catalog import audit, buckets, orgs, repos
from kist.catalog.buckets import BucketRow
from kist.catalog.people import UserRow
from kist.catalog.repos import RepoRow
from kist.engine.opening import open_repository
from kist.errors import NotFound
from kist.ids import new_id
from kist.operations import CREATE_BUCKET_CONFIG, CREATE_ORG, CREATE_USER, IMPORT_REPO
from kist.service import naming
from kist.service.users import add_user, name_like

__all__ = ["prepare"]

REPO: Final = "default"


def prepare(folder: Path, org_name: str) -> Callable[[Connection], UserRow]:
    """Make the repository below a folder, unless it is there, and return what enters it and all it belongs to in a catalog.

    Raises:
        StoreError: the folder can't be written.
    """
    authority = open_repository(folder / org_name / REPO, create=True).authority
    return partial(_found, folder=folder, org_name=org_name, authority=authority)


def _found(sql: Connection, *, folder: Path, org_name: str, authority: str) -> UserRow:
    """Add the user with all that belongs to a new catalog, and the lines of the audit log."""
    now = datetime.now(UTC)
    user = add_user(sql, name_like(settings.author()), admin=True, org=org_name, now=now)
    org = orgs.find(sql, org_name)
    if org is None:
        raise NotFound(f"the organisation {org_name!r} was just made, and is not there")
    place = naming.parse(platform="local", name=str(folder))
    bucket = BucketRow(
        id=new_id(),
        org_id=org.id,
        nickname=org_name,
        platform=place.platform,
        name=place.name,
        prefix=place.prefix,
        extra_config=place.extra_config,
        auth_method="ambient",
        credentials=None,
        place=place.place,
        is_default=True,
        created=now,
        created_by=user.name,
        updated=now,
    )
    buckets.add(sql, bucket)
    repo = RepoRow(
        id=new_id(),
        org_id=org.id,
        name=REPO,
        kind="files",
        bucket_config_id=bucket.id,
        prefix=f"{org_name}/{REPO}",
        description="",
        metadata={},
        created=now,
        created_by=user.name,
        updated=now,
        authority=authority,
    )
    repos.add(sql, repo)
    for operation, target in ((CREATE_USER, user.name), (CREATE_ORG, org_name), (CREATE_BUCKET_CONFIG, org_name), (IMPORT_REPO, REPO)):
        audit.append(sql, org_id=org.id, principal=user.name, operation=operation.name, target=target, outcome="done", details={}, now=now)
    return user
