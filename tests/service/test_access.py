"""Access: what a server hands out reaches one repository's prefix and no further, as servers show that enforce policies; or nothing."""

import contextlib
import http.client
import json
import shutil
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]  # has no types
import pytest
from botocore.auth import S3SigV4Auth  # type: ignore[import-untyped]  # has no types
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]  # has no types
from botocore.credentials import Credentials  # type: ignore[import-untyped]  # has no types
from tests.servers.s3 import S3Server
from tests.service.houses import House

from kist.errors import Denied, NotFound
from kist.models import Access
from kist.models.requests import OpenRepo
from kist.operations import OPEN_REPO
from kist.service.access import session_policy

SECRET = b"somebody else's"

SERVERS = [pytest.param("ministack", marks=pytest.mark.peer("MiniStack")), pytest.param("ceph", marks=pytest.mark.peer("Ceph"))]


@pytest.fixture
def database_url(migrated_file: Path, tmp_path: Path) -> str:
    """Which database it is does not matter here."""
    return f"sqlite:///{shutil.copy(migrated_file, tmp_path / 'catalog.db')}"


def access(house: House, caller: object, kind: str) -> Access:
    return house.do(OPEN_REPO, OpenRepo(org="lab", repo="cube", access=kind), caller)  # type: ignore[arg-type]


# In this process, and without narrow keys


def test_in_this_process_the_store_is_reached_directly(house: House) -> None:
    repo = house.repo("cube")
    inside = house.opened("cube", house.anna, inside=True)
    inside.save("a", b"1")
    assert (house.folder / "shelf" / repo.prefix / "packs").is_dir()
    assert access(house, house.anna, "write").url == ""


def test_from_outside_a_folder_is_reached_through_the_server(house: House) -> None:
    house.repo("cube")
    given = access(house, house.ben, "write")
    assert (given.url, given.options, given.writable, given.expires) == ("", {}, True, None)


def test_who_may_only_read_opens_nothing_to_write(house: House) -> None:
    house.repo("cube")
    assert access(house, house.cleo, "read").writable is False
    assert isinstance(house.refused(OPEN_REPO, OpenRepo(org="lab", repo="cube", access="write"), house.cleo), Denied)
    assert isinstance(house.refused(OPEN_REPO, OpenRepo(org="lab", repo="cube"), house.dora), NotFound)


def test_a_policy_lets_read_and_list_and_writers_store_in_three_folders() -> None:
    reader = json.loads(session_policy("b", "p/r", writable=False))["Statement"]
    writer = json.loads(session_policy("b", "p/r", writable=True))["Statement"]
    assert [(one["Action"], one["Resource"]) for one in reader] == [
        (["s3:GetObject"], ["arn:aws:s3:::b/p/r/*"]),
        (["s3:ListBucket"], ["arn:aws:s3:::b"]),
    ]
    assert reader[1]["Condition"] == {"StringLike": {"s3:prefix": ["p/r/*"]}}
    assert writer[:2] == reader
    assert writer[3]["Effect"] == "Deny"
    assert (writer[2]["Action"], writer[2]["Resource"]) == (
        ["s3:PutObject"],
        [f"arn:aws:s3:::b/p/r/{folder}/*" for folder in ("packs", "index", "sessions")],
    )


# Keys that a server enforces


@dataclass
class Lent:
    """A repository in a bucket whose server narrows keys, and who else has something there."""

    house: House
    server: S3Server
    bucket: str
    prefix: str

    def keys(self, caller: object, kind: str) -> Credentials:
        options = access(self.house, caller, kind).options
        return Credentials(options["access_key_id"], options["secret_access_key"], options["session_token"])

    def ask(self, keys: Credentials, verb: str, target: str, body: bytes = b"") -> tuple[int, bytes]:
        """Send a request whose path is exactly this one, signed, and return the answer."""
        request = AWSRequest(method=verb, url=f"{self.server.endpoint}{target}", data=body or None)
        S3SigV4Auth(keys, "s3", self.server.region).add_auth(request)
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)) as connection:
            connection.putrequest(verb, target, skip_accept_encoding=True)
            for name, value in request.headers.items():
                connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def whole(self) -> dict[str, bytes]:
        """All that lies in the bucket."""
        s3 = self.client()
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        keys = [one["Key"] for page in pages for one in page.get("Contents", [])]
        return {key: s3.get_object(Bucket=self.bucket, Key=key)["Body"].read() for key in keys}

    def client(self) -> Any:  # noqa: ANN401  boto3's
        keys = {"aws_access_key_id": self.server.access_key, "aws_secret_access_key": self.server.secret_key}
        return boto3.Session(**keys).client("s3", region_name=self.server.region, endpoint_url=self.server.endpoint)


