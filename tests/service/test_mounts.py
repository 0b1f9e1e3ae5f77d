"""Mounts of organisations, on each database."""

from pathlib import Path

import pytest
from sqlalchemy import select
from tests.servers.s3 import S3Server
from tests.service.bucketing import Lab, small_lab
from tests.service.people import keyring

from kist.catalog.database import Database
from kist.catalog.tables import audit, mounts
from kist.errors import Denied, InvalidInput, NotFound
from kist.models import Mount
from kist.models.requests import ListInOrg, MountName, SetMount
from kist.operations import LIST_MOUNTS, REMOVE_MOUNT, SET_MOUNT
from kist.service.buckets import reseal
from kist.service.mounts import resolve
from kist.service.rooms import Caller, Rooms
from kist.stores.urls import open_store

ORG = "earthmover"
SECRETS = {"access_key_id": "AKEXAMPLE", "secret_access_key": "canary-secret"}


@pytest.fixture
def lab(database: Database) -> Lab:
    return Lab(database)


@pytest.fixture
def small(tmp_path: Path) -> Lab:
    return small_lab(tmp_path)


def mount(lab: Lab, name: str = "shared", url: str = "s3://bkt/p", caller: Caller | None = None, **said: dict[str, str]) -> Mount:
    return lab.do(SET_MOUNT, SetMount(org=ORG, name=name, url=url, **said), caller)


def listed(lab: Lab, caller: Caller | None = None) -> list[Mount]:
    return lab.do(LIST_MOUNTS, ListInOrg(org=ORG), caller).items


def resolved(lab: Lab, name: str = "shared") -> tuple[str, dict[str, object]]:
    with lab.rooms.database.reading() as sql:
        return resolve(lab.rooms, sql, lab.ids[ORG], name)


def test_a_mount_is_listed_without_its_secrets(lab: Lab) -> None:
    made = mount(lab, options={"region": "eu-west-1"}, secrets=SECRETS)

    assert (made.org, made.name, made.url, made.options, made.created_by) == (ORG, "shared", "s3://bkt/p", {"region": "eu-west-1"}, "ann")
    assert listed(lab, lab.rea) == [made]
    with lab.rooms.database.reading() as sql:
        assert "canary" not in repr((made, sql.execute(select(audit)).all(), sql.execute(select(mounts)).all()))


def test_a_mount_is_resolved_with_its_secrets(lab: Lab) -> None:
    mount(lab, options={"region": "eu-west-1", "max_retries": "2"}, secrets=SECRETS)

    assert resolved(lab, "SHARED") == ("s3://bkt/p", {"region": "eu-west-1", "max_retries": 2, "allow_http": False, **SECRETS})


def test_what_was_said_before_counts_no_more(lab: Lab) -> None:
    first = mount(lab, secrets=SECRETS)

    second = mount(lab, "Shared", "s3://elsewhere", options={"skip_signature": "true"})

    assert (second.created, second.name) == (first.created, "shared")
    assert resolved(lab) == ("s3://elsewhere", {"skip_signature": True, "allow_http": False})
    assert len(listed(lab)) == 1


def test_a_removed_mount_is_gone(lab: Lab) -> None:
    mount(lab)

    lab.do(REMOVE_MOUNT, MountName(org=ORG, name="shared"))

    assert listed(lab) == []
    with pytest.raises(NotFound, match="'shared'"):
        resolved(lab)
    with pytest.raises(NotFound, match="'shared'"):
        lab.do(REMOVE_MOUNT, MountName(org=ORG, name="shared"))


def test_mounts_come_in_pages(lab: Lab) -> None:
    for name in ("b", "a", "c"):
        mount(lab, name)

    first = lab.do(LIST_MOUNTS, ListInOrg(org=ORG, limit=2))
    rest = lab.do(LIST_MOUNTS, ListInOrg(org=ORG, limit=2, after=first.next))

    assert [one.name for one in (*first.items, *rest.items)] == ["a", "b", "c"]


def test_only_admins_set_mounts(lab: Lab) -> None:
    with pytest.raises(Denied):
        mount(lab, caller=lab.wim)


