"""The audit log, as admins of an organisation see it."""

import pytest
from sqlalchemy import update
from tests.service.people import People

from kist.catalog.tables import audit
from kist.errors import Denied, InvalidInput
from kist.models import AuditLine
from kist.models.requests import CreateServiceAccount, CreateServiceKey, ListAudit, ModifyOrg, OrgName, SetMember
from kist.operations import CREATE_SERVICE_ACCOUNT, CREATE_SERVICE_KEY, LIST_AUDIT, MODIFY_ORG, SET_MEMBER, VERIFY_AUDIT
from kist.service.rooms import Caller


@pytest.fixture
def ann(people: People) -> Caller:
    """The admin of `lab`, where some things were done."""
    made = people.add("ann")
    bob = people.add("bob")
    people.org("lab", made, bob="reader")
    people.do(MODIFY_ORG, ModifyOrg(org="lab", description="Ours"), made)
    with pytest.raises(Denied):
        people.do(MODIFY_ORG, ModifyOrg(org="lab", description="Mine"), bob)
    return made


def lines(people: People, caller: Caller, **which: object) -> list[AuditLine]:
    return people.do(LIST_AUDIT, ListAudit(org="lab", **which), caller).items  # type: ignore[arg-type]  # its fields


def test_what_was_done_and_what_was_denied_is_listed_newest_first(people: People, ann: Caller) -> None:
    found = lines(people, ann)

    assert [(line.principal, line.operation, line.outcome) for line in found] == [
        ("bob", "modify_org", "denied"),
        ("ann", "modify_org", "done"),
        ("ann", "set_member", "done"),
        ("ann", "create_org", "done"),
    ]
    assert found[2].details == {"role": "reader", "from": "192.0.2.7"}


def test_lines_are_found_by_operation_principal_and_target(people: People, ann: Caller) -> None:
    assert len(lines(people, ann, operation="set_member")) == 1
    assert len(lines(people, ann, principal="bob")) == 1
    assert len(lines(people, ann, target="bo")) == 1


def test_lines_are_listed_page_by_page(people: People, ann: Caller) -> None:
    first = people.do(LIST_AUDIT, ListAudit(org="lab", limit=2), ann)
    second = people.do(LIST_AUDIT, ListAudit(org="lab", limit=2, after=first.next), ann)

    assert [line.seq for line in first.items + second.items] == [4, 3, 2, 1]
    assert people.do(LIST_AUDIT, ListAudit(org="lab", limit=5), ann).next == ""


@pytest.mark.parametrize("after", ["x", "-1", "1.5", "9" * 30, "²"])
def test_a_page_that_nobody_was_told_of_is_refused(people: People, ann: Caller, after: str) -> None:
    with pytest.raises(InvalidInput, match="begin anew"):
        lines(people, ann, after=after)


def test_a_log_that_nobody_touched_is_whole(people: People, ann: Caller) -> None:
    report = people.do(VERIFY_AUDIT, OrgName(org="lab"), ann)

    assert (report.ok, report.lines, report.first_bad) == (True, 4, None)


def test_a_line_that_was_changed_is_found(people: People, ann: Caller) -> None:
    mine = (audit.c.org_id == people.org_id("lab"), audit.c.seq == 2)
    people.rooms.database.change(lambda sql: sql.execute(update(audit).where(*mine).values(principal="bob")))

    report = people.do(VERIFY_AUDIT, OrgName(org="lab"), ann)

    assert (report.ok, report.first_bad) == (False, 2)


def test_only_admins_see_the_log(people: People, ann: Caller) -> None:
    people.do(SET_MEMBER, SetMember(org="lab", user="bob", role="writer"), ann)
    bob = people.user("bob", people.member_id("lab", "bob"))

    for operation, request in ((LIST_AUDIT, ListAudit(org="lab")), (VERIFY_AUDIT, OrgName(org="lab"))):
        with pytest.raises(Denied):
            people.do(operation, request, bob)


def test_no_secret_gets_into_the_log(people: People, ann: Caller) -> None:
    people.do(CREATE_SERVICE_ACCOUNT, CreateServiceAccount(org="lab", name="bot"), ann)
    issued = people.do(CREATE_SERVICE_KEY, CreateServiceKey(org="lab", service_account="bot", name="ci"), ann)

    newest = lines(people, ann)[0]

    assert newest.details["made"] == issued.key.id
    assert issued.secret not in repr(lines(people, ann))
