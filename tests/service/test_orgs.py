"""Organisations: made and deleted; who is in them, and that somebody always manages one."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, insert
from tests.service.people import People, at_once

from kist.catalog import audit, buckets, orgs, repos
from kist.catalog.buckets import BucketRow
from kist.catalog.repos import RepoRow
from kist.catalog.tables import grants
from kist.errors import AlreadyExists, Conflict, Denied, InvalidInput, NotFound, Unauthenticated
from kist.ids import new_id
from kist.models import Role, Scope
from kist.models.requests import (
    AccountName,
    CreateOrg,
    CreateServiceAccount,
    CreateServiceKey,
    DeleteOrg,
    ListInOrg,
    ListOrgs,
    MemberName,
    ModifyOrg,
    ModifyServiceAccount,
    OrgName,
    Request,
    SetMember,
)
from kist.operations import (
    CREATE_ORG,
    CREATE_SERVICE_ACCOUNT,
    CREATE_SERVICE_KEY,
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
    Operation,
)
from kist.service import authentication
from kist.service.policy import Principal
from kist.service.rooms import Caller

SURE = DeleteOrg(org="lab", imsure=True, imreallysure=True)


@pytest.fixture
def ann(people: People) -> Caller:
    """The admin of `lab`."""
    made = people.add("ann")
    people.org("lab", made)
    return made


def add_repo(people: People, name: str = "data", *, org: str = "lab", deleted: bool = False) -> str:
    """Add a repository to the catalog, and return its id."""
    now, ids = people.clock(), (new_id(), new_id())
    place: dict[str, Any] = {"org_id": people.org_id(org), "prefix": name, "created": now, "created_by": "ann", "updated": now}
    bucket: dict[str, Any] = {
        "nickname": name,
        "platform": "s3",
        "name": name,
        "extra_config": {},
        "auth_method": "ambient",
        "credentials": None,
    }
    row: dict[str, Any] = {
        "name": name,
        "kind": "files",
        "description": "",
        "metadata": {},
        "authority": "create",
        "deleted": now if deleted else None,
    }

    def change(sql: Connection) -> None:
        buckets.add(sql, BucketRow(id=ids[0], place=f"s3/{ids[0]}/", is_default=False, **bucket, **place))
        repos.add(sql, RepoRow(id=ids[1], bucket_config_id=ids[0], **row, **place))

    people.rooms.database.change(change)
    return ids[1]


def grant(people: People, repo_id: str, principal_id: str, role: Role = "writer") -> None:
    values = {"repo_id": repo_id, "principal_id": principal_id, "role": role, "created": people.clock()}
    people.rooms.database.change(lambda sql: sql.execute(insert(grants).values(**values)))


def members(people: People, org: str, caller: Caller) -> dict[str, Role]:
    return {member.name: member.role for member in people.do(LIST_MEMBERS, ListInOrg(org=org), caller).items}


def test_whoever_makes_an_organisation_is_its_admin(people: People) -> None:
    org = people.do(CREATE_ORG, CreateOrg(name="lab", description="Ours"), people.add("ann"))

    assert (org.name, org.description, org.role, org.personal) == ("lab", "Ours", "admin", False)


def test_a_name_is_taken_whatever_its_case(people: People, ann: Caller) -> None:
    with pytest.raises(AlreadyExists, match="'LAB'"):
        people.do(CREATE_ORG, CreateOrg(name="LAB"), ann)


@pytest.mark.parametrize("name", ["api", "Orgs", "metrics", "-", "a/b", "lab\n"])
def test_a_name_that_pages_or_paths_need_is_refused(people: People, name: str) -> None:
    with pytest.raises(InvalidInput):
        people.do(CREATE_ORG, CreateOrg(name=name), people.root)


def test_an_admin_of_the_server_may_keep_making_organisations_to_admins(people: People) -> None:
    strict = people.with_rules(users_create_orgs=False)
    ann = strict.add("ann")

    with pytest.raises(Denied, match="only its admins"):
        strict.do(CREATE_ORG, CreateOrg(name="lab"), ann)
    assert strict.do(CREATE_ORG, CreateOrg(name="lab"), strict.root).name == "lab"


def test_of_many_who_take_a_name_at_once_one_gets_it(people: People) -> None:
    outcomes = at_once([lambda name=name: people.do(CREATE_ORG, CreateOrg(name=name), people.root) for name in ("lab", "Lab") * 4])  # type: ignore[misc]

    assert sorted(outcomes) == ["AlreadyExists"] * 7 + ["done"]


def test_one_sees_the_organisations_that_one_has_to_do_with(people: People, ann: Caller) -> None:
    bob = people.add("bob")
    people.org("other", people.root)
    grant(people, add_repo(people), bob.who.id)

    assert [(org.name, org.role) for org in people.do(LIST_ORGS, ListOrgs(), ann).items] == [("ann", "admin"), ("lab", "admin")]
    assert [(org.name, org.role) for org in people.do(LIST_ORGS, ListOrgs(), bob).items] == [("bob", "admin"), ("lab", None)]


def test_organisations_are_listed_page_by_page(people: People, ann: Caller) -> None:
    people.org("zoo", ann)

    first = people.do(LIST_ORGS, ListOrgs(limit=2), ann)
    second = people.do(LIST_ORGS, ListOrgs(limit=2, after=first.next), ann)

    assert [[org.name for org in page.items] for page in (first, second)] == [["ann", "lab"], ["zoo"]]
    assert second.next == ""


def test_a_key_for_one_organisation_shows_no_other(people: People, ann: Caller) -> None:
    scoped = Caller(who=Principal(id=ann.who.id, name="ann", kind="user", scope=Scope(org="LAB", role="reader")))

    assert [(org.name, org.role) for org in people.do(LIST_ORGS, ListOrgs(), scoped).items] == [("lab", "reader")]
    with pytest.raises(NotFound):
        people.do(GET_ORG, OrgName(org="ann"), scoped)


def test_what_an_organisation_says_of_itself_can_be_changed(people: People, ann: Caller) -> None:
    assert people.do(MODIFY_ORG, ModifyOrg(org="lab", description="Ours"), ann).description == "Ours"
    assert people.do(MODIFY_ORG, ModifyOrg(org="lab"), ann).description == "Ours"


@pytest.mark.parametrize("sure", [{}, {"imsure": True}, {"imreallysure": True}], ids=["neither", "one", "other"])
def test_deleting_needs_both_flags(people: People, ann: Caller, sure: dict[str, bool]) -> None:
    with pytest.raises(InvalidInput, match="imsure and imreallysure must be set to True"):
        people.do(DELETE_ORG, DeleteOrg(org="lab", **sure), ann)


@pytest.mark.parametrize(("deleted", "said"), [(False, "has 1 repositories:"), (True, r"\(1 of them deleted, but not yet for good\)")])
def test_an_organisation_with_repositories_stays(people: People, ann: Caller, deleted: bool, said: str) -> None:  # noqa: FBT001
    add_repo(people, deleted=deleted)

    with pytest.raises(Conflict, match=said):
        people.do(DELETE_ORG, SURE, ann)


def test_a_personal_organisation_stays(people: People, ann: Caller) -> None:
    with pytest.raises(Conflict, match="personal"):
        people.do(DELETE_ORG, DeleteOrg(org="ann", imsure=True, imreallysure=True), ann)


def test_a_deleted_organisation_is_gone_with_its_accounts_and_their_keys(people: People, ann: Caller) -> None:
    people.do(CREATE_SERVICE_ACCOUNT, CreateServiceAccount(org="lab", name="bot", role="writer"), ann)
    issued = people.do(CREATE_SERVICE_KEY, CreateServiceKey(org="lab", service_account="bot", name="ci"), ann)

    people.do(DELETE_ORG, SURE, ann)

    with pytest.raises(NotFound):
        people.do(GET_ORG, OrgName(org="lab"), ann)
    with pytest.raises(Unauthenticated):
        authentication.by_token(people.rooms, issued.secret)
    assert people.do(CREATE_ORG, CreateOrg(name="lab"), ann).name == "lab"


def test_the_audit_log_outlives_its_organisation(people: People, ann: Caller) -> None:
    org_id = people.org_id("lab")

    people.do(DELETE_ORG, SURE, ann)

    with people.rooms.database.reading() as sql:
        assert [(line.operation, line.outcome) for line in audit.lines(sql, org_id)] == [("delete_org", "done"), ("create_org", "done")]


def test_members_are_listed_with_their_roles(people: People, ann: Caller) -> None:
    people.add("Bob", email="bob@lab.org")
    people.do(SET_MEMBER, SetMember(org="lab", user="bob", role="reader"), ann)

    first = people.do(LIST_MEMBERS, ListInOrg(org="lab", limit=1), ann)
    second = people.do(LIST_MEMBERS, ListInOrg(org="lab", limit=1, after=first.next), ann)

    assert [(member.name, member.email, member.role) for member in first.items + second.items] == [
        ("ann", "", "admin"),
        ("Bob", "bob@lab.org", "reader"),
    ]


def test_an_unknown_user_can_be_no_member(people: People, ann: Caller) -> None:
    with pytest.raises(NotFound, match="no user 'nobody'"):
        people.do(SET_MEMBER, SetMember(org="lab", user="nobody", role="reader"), ann)


def test_a_member_who_is_removed_loses_the_roles_for_repositories_there_and_nowhere_else(people: People, ann: Caller) -> None:
    bob = people.add("bob")
    people.org("other", people.root)
    people.do(SET_MEMBER, SetMember(org="lab", user="bob", role="reader"), ann)
    grant(people, add_repo(people), bob.who.id)
    grant(people, add_repo(people, "elsewhere", org="other"), bob.who.id)

    people.do(REMOVE_MEMBER, MemberName(org="lab", user="bob"), ann)

    assert [org.name for org in people.do(LIST_ORGS, ListOrgs(), bob).items] == ["bob", "other"]


def test_who_is_no_member_can_not_be_removed(people: People, ann: Caller) -> None:
    people.add("bob")
    for name in ("bob", "nobody"):
        with pytest.raises(NotFound, match="no member"):
            people.do(REMOVE_MEMBER, MemberName(org="lab", user=name), ann)


@pytest.mark.parametrize(
    ("operation", "request_"),
    [(SET_MEMBER, SetMember(org="lab", user="ann", role="writer")), (REMOVE_MEMBER, MemberName(org="lab", user="ann"))],
    ids=["demoted", "removed"],
)
def test_the_last_admin_stays(people: People, ann: Caller, operation: Operation[Request, object], request_: Request) -> None:
    people.add("bob")
    people.do(SET_MEMBER, SetMember(org="lab", user="bob", role="writer"), ann)

    with pytest.raises(Conflict, match="last admin"):
        people.do(operation, request_, ann)


def test_an_admin_who_can_not_log_in_is_not_counted(people: People, ann: Caller) -> None:
    people.add("bob")
    people.do(SET_MEMBER, SetMember(org="lab", user="bob", role="admin"), ann)
    people.disable("bob")

    with pytest.raises(Conflict, match="last admin"):
        people.do(REMOVE_MEMBER, MemberName(org="lab", user="ann"), ann)
    people.do(REMOVE_MEMBER, MemberName(org="lab", user="bob"), ann)


def test_the_owner_of_a_personal_organisation_stays_though_there_are_other_admins(people: People, ann: Caller) -> None:
    people.add("bob")
    people.do(SET_MEMBER, SetMember(org="ann", user="bob", role="admin"), ann)

    for operation, request in (
        (SET_MEMBER, SetMember(org="ann", user="ann", role="reader")),
        (REMOVE_MEMBER, MemberName(org="ann", user="ann")),
    ):
        with pytest.raises(Conflict, match="personal"):
            people.do(operation, request, ann)


def test_of_the_last_two_admins_whom_many_demote_at_once_one_stays(people: People, ann: Caller) -> None:
    bob = people.add("bob")
    people.do(SET_MEMBER, SetMember(org="lab", user="bob", role="admin"), ann)

    def demote(caller: Caller, name: str) -> Callable[[], object]:
        return lambda: people.do(SET_MEMBER, SetMember(org="lab", user=name, role="reader"), caller)

    outcomes = at_once([demote(caller, name) for caller in (ann, bob) for name in ("ann", "bob")] * 2)

    roles = list(members(people, "lab", ann).values())
    assert sorted(roles) == ["admin", "reader"]
    assert "done" in outcomes


def test_of_the_last_two_admins_who_remove_each_other_at_once_one_stays(people: People, ann: Caller) -> None:
    bob = people.add("bob")
    people.do(SET_MEMBER, SetMember(org="lab", user="bob", role="admin"), ann)

    at_once(
        [
            lambda: people.do(REMOVE_MEMBER, MemberName(org="lab", user="bob"), ann),
            lambda: people.do(REMOVE_MEMBER, MemberName(org="lab", user="ann"), bob),
        ]
    )

    with people.rooms.database.reading() as sql:
        assert [row.role for row in orgs.member_page(sql, people.org_id("lab"), after="", limit=10)] == ["admin"]


def test_a_writer_manages_nobody(people: People, ann: Caller) -> None:
    bob = people.add("bob")
    people.do(SET_MEMBER, SetMember(org="lab", user="bob", role="writer"), ann)

    with pytest.raises(Denied, match="role admin"):
        people.do(SET_MEMBER, SetMember(org="lab", user="bob", role="admin"), bob)


def test_service_accounts_are_made_listed_and_changed(people: People, ann: Caller) -> None:
    for name in ("bot", "Ant"):
        people.do(CREATE_SERVICE_ACCOUNT, CreateServiceAccount(org="lab", name=name, role="writer"), ann)
    changed = people.do(MODIFY_SERVICE_ACCOUNT, ModifyServiceAccount(org="lab", service_account="BOT", role=None, disabled=True), ann)

    found = people.do(LIST_SERVICE_ACCOUNTS, ListInOrg(org="lab"), ann).items

    assert (changed.name, changed.role, changed.disabled) == ("bot", None, True)
    assert [(account.name, account.role, account.disabled) for account in found] == [("Ant", "writer", False), ("bot", None, True)]


def test_two_accounts_of_an_organisation_have_two_names(people: People, ann: Caller) -> None:
    people.do(CREATE_SERVICE_ACCOUNT, CreateServiceAccount(org="lab", name="bot"), ann)

    with pytest.raises(AlreadyExists, match="'BOT'"):
        people.do(CREATE_SERVICE_ACCOUNT, CreateServiceAccount(org="lab", name="BOT"), ann)
    assert people.do(CREATE_SERVICE_ACCOUNT, CreateServiceAccount(org="ann", name="bot"), ann).name == "bot"


def test_a_service_account_acts_in_its_role_until_it_is_disabled(people: People, ann: Caller) -> None:
    people.do(CREATE_SERVICE_ACCOUNT, CreateServiceAccount(org="lab", name="bot", role="reader"), ann)
    secret = people.do(CREATE_SERVICE_KEY, CreateServiceKey(org="lab", service_account="bot", name="ci"), ann).secret
    bot = Caller(who=authentication.by_token(people.rooms, secret))

    assert members(people, "lab", bot) == {"ann": "admin"}
    with pytest.raises(Denied):
        people.do(MODIFY_ORG, ModifyOrg(org="lab", description="mine"), bot)
    people.do(MODIFY_SERVICE_ACCOUNT, ModifyServiceAccount(org="lab", service_account="bot", disabled=True), ann)
    with pytest.raises(Unauthenticated):
        authentication.by_token(people.rooms, secret)
    with pytest.raises(NotFound):
        members(people, "lab", bot)


def test_a_deleted_service_account_is_gone_with_its_keys_and_roles(people: People, ann: Caller) -> None:
    made = people.do(CREATE_SERVICE_ACCOUNT, CreateServiceAccount(org="lab", name="bot"), ann)
    secret = people.do(CREATE_SERVICE_KEY, CreateServiceKey(org="lab", service_account="bot", name="ci"), ann).secret
    grant(people, add_repo(people), made.id)

    people.do(DELETE_SERVICE_ACCOUNT, AccountName(org="lab", service_account="bot"), ann)

    with pytest.raises(Unauthenticated):
        authentication.by_token(people.rooms, secret)
    with people.rooms.database.reading() as sql:
        assert orgs.of(sql, made.id, limit=10) == []
    with pytest.raises(NotFound):
        people.do(DELETE_SERVICE_ACCOUNT, AccountName(org="lab", service_account="bot"), ann)
