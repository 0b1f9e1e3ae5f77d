"""What a principal is to an organisation and one of its repositories, in one look."""

from dataclasses import dataclass

from sqlalchemy import Connection, case, exists, select

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


def find(sql: Connection, principal_id: str, org: str, repo: str = "") -> Standing:
    """Look up what a request names. Of repositories with one name, the one that is not deleted counts, else the one deleted last."""
    membership = select(members.c.role).where(members.c.org_id == orgs.c.id, members.c.user_id == principal_id).scalar_subquery()
    account = (
        select(service_accounts.c.role)
        .where(service_accounts.c.org_id == orgs.c.id, service_accounts.c.id == principal_id, ~service_accounts.c.disabled)
        .scalar_subquery()
    )
    granted = exists(
        select(grants.c.repo_id)
        .join(repos, repos.c.id == grants.c.repo_id)
        .where(repos.c.org_id == orgs.c.id, grants.c.principal_id == principal_id)
    )
    row = sql.execute(
        select(orgs.c.id, orgs.c.name, membership.label("member"), account.label("account"), granted.label("guest")).where(
            orgs.c.folded == org.casefold()
        )
    ).one_or_none()
    if row is None:
        return Standing()
    role = row.member or row.account
    if not repo:
        return Standing(org_id=row.id, org=row.name, org_role=role, guest=row.guest)
    found = sql.execute(
        select(repos.c.id, repos.c.name, repos.c.deleted, grants.c.role)
        .outerjoin(grants, (grants.c.repo_id == repos.c.id) & (grants.c.principal_id == principal_id))
        .where(repos.c.org_id == row.id, repos.c.folded == repo.casefold())
        .order_by(case((repos.c.deleted.is_(None), 0), else_=1), repos.c.deleted.desc())
        .limit(1)
    ).one_or_none()
    if found is None:
        return Standing(org_id=row.id, org=row.name, org_role=role, guest=row.guest)
    return Standing(
        org_id=row.id,
        org=row.name,
        org_role=role,
        guest=row.guest,
        repo_id=found.id,
        repo=found.name,
        repo_role=found.role,
        deleted=found.deleted is not None,
    )
