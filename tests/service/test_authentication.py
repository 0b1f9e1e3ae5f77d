"""Who asks: by tokens, sessions and links, also while the keys of the installation are being replaced."""

import hmac
from dataclasses import replace

import pytest
from sqlalchemy import select
from tests.service.people import PASSWORD, People, at_once, keyring

from kist.catalog import audit
from kist.catalog.tables import keys, links, sessions
from kist.errors import Denied, IntegrityError, InvalidInput, Unauthenticated
from kist.models.requests import CreateKey, UserName
from kist.operations import CREATE_KEY, CREATE_LOGIN_LINK
from kist.service import authentication
from kist.service.identities import by_identity, link_identity
from kist.service.rooms import Rooms

ISSUER = "https://id.example.org"


def with_keys(people: People, *names: str) -> Rooms:
    return replace(people.rooms, keyring=keyring(*names))


def link(people: People, user: str = "ann") -> str:
    return people.do(CREATE_LOGIN_LINK, UserName(user=user), people.root).token


def test_a_token_of_another_installation_is_not_known(people: People) -> None:
    issued = people.do(CREATE_KEY, CreateKey(name="laptop"), people.add("ann"))

    with pytest.raises(Unauthenticated, match="not known here") as raised:
        authentication.by_token(with_keys(people, "another"), issued.secret)
    assert issued.secret not in str(raised.value)


def test_a_token_works_on_while_keys_are_replaced_and_is_hashed_by_the_new_one(people: People) -> None:
    issued = people.do(CREATE_KEY, CreateKey(name="laptop"), people.add("ann"))

    assert authentication.by_token(with_keys(people, "two", "one"), issued.secret).name == "ann"

    assert authentication.by_token(with_keys(people, "two"), issued.secret).name == "ann"
    with pytest.raises(Unauthenticated):
        authentication.by_token(people.rooms, issued.secret)


def test_a_token_is_kept_as_a_keyed_hash(people: People) -> None:
    issued = people.do(CREATE_KEY, CreateKey(name="laptop"), people.add("ann"))

    with people.rooms.database.reading() as sql:
        (kept,) = sql.execute(select(keys.c.hash).where(keys.c.id == issued.key.id)).one()

    assert hmac.compare_digest(kept, people.rooms.keyring.digest(issued.secret.encode(), use="token"))


def test_a_pair_for_s3_needs_the_key_that_it_was_made_with(people: People) -> None:
    issued = people.do(CREATE_KEY, CreateKey(name="bucket", kind="s3"), people.add("ann"))

    assert authentication.by_access_key(with_keys(people, "two", "one"), issued.key.id)[1] == issued.secret
    with pytest.raises(IntegrityError, match="'one' is not in the keyring"):
        authentication.by_access_key(with_keys(people, "two"), issued.key.id)


@pytest.mark.parametrize("access_key", ["", "A" * 20, "'; drop table keys; --"])
def test_an_unknown_access_key_is_refused(people: People, access_key: str) -> None:
    with pytest.raises(Unauthenticated, match="not known"):
        authentication.by_access_key(people.rooms, access_key)


def test_a_session_lasts_as_long_as_a_login(people: People) -> None:
    ann = people.add("ann")
    secret, expires = authentication.open_session(people.rooms, ann.who.id)

    assert (expires - people.clock()).days == people.rooms.rules.login_days
    assert authentication.by_session(people.rooms, secret).name == "ann"
    people.clock.wait(days=people.rooms.rules.login_days)
    with pytest.raises(Unauthenticated):
        authentication.by_session(people.rooms, secret)


def test_a_session_goes_on_while_keys_are_replaced(people: People) -> None:
    secret, _ = authentication.open_session(people.rooms, people.add("ann").who.id)

    assert authentication.by_session(with_keys(people, "two", "one"), secret).name == "ann"


def test_a_session_that_was_closed_is_over_and_closing_it_again_hurts_nobody(people: People) -> None:
    ann = people.add("ann")
    secret, _ = authentication.open_session(people.rooms, ann.who.id)
    other, _ = authentication.open_session(people.rooms, ann.who.id)

    for _ in range(2):
        authentication.close_session(people.rooms, secret)

    with pytest.raises(Unauthenticated):
        authentication.by_session(people.rooms, secret)
    assert authentication.by_session(people.rooms, other).name == "ann"


@pytest.mark.parametrize("secret", ["", "x", "\udc80", "\0"])
def test_what_is_no_session_is_refused(people: People, secret: str) -> None:
    with pytest.raises(Unauthenticated):
        authentication.by_session(people.rooms, secret)


def test_sessions_that_ended_are_not_kept(people: People) -> None:
    ann = people.add("ann")
    authentication.open_session(people.rooms, ann.who.id)
    people.clock.wait(days=31)
    authentication.open_session(people.rooms, ann.who.id)

    with people.rooms.database.reading() as sql:
        assert len(sql.execute(select(sessions)).all()) == 1


