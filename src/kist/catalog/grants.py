"""Roles for single repositories, of users and of service accounts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, delete, insert, literal, select, union_all, update

from kist.catalog.tables import grants, orgs, service_accounts, users
from kist.models import RepoRole, Role

__all__ = ["Grantee", "find", "give", "of_repo", "take"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grantee:
    """Somebody who may have a role; an account is called ``org/name``."""

    id: str
    name: str
    kind: Literal["user", "service-account"]


def find(sql: Connection, org_id: str, org: str, name: str) -> Grantee | None:
    """Return the user of this name, else the service account of this organisation, called by its name or as ``org/name``."""
    account_of, slash, account = name.rpartition("/")
    if not slash:
        user = sql.execute(select(users.c.id, users.c.name).where(users.c.folded == name.casefold())).one_or_none()
        if user is not None:
            return Grantee(id=user.id, name=user.name, kind="user")
    elif account_of.casefold() != org.casefold():
        return None
    found = sql.execute(
        select(service_accounts.c.id, service_accounts.c.name).where(
            service_accounts.c.org_id == org_id, service_accounts.c.folded == account.casefold()
        )
    ).one_or_none()
    return None if found is None else Grantee(id=found.id, name=f"{org}/{found.name}", kind="service-account")


def of_repo(sql: Connection, repo_id: str) -> Sequence[RepoRole]:
    """Return the roles that there are for a repository, by name."""
    of_users = select(users.c.name.label("name"), literal("").label("org"), grants.c.role, grants.c.created).join(
        users, users.c.id == grants.c.principal_id
    )
    of_accounts = (
        select(service_accounts.c.name.label("name"), orgs.c.name.label("org"), grants.c.role, grants.c.created)
        .join(service_accounts, service_accounts.c.id == grants.c.principal_id)
        .join(orgs, orgs.c.id == service_accounts.c.org_id)
    )
    rows = sql.execute(union_all(of_users.where(grants.c.repo_id == repo_id), of_accounts.where(grants.c.repo_id == repo_id)))
    found = [
        RepoRole(
            principal=f"{row.org}/{row.name}" if row.org else row.name,
            kind="service-account" if row.org else "user",
            role=row.role,
            created=row.created,
        )
        for row in rows
    ]
    return sorted(found, key=lambda one: one.principal.casefold())


def give(sql: Connection, repo_id: str, principal_id: str, role: Role, *, now: datetime) -> datetime:
    """Give somebody a role, in place of the one they had; return since when they have one."""
    mine = (grants.c.repo_id == repo_id) & (grants.c.principal_id == principal_id)
    created: datetime | None = sql.execute(select(grants.c.created).where(mine)).scalar_one_or_none()
    if created is not None:
        sql.execute(update(grants).where(mine).values(role=role))
        return created
    sql.execute(insert(grants).values(repo_id=repo_id, principal_id=principal_id, role=role, created=now))
    return now


def take(sql: Connection, repo_id: str, principal_id: str) -> bool:
    """Take somebody's role away, and say whether there was one."""
    return sql.execute(delete(grants).where(grants.c.repo_id == repo_id, grants.c.principal_id == principal_id)).rowcount == 1
