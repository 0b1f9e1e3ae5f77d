"""Organisations in SQL, with their members and service accounts. No rule is here."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Row, Select, delete, exists, func, insert, or_, select, update

from kist.catalog import keys
from kist.catalog.tables import bucket_configs, grants, jobs, members, orgs, repos, service_accounts, users
from kist.models import Role

__all__ = [
    "AccountRow",
    "MemberRow",
    "OrgRow",
    "account",
    "account_page",
    "add",
    "add_account",
    "add_member",
    "by_id",
    "change",
    "change_account",
    "change_member",
    "drop",
    "drop_account",
    "drop_member",
    "find",
    "lock",
    "member",
    "member_page",
    "of",
    "other_admin",
    "repos_in",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrgRow:
    """One organisation, and what somebody is to it where that was asked. `owner_id`: whose personal one it is."""

    id: str
    name: str
    description: str
    owner_id: str | None
    created: datetime
    role: Role | None = None
    guest: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberRow:
    """One member."""

    user_id: str
    name: str
    email: str
    role: Role
    created: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRow:
    """One service account."""

    id: str
    org_id: str
    name: str
    role: Role | None
    disabled: bool
    created: datetime


def find(sql: Connection, name: str) -> OrgRow | None:
    """Return the organisation of this name."""
    return _one(sql, orgs.c.folded == name.casefold())


def by_id(sql: Connection, org_id: str) -> OrgRow | None:
    """Return the organisation with this id."""
    return _one(sql, orgs.c.id == org_id)


def of(sql: Connection, principal_id: str, *, only: str = "", after: str = "", limit: int) -> list[OrgRow]:
    """Return the organisations that somebody has a role in, or for a repository of which, in the order of their folded names."""
    member_role = select(members.c.role).where(members.c.org_id == orgs.c.id, members.c.user_id == principal_id).scalar_subquery()
    mine = (service_accounts.c.org_id == orgs.c.id, service_accounts.c.id == principal_id, ~service_accounts.c.disabled)
    account_role = select(service_accounts.c.role).where(*mine).scalar_subquery()
    granted = exists(
        select(grants.c.repo_id)
        .join(repos, repos.c.id == grants.c.repo_id)
        .where(repos.c.org_id == orgs.c.id, grants.c.principal_id == principal_id)
    )
    role = func.coalesce(member_role, account_role).label("role")
    query = select(orgs, role, granted.label("guest")).where(or_(role.is_not(None), granted), orgs.c.folded > after)
    if only:
        query = query.where(orgs.c.folded == only.casefold())
    return [_row(row) for row in sql.execute(query.order_by(orgs.c.folded).limit(limit))]


def add(sql: Connection, org: OrgRow) -> None:
    """Add an organisation, whose name is free."""
    values = {name: getattr(org, name) for name in ("id", "name", "description", "owner_id", "created")}
    sql.execute(insert(orgs).values(**values, folded=org.name.casefold()))


def change(sql: Connection, org_id: str, *, description: str) -> None:
    """Change what an organisation says of itself."""
    sql.execute(update(orgs).where(orgs.c.id == org_id).values(description=description))


def lock(sql: Connection, org_id: str, *, whole: bool = False) -> None:
    """Let nobody else change who is in an organisation until this transaction ends; with `whole`, nor put anything into it."""
    sql.execute(select(orgs.c.id).where(orgs.c.id == org_id).with_for_update(key_share=not whole)).one_or_none()


def repos_in(sql: Connection, org_id: str) -> tuple[int, int]:
    """Return how many repositories an organisation has, and how many of them are deleted but can be restored."""
    row = sql.execute(select(func.count().label("all"), func.count(repos.c.deleted).label("gone")).where(repos.c.org_id == org_id)).one()
    return row._mapping["all"], row._mapping["gone"]  # noqa: SLF001  a public name that cannot clash with a column's


def drop(sql: Connection, org_id: str) -> None:
    """Drop an organisation that has no repositories, and all else that is in it. Its audit log stays."""
    for (account_id,) in sql.execute(select(service_accounts.c.id).where(service_accounts.c.org_id == org_id)).all():
        drop_account(sql, account_id)
    sql.execute(delete(bucket_configs).where(bucket_configs.c.org_id == org_id))
    sql.execute(delete(jobs).where(jobs.c.org_id == org_id))
    sql.execute(delete(orgs).where(orgs.c.id == org_id))


def member(sql: Connection, org_id: str, user_id: str) -> MemberRow | None:
    """Return a member."""
    row = sql.execute(_members(org_id).where(members.c.user_id == user_id)).one_or_none()
    return None if row is None else _member(row)


def member_page(sql: Connection, org_id: str, *, after: str, limit: int) -> list[MemberRow]:
    """Return members in the order of their folded names."""
    return [_member(row) for row in sql.execute(_members(org_id).where(users.c.folded > after).order_by(users.c.folded).limit(limit))]


def add_member(sql: Connection, *, org_id: str, user_id: str, role: Role, now: datetime) -> None:
    """Add a member."""
    sql.execute(insert(members).values(org_id=org_id, user_id=user_id, role=role, created=now))


def change_member(sql: Connection, *, org_id: str, user_id: str, role: Role) -> None:
    """Give a member another role."""
    sql.execute(update(members).where(members.c.org_id == org_id, members.c.user_id == user_id).values(role=role))


def drop_member(sql: Connection, *, org_id: str, user_id: str) -> None:
    """Take a member out, with all roles for the organisation's repositories."""
    sql.execute(delete(members).where(members.c.org_id == org_id, members.c.user_id == user_id))
    here = select(repos.c.id).where(repos.c.org_id == org_id)
    sql.execute(delete(grants).where(grants.c.principal_id == user_id, grants.c.repo_id.in_(here)))