def test_a_browser_that_logs_in_leaves_a_line_in_the_audit_log(people: People) -> None:
    ann = people.add("ann")
    authentication.open_session(people.rooms, ann.who.id, how="link", address="192.0.2.9")

    with people.rooms.database.reading() as sql:
        line = audit.lines(sql, "", operation="log_in")[0]
    assert (line.principal, line.details["how"], line.details["from"]) == ("ann", "link", "192.0.2.9")


def test_a_link_logs_in_once(people: People) -> None:
    ann = people.add("ann")
    token = link(people)

    assert authentication.use_link(people.rooms, token) == ann.who.id
    with pytest.raises(Unauthenticated, match="works once"):
        authentication.use_link(people.rooms, token)


def test_of_many_who_use_a_link_at_once_one_gets_in(people: People) -> None:
    people.add("ann")
    token = link(people)
    outcomes = at_once([lambda: authentication.use_link(people.rooms, token)] * 8)

    assert outcomes == ["Unauthenticated"] * 7 + ["done"]


def test_a_link_ends(people: People) -> None:
    people.add("ann")
    token = link(people)
    people.clock.wait(minutes=people.rooms.rules.link_minutes)

    with pytest.raises(Unauthenticated):
        authentication.use_link(people.rooms, token)


def test_a_link_is_not_kept_as_it_is(people: People) -> None:
    people.add("ann")
    token = link(people)

    with people.rooms.database.reading() as sql:
        assert token not in repr(sql.execute(select(links)).all())


def test_a_password_proves_who_asks(people: People) -> None:
    people.add("ann", password=PASSWORD)

    assert authentication.by_password(people.rooms, "ann", PASSWORD).name == "ann"


def test_a_new_identity_is_a_new_user_where_that_is_allowed(people: People) -> None:
    user_id = by_identity(people.rooms, ISSUER, "1", email="ann@lab.org", name="Ann", create=True)

    assert people.named(user_id) == ("Ann", "ann@lab.org")
    assert by_identity(people.rooms, ISSUER, "1") == user_id


def test_a_new_identity_is_nobody_where_that_is_not_allowed(people: People) -> None:
    with pytest.raises(Denied, match="no user here is linked"):
        by_identity(people.rooms, ISSUER, "1", email="ann@lab.org")


def test_an_address_leads_to_nobody_who_is_there_already(people: People) -> None:
    ann = people.add("ann", email="ann@lab.org")

    user_id = by_identity(people.rooms, ISSUER, "1", email="ANN@lab.org", name="ann", create=True)

    assert user_id != ann.who.id
    assert people.named(user_id) == ("ann-2", "")


def test_two_services_may_call_two_people_the_same(people: People) -> None:
    one, other = (by_identity(people.rooms, issuer, "1", name="ann", create=True) for issuer in (ISSUER, "https://other.org"))

    assert one != other


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("Ann Berg", "Ann-Berg"),
        ("Ännchen", "Annchen"),
        ("安", "user"),
        ("api", "api-user"),
        ("../..", "user"),
        ("x" * 200, "x" * 64),
        ("", "user"),
    ],
)
def test_any_name_becomes_one_that_a_user_may_have(people: People, said: str, name: str) -> None:
    assert people.named(by_identity(people.rooms, ISSUER, "1", name=said, create=True))[0] == name


def test_many_first_logins_at_once_make_one_user(people: People) -> None:
    made: list[str] = []

    outcomes = at_once([lambda: made.append(by_identity(people.rooms, ISSUER, "1", name="ann", create=True))] * 8)

    assert outcomes == ["done"] * 8
    assert len(set(made)) == 1


def test_a_disabled_user_is_not_let_in_by_another_service(people: People) -> None:
    by_identity(people.rooms, ISSUER, "1", name="ann", create=True)
    people.disable("ann")

    with pytest.raises(Unauthenticated, match="not log in any more"):
        by_identity(people.rooms, ISSUER, "1")


def test_whoever_is_logged_in_links_an_identity_of_their_own(people: People) -> None:
    ann, bob = people.add("ann"), people.add("bob")

    for _ in range(2):
        link_identity(people.rooms, ann.who.id, ISSUER, "1")

    assert by_identity(people.rooms, ISSUER, "1") == ann.who.id
    with pytest.raises(Denied, match="another user"):
        link_identity(people.rooms, bob.who.id, ISSUER, "1")


@pytest.mark.parametrize(("issuer", "subject"), [("", "1"), (ISSUER, ""), (ISSUER, "x" * 257), ("x" * 513, "1")])
def test_an_identity_that_can_not_be_kept_is_refused(people: People, issuer: str, subject: str) -> None:
    with pytest.raises(InvalidInput):
        by_identity(people.rooms, issuer, subject, create=True)
