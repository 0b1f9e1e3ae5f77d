"""Keys: tokens and pairs for S3, of users and of service accounts."""

import re
import zlib
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from tests.service.people import People
from tests.service.test_orgs import add_repo, grant

from kist.catalog.tables import keys
from kist.errors import Denied, InvalidInput, NotFound, Unauthenticated
from kist.models import Key, Role, Scope
from kist.models.requests import (
    CreateKey,
    CreateServiceAccount,
    CreateServiceKey,
    KeyName,
    ListKeys,
    ListServiceKeys,
    ServiceKeyName,
)
from kist.operations import (
    CREATE_KEY,
    CREATE_SERVICE_ACCOUNT,
    CREATE_SERVICE_KEY,
    LIST_KEYS,
    LIST_SERVICE_KEYS,
    REVOKE_KEY,
    REVOKE_SERVICE_KEY,
)
from kist.service import authentication, policy, tokens
from kist.service.policy import Principal
from kist.service.rooms import Caller

ROLES: tuple[Role, ...] = ("reader", "writer", "admin")
NAMES = st.sampled_from(["", "lab", "LAB", "other"])
SCOPES = st.builds(Scope, role=st.sampled_from(ROLES), org=NAMES, repo=NAMES)


@pytest.fixture
def ann(people: People) -> Caller:
    """The admin of `lab`, where there is the service account `bot`."""
    made = people.add("ann")
    people.org("lab", made)
    people.do(CREATE_SERVICE_ACCOUNT, CreateServiceAccount(org="lab", name="bot", role="writer"), made)
    return made


def scoped(caller: Caller, scope: Scope) -> Caller:
    return Caller(who=Principal(id=caller.who.id, name=caller.who.name, kind="user", scope=scope))


def listed(people: People, caller: Caller, **which: object) -> list[Key]:
    return people.do(LIST_KEYS, ListKeys(**which), caller).items  # type: ignore[arg-type]  # its fields


def test_a_token_says_what_it_is_and_has_a_check() -> None:
    token, key_id = tokens.new_token()

    assert re.fullmatch(rf"kist_{key_id}_[0-9A-Za-z]{{49}}", token)
    check = 0
    for digit in token[-6:]:
        check = check * 62 + tokens.DIGITS.index(digit)
    assert check == zlib.crc32(token[:-6].encode())


def test_no_two_tokens_are_the_same() -> None:
    assert len({tokens.new_token() for _ in range(1000)}) == 1000


def test_a_token_with_one_letter_wrong_is_told_apart() -> None:
    token, _ = tokens.new_token()
    for place in range(len(token)):
        other = "A" if token[place] != "A" else "B"
        with pytest.raises(Unauthenticated, match="not the whole one") as raised:
            tokens.token_id(token[:place] + other + token[place + 1 :])
        assert token[8:] not in str(raised.value)


@given(st.text())
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(Unauthenticated):
        tokens.token_id(text)


def test_a_key_ends_after_its_days(people: People, ann: Caller) -> None:
    issued = people.do(CREATE_KEY, CreateKey(name="laptop"), ann)

    assert issued.key.expires == people.clock() + timedelta(days=90)
    people.clock.wait(days=90, seconds=-1)
    assert authentication.by_token(people.rooms, issued.secret).name == "ann"
    people.clock.wait(seconds=1)
    with pytest.raises(Unauthenticated, match="'laptop' ended on 2027-02-18"):
        authentication.by_token(people.rooms, issued.secret)


def test_a_key_without_days_does_not_end(people: People, ann: Caller) -> None:
    issued = people.do(CREATE_KEY, CreateKey(name="laptop", days=None), ann)

    people.clock.wait(days=36500)
    assert authentication.by_token(people.rooms, issued.secret).name == "ann"


def test_a_revoked_key_is_refused_at_once(people: People, ann: Caller) -> None:
    issued = people.do(CREATE_KEY, CreateKey(name="laptop"), ann)

    for _ in range(2):
        people.do(REVOKE_KEY, KeyName(id=issued.key.id), ann)

    with pytest.raises(Unauthenticated, match="revoked"):
        authentication.by_token(people.rooms, issued.secret)