def test_secrets_are_sealed_anew_by_a_new_key(lab: Lab) -> None:
    mount(lab, secrets=SECRETS)

    assert reseal(Rooms(database=lab.rooms.database, keyring=keyring("two", "one"), rules=lab.rooms.rules)) == 1

    lab.rooms = Rooms(database=lab.rooms.database, keyring=keyring("two"), rules=lab.rooms.rules)
    assert resolved(lab)[1] == {**SECRETS, "allow_http": False}


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s3://bkt", {"options": {"secret_access_key": "canary"}}),
        ("s3://me:canary@bkt", {}),
        ("sftp://me:canary@host/x", {}),
        ("https://me:canary@host/x", {}),
        ("https://host/x?token=canary", {}),
        ("s3://bkt", {"options": {"session_token": "canary"}}),
        ("https://host/x", {"options": {"token": "canary"}}),
        ("s3://bkt", {"options": {"endpoint_url": "https://x:canary@host"}}),
        ("s3://bkt", {"secrets": {"profile": "canary"}}),
        ("sftp://host/x", {"secrets": {"key_filename": "/elsewhere/canary"}}),
        ("sftp://host/x", {"secrets": {"known_hosts": "/elsewhere/canary"}}),
        ("gs://bkt", {"secrets": {"service_account_path": "/elsewhere/canary"}}),
        ("gs://bkt", {"secrets": {"application_credentials": "/elsewhere/canary"}}),
        ("s3://bkt", {"secrets": {"metadata_endpoint": "http://canary"}}),
        ("s3://bkt", {"secrets": {"web_identity_token_file": "/elsewhere/canary"}}),
        ("az://cont", {"secrets": {"authority_host": "https://canary"}}),
        ("swift://cont", {"secrets": {"cacert": "/elsewhere/canary"}}),
        ("https://host/x", {"secrets": {"headers": "X: canary"}}),
        ("s3://bkt", {"options": {"region": "canary"}, "secrets": {"region": "canary"}}),
    ],
)
def test_what_is_not_known_to_be_harmless_is_refused_and_not_repeated(small: Lab, url: str, said: dict[str, dict[str, str]]) -> None:
    request = SetMount(org=ORG, name="shared", url=url, options=said.get("options", {}), secrets=said.get("secrets", {}))
    with pytest.raises(InvalidInput) as caught:
        small.do(SET_MOUNT, request)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "kist://org/repo",
        "github://x:y@z/",
        "simplecache::s3://bkt",
        "local:///etc",
        "smb://host/x",
        "other://x",
        "/etc",
        "s3:bkt",
        "host://x",
    ],
)
def test_schemes_that_are_not_known_to_be_harmless_are_refused(small: Lab, url: str) -> None:
    with pytest.raises(InvalidInput):
        mount(small, url=url)


@pytest.mark.parametrize("name", ["s3", "file", "kist", "https", "1st"])
def test_names_that_mean_something_else_are_refused(small: Lab, name: str) -> None:
    with pytest.raises(InvalidInput):
        mount(small, name)


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("file:///etc", {}),
        ("memory://x", {}),
        ("http://example.com/x", {}),
        ("https://169.254.169.254/latest", {}),
        ("https://2852039166/latest", {}),
        ("https://[::ffff:10.0.0.1]/x", {}),
        ("https://localhost:8443/x", {}),
        ("sftp://10.0.0.1/x", {"username": "me"}),
        ("sftp://gateway/x", {"username": "me"}),
        ("ftp://ftp.example.com/x", {}),
        ("webdav://dav.example.com/x", {}),
        ("webdavs://192.168.1.1/x", {}),
        ("s3://bkt", {"endpoint_url": "http://10.0.0.1:9000"}),
        ("s3://bkt", {"endpoint_url": "https://10.0.0.1:9000"}),
        ("gs://bkt", {"endpoint_url": "http://metadata.google.internal"}),
        ("az://cont", {"endpoint_url": "https://127.1/x", "account_name": "acct"}),
        ("swift://cont", {"auth_url": "https://keystone.example.com/v3", "username": "me"}),
    ],
)
def test_places_that_the_rules_forbid(small: Lab, url: str, options: dict[str, str]) -> None:
    with pytest.raises(Denied):
        mount(small.ruled(), url=url, options=options)


@pytest.mark.parametrize("url", ["s3://bkt", "gs://bkt", "az://cont"])
def test_the_machines_credentials_are_not_lent(small: Lab, url: str) -> None:
    mount(small, url=url, options={"account_name": "acct"} if url.startswith("az") else {})

    with pytest.raises(Denied, match="does not lend"):
        resolved(small.ruled())


def test_the_machines_ssh_keys_are_not_lent(small: Lab) -> None:
    mount(small, url="sftp://8.8.8.8/x", options={"username": "me"}, secrets={"password": "canary"})

    assert resolved(small.ruled())[1]["agent"] is False


@pytest.mark.peer("MiniStack")
def test_a_mounted_bucket_opens(small: Lab, ministack: S3Server) -> None:
    secrets = {"access_key_id": ministack.access_key, "secret_access_key": ministack.secret_key}
    mount(small, url=f"s3://{ministack.make_bucket()}/p", options={"endpoint_url": ministack.endpoint}, secrets=secrets)

    url, options = resolved(small)
    store = open_store(url, create=False, **options)
    store.put("key", b"1")

    assert store.get("key") == b"1"
