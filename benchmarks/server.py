"""Measures a server on both databases: answers per second and how long they take, for common operations, with 1, 10 and 100 clients.

1. Ten operations, in an organisation of usual size.
2. Lists and searches with 100,000 repositories and 1,000,000 audit lines: each within 50 ms.

The load comes from this machine too and shares its CPUs, so what counts is how the figures compare, and the times with one client.
"""

import argparse
import json
import shutil
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import batched
from pathlib import Path
from statistics import median
from time import perf_counter

from sqlalchemy import Connection, insert
from tests.servers import postgresql
from tests.servers.team import Team, team

from benchmarks.load import Asked, measure
from benchmarks.machine import facts, load_average, today
from kist import Client
from kist.catalog import audit, orgs, repos, tables
from kist.catalog.database import Database, open_database
from kist.catalog.repos import RepoRow
from kist.ids import new_id

__all__ = ["main"]

RESULTS = Path(__file__).with_name("results")
ORG = "lab"
USUAL_REPOS = 1000
CLIENTS = (1, 10, 100)
LIMIT_MS = 50.0
REPEATS = 15
FIELDS = ("principal", "operation", "target", "outcome")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of the first table."""

    database: str
    operation: str
    clients: int
    per_second: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A line of the second table: the median of some looks, by one client."""

    database: str
    what: str
    found: int
    ms: float


