"""What a client is: which operations it has calls for, where it looks for its server, logging in and out; the rest of its calls."""

import asyncio
from pathlib import Path

import pytest
from tests.client.places import PASSWORD, Place

from kist import AsyncClient, Client
from kist.client.servers import known_servers
from kist.errors import AlreadyExists, Conflict, Denied, InvalidInput, NotFound, Unauthenticated
from kist.models import Scope
from kist.operations import OPERATIONS

BY_OTHER_NAMES = {"get_me": "whoami", "log_in": "login", "log_out": "logout", "open_repo": "get_repo"}
OF_AN_OPEN_REPOSITORY = {
    *("list_objects", "head_object", "read_object", "put_object", "put_ref_entry", "forget_versions", "collect_repo"),
}


@pytest.mark.parametrize("name", sorted(set(OPERATIONS) - OF_AN_OPEN_REPOSITORY))
def test_every_operation_has_a_call(name: str) -> None:
    assert callable(getattr(AsyncClient, BY_OTHER_NAMES.get(name, name)))


def test_a_client_of_this_machine_needs_nothing(home: Path) -> None:
    with Client() as client:
        assert (client.server, repr(client)) == ("this machine", "<Client this machine>")
        assert not home.exists()
        me = client.whoami()
        assert (me.name, me.kind, [org.name for org in me.orgs]) == ("ada", "user", ["local"])
        assert [repo.full_name for repo in client.list_repos("local")] == ["local/default"]


def test_a_client_that_was_closed_opens_again() -> None:
    client = Client()
    names = [client.whoami().name]
    client.close()
    client.close()
    names.append(client.whoami().name)
    client.close()
    assert names == ["ada", "ada"]


def test_a_client_of_this_machine_in_an_event_loop() -> None:
    async def work() -> list[str]:
        async with AsyncClient() as client:
            assert repr(client) == "<AsyncClient this machine>"
            return [org.name for org in await client.list_orgs()]

    assert asyncio.run(work()) == ["local"]


def test_a_client_for_threads_works_inside_an_event_loop() -> None:
    async def work() -> list[str]:
        with Client() as client:
            return [org.name for org in client.list_orgs()]

    assert asyncio.run(work()) == ["local"]


def test_many_calls_at_once_are_answered_each() -> None:
    async def work() -> list[str]:
        async with AsyncClient() as client:
            made = await asyncio.gather(*(client.create_org(f"lab-{number}") for number in range(8)))
            assert await asyncio.gather(*(client.get_org(org.name) for org in made)) == made
            return [org.name for org in made]

    assert asyncio.run(work()) == [f"lab-{number}" for number in range(8)]


def test_no_repr_shows_a_token() -> None:
    for kind in (Client, AsyncClient):
        assert repr(kind("https://kist.lab.org", token="canary")) == f"<{kind.__name__} https://kist.lab.org>"


@pytest.mark.parametrize("name", ["lab", "lab/", "/cube", "a/b/c", "", "lab/../etc", "la b/cube", "lab/cube\n"])
def test_a_repository_is_named_by_organisation_and_name(name: str) -> None:
    with Client() as client, pytest.raises(InvalidInput, match="write org/name, such as 'lab/cube'"):
        client.get_repo(name)


def test_this_machine_needs_no_login() -> None:
    with Client() as client:
        with pytest.raises(InvalidInput, match="needs no login"):
            client.login(user="ada", password=PASSWORD)
        with pytest.raises(InvalidInput, match="no login"):
            client.logout()


