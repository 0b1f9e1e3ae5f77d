"""Who may do what, as a table of verdicts."""

import pytest

from kist.catalog.standing import Standing
from kist.errors import Denied, KistError, NotFound, Unauthenticated
from kist.models import Role, Scope
from kist.operations import Need
from kist.service.policy import NOBODY, Principal, check

ADA = Principal(id="1", name="ada", kind="user")
OUTSIDE = Standing(org_id="9", org="lab", repo_id="7", repo="cube")
RANKS: dict[Role, int] = {"reader": 1, "writer": 2, "admin": 3}
ORG_NEEDS: dict[Need, Role] = {Need.ORG_READER: "reader", Need.ORG_WRITER: "writer", Need.ORG_ADMIN: "admin"}
REPO_NEEDS: dict[Need, Role] = {Need.REPO_READER: "reader", Need.REPO_WRITER: "writer", Need.REPO_ADMIN: "admin"}


def member(role: Role | None, repo_role: Role | None = None, *, guest: bool = False) -> Standing:
    guest = guest or repo_role is not None
    return Standing(org_id="9", org="lab", org_role=role, guest=guest, repo_id="7", repo="cube", repo_role=repo_role)


def scoped(role: Role = "admin", org: str = "", repo: str = "") -> Principal:
    return Principal(id="1", name="ada", kind="user", admin=True, scope=Scope(role=role, org=org, repo=repo))


def verdict(need: Need, who: Principal, standing: Standing) -> type[KistError] | None:
    try:
        check(need, who, standing, org="lab", repo="cube")
    except KistError as error:
        return type(error)
    return None


@pytest.mark.parametrize("role", RANKS)
@pytest.mark.parametrize("need", ORG_NEEDS | REPO_NEEDS)
def test_a_role_in_the_organisation_is_enough_for_less_and_too_little_for_more(need: Need, role: Role) -> None:
    needed = (ORG_NEEDS | REPO_NEEDS)[need]

    assert verdict(need, ADA, member(role)) is (None if RANKS[role] >= RANKS[needed] else Denied)


@pytest.mark.parametrize("role", RANKS)
@pytest.mark.parametrize("need", REPO_NEEDS)
def test_a_role_for_a_repository_counts_for_it(need: Need, role: Role) -> None:
    assert verdict(need, ADA, member(None, role)) is (None if RANKS[role] >= RANKS[REPO_NEEDS[need]] else Denied)


@pytest.mark.parametrize("need", ORG_NEEDS)
def test_a_role_for_a_repository_does_not_count_for_the_organisation(need: Need) -> None:
    assert verdict(need, ADA, member(None, "admin")) is Denied


def test_the_greater_of_two_roles_holds() -> None:
    assert verdict(Need.REPO_WRITER, ADA, member("reader", "writer")) is None
    assert verdict(Need.REPO_WRITER, ADA, member("admin", "reader")) is None


@pytest.mark.parametrize("need", [need for need in Need if need.name.startswith(("ORG", "REPO"))])
def test_without_any_role_a_thing_does_not_exist(need: Need) -> None:
    assert verdict(need, ADA, OUTSIDE) is NotFound
    assert verdict(need, ADA, Standing()) is NotFound


def test_a_guest_of_one_repository_does_not_learn_of_another() -> None:
    assert verdict(Need.REPO_READER, ADA, member(None, guest=True)) is NotFound
    assert verdict(Need.ORG_GUEST, ADA, member(None, guest=True)) is None


@pytest.mark.parametrize("need", [need for need in Need if need is not Need.NOTHING])
def test_nobody_must_log_in_first(need: Need) -> None:
    assert verdict(need, NOBODY, member("admin")) is Unauthenticated


def test_a_key_with_a_lesser_role_does_no_more_than_that() -> None:
    assert verdict(Need.REPO_READER, scoped("reader"), member("admin")) is None
    assert verdict(Need.REPO_WRITER, scoped("reader"), member("admin")) is Denied


def test_a_key_for_another_organisation_finds_nothing() -> None:
    assert verdict(Need.ORG_READER, scoped(org="elsewhere"), member("admin")) is NotFound
    assert verdict(Need.ORG_READER, scoped(org="LAB"), member("admin")) is None


def test_a_key_for_one_repository_reaches_it_alone() -> None:
    assert verdict(Need.REPO_ADMIN, scoped(org="lab", repo="Cube"), member("admin")) is None
    assert verdict(Need.REPO_READER, scoped(org="lab", repo="other"), member("admin")) is NotFound
    assert verdict(Need.ORG_READER, scoped(org="lab", repo="cube"), member("admin")) is Denied
    assert verdict(Need.ORG_GUEST, scoped(org="lab", repo="cube"), member("admin")) is None


def test_a_key_never_gives_a_role_that_its_owner_lacks() -> None:
    assert verdict(Need.REPO_READER, scoped(org="lab", repo="cube"), OUTSIDE) is NotFound
    assert verdict(Need.REPO_WRITER, scoped("admin", org="lab", repo="cube"), member("reader")) is Denied


def test_managing_the_server_needs_its_admin_and_a_key_that_reaches_everything() -> None:
    assert verdict(Need.SERVER_ADMIN, scoped(), Standing()) is None
    assert verdict(Need.SERVER_ADMIN, ADA, Standing()) is Denied
    assert verdict(Need.SERVER_ADMIN, scoped(org="lab"), Standing()) is Denied


def test_keys_are_managed_by_users_with_a_key_that_reaches_everything() -> None:
    account = Principal(id="2", name="lab/robot", kind="service-account")

    assert verdict(Need.OWNER, ADA, Standing()) is None
    assert verdict(Need.OWNER, account, Standing()) is Denied
    assert verdict(Need.OWNER, scoped("reader"), Standing()) is Denied
