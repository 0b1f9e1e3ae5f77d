"""``kist serve``: the program that an admin starts."""

import contextlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from tests.server.installation import ask
from tests.servers.process import free_port
from tests.servers.web import self_signed

from kist.catalog.sealing import Keyring
from kist.models import requests
from kist.operations import (
    CREATE_BUCKET_CONFIG,
    CREATE_KEY,
    CREATE_ORG,
    CREATE_REPO,
    CREATE_USER,
    GET_ME,
    LIST_ORGS,
    LOG_IN,
    PUT_OBJECT,
    READ_OBJECT,
    SET_PASSWORD,
)

LINK = re.compile(r"http://\S+/login\?token=(\S+)")
PASSWORD = "canary-password-7Zq"
ENDED = 60


@dataclass
class Setting:
    """What servers of one installation share."""

    folder: Path
    database: str

    def write(self, port: int, **more: object) -> Path:
        """Write the file of settings for a server."""
        keys = self.folder / "keys"
        if not keys.exists():
            keys.touch(0o600)
            keys.write_text(Keyring.new_line())
        tls = {"tls_certificate": self.folder / "certificate.pem", "tls_key": self.folder / "key.pem"} if "tls" in more else {}
        limits = {"stop_seconds": 20, "login_burst": 100, **{name: value for name, value in more.items() if name.endswith("_seconds")}}
        top = {"database": self.database, "local_roots": [str(self.folder)], "workers": more.get("workers", 1)}
        lines = [f"{name} = {json.dumps(value)}" for name, value in top.items()]
        lines += ["[keys]", f"file = {json.dumps(str(keys))}", "[listen]", f"port = {port}"]
        lines += [*(f"{name} = {json.dumps(str(path))}" for name, path in tls.items()), "[limits]"]
        lines += [f"{name} = {json.dumps(value)}" for name, value in limits.items()]
        path = self.folder / f"server-{port}.toml"
        path.write_text("\n".join(lines) + "\n")
        return path


