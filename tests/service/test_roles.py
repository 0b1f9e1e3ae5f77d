"""Roles taken on at a real STS."""

import json
import uuid
from pathlib import Path

import boto3  # type: ignore[import-untyped]  # has no types
import pytest
from tests.servers.s3 import S3Server
from tests.service.bucketing import Lab, small_lab

from kist.errors import Denied, KistError, StoreError
from kist.service.places import open_place, reach, role_of
from kist.service.roles import Role
from kist.stores.urls import open_store

ARN = "arn:aws:iam::000000000000:role/kist"


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return small_lab(tmp_path)


def make_role(server: S3Server, external_id: str) -> str:
    """Make a role that whoever says this id may take on, and that may do everything; return its name."""
    keys = {"aws_access_key_id": server.access_key, "aws_secret_access_key": server.secret_key}
    iam = boto3.Session(**keys).client("iam", region_name=server.region, endpoint_url=server.endpoint)
    trusted = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    trusted["Condition"] = {"StringEquals": {"sts:ExternalId": external_id}}
    name = f"kist-{uuid.uuid4().hex[:8]}"
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trusted))["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=policy({"Effect": "Allow", "Action": "s3:*", "Resource": "*"}))
    return str(arn)


def policy(statement: object) -> str:
    """A policy in JSON."""
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def role_bucket(lab: Lab, server: S3Server, *, external_id: str = "lab-1") -> str:
    """Make a bucket config whose keys take on a role, and return the bucket."""
    bucket, arn = server.make_bucket(), make_role(server, "lab-1")
    extra = {"endpoint_url": server.endpoint, "region_name": server.region, "role_arn": arn, "external_id": external_id}
    keys = {"access_key_id": server.access_key, "secret_access_key": server.secret_key}
    lab.create(uri=f"s3://{bucket}/p", extra_config=extra, credentials=keys, auth_method="role")
    return bucket


@pytest.mark.peer("MiniStack")
def test_a_role_is_taken_on_for_an_hour_at_most(lab: Lab, ministack: S3Server) -> None:
    role_bucket(lab, ministack)

    reached = reach(lab.rooms, lab.row(), "repo")

    assert reached.options["access_key_id"] != ministack.access_key
    assert reached.options["session_token"]
    assert reached.expires is not None
    assert (reached.expires - lab.rooms.now()).total_seconds() <= 3600
    assert reached.options["session_token"] not in repr(reached)


@pytest.mark.peer("MiniStack")
def test_a_store_renews_the_keys_of_its_role_by_itself(lab: Lab, ministack: S3Server) -> None:
    role_bucket(lab, ministack)

    store = open_place(lab.rooms, lab.row(), "repo")
    store.put("key", b"1")

    assert store.get("key") == b"1"


@pytest.mark.peer("MiniStack")
def test_keys_of_a_role_are_narrowed_by_a_policy(lab: Lab, ministack: S3Server) -> None:
    bucket = role_bucket(lab, ministack)
    only = policy({"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"})

    keys = role_of(lab.rooms, lab.row()).keys_for(policy=only, seconds=900)

    named = {"access_key_id": keys.access_key_id, "secret_access_key": keys.secret_access_key, "session_token": keys.session_token}
    store = open_store(f"s3://{bucket}/p", create=False, endpoint=ministack.endpoint, region=ministack.region, **named)
    with pytest.raises(Denied):
        store.put("key", b"1")
    assert keys.secret_access_key not in repr(keys)
    assert (keys.expires - lab.rooms.now()).total_seconds() <= 900


@pytest.mark.peer("MiniStack")
def test_another_external_id_does_not_take_on_the_role(lab: Lab, ministack: S3Server) -> None:
    role_bucket(lab, ministack, external_id="lab-2")

    with pytest.raises(Denied, match="trust policy"):
        reach(lab.rooms, lab.row())
    with pytest.raises(KistError):
        open_place(lab.rooms, lab.row()).put("key", b"1")


def test_a_role_of_the_machine_needs_the_rules(lab: Lab) -> None:
    extra = {"region_name": "us-east-1", "role_arn": ARN}
    lab.create(extra_config=extra, auth_method="role")

    with pytest.raises(Denied, match="lends nobody"):
        open_place(lab.ruled().rooms, lab.row())


def test_nobody_gives_keys() -> None:
    keys = {"access_key_id": "AK", "secret_access_key": "canary"}
    role = Role(arn=ARN, external_id="", endpoint="http://127.0.0.1:1", region="us-east-1", keys=keys)

    with pytest.raises(StoreError, match="EndpointConnectionError") as caught:
        role.keys_for()
    assert "canary" not in f"{caught.value}{role!r}"


@pytest.mark.peer("Garage")
def test_a_server_without_an_sts(garage: S3Server) -> None:
    keys = {"access_key_id": garage.access_key, "secret_access_key": garage.secret_key}
    role = Role(arn=ARN, external_id="", endpoint=garage.endpoint, region="garage", keys=keys)

    with pytest.raises((Denied, StoreError), match="role"):
        role.keys_for()