def main(arguments: Sequence[str]) -> int:
    """Measure, write the results beside this file, and return whether a limit was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks server", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="for each operation and number of clients")
    parser.add_argument("--repos", type=int, default=100_000)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=1, help="processes of the server")
    parser.add_argument("--quick", action="store_true", help="only see that it runs; nothing is written")
    said = parser.parse_args(arguments)
    if said.quick:
        said.seconds, said.repos, said.lines = 0.3, 2000, 5000
    rows: list[Row] = []
    looks: list[Look] = []
    for name in ("sqlite", "postgresql"):
        with _served(name, workers=said.workers) as one:
            rows += _operations(name, one, seconds=said.seconds)
        with _served(name, workers=said.workers) as one:
            looks += _looks(name, one, repositories=said.repos, lines=said.lines)
    report = _report(rows, looks, said)
    print(report)
    if not said.quick:
        base = RESULTS / f"{today()}-server"
        base.with_suffix(".md").write_text(report)
        base.with_suffix(".json").write_text(
            json.dumps({"rows": [asdict(row) for row in rows], "looks": [asdict(look) for look in looks]}, indent=1)
        )
    return int(any(look.ms > LIMIT_MS for look in looks))


@contextmanager
def _served(name: str, *, workers: int) -> Iterator[Team]:
    """Run a server on a new database."""
    folder = Path(tempfile.mkdtemp(prefix="kist-bench-"))
    try:
        if name == "sqlite":
            with team(folder, f"sqlite:///{folder / 'kist.sqlite'}", workers=workers) as one:
                yield one
            return
        with (
            postgresql.data() as data,
            postgresql.started(data) as server,
            team(folder, server.url(server.make_database()), workers=workers) as one,
        ):
            yield one
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _operations(name: str, one: Team, *, seconds: float) -> Iterator[Row]:
    _people(one)
    with _database(one) as database:
        _fill(database, USUAL_REPOS, 0)
    with Client(one.urls[0], token=one.token) as client:
        cube = client.create_repo(f"{ORG}/cube")
        cube.save("data.bin", bytes(range(256)) * 64)
    for operation, ask in _asked().items():
        for clients in CLIENTS:
            found = measure(one.ports[0], one.token, ask, clients=clients, seconds=seconds)
            yield Row(
                database=name, operation=operation, clients=clients, per_second=found.per_second, p50_ms=found.p50_ms, p99_ms=found.p99_ms
            )


def _asked() -> dict[str, Callable[[int], Asked]]:
    """Return the ten operations; writes change something of their own each time."""
    org, repo = f"/api/v1/orgs/{ORG}", f"/api/v1/repos/{ORG}"
    return {
        "get_me": lambda _: Asked(verb="GET", path="/api/v1/me"),
        "list_orgs": lambda _: Asked(verb="GET", path="/api/v1/orgs"),
        "list_bucket_configs": lambda _: Asked(verb="GET", path=f"{org}/buckets"),
        "list_repos, 100 of 1,000": lambda _: Asked(verb="GET", path=f"{org}/repos"),
        "describe_repo": lambda number: Asked(verb="GET", path=f"{repo}/{_name(number % USUAL_REPOS)}"),
        "open_repo": lambda _: Asked(verb="POST", path=f"{repo}/cube/access", body={"access": "read"}),
        "read_object": lambda _: Asked(verb="GET", path=f"{repo}/cube/objects/format"),
        "modify_repo": lambda number: Asked(
            verb="PATCH", path=f"{repo}/{_name(number % USUAL_REPOS)}", body={"description": f"change {number}"}
        ),
        "set_member": lambda number: Asked(verb="PUT", path=f"{org}/members/grace", body={"role": ("reader", "writer")[number % 2]}),
        "create_key": lambda number: Asked(verb="POST", path="/api/v1/me/keys", body={"name": f"key {number}"}),
    }


def _looks(name: str, one: Team, *, repositories: int, lines: int) -> Iterator[Look]:
    _people(one)
    with _database(one) as database:
        _fill(database, repositories, lines)
    paths = {
        "list_repos, first page": "repos?limit=100",
        "list_repos, last page": f"repos?limit=100&after={_name(repositories - 101)}%2Fz",
        "list_repos, search that many match": "repos?search=climate",
        "list_repos, search that one matches": f"repos?search={_name(repositories * 2 // 3)[-9:]}",
        "list_repos, search that none matches": "repos?search=nothing-like-this",
        "list_repos, by metadata": "repos?metadata=%7B%22station%22%3A%2077%7D",
        "list_audit, first page": "audit?limit=100",
        "list_audit, of a rare operation": "audit?operation=delete_bucket_config",
        "list_audit, of one principal": "audit?principal=grace&limit=100",
        "list_audit, of one target": f"audit?target={_name(repositories // 2)}",
        "list_audit, rare operation of one principal": "audit?principal=grace&operation=delete_bucket_config",
    }
    for what, path in paths.items():
        took, found = [], 0
        for _ in range(REPEATS):
            began = perf_counter()
            found = len(_get(one, f"/api/v1/orgs/{ORG}/{path}"))
            took.append((perf_counter() - began) * 1000)
        yield Look(database=name, what=what, found=found, ms=median(took))


def _get(one: Team, path: str) -> list[object]:
    request = urllib.request.Request(one.urls[0] + path, headers={"Authorization": f"Bearer {one.token}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        items: list[object] = json.load(answer)["items"]
    return items


def _people(one: Team) -> None:
    with Client(one.urls[0], token=one.token) as client:
        client.create_org(ORG)
        client.create_user("grace")
        client.set_member(org=ORG, user="grace", role="reader")
        client.create_bucket_config(org=ORG, nickname="folder", uri=(one.folder / "buckets").as_uri())


@contextmanager
def _database(one: Team) -> Iterator[Database]:
    database = open_database(one.database)
    try:
        yield database
    finally:
        database.close()


def _name(number: int) -> str:
    return f"{('climate', 'soil', 'river', 'forest')[number % 4]}-{number:06}"


def _fill(database: Database, repositories: int, lines: int) -> None:
    """Put rows into the catalog as operations would have, many to a transaction."""
    now = datetime.now(UTC) - timedelta(days=1)
    with database.reading() as sql:
        org = orgs.find(sql, ORG)
        assert org is not None
        bucket = sql.execute(tables.bucket_configs.select()).one().id
    for numbers in batched(range(repositories), 5000):
        rows = [
            RepoRow(
                id=new_id(),
                org_id=org.id,
                name=_name(number),
                kind="files",
                bucket_config_id=bucket,
                prefix=f"{number:08x}_{_name(number)}",
                description=f"measurements of station {number % 997}",
                metadata={"station": number % 997},
                created=now,
                created_by="root",
                updated=now,
                authority="create",
            )
            for number in numbers
        ]

        def add(sql: Connection, rows: list[RepoRow] = rows) -> None:
            for row in rows:
                repos.add(sql, row)

        database.change(add)
    _fill_audit(database, org.id, repositories, lines, now)
    if database.dialect == "postgresql":
        database.change(lambda sql: sql.exec_driver_sql("analyze"))  # as PostgreSQL does by itself within a minute


def _fill_audit(database: Database, org_id: str, repositories: int, lines: int, now: datetime) -> None:
    with database.reading() as sql:
        head = sql.execute(tables.audit_heads.select().where(tables.audit_heads.c.org_id == org_id)).one()
    seq, previous = head.seq, head.hash
    for numbers in batched(range(lines), 20_000):
        rows = []
        for number in numbers:
            seq += 1
            said = ("grace" if number % 1000 == 0 else "root", "delete_bucket_config" if number % 100_003 == 0 else "modify_repo")
            fields = dict(zip(FIELDS, (*said, _name(number % repositories), "done"), strict=True))
            row = {**fields, "org_id": org_id, "seq": seq, "details": "{}", "previous": previous}
            previous = audit._hash({**row, "time": tables.microseconds(now)})  # noqa: SLF001 - the chain as the catalog makes it, a million times
            rows.append({**row, "time": now, "hash": previous})

        def add(sql: Connection, rows: list[dict[str, object]] = rows, seq: int = seq, hashed: bytes = previous) -> None:
            sql.execute(insert(tables.audit), rows)
            sql.execute(tables.audit_heads.update().where(tables.audit_heads.c.org_id == org_id).values(seq=seq, hash=hashed))

        database.change(add)


def _report(rows: Sequence[Row], looks: Sequence[Look], said: argparse.Namespace) -> str:
    lines = ["# A server under load", ""]
    lines += [f"- {name}: {fact}" for name, fact in facts([["postgres", "--version"]] if shutil.which("postgres") else []).items()]
    lines += [
        f"- load before the end: {load_average()}",
        f"- processes of the server: {said.workers}; each figure from {said.seconds:g} s",
        "",
    ]
    lines += ["| database | operation | clients | answers/s | p50 ms | p99 ms |", "|---|---|---:|---:|---:|---:|"]
    lines += [
        f"| {row.database} | {row.operation} | {row.clients} | {row.per_second:,.0f} | {row.p50_ms:.1f} | {row.p99_ms:.1f} |"
        for row in rows
    ]
    lines += ["", f"## With {said.repos:,} repositories and {said.lines:,} audit lines", ""]
    lines += ["| database | what | found | ms (median) | limit |", "|---|---|---:|---:|---:|"]
    lines += [f"| {look.database} | {look.what} | {look.found} | {look.ms:.1f} | {LIMIT_MS:.0f} |" for look in looks]
    return "\n".join([*lines, ""])