class Program:
    """A running server."""

    def __init__(self, setting: Setting, port: int, **more: object) -> None:
        self.port, self.log = port, setting.folder / f"log-{port}"
        argv = [sys.executable, "-m", "kist", "serve", "--config", str(setting.write(port, **more))]
        self.out = setting.folder / f"out-{port}"
        with self.out.open("w") as out, self.log.open("a") as log:
            self.process = subprocess.Popen(argv, stdout=out, stderr=log)
        self.url = f"https://localhost:{port}" if "tls" in more else f"http://127.0.0.1:{port}"
        self.trusted = ssl.create_default_context(cafile=str(setting.folder / "certificate.pem")) if "tls" in more else False
        self.wait()

    def get(self, page: str) -> httpx.Response:
        """Ask as nobody."""
        return httpx.get(f"{self.url}{page}", verify=self.trusted, trust_env=False)

    def wait(self) -> None:
        """Wait until it can work."""
        end = time.monotonic() + ENDED
        with httpx.Client(verify=self.trusted, trust_env=False) as client:
            while True:
                assert self.process.poll() is None, self.log.read_text()
                assert time.monotonic() < end, self.log.read_text()
                with contextlib.suppress(httpx.TransportError):
                    if client.get(f"{self.url}/readyz").status_code == 200:
                        return
                time.sleep(0.1)

    def client(self) -> httpx.Client:
        """A client of nobody."""
        return httpx.Client(base_url=self.url, timeout=ENDED, verify=self.trusted, trust_env=False)

    @property
    def workers(self) -> list[int]:
        """The processes that serve; Python has another one that looks after them."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(one) for one in children if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes()]

    def first_token(self) -> str:
        """Log in by the link that was printed, and return an API token of the admin."""
        link = LINK.search(self.out.read_text())
        assert link
        with self.client() as browser:
            assert browser.get("/login", params={"token": link[1]}).status_code == 200
            return str(ask(browser, CREATE_KEY, requests.CreateKey(name="test")).json()["secret"])


@pytest.fixture
def setting(tmp_path: Path, database_url: str) -> Setting:
    """An installation on each database."""
    return Setting(tmp_path, database_url)


@pytest.fixture
def alone(tmp_path: Path) -> Setting:
    """An installation on SQLite, whose database is not there yet."""
    return Setting(tmp_path, str(tmp_path / "new" / "kist.sqlite"))


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Program"]:
    """A server of two processes."""
    folder = tmp_path_factory.mktemp("several")
    with serving(Setting(folder, str(folder / "kist.sqlite")), workers=2) as program:
        yield program
        program.process.send_signal(signal.SIGTERM)
        assert program.process.wait(ENDED) == 0


@contextlib.contextmanager
def serving(setting: Setting, **more: object) -> Iterator[Program]:
    """Run a server while the context lasts."""
    program = Program(setting, free_port(), **more)
    try:
        yield program
    finally:
        program.process.kill()
        program.process.wait(ENDED)


def orgs(program: Program, token: str) -> set[str]:
    """The organisations that a server knows."""
    with program.client() as client:
        return {one["name"] for one in ask(client, LIST_ORGS, requests.ListOrgs(), token).json()["items"]}


def lab(client: httpx.Client, setting: Setting, token: str) -> None:
    """Make an organisation with a repository."""
    place = setting.folder / "bucket"
    place.mkdir()
    assert ask(client, CREATE_ORG, requests.CreateOrg(name="lab"), token).status_code == 201
    bucket = requests.CreateBucketConfig(org="lab", nickname="main", uri=f"file://{place}")
    assert ask(client, CREATE_BUCKET_CONFIG, bucket, token).status_code == 201
    assert ask(client, CREATE_REPO, requests.CreateRepo(org="lab", name="data"), token).status_code == 201


def test_it_makes_its_database_and_lets_the_first_admin_in(alone: Setting) -> None:
    with serving(alone) as program, program.client() as client:
        assert ask(client, GET_ME, requests.Nothing(), program.first_token()).json()["admin"] is True
        program.process.send_signal(signal.SIGTERM)
        assert program.process.wait(ENDED) == 0


def test_two_servers_on_one_database_are_one(setting: Setting) -> None:
    with serving(setting) as one, serving(setting) as two:
        token = one.first_token()
        with two.client() as client:
            assert ask(client, CREATE_ORG, requests.CreateOrg(name="lab"), token).status_code == 201
        assert "lab" in orgs(one, token)


def test_what_was_acknowledged_outlives_a_kill(setting: Setting) -> None:
    with serving(setting) as program:
        token, made = program.first_token(), []
        with program.client() as client:
            for number in range(20):
                if number == 10:
                    program.process.kill()
                with contextlib.suppress(httpx.TransportError):
                    if ask(client, CREATE_ORG, requests.CreateOrg(name=f"lab{number}"), token).status_code == 201:
                        made.append(f"lab{number}")
    assert len(made) >= 10
    with serving(setting) as again:
        assert set(made) <= orgs(again, token)


def test_the_figures_of_all_processes_are_told_together(several: Program) -> None:
    for _ in range(30):
        several.get("/api/v1/me")
    assert 'kist_requests_total{operation="get_me",status="401"} 30.0' in several.get("/metrics").text


def test_a_process_that_dies_is_replaced(several: Program) -> None:
    before = several.workers
    os.kill(before[0], signal.SIGKILL)
    end = time.monotonic() + ENDED
    while len(set(several.workers) - set(before)) < 1:
        assert time.monotonic() < end, several.log.read_text()
        time.sleep(0.05)
    several.wait()
    assert "a process ended by itself" in several.log.read_text()


def test_no_process_outlives_the_first(alone: Setting) -> None:
    with serving(alone, workers=2) as program:
        children = program.workers
        program.process.kill()
        program.process.wait(ENDED)
        end = time.monotonic() + ENDED
        while any(Path(f"/proc/{child}/cmdline").exists() and Path(f"/proc/{child}/cmdline").read_bytes() for child in children):
            assert time.monotonic() < end
            time.sleep(0.05)


def upload(program: Program, token: str, size: int) -> socket.socket:
    """Begin to send an object, without its last byte."""
    connection = socket.create_connection(("127.0.0.1", program.port), timeout=ENDED)
    head = f"PUT /api/v1/repos/lab/data/objects/packs/{'0' * 32} HTTP/1.1\r\nHost: 127.0.0.1:{program.port}\r\n"
    head += f"Authorization: Bearer {token}\r\nContent-Type: application/octet-stream\r\nContent-Length: {size}\r\n\r\n"
    connection.sendall(head.encode() + b"x" * (size - 1))
    return connection


def test_what_is_under_way_is_ended_well(alone: Setting) -> None:
    with serving(alone) as program, program.client() as client:
        token = program.first_token()
        lab(client, alone, token)
        with upload(program, token, 100_000) as connection:
            time.sleep(0.3)  # it has been read as far as it was sent
            program.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            connection.sendall(b"x")
            assert connection.recv(1000).startswith(b"HTTP/1.1 204")
        assert program.process.wait(ENDED) == 0
    with serving(alone) as again, again.client() as client:
        read = requests.ReadObject(org="lab", repo="data", key="packs/" + "0" * 32)
        assert len(ask(client, READ_OBJECT, read, token).content) == 100_000


def test_what_does_not_end_is_not_waited_for(alone: Setting) -> None:
    with serving(alone, stop_seconds=1) as program, program.client() as client:
        token = program.first_token()
        lab(client, alone, token)
        with upload(program, token, 100_000):
            time.sleep(0.3)
            program.process.send_signal(signal.SIGTERM)
            program.process.wait(ENDED)


def test_the_log_has_every_request_and_no_secret(alone: Setting) -> None:
    with serving(alone) as program, program.client() as client:
        token = program.first_token()
        secrets = [token, token[22:], PASSWORD, LINK.findall(program.out.read_text())[0], "canary-query", "canary-body", "canary-header"]
        ask(client, CREATE_USER, requests.CreateUser(name="ada"), token)
        ask(client, SET_PASSWORD, requests.SetPassword(password=PASSWORD), token)
        assert ask(client, LOG_IN, requests.LogIn(user="admin", password=PASSWORD)).status_code == 200
        ask(client, LOG_IN, requests.LogIn(user="admin", password=PASSWORD + "x"))
        client.get("/api/v1/orgs?canary-query=1", headers={"authorization": "Bearer canary-header"})
        client.get("/login?token=canary-query")
        client.post("/api/v1/orgs", content=b'{"name": "canary-body"', headers={"authorization": f"Bearer {token}"})
        ask(client, PUT_OBJECT, requests.PutObject(org="lab", repo="none", key="packs/canary-body", content=b"canary-body"), token)
        program.process.send_signal(signal.SIGTERM)
        assert program.process.wait(ENDED) == 0
    text = program.log.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    found = {(one.get("operation"), one.get("status")) for one in lines}
    assert {("create_user", 201), ("set_password", 204), ("log_in", 200), ("log_in", 401), ("list_orgs", 401), ("put_object", 404)} <= found
    assert all({"time", "level", "message"} <= set(one) for one in lines)
    assert len({one["request"] for one in lines if "request" in one}) >= 8
    assert not [secret for secret in secrets if secret in text]


def test_it_speaks_tls(alone: Setting) -> None:
    self_signed(alone.folder)
    with serving(alone, tls=True) as program:
        answer = program.get("/login")
    assert answer.status_code == 200
    assert answer.headers["strict-transport-security"]


@pytest.mark.parametrize(
    ("settings", "code", "said"),
    [
        ("database = 'x'\ncolour = 1\n[keys]\nenv = 'K'\n", 2, "there is no key `colour`"),
        ("database = 'x'\n[keys]\nfile = '/nowhere/keys'\n", 3, "/nowhere/keys is not there"),
        ("database = 'mysql://h/x'\n[keys]\nenv = 'KIST_TEST_KEYS'\n", 2, "mysql"),
    ],
)
def test_settings_that_make_no_sense_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: str, code: int, said: str) -> None:
    monkeypatch.setenv("KIST_TEST_KEYS", Keyring.new_line())
    path = tmp_path / "server.toml"
    path.write_text(settings)
    done = subprocess.run(
        [sys.executable, "-m", "kist", "serve", "-c", str(path)], capture_output=True, text=True, timeout=ENDED, check=False
    )
    assert done.returncode == code, done.stderr
    assert said in done.stderr


def test_a_database_without_its_tables_is_told(alone: Setting) -> None:
    argv = [sys.executable, "-m", "kist", "serve", "-c", str(alone.write(free_port())), "--migrate", "none"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=ENDED, check=False)
    assert done.returncode == 5, done.stderr
    assert "start a server without --migrate none" in done.stderr
