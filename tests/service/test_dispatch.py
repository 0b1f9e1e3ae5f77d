"""The one door: what is asked for twice with one key is done once, and what fails leaves nothing."""

from dataclasses import replace

import pytest
from tests.service.people import People

from kist.errors import AlreadyExists, Denied, InvalidInput
from kist.models import AuditLine
from kist.models.requests import CreateKey, CreateOrg, CreateServiceAccount, DeleteOrg, ListAudit, ListKeys, ListOrgs, ModifyOrg, SetMember
from kist.operations import (
    CREATE_KEY,
    CREATE_ORG,
    CREATE_SERVICE_ACCOUNT,
    DELETE_ORG,
    LIST_AUDIT,
    LIST_KEYS,
    LIST_ORGS,
    MODIFY_ORG,
    OPERATIONS,
    SET_MEMBER,
)
from kist.service.assembly import make_service
from kist.service.rooms import Caller


@pytest.fixture
def ann(people: People) -> Caller:
    return people.add("ann")


def once(caller: Caller, key: str = "k1") -> Caller:
    return replace(caller, idempotency_key=key)


def lines(people: People, caller: Caller) -> list[AuditLine]:
    return people.do(LIST_AUDIT, ListAudit(org="lab"), caller).items


def test_a_change_asked_for_twice_is_done_once(people: People, ann: Caller) -> None:
    first = people.do(CREATE_ORG, CreateOrg(name="lab"), once(ann))
    second = people.do(CREATE_ORG, CreateOrg(name="lab"), once(ann))

    assert second == first
    assert len(lines(people, ann)) == 1


def test_without_a_key_it_is_asked_for_anew(people: People, ann: Caller) -> None:
    people.org("lab", ann)

    with pytest.raises(AlreadyExists):
        people.do(CREATE_ORG, CreateOrg(name="lab"), ann)


def test_what_took_away_what_it_needed_is_answered_again(people: People, ann: Caller) -> None:
    people.org("lab", ann)
    gone = DeleteOrg(org="lab", imsure=True, imreallysure=True)

    assert people.do(DELETE_ORG, gone, once(ann)) is None
    assert people.do(DELETE_ORG, gone, once(ann)) is None


def test_a_secret_is_shown_again_to_whoever_did_not_hear_it(people: People, ann: Caller) -> None:
    first = people.do(CREATE_KEY, CreateKey(name="mine"), once(ann))

    assert people.do(CREATE_KEY, CreateKey(name="mine"), once(ann)).secret == first.secret
    assert len(people.do(LIST_KEYS, ListKeys(), ann).items) == 1


def test_a_key_is_for_one_request(people: People, ann: Caller) -> None:
    people.do(CREATE_ORG, CreateOrg(name="lab"), once(ann))

    with pytest.raises(InvalidInput, match="another request"):
        people.do(CREATE_ORG, CreateOrg(name="lob"), once(ann))


def test_a_key_is_its_owners(people: People, ann: Caller) -> None:
    people.do(CREATE_ORG, CreateOrg(name="lab"), once(ann))

    with pytest.raises(AlreadyExists):
        people.do(CREATE_ORG, CreateOrg(name="lab"), once(people.add("bob")))


def test_a_change_that_fails_leaves_neither_line_nor_key(people: People, ann: Caller) -> None:
    people.org("lab", ann)
    account = CreateServiceAccount(org="lab", name="bot")
    people.do(CREATE_SERVICE_ACCOUNT, account, ann)

    with pytest.raises(AlreadyExists):
        people.do(CREATE_SERVICE_ACCOUNT, account, once(ann))
    assert [line.operation for line in lines(people, ann)] == ["create_service_account", "create_org"]
    assert people.do(CREATE_SERVICE_ACCOUNT, CreateServiceAccount(org="lab", name="other"), once(ann)).name == "other"


def test_who_may_not_is_written_down(people: People, ann: Caller) -> None:
    people.org("lab", ann)
    bob = people.add("bob")
    people.do(SET_MEMBER, SetMember(org="lab", user="bob", role="reader"), ann)

    with pytest.raises(Denied):
        people.do(MODIFY_ORG, ModifyOrg(org="lab", description="mine"), bob)
    newest = lines(people, ann)[0]
    assert (newest.principal, newest.operation, newest.outcome) == ("bob", "modify_org", "denied")


def test_whoever_has_no_role_leaves_no_line(people: People, ann: Caller) -> None:
    people.org("lab", ann)
    assert people.do(LIST_ORGS, ListOrgs(), people.add("bob")).items[0].name == "bob"
    assert len(lines(people, ann)) == 1


def test_every_operation_of_the_table_can_be_done(people: People) -> None:
    assert make_service(people.rooms).operations == frozenset(OPERATIONS)
