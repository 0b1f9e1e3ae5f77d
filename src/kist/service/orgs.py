"""Organisations: who is in them, and in which role. Somebody always stays who manages one."""

from collections.abc import Callable, Sequence

from msgspec import UNSET
from sqlalchemy import Connection

from kist.catalog import orgs, people
from kist.catalog.orgs import AccountRow, MemberRow, OrgRow
from kist.catalog.people import UserRow
from kist.catalog.standing import Standing
from kist.errors import AlreadyExists, Conflict, Denied, InvalidInput, NotFound
from kist.ids import check_account_name, check_owner_name, new_id
from kist.models import Member, Org, ServiceAccount
from kist.models.requests import (
    AccountName,
    CreateOrg,
    CreateServiceAccount,
    DeleteOrg,
    ListInOrg,
    ListOrgs,
    MemberName,
    ModifyOrg,
    ModifyServiceAccount,
    OrgName,
    Page,
    SetMember,
)
from kist.operations import (
    CREATE_ORG,
    CREATE_SERVICE_ACCOUNT,
    DELETE_ORG,
    DELETE_SERVICE_ACCOUNT,
    GET_ORG,
    LIST_MEMBERS,
    LIST_ORGS,
    LIST_SERVICE_ACCOUNTS,
    MODIFY_ORG,
    MODIFY_SERVICE_ACCOUNT,
    REMOVE_MEMBER,
    SET_MEMBER,
    Need,
)
from kist.service import policy
from kist.service.handlers import Handlers
from kist.service.policy import Principal
from kist.service.rooms import Act

__all__ = ["HANDLERS", "visible_orgs"]

HANDLERS = Handlers()


@HANDLERS.look(LIST_ORGS)
def list_orgs(act: Act, sql: Connection, request: ListOrgs) -> Page[Org]:
    """List the organisations that whoever asks has to do with."""
    found = visible_orgs(sql, act.who, after=request.after, limit=request.limit + 1)
    return _page(found, request.limit, lambda org: org)


@HANDLERS.change(CREATE_ORG)
def create_org(act: Act, sql: Connection, request: CreateOrg) -> Org:
    """Make an organisation, whose admin is who asks."""
    if not (act.rooms.rules.users_create_orgs or act.who.admin):
        raise Denied("on this server only its admins make organisations: ask one of them")
    name = check_owner_name(request.name, what="organisation")
    if orgs.find(sql, name) is not None:
        raise AlreadyExists(f"there is an organisation {name!r} already: choose another name")
    org = OrgRow(id=new_id(), name=name, description=request.description, owner_id=None, created=act.now, role="admin")
    orgs.add(sql, org)
    orgs.add_member(sql, org_id=org.id, user_id=act.who.id, role="admin", now=act.now)
    return _told(org)


@HANDLERS.look(GET_ORG)
def get_org(act: Act, sql: Connection, _request: OrgName) -> Org:
    """Get an organisation."""
    return _here(act, sql)


@HANDLERS.change(MODIFY_ORG)
def modify_org(act: Act, sql: Connection, request: ModifyOrg) -> Org:
    """Change an organisation."""
    if request.description is not UNSET:
        orgs.change(sql, act.standing.org_id, description=request.description)
    return _here(act, sql)


@HANDLERS.change(DELETE_ORG)
def delete_org(act: Act, sql: Connection, request: DeleteOrg) -> None:
    """Delete an organisation that has no repositories, with its members, accounts, bucket configs and mounts."""
    if not (request.imsure and request.imreallysure):
        raise InvalidInput("imsure and imreallysure must be set to True to delete an organisation")
    org_id, name = act.standing.org_id, act.standing.org
    orgs.lock(sql, org_id, whole=True)
    org = orgs.by_id(sql, org_id)
    if org is not None and org.owner_id is not None:
        raise Conflict(f"{name!r} is the personal organisation of a user: it lasts as long as its user")
    count, gone = orgs.repos_in(sql, org_id)
    if count:
        trash = f" ({gone} of them deleted, but not yet for good)" if gone else ""
        raise Conflict(
            f"the organisation {name!r} has {count} repositories{trash}: delete them first, and wait until they are gone for good"
        )
    orgs.drop(sql, org_id)


@HANDLERS.look(LIST_MEMBERS)
def list_members(act: Act, sql: Connection, request: ListInOrg) -> Page[Member]:
    """List members by name."""
    return _page(orgs.member_page(sql, act.standing.org_id, after=request.after, limit=request.limit + 1), request.limit, _member)


@HANDLERS.change(SET_MEMBER)
def set_member(act: Act, sql: Connection, request: SetMember) -> Member:
    """Make a user a member, or give a member another role."""
    org_id = act.standing.org_id
    orgs.lock(sql, org_id)
    user = _user(sql, request.user)
    act.details["role"] = request.role
    found = orgs.member(sql, org_id, user.id)
    if found is None:
        orgs.add_member(sql, org_id=org_id, user_id=user.id, role=request.role, now=act.now)
    elif found.role != request.role:
        if found.role == "admin":
            _check_admins_left(act, sql, user)
        act.details["was"] = found.role
        orgs.change_member(sql, org_id=org_id, user_id=user.id, role=request.role)
    made = orgs.member(sql, org_id, user.id)
    if made is None:
        raise NotFound(f"there is no organisation {request.org!r} any more")
    return _member(made)


