"""Secrets that are easy to recognise go through a server by every door there is; then all that is kept and told is searched for them."""

import base64
import contextlib
import secrets
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.servers import postgresql as postgresql_server
from tests.servers.team import Team, team

from kist import Client
from kist.errors import KistError
from kist.models import Scope

ORG = "lab"


def canary(what: str) -> str:
    """Return a secret like no other."""
    return f"canary{what}{secrets.token_hex(12)}"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.peer("PostgreSQL"))])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Team, list[Path]]]:
    """A server, and the folders of all that it and its database keep."""
    with contextlib.ExitStack() as stack:
        if request.param == "sqlite":
            (tmp_path / "data").mkdir()
            database, folders = f"sqlite:///{tmp_path / 'data' / 'kist.sqlite'}", [tmp_path / "data"]
        else:
            if postgresql_server.program() is None:
                pytest.skip(postgresql_server.MISSING)
            data = stack.enter_context(postgresql_server.data())
            server = stack.enter_context(postgresql_server.started(data))
            database, folders = server.url(server.make_database()), [data]
        one = stack.enter_context(team(tmp_path, database, log={"level": "debug"}))
        yield one, [*folders, tmp_path / "buckets"]


def use_every_door(one: Team) -> tuple[list[str], list[str]]:
    """Bring secrets in and have some made; return them all, and all that was told about them: errors, reprs, answers."""
    url = one.urls[0]
    password, new_password = canary("password"), canary("new")
    known, told = [password, new_password, one.token], list[str]()
    with Client(url, token=one.token) as client:
        client.create_org(ORG)
        client.create_user("ada", password=password)
        link = client.create_login_link("ada")
        secret, rotated, session = canary("bucket"), canary("rotated"), canary("session")
        credentials = {"access_key_id": "AKIA0", "secret_access_key": secret}
        told.append(
            repr(
                client.create_bucket_config(
                    org=ORG, nickname="cloud", uri="s3://data", extra_config={"region_name": "eu"}, credentials=credentials
                )
            )
        )
        told.append(
            repr(
                client.rotate_credentials(
                    org=ORG, nickname="cloud", credentials={**credentials, "secret_access_key": rotated, "session_token": session}
                )
            )
        )
        told.append(repr(client.check_bucket_config(org=ORG, nickname="cloud")))
        mounted = canary("mount")
        told.append(
            repr(
                client.set_mount(org=ORG, name="there", url="s3://elsewhere", secrets={"secret_access_key": mounted, "access_key_id": "A"})
            )
        )
        client.create_service_account(org=ORG, name="robot", role="reader")
        issued = [
            client.create_key("mine"),
            client.create_key("pair", kind="s3"),
            client.create_service_key(org=ORG, service_account="robot", name="theirs", scope=Scope(role="reader", org=ORG)),
        ]
        told += map(
            repr,
            [*issued, client, link, client.list_keys(), client.list_bucket_configs(ORG), client.list_mounts(ORG), client.list_audit(ORG)],
        )
        known += [link.token, secret, rotated, session, mounted, *(one.secret for one in issued)]
    told += refused(one, known)
    with httpx.Client(base_url=url, trust_env=False) as browser:
        browser.get("/login", params={"token": link.token})
        known += [cookie.value for cookie in browser.cookies.jar if cookie.value]
        told.append(browser.get("/").text)
    return known, told


def refused(one: Team, known: list[str]) -> list[str]:
    """Ask wrongly with secrets in every place where one can stand, and return the answers."""
    told = []
    with httpx.Client(base_url=one.urls[0], trust_env=False, headers={"authorization": f"Bearer {one.token}"}) as client:
        for secret in known:
            body = {"org": ORG, "nickname": "x!", "uri": f"s3://AK:{secret}@bucket", "credentials": {"secret_access_key": [secret]}}
            told += [
                client.post(f"/api/v1/orgs/{ORG}/buckets", json=body).text,
                client.post("/api/v1/login", json={"user": "ada", "password": secret + "x"}).text,
                client.post("/api/v1/login", content=f'{{"password": "{secret}"'.encode()).text,
                client.put("/api/v1/me/password", json={"password": 7, "old_password": secret}).text,
                client.get("/api/v1/me", headers={"authorization": f"Bearer {secret}x"}).text,
            ]
    with contextlib.suppress(KistError), Client(one.urls[0]) as client:
        client.login(user="ada", password=known[0], save=False)
    return told


def forms(secret: str) -> list[bytes]:
    """Return how a secret may look."""
    raw = secret.encode()
    return [raw, raw.hex().encode(), base64.b64encode(raw)[:-4]]


def backed_up(one: Team, target: Path) -> bytes:
    """Return a backup of the database, as its own tools make one."""
    if one.database.startswith("postgresql"):
        dump = postgresql_server.program_path("pg_dump")
        return subprocess.run([dump, one.database], capture_output=True, timeout=60, check=True).stdout
    with (
        contextlib.closing(sqlite3.connect(one.database.removeprefix("sqlite:///"))) as source,
        contextlib.closing(sqlite3.connect(target)) as copy,
    ):
        source.backup(copy)
    return target.read_bytes()


def files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def test_no_secret_is_kept_or_told_in_the_clear(kept: tuple[Team, list[Path]], tmp_path: Path) -> None:
    one, folders = kept
    known, told = use_every_door(one)
    backup = backed_up(one, tmp_path / "backup")
    searched = {str(path): path.read_bytes() for folder in folders for path in files(folder)}
    searched |= {"the log": one.log.read_bytes(), "what was told": "\n".join(told).encode()}
    searched["the backup"] = backup

    assert len(searched["the log"]) > 1000, "the log is empty: nothing was proved"
    assert any(b"cloud" in data for name, data in searched.items() if "/" in name), "what the database keeps was not read"
    hits = [(name, secret[:14]) for name, data in searched.items() for secret in known for form in forms(secret) if form in data]
    assert hits == []
