"""What was acknowledged stays: writers are killed in the middle of changes, and so is PostgreSQL itself."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Connection, select
from tests.servers import postgresql as postgresql_server
from tests.servers.process import answers

from kist.catalog import audit
from kist.catalog.database import Database, open_database
from kist.catalog.tables import audit as lines
from kist.errors import StoreError

_WRITER = Path(__file__).with_name("writing.py")


@contextlib.contextmanager
def _writers(url: str, names: Sequence[str]) -> Iterator[list[subprocess.Popen[str]]]:
    argv = [sys.executable, str(_WRITER), url]
    started = [subprocess.Popen([*argv, name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for name in names]
    try:
        yield started
    finally:
        for writer in started:
            writer.kill()
            writer.communicate(timeout=30)


def _wait_for(writer: subprocess.Popen[str], count: int) -> None:
    """Read so many acknowledgements."""
    assert writer.stdout is not None
    for number in range(count):
        assert writer.stdout.readline() == f"{number + 1}\n"


def _last(writer: subprocess.Popen[str], read: int) -> int:
    """Return the last number that a writer acknowledged, after its end; `read` is the one that was read before."""
    assert writer.stdout is not None
    rest = writer.stdout.read().splitlines()
    return int(rest[-1]) if rest else read


def _check(database: Database, acknowledged: dict[str, int]) -> None:
    """Each writer's lines are there up to the last acknowledged one, and at most one more; the chain is whole."""
    with database.reading() as sql:
        report = audit.verify(sql, "o")
        found = Counter(sql.execute(select(lines.c.principal)).scalars())
    assert report.ok
    assert set(found) == set(acknowledged)
    for name, count in acknowledged.items():
        assert 0 < count <= found[name] <= count + 1


def test_lines_of_killed_writers_are_kept(database: Database, database_url: str) -> None:
    acknowledged: dict[str, int] = {}
    for round_number, count in enumerate((5, 15)):
        names = [f"{round_number}-{writer}" for writer in range(2)]
        with _writers(database_url, names) as writers:
            for writer in writers:
                _wait_for(writer, count)
            for writer in writers:
                writer.send_signal(signal.SIGKILL)
            for name, writer in zip(names, writers, strict=True):
                acknowledged[name] = _last(writer, count)
    _check(database, acknowledged)


@pytest.mark.peer("PostgreSQL")
def test_lines_are_kept_when_postgresql_is_killed() -> None:
    if postgresql_server.program() is None:
        pytest.skip(postgresql_server.MISSING)
    names = ["a", "b"]
    with postgresql_server.data() as folder:
        with postgresql_server.started(folder) as server:
            url = server.url(server.make_database())
            database = open_database(url, patience_seconds=5)
            database.migrate()
            with _writers(url, names) as writers:
                for writer in writers:
                    _wait_for(writer, 20)
                _kill(server.pid)
                acknowledged = {name: _last(writer, 20) for name, writer in zip(names, writers, strict=True)}
                said = [writer.communicate(timeout=60)[1] for writer in writers]
                assert {writer.returncode for writer in writers} == {11}
        with pytest.raises(StoreError):
            database.change(_nothing)
        with postgresql_server.started(folder, port=server.port):
            _check(database, acknowledged)
            database.close()
    for one in said:
        assert "the outcome may be unknown" in one or "nothing was changed" in one


def _nothing(sql: Connection) -> None:
    """Begin and commit."""


def _kill(pid: int) -> None:
    """Kill a server with all that it has started, as a loss of power would."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for one in (pid, *map(int, children)):
        os.kill(one, signal.SIGKILL)
    end = time.monotonic() + 30
    while any(_runs(int(one)) for one in children) and time.monotonic() < end:
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.mark.peer("PostgreSQL")
def test_a_connection_that_is_lost_in_the_commit_leaves_the_outcome_open(postgresql_database: str) -> None:
    """A trigger that runs at the commit ends the connection there."""
    database = open_database(postgresql_database)
    database.change(lambda sql: [sql.exec_driver_sql(statement) for statement in _DEATH])
    with pytest.raises(StoreError, match="the outcome may be unknown"):
        database.change(lambda sql: sql.exec_driver_sql("insert into audit_heads values ('o', 1, '')"))
    with database.reading() as sql:
        assert sql.exec_driver_sql("select count(*) from audit_heads").scalar_one() == 0
    database.close()


_DEATH = (
    "create function die() returns trigger language plpgsql as 'begin perform pg_terminate_backend(pg_backend_pid()); return null; end'",
    "create constraint trigger at_commit after insert on audit_heads deferrable initially deferred for each row execute function die()",
)


@pytest.mark.peer("PostgreSQL")
def test_connections_that_died_while_nobody_used_them_are_replaced(postgresql_database: str) -> None:
    database, other = open_database(postgresql_database), open_database(postgresql_database)
    with database.reading() as sql:
        pid = sql.exec_driver_sql("select pg_backend_pid()").scalar_one()
    other.change(lambda sql: sql.exec_driver_sql(f"select pg_terminate_backend({pid}, 5000)"))
    with database.reading() as sql:
        assert sql.exec_driver_sql("select pg_backend_pid()").scalar_one() != pid
    database.close()
    other.close()


def test_a_server_that_is_not_there_is_told() -> None:
    port = 1
    assert not answers(port)
    database = open_database(f"postgresql://postgres@127.0.0.1:{port}/x")
    with pytest.raises(StoreError, match="nothing was changed"):
        database.change(_nothing)