def role_on(server: S3Server) -> str:
    """Make a role that may do everything, and that the server's user may take on."""
    keys = {"aws_access_key_id": server.access_key, "aws_secret_access_key": server.secret_key}
    iam = boto3.Session(**keys).client("iam", region_name=server.region, endpoint_url=server.endpoint)
    name = f"kist-{uuid.uuid4().hex[:8]}"
    principal = "arn:aws:iam:::user/test" if server.name.startswith("Ceph") else "*"
    trust = {"Effect": "Allow", "Principal": {"AWS": [principal]}, "Action": ["sts:AssumeRole"]}
    everything = {"Effect": "Allow", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::*"]}
    arn = iam.create_role(RoleName=name, Path="/", AssumeRolePolicyDocument=_policy(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=_policy(everything))
    return str(arn)


def _policy(statement: object) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, separators=(",", ":"))  # Ceph 16 knows no spaces here


@pytest.fixture(params=SERVERS)
def lent(request: pytest.FixtureRequest, house: House) -> Lent:
    server: S3Server = request.getfixturevalue(request.param)
    bucket = server.make_bucket()
    house.allow(endpoints=("*",))
    extra = {"endpoint_url": server.endpoint, "region_name": server.region, "role_arn": role_on(server)}
    keys = {"access_key_id": server.access_key, "secret_access_key": server.secret_key}
    house.bucket("cloud", uri=f"s3://{bucket}/kist", extra_config=extra, credentials=keys, auth_method="role")
    repo = house.repo("cube", bucket_config_nickname="cloud")
    for key in ("secret", "kist/secret", f"kist/{repo.prefix}2/secret", "other/secret"):
        server.request("PUT", f"/{bucket}/{key}", body=SECRET)
    house.opened("cube", house.ben).save("a", b"1")
    return Lent(house, server, bucket, f"kist/{repo.prefix}")


def test_readers_read_and_list_what_is_theirs(lent: Lent) -> None:
    keys = lent.keys(lent.house.cleo, "read")
    assert lent.ask(keys, "GET", f"/{lent.bucket}/{lent.prefix}/format")[0] == 200
    status, listed = lent.ask(keys, "GET", f"/{lent.bucket}?list-type=2&prefix={lent.prefix.replace('/', '%2F')}%2F")
    assert (status, b"packs/" in listed, b"secret" in listed) == (200, True, False)


def test_a_whole_repository_works_by_narrow_keys(lent: Lent) -> None:
    repo = lent.house.opened("cube", lent.house.ben)
    assert repo.save("b", b"x" * 200_000).number == 2
    assert lent.house.opened("cube", lent.house.cleo, access="read").read("b") == b"x" * 200_000
    assert repo.tag("first", "v1").number == 1


@pytest.mark.parametrize("kind", ["read", "write"])
def test_nothing_else_is_reached(lent: Lent, kind: str) -> None:
    """Other prefixes by every spelling, listing outside, deleting, refs/ and gc/, and, for readers, any writing."""
    before = lent.whole()
    keys, root, here = lent.keys(lent.house.ben, kind), f"/{lent.bucket}", f"/{lent.bucket}/{lent.prefix}"
    reads = [
        f"{root}/secret",
        f"{root}/kist/secret",
        f"{root}/other/secret",
        f"{here}2/secret",
        f"{here}/../secret",
        f"{here}/../../secret",
        f"{here}/%2e%2e/%2e%2e/secret",
        f"{here}/packs/%2E%2E/%2E%2E/%2E%2E/secret",
        f"{here}/..%2f..%2fsecret",
        f"{here}//../../secret",
        f"{here}/%c0%ae%c0%ae/%c0%ae%c0%ae/secret",
        f"{here}/%ef%bc%8e%ef%bc%8e/secret",
        f"//{lent.bucket}/secret",
        f"{root}//secret",
        f"{here}%00/secret",
    ]
    lists = [
        "",
        "?list-type=2",
        "?prefix=",
        "?list-type=2&prefix=kist%2F",
        "?prefix=other%2F",
        "?versions",
        "?uploads",
        f"?prefix={lent.prefix}",
    ]
    writes = [f"{here}/refs/heads/main/0000", f"{here}/gc/tomb/00", f"{here}/format", f"{root}/secret", f"{here}2/secret", f"{here}/x"]
    writes += [f"{here}/packs/../refs/heads/main/0000", f"{here}/packs/%2e%2e/refs/heads/main/0000", f"{root}/kist/packs/x"]
    writes += [f"{here}/packs/00/x"] if kind == "read" else []
    deletes = [f"{here}/format", f"{root}/secret", *(f"{root}/{key}" for key in before if "/packs/" in key)]
    asked = [("GET", target) for target in reads] + [("HEAD", target) for target in reads[:4]]
    asked += [("GET", f"{root}{query}") for query in lists] + [("DELETE", target) for target in deletes]
    for verb, target in asked:
        status, answer = lent.ask(keys, verb, target)
        assert status >= 400, (verb, target, status)
        assert SECRET not in answer, (verb, target)
    for target in writes:
        lent.ask(keys, "PUT", target, b"mine")
    strange = {key for key in lent.whole().keys() - before.keys() if not key.startswith(f"{lent.prefix}/packs/")}
    assert strange == set()
    assert {key: content for key, content in lent.whole().items() if key in before} == before


def test_narrow_keys_end_within_an_hour(lent: Lent) -> None:
    given = access(lent.house, lent.house.ben, "write")
    assert given.expires is not None
    assert (given.expires - datetime.now(UTC)).total_seconds() <= 3600
