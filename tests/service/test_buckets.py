"""Bucket configs, as those who may and those who may not see them, on each database."""

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import ValidationError, convert
from sqlalchemy import Connection, select
from tests.servers.azurite import AzureServer
from tests.servers.gcs import GcsServer
from tests.servers.s3 import S3Server
from tests.service.bucketing import KEYS, REGION, Lab, small_lab
from tests.service.people import keyring

from kist.catalog.buckets import add, lock_places, overlapping
from kist.catalog.database import Database
from kist.catalog.tables import audit
from kist.errors import AlreadyExists, Conflict, Denied, IntegrityError, InvalidInput, NotFound
from kist.models import BucketCheck, BucketConfig
from kist.models.requests import (
    BucketName,
    CreateBucketConfig,
    DeleteBucketConfig,
    ListBucketRepos,
    ListBuckets,
    ModifyBucketConfig,
    RotateCredentials,
)
from kist.operations import (
    CHECK_BUCKET_CONFIG,
    DELETE_BUCKET_CONFIG,
    GET_BUCKET_CONFIG,
    LIST_BUCKET_CONFIGS,
    LIST_REPOS_FOR_BUCKET_CONFIG,
    MODIFY_BUCKET_CONFIG,
    ROTATE_CREDENTIALS,
    SET_DEFAULT_BUCKET_CONFIG,
)
from kist.service.buckets import reseal
from kist.service.places import credentials_of, open_place
from kist.service.rooms import Caller, Rooms

ORG = "earthmover"


@pytest.fixture
def lab(database: Database) -> Lab:
    return Lab(database)


@pytest.fixture
def small(tmp_path: Path) -> Lab:
    return small_lab(tmp_path)


def listed(lab: Lab, caller: Caller | None = None, **said: int | str) -> list[BucketConfig]:
    return lab.do(LIST_BUCKET_CONFIGS, ListBuckets(org=ORG, **said), caller).items  # type: ignore[arg-type]  # limit and after


def modify(lab: Lab, nickname: str = "production", **said: object) -> BucketConfig:
    return lab.do(MODIFY_BUCKET_CONFIG, ModifyBucketConfig(org=ORG, nickname=nickname, **said))  # type: ignore[arg-type]  # what fits


def rotate(lab: Lab, **said: object) -> BucketConfig:
    return lab.do(ROTATE_CREDENTIALS, RotateCredentials(org=ORG, nickname="production", **said))  # type: ignore[arg-type]  # what fits


def delete(lab: Lab, nickname: str = "production", *, imsure: bool = True, imreallysure: bool = True) -> None:
    lab.do(DELETE_BUCKET_CONFIG, DeleteBucketConfig(org=ORG, nickname=nickname, imsure=imsure, imreallysure=imreallysure))


def secrets(lab: Lab) -> dict[str, str]:
    return credentials_of(lab.rooms, lab.row())


# Making


def test_the_seed_call(lab: Lab) -> None:
    made = lab.create()

    assert (made.org, made.nickname, made.platform, made.name, made.prefix) == (ORG, "production", "s3", "my-production-data", "")
    assert (made.extra_config, made.is_default, made.auth_method, made.repos) == (REGION, True, "ambient", 0)
    assert (made.created_by, made.uri) == ("ann", "s3://my-production-data")
    assert made == listed(lab)[0] == lab.do(GET_BUCKET_CONFIG, BucketName(org=ORG, nickname="production"))


def test_a_second_bucket_config_is_not_the_default(lab: Lab) -> None:
    lab.create()

    assert not lab.create("staging", "s3://my-bucket/my-prefix").is_default


def test_each_organisation_has_a_default_of_its_own(lab: Lab) -> None:
    lab.create()

    assert lab.create(uri="s3://their-data", org="other", caller=lab.eve).is_default


