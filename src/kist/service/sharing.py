"""Roles for single repositories: whom a repository is shared with, beside those who have a role in its organisation."""

from sqlalchemy import Connection

from kist.catalog import grants
from kist.errors import NotFound
from kist.models import RepoRole
from kist.models.requests import GrantRole, Page, RepoName, RoleName
from kist.operations import GRANT_ROLE, LIST_ROLES, REVOKE_ROLE
from kist.service.handlers import Handlers
from kist.service.rooms import Act

__all__ = ["HANDLERS"]

HANDLERS = Handlers()


@HANDLERS.look(LIST_ROLES)
def _list_roles(act: Act, sql: Connection, _request: RepoName) -> Page[RepoRole]:
    """List the roles for a repository."""
    return Page(items=list(grants.of_repo(sql, act.standing.repo_id)))


@HANDLERS.change(GRANT_ROLE)
def _grant(act: Act, sql: Connection, request: GrantRole) -> RepoRole:
    """Give a role for a repository."""
    grantee = _grantee(act, sql, request.principal)
    act.details["role"] = request.role
    since = grants.give(sql, act.standing.repo_id, grantee.id, request.role, now=act.now)
    return RepoRole(principal=grantee.name, kind=grantee.kind, role=request.role, created=since)


@HANDLERS.change(REVOKE_ROLE)
def _revoke(act: Act, sql: Connection, request: RoleName) -> None:
    """Take a role for a repository away."""
    grantee = _grantee(act, sql, request.principal)
    if not grants.take(sql, act.standing.repo_id, grantee.id):
        raise NotFound(f"{grantee.name} has no role for {act.standing.org}/{act.standing.repo} alone: kist repo roles lists who has")


def _grantee(act: Act, sql: Connection, name: str) -> grants.Grantee:
    found = grants.find(sql, act.standing.org_id, act.standing.org, name)
    if found is None:
        raise NotFound(f"there is no user {name!r}, and no such service account of {act.standing.org}")
    return found
