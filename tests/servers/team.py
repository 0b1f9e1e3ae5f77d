"""kist's own server as a team runs it: processes that share a database, each at a port of its own, killed and started again at will."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers.process import answers, free_port, wait_until

from kist.catalog.database import open_database
from kist.catalog.keyrings import load_keyring
from kist.models.requests import CreateKey
from kist.operations import CREATE_KEY
from kist.service import accounts, authentication
from kist.service.assembly import make_service
from kist.service.policy import Principal
from kist.service.rooms import Caller, Rooms

START_SECONDS = 60


@dataclass
class Team:
    """Servers on one database; `token` is that of the first admin."""

    folder: Path
    database: str
    ports: Sequence[int]
    token: str
    settings: dict[str, object] = field(default_factory=dict)
    _running: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        """What all of them write."""
        return self.folder / "server.log"

    @property
    def urls(self) -> list[str]:
        """Where they are."""
        return [f"http://127.0.0.1:{port}" for port in self.ports]

    def start(self, port: int) -> None:
        """Start one, and wait until it answers."""
        config = self.folder / f"server-{port}.toml"
        config.write_text(_toml(self._config(port)))
        with self.log.open("ab") as log:
            argv = [sys.executable, "-m", "kist", "serve", "--config", str(config)]
            self._running[port] = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=os.environ | {"PYTHONUNBUFFERED": "1"}
            )
        process = self._running[port]
        wait_until(lambda: process.poll() is not None or answers(port), "the server's start", log=self.log, seconds=START_SECONDS)
        assert process.poll() is None, self.log.read_text()[-2000:]

    def kill(self, port: int) -> None:
        """Kill one, as a power cut would."""
        process = self._running.pop(port)
        process.send_signal(signal.SIGKILL)
        process.wait(10)

    def stop(self) -> None:
        """End all that run."""
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
        self._running.clear()

    def _config(self, port: int) -> dict[str, object]:
        rate = {"principal_rate": 1e6, "principal_burst": 10**6, "address_rate": 1e6, "address_burst": 10**6}
        base: dict[str, object] = {
            "database": self.database,
            "local_roots": [str(self.folder / "buckets")],
            "keys": {"file": str(self.folder / "keys")},
            "listen": {"port": port},
            "limits": rate,
        }
        return base | self.settings


@contextmanager
def team(folder: Path, database: str, *, ports: Sequence[int] = (), **settings: object) -> Iterator[Team]:
    """Run servers on a database that is there, one at each port, while the context lasts, with a first admin and a token of theirs."""
    (folder / "buckets").mkdir()
    token = _first_token(folder, database)
    one = Team(folder=folder, database=database, ports=ports or [free_port()], token=token, settings=dict(settings))
    try:
        for port in one.ports:
            one.start(port)
        yield one
    finally:
        one.stop()


@contextmanager
def killing(one: Team, *, every_seconds: float) -> Iterator[list[int]]:
    """Kill the servers in turn while the context lasts, starting each again; yield the ports that were killed so far."""
    killed: list[int] = []
    failed: list[BaseException] = []
    over = threading.Event()

    def work() -> None:
        while not over.wait(every_seconds):
            port = one.ports[len(killed) % len(one.ports)]
            try:
                one.kill(port)
                killed.append(port)
                one.start(port)
            except BaseException as error:  # noqa: BLE001 - told by whoever waits
                failed.append(error)
                return

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join(START_SECONDS + 30)
    assert not failed, failed


def _first_token(folder: Path, database: str) -> str:
    """Make the first admin of a new database, as ``kist serve`` would, and a token for it."""
    rooms = Rooms(database=open_database(database), keyring=load_keyring(folder / "keys", create=True))
    try:
        rooms.database.migrate()
        link = accounts.first_admin(rooms, "root")
        assert link is not None
        who = Principal(id=authentication.use_link(rooms, link.token), name="root", kind="user", admin=True)
        return make_service(rooms).call(CREATE_KEY, CreateKey(name="tests"), Caller(who=who)).secret
    finally:
        rooms.database.close()


def _toml(values: dict[str, object]) -> str:
    """Write settings; what JSON and TOML write alike is enough for them."""
    plain = "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items() if not isinstance(value, dict))
    sections = (f"[{key}]\n{_toml(value)}" for key, value in values.items() if isinstance(value, dict))
    return plain + "".join(sections)