@pytest.mark.parametrize(
    "uri",
    [
        *("s3://my-production-data", "s3://my-production-data/", "S3://my-production-data", "s3a://my-production-data//"),
        *("s3://my-production-data/p", "s3://my-production-data/p/q/"),
    ],
)
@pytest.mark.parametrize("org", ["earthmover", "other"])
def test_a_place_that_is_taken_in_any_spelling_conflicts(lab: Lab, uri: str, org: str) -> None:
    lab.create()

    with pytest.raises(Conflict) as caught:
        lab.create("second", uri, org=org, caller=lab.ann if org == ORG else lab.eve)
    assert ("production" in str(caught.value)) is (org == ORG)
    assert (ORG in str(caught.value)) is False


def test_a_place_around_another_one_conflicts(lab: Lab) -> None:
    lab.create(uri="s3://my-bucket/a/b")

    with pytest.raises(Conflict, match="overlaps"):
        lab.create("outer", "s3://my-bucket/a")


@pytest.mark.parametrize(
    "uri", ["s3://my-bucket/a/b2", "s3://my-bucket/a/b-", "s3://my-bucket/a/b0", "s3://my-bucket/a/B", "s3://my-bucket2/a/b"]
)
def test_places_beside_each_other_do_not(lab: Lab, uri: str) -> None:
    lab.create(uri="s3://my-bucket/a/b")

    assert lab.create("beside", uri).nickname == "beside"


def test_allow_nested_lets_one_lie_in_another(lab: Lab) -> None:
    lab.create()

    assert lab.create("inner", "s3://my-production-data/p", allow_nested=True).prefix == "p"


def test_allow_nested_never_makes_equal_places(lab: Lab) -> None:
    lab.create()

    with pytest.raises(Conflict, match="already"):
        lab.create("second", allow_nested=True)


def test_only_an_admin_of_the_server_nests_in_another_organisations_place(lab: Lab) -> None:
    lab.create()

    with pytest.raises(Conflict, match="only an admin of this server"):
        lab.create("inner", "s3://my-production-data/p", org="other", caller=lab.eve, allow_nested=True)
    assert lab.create("inner", "s3://my-production-data/p", org="other", caller=lab.root, allow_nested=True).prefix == "p"


@pytest.mark.parametrize("nickname", ["production", "PRODUCTION", "  production  "])
def test_a_nickname_that_is_taken(lab: Lab, nickname: str) -> None:
    lab.create()

    with pytest.raises(AlreadyExists, match=r"production|PRODUCTION"):
        lab.create(nickname, "s3://elsewhere")


def test_a_nickname_loses_the_spaces_around_it(lab: Lab) -> None:
    assert lab.create("  production  ").nickname == "production"


@pytest.mark.parametrize("nickname", ["ab", "", "a b c", "x" * 65, "a/b", "-abc", "abc\n.."])
def test_a_nickname_that_is_none(small: Lab, nickname: str) -> None:
    with pytest.raises(InvalidInput, match="at least 3 characters"):
        small.create(nickname)
    with pytest.raises(ValidationError):
        convert({"org": ORG, "nickname": nickname, "uri": "s3://bkt"}, CreateBucketConfig)


def test_eight_who_make_overlapping_ones_at_once_make_one(lab: Lab) -> None:
    made, refused = [], []
    start = threading.Barrier(8)

    def create(number: int) -> None:
        start.wait()
        try:
            made.append(lab.create(f"number-{number}", f"s3://my-bucket/{'p' * (number % 2)}", org="other", caller=lab.eve))
        except Conflict as error:
            refused.append(error)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(made), len(refused)) == (1, 7)


@pytest.mark.parametrize("act", ["create", "modify"])
def test_who_takes_a_place_waits_for_whoever_is_taking_one(lab: Lab, act: str) -> None:
    lab.create("moving", "s3://first-bucket")
    looked, taken = threading.Event(), replace(lab.row("moving"), id="f" * 32, nickname="taken", place="aws:/my-bucket/", is_default=False)

    def take(sql: Connection) -> None:
        lock_places(sql)
        assert not overlapping(sql, taken.place)
        looked.set()
        time.sleep(0.5)  # the other one has begun by now
        add(sql, taken)

    thread = threading.Thread(target=lab.rooms.database.change, args=(take,))
    thread.start()
    looked.wait(10)

    with pytest.raises(Conflict, match="'taken'"):
        lab.create("inner", "s3://my-bucket/p") if act == "create" else modify(lab, "moving", uri="s3://my-bucket/p")
    thread.join()