def test_nobody_revokes_the_key_of_another(people: People, ann: Caller) -> None:
    issued = people.do(CREATE_KEY, CreateKey(name="laptop"), ann)

    with pytest.raises(NotFound):
        people.do(REVOKE_KEY, KeyName(id=issued.key.id), people.root)
    with pytest.raises(NotFound):
        people.do(REVOKE_SERVICE_KEY, ServiceKeyName(org="lab", service_account="bot", id=issued.key.id), ann)
    assert authentication.by_token(people.rooms, issued.secret).name == "ann"


def test_keys_are_listed_newest_first_and_page_by_page(people: People, ann: Caller) -> None:
    for name in "abc":
        people.do(CREATE_KEY, CreateKey(name=name), ann)
        people.clock.wait(seconds=1)

    first = people.do(LIST_KEYS, ListKeys(limit=2), ann)
    second = people.do(LIST_KEYS, ListKeys(limit=2, after=first.next), ann)

    assert [key.name for key in first.items + second.items] == ["c", "b", "a"]
    assert second.next == ""


def test_keys_made_in_one_moment_are_each_listed_once(people: People, ann: Caller) -> None:
    made = {people.do(CREATE_KEY, CreateKey(name="same"), ann).key.id for _ in range(5)}
    found, after = [], ""
    while True:
        page = people.do(LIST_KEYS, ListKeys(limit=2, after=after), ann)
        found += [key.id for key in page.items]
        if not (after := page.next):
            break

    assert sorted(found) == sorted(made)


@pytest.mark.parametrize("after", ["x", "-", "1e9-a", "9" * 40 + "-a", "-5-a"])
def test_a_page_that_nobody_was_told_of_is_refused(people: People, ann: Caller, after: str) -> None:
    with pytest.raises(InvalidInput, match="begin anew"):
        listed(people, ann, after=after)


def test_no_list_shows_a_secret_and_no_column_keeps_one(people: People, ann: Caller) -> None:
    issued = [people.do(CREATE_KEY, CreateKey(name="one", kind=kind), ann) for kind in ("token", "s3")]

    with people.rooms.database.reading() as sql:
        kept = repr(sql.execute(select(keys)).all())
    shown = repr(listed(people, ann)) + repr(issued)
    for one in issued:
        assert one.secret not in kept
        assert one.secret[22:] not in kept
        assert one.secret not in shown


def test_what_ended_long_ago_is_dropped(people: People, ann: Caller) -> None:
    people.do(CREATE_KEY, CreateKey(name="old", days=1), ann)
    revoked = people.do(CREATE_KEY, CreateKey(name="revoked"), ann)
    people.do(REVOKE_KEY, KeyName(id=revoked.key.id), ann)
    people.clock.wait(days=32)

    people.do(CREATE_KEY, CreateKey(name="new"), ann)

    assert [key.name for key in listed(people, ann)] == ["new"]


def test_a_use_is_noted_once_a_minute(people: People, ann: Caller) -> None:
    issued = people.do(CREATE_KEY, CreateKey(name="laptop"), ann)
    first = people.clock()
    noted = []
    for _ in range(3):
        authentication.by_token(people.rooms, issued.secret)
        noted.append(listed(people, ann)[0].used)
        people.clock.wait(seconds=40)

    assert noted == [first, first, first + timedelta(seconds=80)]


def test_a_pair_for_s3_has_a_secret_that_is_derived_anew(people: People, ann: Caller) -> None:
    issued = people.do(CREATE_KEY, CreateKey(name="bucket", kind="s3"), ann)

    who, secret = authentication.by_access_key(people.rooms, issued.key.id)

    assert re.fullmatch(r"[A-Z0-9]{20}", issued.key.id)
    assert re.fullmatch(r"[A-Za-z0-9+/]{43}=", issued.secret)
    assert (who.name, secret) == ("ann", issued.secret)


def test_a_pair_for_s3_is_no_token_and_a_token_no_pair(people: People, ann: Caller) -> None:
    pair, token = (people.do(CREATE_KEY, CreateKey(name="one", kind=kind), ann) for kind in ("s3", "token"))

    with pytest.raises(Unauthenticated):
        authentication.by_token(people.rooms, pair.secret)
    with pytest.raises(Unauthenticated):
        authentication.by_access_key(people.rooms, token.key.id)


