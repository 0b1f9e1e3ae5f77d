"""Users: made, changed, disabled; they log in and out."""

from collections.abc import Callable

import pytest
from tests.service.people import PASSWORD, People, at_once

from kist.errors import AlreadyExists, Busy, Conflict, Denied, InvalidInput, NotFound, Unauthenticated
from kist.models import IssuedKey
from kist.models.requests import (
    CreateKey,
    CreateUser,
    ListOrgs,
    ListUsers,
    LogIn,
    ModifyUser,
    Nothing,
    SetPassword,
    UserName,
)
from kist.operations import (
    CREATE_KEY,
    CREATE_LOGIN_LINK,
    CREATE_USER,
    GET_ME,
    LIST_ORGS,
    LIST_USERS,
    LOG_IN,
    LOG_OUT,
    MODIFY_USER,
    SET_PASSWORD,
)
from kist.service import accounts, authentication
from kist.service.policy import NOBODY
from kist.service.rooms import Caller

STRANGER = Caller(who=NOBODY, address="198.51.100.1")
NEW = "a new one, and longer"


def log_in(people: People, user: str = "ann", password: str = PASSWORD) -> IssuedKey:
    return people.do(LOG_IN, LogIn(user=user, password=password), STRANGER)


def by_token(people: People, secret: str) -> Caller:
    return Caller(who=authentication.by_token(people.rooms, secret))


def test_a_new_user_is_admin_of_a_personal_organisation_of_the_same_name(people: People) -> None:
    ann = people.add("Ann")

    (org,) = people.do(LIST_ORGS, ListOrgs(), ann).items

    assert (org.name, org.personal, org.role) == ("Ann", True, "admin")


@pytest.mark.parametrize("name", ["ann", "ANN"])
def test_a_name_is_taken_whatever_its_case(people: People, name: str) -> None:
    people.add("Ann")

    with pytest.raises(AlreadyExists, match="user"):
        people.add(name)


def test_the_name_of_an_organisation_is_taken_too(people: People) -> None:
    people.org("lab", people.add("ann"))

    with pytest.raises(AlreadyExists, match="organisation 'Lab'"):
        people.add("Lab")


@pytest.mark.parametrize("name", ["api", "Login", "static", "healthz", "local", "orgs", "settings"])
def test_no_user_is_called_like_a_page(people: People, name: str) -> None:
    with pytest.raises(InvalidInput, match="pages"):
        people.add(name)


@pytest.mark.parametrize("name", ["", "a b", "../x", ".hidden", "a\n", "ä", "a" * 101])
def test_a_name_that_no_path_could_have_is_refused(people: People, name: str) -> None:
    with pytest.raises(InvalidInput, match="1 to 100 letters"):
        people.add(name)


@pytest.mark.parametrize("email", ["ann", "a b@x", "@", "a@b@c", "a\n@x", "a@" + "x" * 320])
def test_what_is_no_address_is_refused(people: People, email: str) -> None:
    with pytest.raises(InvalidInput, match="e-mail"):
        people.add("ann", email=email)


@pytest.mark.parametrize("password", ["eleven char", "x" * 1025])
def test_a_password_that_is_too_short_or_too_long_is_refused(people: People, password: str) -> None:
    with pytest.raises(InvalidInput, match="12 to 1024"):
        people.add("ann", password=password)


def test_users_are_listed_page_by_page(people: People) -> None:
    for name in ("Bob", "ann", "Cy"):
        people.add(name)

    first = people.do(LIST_USERS, ListUsers(limit=2), people.root)
    second = people.do(LIST_USERS, ListUsers(limit=2, after=first.next), people.root)

    assert [user.name for user in first.items + second.items] == ["ann", "Bob", "Cy", "root"]
    assert second.next == ""


def test_only_an_admin_of_the_server_manages_users(people: People) -> None:
    ann = people.add("ann")

    with pytest.raises(Denied, match="no admin of this server"):
        people.do(CREATE_USER, CreateUser(name="bob"), ann)


def test_logging_in_gives_a_token_that_ends(people: People) -> None:
    people.add("ann", password=PASSWORD)

    issued = log_in(people)

    assert by_token(people, issued.secret).who.name == "ann"
    people.clock.wait(days=people.rooms.rules.login_days)
    with pytest.raises(Unauthenticated, match="ended on"):
        by_token(people, issued.secret)