def test_eight_who_make_the_first_ones_at_once_make_one_default(lab: Lab) -> None:
    threads = [threading.Thread(target=lab.create, args=(f"number-{number}", f"s3://bucket-{number}")) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [one.is_default for one in listed(lab)].count(True) == 1
    assert len(listed(lab)) == 8


def test_the_rules_count_when_it_is_made(small: Lab) -> None:
    strict = small.ruled()

    for uri, extra in (("file:///etc", None), ("memory://lab", None), ("s3://bkt", {"endpoint_url": "http://169.254.169.254"})):
        with pytest.raises(Denied):
            strict.create(uri=uri, extra_config=extra)


def test_the_machines_credentials_may_be_meant_though_they_are_not_lent(small: Lab) -> None:
    strict = small.ruled()
    strict.create()

    checked = strict.do(CHECK_BUCKET_CONFIG, BucketName(org=ORG, nickname="production"))

    assert not checked.ok
    assert "rotate_credentials" in checked.problems[0]


# Who may


def test_who_has_no_role_there_learns_nothing(lab: Lab) -> None:
    with pytest.raises(NotFound):
        lab.create(caller=lab.eve)


@pytest.mark.parametrize("who", ["wim", "rea"])
def test_writers_and_readers_list_and_change_nothing(lab: Lab, who: str) -> None:
    lab.create()
    caller = lab.caller(who)

    assert len(listed(lab, caller)) == 1
    for act in (
        lambda: lab.create("second", "s3://elsewhere", caller=caller),
        lambda: lab.do(DELETE_BUCKET_CONFIG, DeleteBucketConfig(org=ORG, nickname="production", imsure=True, imreallysure=True), caller),
        lambda: lab.do(ROTATE_CREDENTIALS, RotateCredentials(org=ORG, nickname="production", auth_method="public"), caller),
        lambda: lab.do(MODIFY_BUCKET_CONFIG, ModifyBucketConfig(org=ORG, nickname="production", new_nickname="other"), caller),
    ):
        with pytest.raises(Denied):
            act()


def test_bucket_configs_of_others_are_not_there(lab: Lab) -> None:
    lab.create()

    with pytest.raises(NotFound, match="no bucket config"):
        lab.do(GET_BUCKET_CONFIG, BucketName(org="other", nickname="production"), lab.eve)


# Listing


def test_a_list_comes_in_pages_by_nickname(lab: Lab) -> None:
    for nickname in ("bbb", "Aaa", "ccc"):
        lab.create(nickname, f"s3://bucket-{nickname.lower()}")

    first = lab.do(LIST_BUCKET_CONFIGS, ListBuckets(org=ORG, limit=2))
    rest = lab.do(LIST_BUCKET_CONFIGS, ListBuckets(org=ORG, limit=2, after=first.next))

    assert [one.nickname for one in (*first.items, *rest.items)] == ["Aaa", "bbb", "ccc"]
    assert rest.next == ""


def test_the_repositories_of_one(lab: Lab) -> None:
    lab.create()
    lab.use("production", "climate", "Atlas")
    lab.use("production", "old", deleted=True)

    first = lab.do(LIST_REPOS_FOR_BUCKET_CONFIG, ListBucketRepos(org=ORG, nickname="production", limit=2))
    rest = lab.do(LIST_REPOS_FOR_BUCKET_CONFIG, ListBucketRepos(org=ORG, nickname="production", limit=2, after=first.next))

    assert [(one.full_name, one.status) for one in (*first.items, *rest.items)] == [
        ("earthmover/Atlas", "online"),
        ("earthmover/climate", "online"),
        ("earthmover/old", "deleted"),
    ]
    assert listed(lab)[0].repos == 3


# The default


def test_another_default(lab: Lab) -> None:
    lab.create()
    lab.create("staging", "s3://my-bucket")

    assert lab.do(SET_DEFAULT_BUCKET_CONFIG, BucketName(org=ORG, nickname="staging")).is_default
    assert [one.nickname for one in listed(lab) if one.is_default] == ["staging"]


def test_a_deleted_default_leaves_none(lab: Lab) -> None:
    lab.create()
    lab.create("staging", "s3://my-bucket")

    delete(lab)

    assert [one.is_default for one in listed(lab)] == [False]
    assert not lab.create("third", "s3://third").is_default


def test_an_unknown_nickname(lab: Lab) -> None:
    for act in (
        lambda: lab.do(GET_BUCKET_CONFIG, BucketName(org=ORG, nickname="missing")),
        lambda: lab.do(SET_DEFAULT_BUCKET_CONFIG, BucketName(org=ORG, nickname="missing")),
        lambda: lab.do(CHECK_BUCKET_CONFIG, BucketName(org=ORG, nickname="missing")),
        lambda: modify(lab, "missing", new_nickname="found"),
        lambda: delete(lab, "missing"),
    ):
        with pytest.raises(NotFound, match="'missing'"):
            act()


# Changing


def test_an_unused_one_can_be_changed_in_every_way(lab: Lab) -> None:
    made = lab.create()

    changed = modify(lab, new_nickname="archive", uri="s3://my-archive/old", extra_config={"region_name": "eu-west-1"})

    assert (changed.id, changed.nickname, changed.name, changed.prefix) == (made.id, "archive", "my-archive", "old")
    assert changed.extra_config == {"region_name": "eu-west-1"}
    assert lab.create("second").name == "my-production-data"  # its place is free again


def test_what_is_not_said_stays(lab: Lab) -> None:
    lab.create(uri="s3://my-bucket/p")

    changed = modify(lab, prefix="q")

    assert (changed.name, changed.prefix, changed.extra_config) == ("my-bucket", "q", REGION)


def test_the_same_place_in_another_spelling_is_no_change(lab: Lab) -> None:
    lab.create()
    lab.use()

    assert modify(lab, uri="S3://my-production-data/").name == "my-production-data"


def test_of_a_used_one_only_the_nickname_can_be_changed(lab: Lab) -> None:
    lab.create()
    lab.use("production", "a", "b", "c", "d", "e", "f", "g")

    assert modify(lab, new_nickname="renamed").nickname == "renamed"
    for said in ({"uri": "s3://elsewhere"}, {"prefix": "p"}, {"extra_config": {"region_name": "eu-west-1"}}):
        with pytest.raises(Conflict, match="a, b, c, d, e and 2 more"):
            modify(lab, "renamed", **said)


def test_a_changed_place_must_be_free(lab: Lab) -> None:
    lab.create()
    lab.create("staging", "s3://my-bucket/p")

    with pytest.raises(Conflict, match="'staging'"):
        modify(lab, uri="s3://my-bucket")
    assert modify(lab, uri="s3://my-bucket", allow_nested=True).prefix == ""


def test_it_may_move_into_its_own_place(lab: Lab) -> None:
    lab.create()

    assert modify(lab, uri="s3://my-production-data/p").prefix == "p"


def test_a_new_nickname_must_be_free(lab: Lab) -> None:
    lab.create()
    lab.create("staging", "s3://my-bucket")

    with pytest.raises(AlreadyExists):
        modify(lab, new_nickname="STAGING")
    assert modify(lab, new_nickname="PRODUCTION").nickname == "PRODUCTION"


def test_credentials_stay_with_their_service(lab: Lab) -> None:
    lab.create(credentials=KEYS)

    modify(lab, uri="s3://my-archive")

    assert secrets(lab) == KEYS


@pytest.mark.parametrize(
    "said",
    [
        {"extra_config": {"endpoint_url": "https://evil.example.com"}},
        {"uri": "gs://bkt"},
        {"uri": "memory://bkt"},
        {"extra_config": {**REGION, "sts_endpoint_url": "https://evil.example.com"}},
    ],
)
def test_credentials_never_go_to_another_service(lab: Lab, said: dict[str, object]) -> None:
    lab.create(credentials=KEYS)

    modify(lab, "production", **said)

    assert secrets(lab) == {}


def test_a_role_stays_with_its_service(lab: Lab) -> None:
    role = {**REGION, "role_arn": "arn:aws:iam::123456789012:role/kist"}
    lab.create(auth_method="role", credentials=KEYS, extra_config=role)

    with pytest.raises(InvalidInput, match="auth_method"):
        modify(lab, extra_config={**role, "role_arn": "arn:aws:iam::123456789012:role/other"})


# Credentials


def test_credentials_are_sealed_and_never_told(lab: Lab) -> None:
    made = lab.create(credentials=KEYS)

    assert made.auth_method == "keys"
    assert "canary" not in repr((made, lab.row(), listed(lab)))
    assert b"canary" not in (lab.row().credentials or b"")
    with lab.rooms.database.reading() as sql:
        assert "canary" not in repr(sql.execute(select(audit)).all())
    assert secrets(lab) == KEYS


def test_credentials_of_another_row_do_not_open(small: Lab) -> None:
    small.create(credentials=KEYS)
    small.create("staging", "s3://my-bucket", credentials=KEYS)
    stolen = small.row("staging").credentials

    with pytest.raises(IntegrityError, match="belongs elsewhere"):
        credentials_of(small.rooms, replace(small.row(), credentials=stolen))


def test_credentials_can_be_rotated_though_repositories_use_it(lab: Lab) -> None:
    lab.create(credentials=KEYS)
    lab.use()
    new = {"access_key_id": "AKNEW", "secret_access_key": "canary-new"}

    rotate(lab, credentials=new)

    assert secrets(lab) == new


def test_rotated_to_no_credentials(lab: Lab) -> None:
    lab.create(credentials=KEYS)

    assert rotate(lab, auth_method="public").auth_method == "public"
    assert secrets(lab) == {}


@pytest.mark.parametrize("said", [{}, {"credentials": {"account_key": "canary"}}, {"auth_method": "keys"}])
def test_credentials_that_do_not_fit(lab: Lab, said: dict[str, object]) -> None:
    lab.create(credentials=KEYS)

    with pytest.raises(InvalidInput):
        rotate(lab, **said)
    assert secrets(lab) == KEYS


def test_all_are_sealed_anew_by_a_new_key(lab: Lab) -> None:
    lab.create(credentials=KEYS)
    lab.create("staging", "s3://my-bucket", credentials=KEYS)
    both = Rooms(database=lab.rooms.database, keyring=keyring("two", "one"))

    assert reseal(both) == 2
    assert reseal(both) == 0

    assert credentials_of(Rooms(database=lab.rooms.database, keyring=keyring("two")), lab.row()) == KEYS


# Deleting


@pytest.mark.parametrize(("imsure", "imreallysure"), [(False, False), (True, False), (False, True)])
def test_nobody_deletes_without_both_flags(lab: Lab, *, imsure: bool, imreallysure: bool) -> None:
    lab.create()

    with pytest.raises(InvalidInput, match=r"^imsure and imreallysure must be set to True$"):
        delete(lab, imsure=imsure, imreallysure=imreallysure)
    assert listed(lab)


def test_a_used_one_is_not_deleted(lab: Lab) -> None:
    lab.create()
    lab.use("production", "climate")
    lab.use("production", "old", deleted=True)

    with pytest.raises(Conflict, match=r"climate, old \(in the trash\)"):
        delete(lab)


def test_the_trash_counts_as_use(lab: Lab) -> None:
    lab.create()
    lab.use("production", "old", deleted=True)

    with pytest.raises(Conflict, match="trash"):
        delete(lab)


def test_a_second_delete_finds_nothing(lab: Lab) -> None:
    lab.create()

    delete(lab)

    with pytest.raises(NotFound):
        delete(lab)
    assert lab.create().is_default


def test_what_lies_there_stays(small: Lab, tmp_path: Path) -> None:
    small.create(uri=f"file://{tmp_path}/lab")
    open_place(small.rooms, small.row()).put("key", b"stays")

    delete(small)

    assert (tmp_path / "lab/key").read_bytes() == b"stays"


def test_nothing_is_sent_when_one_is_made(small: Lab, tmp_path: Path) -> None:
    small.create(uri=f"file://{tmp_path}/lab")

    assert not (tmp_path / "lab").exists()


# Trying


def check(lab: Lab) -> BucketCheck:
    return lab.do(CHECK_BUCKET_CONFIG, BucketName(org=ORG, nickname="production"))


def test_a_folder_is_tried_and_left_clean(small: Lab, tmp_path: Path) -> None:
    small.create(uri=f"file://{tmp_path}/lab")

    found = check(small)

    assert (found.ok, found.problems, found.abilities["put-if-absent"], found.abilities["repositories"]) == (True, (), "yes", "yes: create")
    assert [path for path in (tmp_path / "lab").rglob("*") if path.is_file()] == []


@pytest.mark.peer("MiniStack")
def test_a_bucket_of_ministack(small: Lab, ministack: S3Server) -> None:
    bucket = ministack.make_bucket()
    small.create(uri=f"s3://{bucket}/p", extra_config=extra(ministack), credentials=keys(ministack))

    found = check(small)

    assert (found.problems, found.abilities["repositories"]) == ((), "yes: create")
    assert not list(ministack.store(bucket).list(""))


@pytest.mark.peer("Garage")
def test_a_bucket_of_garage(small: Lab, garage: S3Server) -> None:
    small.create(uri=f"s3://{garage.make_bucket()}", platform="garage", extra_config=extra(garage), credentials=keys(garage))

    found = check(small)

    assert (found.problems, found.abilities["repositories"]) == ((), "yes: fork")


@pytest.mark.peer("Ceph")
def test_a_bucket_of_ceph(small: Lab, ceph: S3Server) -> None:
    small.create(uri=f"s3://{ceph.make_bucket()}", extra_config=extra(ceph), credentials=keys(ceph))

    assert check(small).problems == ()


@pytest.mark.peer("Azurite")
def test_a_container_of_azurite(small: Lab, azurite: AzureServer) -> None:
    settings = {"endpoint_url": azurite.endpoint}
    small.create(uri=f"az://{azurite.make_container()}/p", extra_config=settings, credentials={"account_key": azurite.key})

    found = check(small)

    assert (found.problems, found.abilities["repositories"]) == ((), "yes: create")


@pytest.mark.peer("Azurite")
def test_a_key_that_is_given_is_the_one_that_asks_whatever_the_environment_says(
    small: Lab, azurite: AzureServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", azurite.key)
    settings = {"endpoint_url": azurite.endpoint}
    small.create(uri=f"az://{azurite.make_container()}", extra_config=settings, credentials={"sas_token": "sv=2021-12-02&sig=bm9uZQ=="})

    assert not check(small).ok


@pytest.mark.peer("fake-gcs-server")
def test_a_bucket_of_google_that_can_only_be_read(small: Lab, gcs: GcsServer) -> None:
    small.create(uri=f"gs://{gcs.make_bucket()}", extra_config={"endpoint_url": gcs.endpoint}, auth_method="public")

    found = check(small)

    assert not found.ok
    assert found.problems[0].startswith("can't write")


@pytest.mark.peer("MiniStack")
def test_a_bucket_that_is_not_there(small: Lab, ministack: S3Server) -> None:
    small.create(uri="s3://no-such-bucket", extra_config=extra(ministack), credentials=keys(ministack))

    found = check(small)

    assert not found.ok
    assert "kist makes no" in found.problems[0]


@pytest.mark.peer("Ceph")
def test_keys_that_are_wrong(small: Lab, ceph: S3Server) -> None:
    small.create(uri=f"s3://{ceph.make_bucket()}", extra_config=extra(ceph), credentials={**keys(ceph), "secret_access_key": "canary"})

    found = check(small)

    assert "rotate_credentials" in found.problems[0]
    assert "canary" not in repr(found)


def test_nobody_answers(small: Lab) -> None:
    small.create(extra_config={"endpoint_url": "http://127.0.0.1:1"}, credentials=KEYS)

    found = check(small)

    assert "nobody answers" in found.problems[0]


def extra(server: S3Server) -> dict[str, str]:
    return {"endpoint_url": server.endpoint, "region_name": server.region}


def keys(server: S3Server) -> dict[str, str]:
    return {"access_key_id": server.access_key, "secret_access_key": server.secret_key}