@pytest.mark.parametrize("place", ["over HTTP"], indirect=True)
class TestServer:
    """A server over HTTP."""

    @pytest.fixture
    def url(self, place: Place) -> str:
        place.make_user("grace")
        return place.url

    def test_a_login_is_kept_for_all_clients(self, url: str) -> None:
        with Client(url) as first:
            assert first.login(user="grace", password=lambda: PASSWORD).name == "grace"
            assert first.whoami().name == "grace"
        with Client() as second:
            assert (second.server, second.whoami().name) == (url, "grace")
        assert (known_servers().current, known_servers().servers[url].user) == (url, "grace")

    def test_a_logout_ends_the_key_and_is_forgotten(self, url: str) -> None:
        with Client(url) as client:
            client.login(user="grace", password=PASSWORD)
            token = known_servers().servers[url].token
            client.logout()
            with pytest.raises(Unauthenticated):
                client.whoami()
        assert known_servers().servers == {}
        with Client(url, token=token) as old, pytest.raises(Unauthenticated):
            old.whoami()

    def test_a_login_by_token_that_nobody_knows_changes_nothing(self, url: str) -> None:
        with Client(url) as client:
            client.login(user="grace", password=PASSWORD)
            before = known_servers()
            with pytest.raises(Unauthenticated):
                client.login(token="nobody's")
            assert (client.whoami().name, known_servers()) == ("grace", before)

    def test_a_login_that_is_not_saved_is_of_this_client(self, url: str) -> None:
        with Client(url) as client:
            client.login(user="grace", password=PASSWORD, save=False)
            assert client.whoami().name == "grace"
        assert known_servers().servers == {}

    def test_a_wrong_password_is_refused(self, url: str) -> None:
        with Client(url) as client, pytest.raises(Unauthenticated):
            client.login(user="grace", password="wrong")

    def test_a_login_says_how(self, url: str) -> None:
        with Client(url) as client, pytest.raises(InvalidInput, match="by a token, or by user and password"):
            client.login(user="grace")

    def test_a_token_of_the_environment(self, url: str, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("KIST_SERVER", url)
        monkeypatch.setenv("KIST_TOKEN", place.client.create_key("environment").secret)
        with Client() as client:
            assert client.whoami().name == "ada"

    def test_a_login_in_an_event_loop(self, url: str) -> None:
        async def work() -> str:
            async with AsyncClient(url) as client:
                await client.login(user="grace", password=PASSWORD)
                name = (await client.whoami()).name
                await client.logout()
                return name

        assert asyncio.run(work()) == "grace"


def test_organisations_and_their_members(place: Place, org: str) -> None:
    client, grace = place.client, place.user("grace")
    assert client.modify_org(org, description="of climate").description == "of climate"
    assert client.get_org(org).role == "admin"
    assert client.set_member(org=org, user="grace", role="writer").role == "writer"
    assert [(one.name, one.role) for one in client.list_members(org)] == [("ada", "admin"), ("grace", "writer")]
    assert org in [one.name for one in grace.list_orgs()]
    with pytest.raises(Conflict, match="admin"):
        client.remove_member(org=org, user="ada")
    client.remove_member(org=org, user="grace")
    with pytest.raises(NotFound):
        grace.get_org(org)
    with pytest.raises(AlreadyExists):
        client.create_org(org.upper())
    with pytest.raises(InvalidInput, match="imsure"):
        client.delete_org(org)
    client.delete_org(org, imsure=True, imreallysure=True)
    with pytest.raises(NotFound):
        client.get_org(org)


def test_service_accounts_and_their_keys(place: Place, org: str) -> None:
    client = place.client
    made = client.create_service_account(org=org, name="robot", role="reader")
    assert client.list_service_accounts(org) == [made]
    key = client.create_service_key(org=org, service_account="robot", name="night", days=None)
    assert [(one.id, one.expires) for one in client.list_service_keys(org=org, service_account="robot")] == [(key.key.id, None)]
    client.revoke_service_key(org=org, service_account="robot", key_id=key.key.id)
    assert client.modify_service_account(org=org, name="robot", disabled=True).role == "reader"
    assert client.modify_service_account(org=org, name="robot", role=None).role is None
    client.delete_service_account(org=org, name="robot")
    assert client.list_service_accounts(org) == []


def test_keys_of_ones_own(place: Place, org: str) -> None:
    client = place.client
    issued = client.create_key("narrow", kind="token", days=1, scope=Scope(role="reader", org=org))
    assert issued.secret not in repr(issued)
    assert issued.key.id in [one.id for one in client.list_keys()]
    client.revoke_key(issued.key.id)
    assert next(one for one in client.list_keys() if one.id == issued.key.id).revoked is not None
    with pytest.raises(NotFound):
        client.revoke_key("0" * 32)


def test_users_of_a_server(place: Place) -> None:
    client, grace = place.client, place.user("grace")
    assert "grace" in [one.name for one in client.list_users()]
    assert client.modify_user("grace", email="grace@lab.org").email == "grace@lab.org"
    assert client.create_login_link("grace").user == "grace"
    with pytest.raises(Denied, match="admin of this server"):
        grace.list_users()


def test_what_was_done_is_written_down(place: Place, org: str) -> None:
    client = place.client
    client.create_service_account(org=org, name="robot")
    client.delete_service_account(org=org, name="robot")
    done = ["delete_service_account", "create_service_account"]
    assert [line.operation for line in client.list_audit(org)][:2] == [line.operation for line in client.iter_audit(org)][:2] == done
    assert [line.target for line in client.list_audit(org, operation="create_service_account")] == ["robot"]
    assert [line.operation for line in client.list_audit(org, limit=1)] == done[:1]
    assert client.list_audit(org, limit=0) == []
    assert client.verify_audit(org).ok


def test_mounts_are_shared(place: Place, org: str) -> None:
    client = place.client
    made = client.set_mount(
        org=org,
        name="archive",
        url="s3://archive/2026",
        options={"region": "us-east-1"},
        secrets={"access_key_id": "a", "secret_access_key": "canary"},
    )
    assert (made.url, client.list_mounts(org)) == ("s3://archive/2026", [made])
    assert "canary" not in repr(made)
    client.remove_mount(org=org, name="archive")
    assert client.list_mounts(org) == []