def test_an_email_address_logs_in_too(people: People) -> None:
    people.add("ann", password=PASSWORD, email="Ann@Lab.org")

    assert log_in(people, "ann@lab.org").key.owner == "ann"


def test_an_address_that_two_users_have_logs_nobody_in(people: People) -> None:
    people.add("ann", password=PASSWORD, email="we@lab.org")
    people.add("bob", password=PASSWORD, email="we@lab.org")

    with pytest.raises(Unauthenticated):
        log_in(people, "we@lab.org")


@pytest.mark.parametrize(
    "user", ["ann", "nobody", "cy", "dan", "an\0n", "\udc80"], ids=["wrong", "unknown", "without", "disabled", "zero", "half"]
)
def test_every_login_that_fails_says_the_same(people: People, user: str) -> None:
    people.add("ann", password=PASSWORD)
    people.add("cy")
    people.add("dan", password=PASSWORD)
    people.do(MODIFY_USER, ModifyUser(user="dan", disabled=True), people.root)

    with pytest.raises(Unauthenticated) as raised:
        log_in(people, user, PASSWORD if user == "dan" else "not the password")

    assert str(raised.value) == "the name or the password is wrong"


def test_the_same_letters_are_the_same_password_however_they_are_typed(people: People) -> None:
    people.add("ann", password="caf\u00e9 caf\u00e9 caf\u00e9")

    assert log_in(people, password="cafe\u0301 cafe\u0301 cafe\u0301").key.owner == "ann"


def test_too_many_failures_have_to_wait(people: People) -> None:
    people.add("ann", password=PASSWORD)
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            log_in(people, password="wrong")

    with pytest.raises(Busy, match="try again in 1 s"):
        log_in(people)


def test_logging_out_ends_the_key_in_use_and_no_other(people: People) -> None:
    people.add("ann", password=PASSWORD)
    one, other = log_in(people), log_in(people)

    people.do(LOG_OUT, Nothing(), by_token(people, one.secret))

    with pytest.raises(Unauthenticated, match="revoked"):
        by_token(people, one.secret)
    assert by_token(people, other.secret).who.name == "ann"


def test_a_browser_that_logs_out_ends_its_session_and_no_other(people: People) -> None:
    ann = people.add("ann")
    one, other = (authentication.open_session(people.rooms, ann.who.id)[0] for _ in range(2))

    people.do(LOG_OUT, Nothing(), Caller(who=authentication.by_session(people.rooms, one)))

    with pytest.raises(Unauthenticated):
        authentication.by_session(people.rooms, one)
    assert authentication.by_session(people.rooms, other).name == "ann"


def test_where_there_is_no_key_there_is_nothing_to_log_out_of(people: People) -> None:
    with pytest.raises(InvalidInput, match="no key"):
        people.do(LOG_OUT, Nothing(), people.root)


def test_who_asks_is_told_what_they_are(people: People) -> None:
    ann = people.add("ann", email="ann@lab.org")
    people.org("lab", people.root, ann="writer")

    me = people.do(GET_ME, Nothing(), ann)

    assert (me.name, me.kind, me.email, me.admin) == ("ann", "user", "ann@lab.org", False)
    assert [(org.name, org.role) for org in me.orgs] == [("ann", "admin"), ("lab", "writer")]


def test_a_new_password_needs_the_old_one(people: People) -> None:
    ann = people.add("ann", password=PASSWORD)

    with pytest.raises(Denied, match="old password"):
        people.do(SET_PASSWORD, SetPassword(password=NEW, old_password="wrong"), ann)

    assert log_in(people).key.owner == "ann"


def test_a_user_without_a_password_sets_one(people: People) -> None:
    ann = people.add("ann")

    people.do(SET_PASSWORD, SetPassword(password=NEW), ann)

    assert log_in(people, password=NEW).key.owner == "ann"


def test_a_new_password_ends_all_other_logins_but_no_key_that_was_made_on_purpose(people: People) -> None:
    ann = people.add("ann", password=PASSWORD)
    mine, other = log_in(people), log_in(people)
    session = authentication.open_session(people.rooms, ann.who.id)[0]
    made = people.do(CREATE_KEY, CreateKey(name="backup"), ann)

    people.do(SET_PASSWORD, SetPassword(password=NEW, old_password=PASSWORD), by_token(people, mine.secret))

    assert [by_token(people, issued.secret).who.name for issued in (mine, made)] == ["ann", "ann"]
    with pytest.raises(Unauthenticated):
        by_token(people, other.secret)
    with pytest.raises(Unauthenticated):
        authentication.by_session(people.rooms, session)
    with pytest.raises(Unauthenticated):
        log_in(people)