def other_admin(sql: Connection, org_id: str, user_id: str) -> bool:
    """Say whether somebody else is an admin of an organisation and can log in."""
    others = (
        select(members.c.user_id)
        .join(users, users.c.id == members.c.user_id)
        .where(members.c.org_id == org_id, members.c.role == "admin", members.c.user_id != user_id, ~users.c.disabled)
    )
    return sql.execute(others.limit(1)).one_or_none() is not None


def account(sql: Connection, org_id: str, name: str) -> AccountRow | None:
    """Return a service account of an organisation."""
    query = select(service_accounts).where(service_accounts.c.org_id == org_id, service_accounts.c.folded == name.casefold())
    row = sql.execute(query).one_or_none()
    return None if row is None else _account(row)


def account_page(sql: Connection, org_id: str, *, after: str, limit: int) -> list[AccountRow]:
    """Return service accounts in the order of their folded names."""
    query = select(service_accounts).where(service_accounts.c.org_id == org_id, service_accounts.c.folded > after)
    return [_account(row) for row in sql.execute(query.order_by(service_accounts.c.folded).limit(limit))]


def add_account(sql: Connection, row: AccountRow) -> None:
    """Add a service account, whose name is free in its organisation."""
    values = {name: getattr(row, name) for name in AccountRow.__dataclass_fields__}
    sql.execute(insert(service_accounts).values(**values, folded=row.name.casefold()))


def change_account(sql: Connection, account_id: str, **values: object) -> None:
    """Set columns of a service account."""
    sql.execute(update(service_accounts).where(service_accounts.c.id == account_id).values(**values))


def drop_account(sql: Connection, account_id: str) -> None:
    """Drop a service account with its keys and its roles, wherever they are."""
    keys.drop_of(sql, [account_id])
    sql.execute(delete(grants).where(grants.c.principal_id == account_id))
    sql.execute(delete(service_accounts).where(service_accounts.c.id == account_id))


def _members(org_id: str) -> Select[tuple[str, str, str | None, str, datetime]]:
    return (
        select(members.c.user_id, users.c.name, users.c.email, members.c.role, members.c.created)
        .join(users, users.c.id == members.c.user_id)
        .where(members.c.org_id == org_id)
    )


def _member(row: Row[*tuple[object, ...]]) -> MemberRow:
    said = row._mapping  # noqa: SLF001  a public name that cannot clash with a column's
    return MemberRow(**{**said, "email": said["email"] or ""})


def _account(row: Row[*tuple[object, ...]]) -> AccountRow:
    said = row._mapping  # noqa: SLF001  as above
    return AccountRow(**{name: said[name] for name in AccountRow.__dataclass_fields__})


def _one(sql: Connection, condition: ColumnElement[bool]) -> OrgRow | None:
    row = sql.execute(select(orgs).where(condition)).one_or_none()
    return None if row is None else _row(row)


def _row(row: Row[*tuple[object, ...]]) -> OrgRow:
    said = row._mapping  # noqa: SLF001  as above
    return OrgRow(**{name: said[name] for name in OrgRow.__dataclass_fields__ if name in said})