@HANDLERS.change(REMOVE_MEMBER)
def remove_member(act: Act, sql: Connection, request: MemberName) -> None:
    """Take a member out, with all roles for the organisation's repositories."""
    org_id = act.standing.org_id
    orgs.lock(sql, org_id)
    user = people.find(sql, request.user)
    found = orgs.member(sql, org_id, user.id) if user else None
    if user is None or found is None:
        raise NotFound(f"{request.user!r} is no member of the organisation {act.standing.org!r}")
    if found.role == "admin":
        _check_admins_left(act, sql, user)
    orgs.drop_member(sql, org_id=org_id, user_id=user.id)


@HANDLERS.look(LIST_SERVICE_ACCOUNTS)
def list_service_accounts(act: Act, sql: Connection, request: ListInOrg) -> Page[ServiceAccount]:
    """List service accounts by name."""
    return _page(orgs.account_page(sql, act.standing.org_id, after=request.after, limit=request.limit + 1), request.limit, _account)


@HANDLERS.change(CREATE_SERVICE_ACCOUNT)
def create_service_account(act: Act, sql: Connection, request: CreateServiceAccount) -> ServiceAccount:
    """Make a service account."""
    name = check_account_name(request.name, what="service account")
    if orgs.account(sql, act.standing.org_id, name) is not None:
        raise AlreadyExists(f"there is a service account {name!r} in {act.standing.org!r} already: choose another name")
    row = AccountRow(id=new_id(), org_id=act.standing.org_id, name=name, role=request.role, disabled=False, created=act.now)
    orgs.add_account(sql, row)
    act.details["role"] = request.role
    return _account(row)


@HANDLERS.change(MODIFY_SERVICE_ACCOUNT)
def modify_service_account(act: Act, sql: Connection, request: ModifyServiceAccount) -> ServiceAccount:
    """Change the role of a service account, or disable it with all its keys."""
    row = _found(act, sql, request.service_account)
    values: dict[str, object] = {}
    if request.role is not UNSET:
        values["role"] = request.role
    if request.disabled is not UNSET:
        values["disabled"] = request.disabled
    act.details.update(values)
    if values:
        orgs.change_account(sql, row.id, **values)
    return _account(_found(act, sql, request.service_account))


@HANDLERS.change(DELETE_SERVICE_ACCOUNT)
def delete_service_account(act: Act, sql: Connection, request: AccountName) -> None:
    """Delete a service account with its keys and its roles."""
    orgs.drop_account(sql, _found(act, sql, request.service_account).id)


def visible_orgs(sql: Connection, who: Principal, *, after: str, limit: int) -> list[Org]:
    """Return organisations of a principal, by name, as far as the key reaches."""
    told = []
    for row in orgs.of(sql, who.id, only=who.scope.org, after=after, limit=limit):
        held = Standing(org_id=row.id, org=row.name, org_role=row.role, guest=row.guest)
        counted = policy.check(Need.ORG_GUEST, who, held, org=row.name)
        told.append(_told(row, counted))
    return told


def _here(act: Act, sql: Connection) -> Org:
    row = orgs.by_id(sql, act.standing.org_id)
    if row is None:
        raise NotFound(f"there is no organisation {act.standing.org!r} any more")
    return _told(row, act.standing)


def _check_admins_left(act: Act, sql: Connection, user: UserRow) -> None:
    """See that an admin may go: the owner of a personal organisation stays, and so does the last one."""
    org = orgs.by_id(sql, act.standing.org_id)
    if org is not None and org.owner_id == user.id:
        raise Conflict(f"{act.standing.org!r} is the personal organisation of {user.name}, who stays its admin")
    if not orgs.other_admin(sql, act.standing.org_id, user.id):
        raise Conflict(f"{user.name} is the last admin of the organisation {act.standing.org!r}: make another one first")


def _user(sql: Connection, name: str) -> UserRow:
    found = people.find(sql, name)
    if found is None:
        raise NotFound(f"there is no user {name!r} on this server")
    return found


def _found(act: Act, sql: Connection, name: str) -> AccountRow:
    found = orgs.account(sql, act.standing.org_id, name)
    if found is None:
        raise NotFound(f"there is no service account {name!r} in the organisation {act.standing.org!r}")
    return found


def _page[Row: (Org, MemberRow, AccountRow), Out](rows: Sequence[Row], limit: int, told: Callable[[Row], Out]) -> Page[Out]:
    """Return a page of rows in the order of their names, of which one more than asked for may be there."""
    return Page(items=[told(row) for row in rows[:limit]], next=rows[limit - 1].name.casefold() if len(rows) > limit else "")


def _told(row: OrgRow, counted: Standing | None = None) -> Org:
    role = counted.org_role if counted else row.role
    return Org(id=row.id, name=row.name, description=row.description, personal=row.owner_id is not None, role=role, created=row.created)


def _member(row: MemberRow) -> Member:
    return Member(name=row.name, email=row.email, role=row.role, created=row.created)


def _account(row: AccountRow) -> ServiceAccount:
    return ServiceAccount(id=row.id, name=row.name, role=row.role, disabled=row.disabled, created=row.created)