def test_a_new_password_that_a_browser_sets_keeps_its_session(people: People) -> None:
    ann = people.add("ann")
    mine, other = (authentication.open_session(people.rooms, ann.who.id)[0] for _ in range(2))

    people.do(SET_PASSWORD, SetPassword(password=NEW), Caller(who=authentication.by_session(people.rooms, mine)))

    assert authentication.by_session(people.rooms, mine).name == "ann"
    with pytest.raises(Unauthenticated):
        authentication.by_session(people.rooms, other)


def test_a_disabled_user_can_do_nothing_at_once(people: People) -> None:
    ann = people.add("ann", password=PASSWORD)
    token = people.do(CREATE_KEY, CreateKey(name="backup"), ann).secret
    pair = people.do(CREATE_KEY, CreateKey(name="bucket", kind="s3"), ann)
    session = authentication.open_session(people.rooms, ann.who.id)[0]
    link = people.do(CREATE_LOGIN_LINK, UserName(user="ann"), people.root)

    people.do(MODIFY_USER, ModifyUser(user="ann", disabled=True), people.root)

    for prove, secret in (
        (authentication.by_token, token),
        (authentication.by_access_key, pair.key.id),
        (authentication.by_session, session),
        (authentication.use_link, link.token),
        (authentication.open_session, ann.who.id),
    ):
        with pytest.raises(Unauthenticated):
            prove(people.rooms, secret)


def test_a_user_who_is_enabled_again_gets_the_keys_back_but_no_session(people: People) -> None:
    ann = people.add("ann")
    token = people.do(CREATE_KEY, CreateKey(name="backup"), ann).secret
    session = authentication.open_session(people.rooms, ann.who.id)[0]

    for disabled in (True, False):
        people.do(MODIFY_USER, ModifyUser(user="ann", disabled=disabled), people.root)

    assert authentication.by_token(people.rooms, token).name == "ann"
    with pytest.raises(Unauthenticated):
        authentication.by_session(people.rooms, session)


@pytest.mark.parametrize("change", [{"admin": False}, {"disabled": True}], ids=["demoted", "disabled"])
def test_the_last_admin_of_the_server_stays(people: People, change: dict[str, bool]) -> None:
    with pytest.raises(Conflict, match="last admin of this server"):
        people.do(MODIFY_USER, ModifyUser(user="root", **change), people.root)  # type: ignore[arg-type]  # names of its fields


def test_of_the_last_two_admins_who_demote_each_other_one_stays(people: People) -> None:
    people.add("ann")
    people.do(MODIFY_USER, ModifyUser(user="ann", admin=True), people.root)

    def demote(name: str) -> Callable[[], object]:
        return lambda: people.do(MODIFY_USER, ModifyUser(user=name, admin=False), people.root)

    outcomes = at_once(demote(name) for name in ("ann", "root") * 4)

    users = people.do(LIST_USERS, ListUsers(), people.root).items
    assert len([user for user in users if user.admin]) == 1
    assert set(outcomes) == {"Conflict", "done"}


def test_an_unknown_user_is_not_found(people: People) -> None:
    for operation, request in ((MODIFY_USER, ModifyUser(user="nobody", admin=True)), (CREATE_LOGIN_LINK, UserName(user="nobody"))):
        with pytest.raises(NotFound, match="no user 'nobody'"):
            people.do(operation, request, people.root)


def test_the_first_admin_is_made_once(people: People) -> None:
    people.add("ann", password=PASSWORD)

    assert accounts.first_admin(people.rooms, "somebody") is None


def test_a_first_admin_who_missed_the_link_gets_another(people: People) -> None:
    again = accounts.first_admin(people.rooms, "somebody")

    assert again is not None
    assert again.user == "root"
    assert authentication.use_link(people.rooms, again.token) == people.root.who.id


def test_a_first_admin_who_is_logged_in_gets_none(people: People) -> None:
    authentication.open_session(people.rooms, people.root.who.id, how="link")

    assert accounts.first_admin(people.rooms, "somebody") is None


def test_neither_repr_nor_error_shows_a_password(people: People) -> None:
    people.add("ann", password=PASSWORD)
    with pytest.raises(Unauthenticated) as raised:
        log_in(people, "ann", "canary")

    assert "canary" not in repr(raised.value)
    issued = log_in(people)
    assert issued.secret not in repr(issued)
