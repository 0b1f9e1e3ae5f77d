"""What a principal is to an organisation and one of its repositories, in one look."""

from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection, String, bindparam, case, exists, select

from kist.catalog.tables import grants, members, orgs, repos, service_accounts
from kist.models import Role

__all__ = ["Standing", "find"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the catalog knows of a principal before a request: ids of what the request names (empty: no such thing), and the roles.

    `guest` says that there is a role for some repository of the organisation.
    """

    org_id: str = ""
    org: str = ""
    org_role: Role | None = None
    guest: bool = False
    repo_id: str = ""
    repo: str = ""
    repo_role: Role | None = None
    deleted: bool = False


_WHO, _ORG, _REPO = bindparam("who", type_=String), bindparam("org", type_=String), bindparam("repo", type_=String)
_IN_ORG: Final = select(
    orgs.c.id,
    orgs.c.name,
    select(members.c.role).where(members.c.org_id == orgs.c.id, members.c.user_id == _WHO).scalar_subquery().label("member"),
    select(service_accounts.c.role)
    .where(service_accounts.c.org_id == orgs.c.id, service_accounts.c.id == _WHO, ~service_accounts.c.disabled)
    .scalar_subquery()
    .label("account"),
    exists(
        select(grants.c.repo_id)
        .join(repos, repos.c.id == grants.c.repo_id)
        .where(repos.c.org_id == orgs.c.id, grants.c.principal_id == _WHO)
    ).label("guest"),
).where(orgs.c.folded == _ORG)
_FOR_REPO: Final = (
    select(repos.c.id, repos.c.name, repos.c.deleted, grants.c.role)
    .outerjoin(grants, (grants.c.repo_id == repos.c.id) & (grants.c.principal_id == _WHO))
    .where(repos.c.org_id == _ORG, repos.c.folded == _REPO)
    .order_by(case((repos.c.deleted.is_(None), 0), else_=1), repos.c.deleted.desc())
    .limit(1)
)
# made once: every operation asks for them, and making them takes longer than the answer


def find(sql: Connection, principal_id: str, org: str, repo: str = "") -> Standing:
    """Look up what a request names. Of repositories with one name, the one that is not deleted counts, else the one deleted last."""
    row = sql.execute(_IN_ORG, {"who": principal_id, "org": org.casefold()}).one_or_none()
    if row is None:
        return Standing()
    in_org = Standing(org_id=row.id, org=row.name, org_role=row.member or row.account, guest=row.guest)
    found = sql.execute(_FOR_REPO, {"who": principal_id, "org": row.id, "repo": repo.casefold()}).one_or_none() if repo else None
    if found is None:
        return in_org
    return replace(in_org, repo_id=found.id, repo=found.name, repo_role=found.role, deleted=found.deleted is not None)
