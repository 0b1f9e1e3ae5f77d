"""Bucket configs by the clients: the calls of Arraylake's page, and its stories. In this process and over HTTP."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.client.places import Place

from kist import AsyncClient
from kist.errors import AlreadyExists, Conflict, Denied, InvalidInput, NotFound
from kist.models import BucketConfig, Role

URI = "s3://my-production-data"
KEYS = {"access_key_id": "AKIACANARY", "secret_access_key": "canary"}


@pytest.fixture
def production(place: Place, org: str) -> BucketConfig:
    return place.client.create_bucket_config(
        org=org, nickname="production", uri=f"s3://{org}-data", extra_config={"region_name": "us-east-1"}
    )


def test_a_new_bucket_config_is_the_default_and_no_bucket_is_made(place: Place, org: str) -> None:
    client = place.client
    made = client.create_bucket_config(
        org=org, nickname="production", uri=URI, extra_config={"region_name": "us-east-1"}, allow_nested=True
    )
    assert (made.nickname, made.platform, made.name, made.prefix) == ("production", "s3", "my-production-data", "")
    assert (made.extra_config, made.auth_method, made.is_default, made.repos) == ({"region_name": "us-east-1"}, "ambient", True, 0)
    assert (made.uri, made.org, made.created_by) == (URI, org, "ada")
    assert client.get_bucket_config(org=org, nickname="production") == made
    client.delete_bucket_config(org=org, nickname="production", imsure=True, imreallysure=True)


def test_the_calls_of_the_page_are_awaited(place: Place, org: str) -> None:
    async def page(aclient: AsyncClient) -> None:
        made = await aclient.create_bucket_config(
            org=org, nickname="production", uri=f"s3://{org}-async", extra_config={"region_name": "us-east-1"}
        )
        assert await aclient.list_bucket_configs(org) == [made]
        assert await aclient.set_default_bucket_config(org=org, nickname="production") == made
        await aclient.delete_bucket_config(org=org, nickname="production", imsure=True, imreallysure=True)
        assert await aclient.list_bucket_configs(org) == []

    place.ran(page)


def test_both_clients_give_equal_objects(place: Place, org: str, production: BucketConfig) -> None:
    second = place.client.create_bucket_config(org=org, nickname="second", uri=f"s3://{org}-second", region_name="us-east-1")

    async def listed(aclient: AsyncClient) -> list[BucketConfig]:
        return await aclient.list_bucket_configs(org)

    assert place.ran(listed) == place.client.list_bucket_configs(org) == [production, second]
    assert [one.is_default for one in place.client.list_bucket_configs(org)] == [True, False]


def test_the_words_of_the_page_for_credentials(place: Place, org: str) -> None:
    made = place.client.create_bucket_config(
        org=org,
        nickname="production",
        uri=f"s3://{org}-data",
        extra_config={"region_name": "us-east-1"},
        auth_config={"method": "anonymous"},
    )
    assert made.auth_method == "ambient"


def test_a_prefix_is_split_off(place: Place, org: str) -> None:
    made = place.client.create_bucket_config(org=org, nickname="production", uri=f"s3://{org}-data/my-prefix", region_name="us-east-1")
    assert (made.name, made.prefix) == (f"{org}-data", "my-prefix")


@pytest.mark.parametrize("spelled", ["s3://{}-data", "s3://{}-data/", "S3://{}-data", "s3://{}-data/below"])
def test_a_place_is_taken_once(spelled: str, place: Place, org: str, production: BucketConfig) -> None:
    assert production.org == org
    with pytest.raises(Conflict, match="production"):
        place.client.create_bucket_config(org=org, nickname="other", uri=spelled.format(org), region_name="us-east-1")


def test_a_nickname_is_taken_once(place: Place, org: str, production: BucketConfig) -> None:
    with pytest.raises(AlreadyExists):
        place.client.create_bucket_config(org=org, nickname=production.nickname, uri=f"s3://{org}-other", region_name="us-east-1")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"nickname": "ab"}, "3 to 64"),
        ({"nickname": "a b c"}, "3 to 64"),
        ({"extra_config": {}}, "region_name"),
        ({"uri": "s3://ab"}, "3 to 63"),
        ({"uri": "nonsense://abc"}, "nonsense"),
        ({"uri": None}, "uri"),
        ({"auth_config": {}}, "method"),
        ({"auth_config": {"method": "guess"}}, "guess"),
        ({"region_name": "eu-west-1"}, "say it once"),
    ],
)
def test_what_cannot_be_is_refused(said: dict[str, object], told: str, place: Place, org: str) -> None:
    right: dict[str, object] = {"nickname": "production", "uri": f"s3://{org}-data", "extra_config": {"region_name": "us-east-1"}}
    create: Callable[..., object] = place.client.create_bucket_config
    with pytest.raises(InvalidInput, match=told):
        create(org=org, **{**right, **said})
    assert place.client.list_bucket_configs(org) == []


def test_everything_can_be_modified_while_no_repository_uses_it(place: Place, org: str, production: BucketConfig) -> None:
    changed = place.client.modify_bucket_config(
        org=org, nickname="production", new_nickname="archive", uri=f"s3://{org}-archive", region_name="eu-west-1"
    )
    assert (changed.id, changed.nickname, changed.name) == (production.id, "archive", f"{org}-archive")
    assert changed.extra_config == {"region_name": "eu-west-1"}


def test_only_the_nickname_can_be_modified_while_a_repository_uses_it(place: Place, org: str, tmp_path: Path) -> None:
    client = place.client
    client.create_bucket_config(org=org, nickname="folder", uri=f"file://{tmp_path}/a")
    client.create_repo(f"{org}/cube")
    with pytest.raises(Conflict, match="cube"):
        client.modify_bucket_config(org=org, nickname="folder", uri=f"file://{tmp_path}/b")
    renamed = client.modify_bucket_config(org=org, nickname="folder", new_nickname="renamed")
    assert (renamed.nickname, renamed.repos) == ("renamed", 1)
    assert [one.name for one in client.list_repos_for_bucket_config(org=org, nickname="renamed")] == ["cube"]
    with pytest.raises(Conflict, match="cube"):
        client.delete_bucket_config(org=org, nickname="renamed", imsure=True, imreallysure=True)


def test_credentials_are_rotated_and_never_told(place: Place, org: str, production: BucketConfig) -> None:
    rotated = place.client.rotate_credentials(org=org, nickname="production", credentials=KEYS)
    assert (rotated.auth_method, rotated.id) == ("keys", production.id)
    again = place.client.rotate_credentials(org=org, nickname="production", auth_config={"method": "hmac", **KEYS})
    assert "canary" not in repr([rotated, again, *place.client.list_bucket_configs(org)]).lower()


@pytest.mark.parametrize("sure", [{}, {"imsure": True}, {"imreallysure": True}])
def test_a_deletion_takes_both_flags(sure: dict[str, bool], place: Place, org: str, production: BucketConfig) -> None:
    with pytest.raises(ValueError, match="imsure and imreallysure"):
        place.client.delete_bucket_config(org=org, nickname="production", **sure)
    assert place.client.list_bucket_configs(org) == [production]


def test_a_second_deletion_finds_nothing(place: Place, org: str, production: BucketConfig) -> None:
    for nickname in (production.nickname, "never"):
        place.client.delete_bucket_config(org=org, nickname="production", imsure=True, imreallysure=True) if nickname != "never" else None
        with pytest.raises(KeyError):
            place.client.delete_bucket_config(org=org, nickname=nickname, imsure=True, imreallysure=True)


def test_objects_stay_where_they_are(place: Place, org: str, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("content")
    place.client.create_bucket_config(org=org, nickname="folder", uri=f"file://{tmp_path}")
    place.client.delete_bucket_config(org=org, nickname="folder", imsure=True, imreallysure=True)
    assert (tmp_path / "kept").read_text() == "content"


def test_a_place_is_tried(place: Place, org: str, tmp_path: Path) -> None:
    place.client.create_bucket_config(org=org, nickname="folder", uri=f"file://{tmp_path}")
    check = place.client.check_bucket_config(org=org, nickname="folder")
    assert (check.ok, check.problems, check.nickname) == (True, (), "folder")


def test_another_one_becomes_the_default(place: Place, org: str, production: BucketConfig) -> None:
    place.client.create_bucket_config(org=org, nickname="second", uri=f"s3://{org}-second", region_name="us-east-1")
    assert place.client.set_default_bucket_config(org=org, nickname="second").is_default
    listed = {one.nickname: one.is_default for one in place.client.list_bucket_configs(org)}
    assert listed == {production.nickname: False, "second": True}


def test_an_unknown_organisation_is_not_found(place: Place) -> None:
    with pytest.raises(NotFound):
        place.client.list_bucket_configs("nobodys")


@pytest.mark.parametrize("role", ["reader", "writer"])
def test_members_list_and_admins_change(role: Role, place: Place, org: str, production: BucketConfig) -> None:
    member = place.user("grace")
    with pytest.raises(NotFound):
        member.list_bucket_configs(org)
    place.client.set_member(org=org, user="grace", role=role)
    assert [one.id for one in member.list_bucket_configs(org)] == [production.id]
    with pytest.raises(Denied, match="admin"):
        member.create_bucket_config(org=org, nickname="other", uri=f"s3://{org}-other", region_name="us-east-1")
    with pytest.raises(Denied, match="admin"):
        member.delete_bucket_config(org=org, nickname="production", imsure=True, imreallysure=True)