@given(SCOPES, SCOPES)
def test_a_scope_within_another_reaches_nothing_that_it_does_not(scope: Scope, reach: Scope) -> None:
    def reaches(one: Scope, org: str, repo: str, role: Role) -> bool:
        named = one.org.casefold() in {"", org} and one.repo.casefold() in {"", repo}
        return named and ROLES.index(role) <= ROLES.index(one.role)

    places = [(org, repo, role) for org in ("lab", "other") for repo in ("lab", "other") for role in ROLES]
    within = all(reaches(reach, *place) for place in places if reaches(scope, *place))

    assert within or not policy.is_within(scope, reach)


@pytest.mark.parametrize("scope", [Scope(role="reader"), Scope(org="lab"), Scope(org="lab", repo="data", role="writer")])
def test_a_key_that_reaches_less_makes_no_keys_of_its_owner(people: People, ann: Caller, scope: Scope) -> None:
    add_repo(people)
    with pytest.raises(Denied):
        people.do(CREATE_KEY, CreateKey(name="wider"), scoped(ann, scope))


@pytest.mark.parametrize("scope", [Scope(), Scope(org="ann"), Scope(role="writer")])
def test_a_key_for_an_organisation_makes_no_service_key_that_reaches_further(people: People, ann: Caller, scope: Scope) -> None:
    request = CreateServiceKey(org="lab", service_account="bot", name="ci", scope=scope)

    with pytest.raises(Denied, match="a scope within"):
        people.do(CREATE_SERVICE_KEY, request, scoped(ann, Scope(org="lab")))


def test_a_key_for_an_organisation_makes_service_keys_within_it(people: People, ann: Caller) -> None:
    request = CreateServiceKey(org="lab", service_account="bot", name="ci", scope=Scope(org="LAB", role="reader"))

    issued = people.do(CREATE_SERVICE_KEY, request, scoped(ann, Scope(org="lab")))

    who = authentication.by_token(people.rooms, issued.secret)
    assert (who.name, who.kind, who.scope) == ("lab/bot", "service-account", Scope(org="lab", role="reader"))


def test_a_scope_names_what_is_there(people: People, ann: Caller) -> None:
    add_repo(people)
    people.org("other", people.root)
    for scope, error in (
        (Scope(repo="data"), InvalidInput),
        (Scope(org="nowhere"), NotFound),
        (Scope(org="other"), NotFound),
        (Scope(org="lab", repo="nothing"), NotFound),
    ):
        with pytest.raises(error):
            people.do(CREATE_KEY, CreateKey(name="laptop", scope=scope), ann)
    issued = people.do(CREATE_KEY, CreateKey(name="laptop", scope=Scope(org="LAB", repo="DATA")), ann)
    assert issued.key.scope == Scope(org="lab", repo="data")


def test_a_guest_scopes_a_key_to_the_repository_that_is_shared_and_no_other(people: People, ann: Caller) -> None:  # noqa: ARG001
    bob = people.add("bob")
    grant(people, add_repo(people), bob.who.id)
    add_repo(people, "secret")

    issued = people.do(CREATE_KEY, CreateKey(name="laptop", scope=Scope(org="lab", repo="data")), bob)

    assert issued.key.scope.repo == "data"
    with pytest.raises(NotFound):
        people.do(CREATE_KEY, CreateKey(name="laptop", scope=Scope(org="lab", repo="secret")), bob)


def test_keys_of_a_service_account_are_made_listed_and_revoked(people: People, ann: Caller) -> None:
    issued = people.do(CREATE_SERVICE_KEY, CreateServiceKey(org="lab", service_account="bot", name="ci"), ann)
    bot = Caller(who=authentication.by_token(people.rooms, issued.secret))

    (found,) = people.do(LIST_SERVICE_KEYS, ListServiceKeys(org="lab", service_account="BOT"), ann).items
    assert (found.id, found.owner, found.name) == (issued.key.id, "lab/bot", "ci")
    with pytest.raises(Denied):
        people.do(CREATE_SERVICE_KEY, CreateServiceKey(org="lab", service_account="bot", name="more"), bot)
    people.do(REVOKE_SERVICE_KEY, ServiceKeyName(org="lab", service_account="bot", id=issued.key.id), ann)
    with pytest.raises(Unauthenticated):
        authentication.by_token(people.rooms, issued.secret)


def test_an_unknown_service_account_has_no_keys(people: People, ann: Caller) -> None:
    with pytest.raises(NotFound, match="no service account 'nobody'"):
        people.do(LIST_SERVICE_KEYS, ListServiceKeys(org="lab", service_account="nobody"), ann)
