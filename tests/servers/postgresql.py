"""PostgreSQL on loopback, on data of its own and with fsync on, as its own user where the tests run as root, for it refuses root."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from tests.servers.process import find, free_port, memory, running, wait_until

MISSING = "PostgreSQL is not installed: apt-get install postgresql"

_USER = "postgres"
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "unix_socket_directories": "",
    "fsync": "on",
    "max_wal_size": "128MB",
}
_ROOM_BYTES = 2 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresServer:
    """A running server."""

    port: int
    pid: int

    def url(self, database: str) -> str:
        """Return the URL of a database."""
        return f"postgresql://{_USER}@127.0.0.1:{self.port}/{database}"

    def make_database(self, template: str = "template0") -> str:
        """Make a database, quickly where it is a copy of a small one, and return its name."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        self.run(f"create database {name} template {template} encoding utf8")
        return name

    def drop_database(self, name: str) -> None:
        """Remove a database, whoever still uses it."""
        self.run(f"drop database if exists {name} with (force)")

    def run(self, statement: str, *, database: str = "postgres") -> None:
        """Run a statement."""
        with psycopg.connect(self.url(database), autocommit=True, connect_timeout=10) as connection:
            connection.execute(statement.encode())


def program() -> str | None:
    """Return where the server is."""
    return find("initdb", *_folders())


def _folders() -> list[Path]:
    return sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def program_path(name: str) -> str:
    """Return where a program of PostgreSQL is."""
    return find(name, *_folders()) or name


def _as_its_user() -> list[str]:
    """Return what to write before a command: PostgreSQL's server refuses to be run by root."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--init-groups", "--pdeathsig", "KILL", "--"]


@contextlib.contextmanager
def data() -> Iterator[Path]:
    """Make the data of a new server, in a folder that its user can reach; in memory, for processes die here and not machines."""
    folder = Path(tempfile.mkdtemp(prefix="kist-postgresql-", dir=memory(_ROOM_BYTES)))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, _USER, _USER)
        argv = [
            program_path("initdb"),
            "-D",
            str(folder / "data"),
            "-U",
            _USER,
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        ]
        done = subprocess.run([*_as_its_user(), *argv], capture_output=True, text=True, timeout=120, cwd=folder, check=False)
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def started(folder: Path, *, port: int = 0) -> Iterator[PostgresServer]:
    """Run a server on data that is there."""
    port = port or free_port()
    log = folder / "log"
    settings = [word for name, value in (_SETTINGS | {"port": str(port)}).items() for word in ("-c", f"{name}={value}")]
    with running([*_as_its_user(), program_path("postgres"), "-D", str(folder / "data"), *settings], log=log, folder=folder) as pid:
        server = PostgresServer(port=port, pid=pid)
        wait_until(lambda: _is_ready(port), "PostgreSQL's start", log=log)
        try:
            yield server
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)  # ends connections, too; what `running` sends would wait for them


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[PostgresServer]:
    """Run a new server; its data is not in `folder`, which its user may not enter."""
    del folder
    with data() as made, started(made) as server:
        yield server


def _is_ready(port: int) -> bool:
    return subprocess.run([program_path("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)], timeout=10, check=False).returncode == 0
