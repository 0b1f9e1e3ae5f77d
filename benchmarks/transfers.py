"""Measures copying to, from and within an S3 server: kist against boto3, s3fs, s5cmd, rclone and the AWS CLI, in one run and in turn.

A file of 512 MiB and 2,000 of 16 KiB go up, down, and from one place of the server to another, each time by a fresh process. What arrives
is compared byte for byte, outside the measured time. Then kist copies a file of 3 GiB, and its memory is looked at. A client that isn't
installed is left out, and the report says so. All data come from seeds, are random, and are removed at the end.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path

import boto3  # type: ignore[import-untyped]  # has no types
from tests.servers import ceph, ministack, web
from tests.servers import rclone as rclone_program
from tests.servers.process import find
from tests.servers.process import run as run_program
from tests.servers.s3 import S3Server

from benchmarks.machine import facts, first_line, load_average, today
from benchmarks.measure import CommandError, Cost, run
from benchmarks.transfer_clients import REMOTE, Client, Route, every_client
from benchmarks.transfer_report import CELLS, Cell, Huge, Record, cell_table, goals_table, huge_table

__all__ = ["main"]

RESULTS = Path(__file__).with_name("results")
SERVERS = {"ceph": ceph, "ministack": ministack}
HUGE = "huge"
MIB = 1 << 20
BIG_MIB, FILES, FILE_BYTES, HUGE_MIB = 512, 2000, 16 << 10, 3072
THREADS = 16
LIMIT = ["timeout", "1800"] if shutil.which("timeout") else []
"""A client that hangs is ended, and has failed; what this costs is too little to be seen."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit code is 1 if a client failed or what arrived was not what was sent."""
    options = parser().parse_args(arguments)
    clients, absent = every_client(options.kist)
    clients = [client for client in clients if not options.clients or any(word in client.name for word in options.clients)]
    options.work.mkdir(parents=True, exist_ok=True)
    before = load_average()
    with tempfile.TemporaryDirectory(prefix="kist-benchmark-", dir=options.work) as folder:
        work = Path(folder)
        with serving(options.server, work) as store:
            bench = Bench(work, store, clients)
            cells = [cell for cell in CELLS if not options.cells or cell.name in options.cells]
            if cells:
                bench.make(options.scale)
            for number in range(options.rounds):
                for cell in cells:
                    bench.play(number, cell)
            if not options.cells or HUGE in options.cells:
                bench.play_huge(max(1, HUGE_MIB // options.scale))
    conditions = {
        "server": f"{store.server.name} ({store.version}), plain http on this machine, which it shares with the clients",
        "scale": f"1/{options.scale}",
        "rounds": str(options.rounds),
        "load average": f"{before} before, {load_average()} after",
    }
    report = bench.report(conditions, absent)
    print(report)
    keep(report, bench, options)
    return 1 if bench.failures else 0


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks transfers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--scale", type=int, default=1, metavar="N", help="divide all sizes by N")
    made.add_argument("--rounds", type=int, default=3, metavar="N", help="the figures are medians of N rounds (default: 3)")
    made.add_argument("--server", choices=list(SERVERS), default="ceph", help="(default: ceph)")
    made.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()), metavar="FOLDER", help="where data and server are made")
    made.add_argument("--results", type=Path, default=RESULTS, metavar="FOLDER", help="where the report goes (default: benchmarks/results)")
    made.add_argument("--kist", default="kist", metavar="COMMAND", help="how kist is started (default: kist)")
    made.add_argument("--clients", nargs="+", metavar="NAME", help="only clients whose name contains one of these words")
    made.add_argument("--cells", nargs="+", choices=[*(cell.name for cell in CELLS), HUGE], help="only these")
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """The server with its two buckets, and a client of the benchmark's own to fill, check and clear them."""

    server: S3Server
    version: str
    folder: Path
    buckets: tuple[str, str]

    @property
    def environment(self) -> dict[str, str]:
        """What tells every client where the server is; nothing else of the environment reaches them."""
        server = self.server
        remote = {
            "TYPE": "s3",
            "PROVIDER": "Ceph" if server.name.startswith("Ceph") else "Other",
            "ENDPOINT": server.endpoint,
            "REGION": server.region,
            "ACCESS_KEY_ID": server.access_key,
            "SECRET_ACCESS_KEY": server.secret_key,
        }
        peer = {f"RCLONE_CONFIG_{REMOTE.upper()}_{name}": value for name, value in remote.items()}
        return {**server.environment(), **peer, "AWS_DEFAULT_REGION": server.region, "S3_ENDPOINT_URL": server.endpoint}

    def client(self) -> object:
        """Return a client of boto3."""
        keys = {"aws_access_key_id": self.server.access_key, "aws_secret_access_key": self.server.secret_key}
        return boto3.client("s3", endpoint_url=self.server.endpoint, region_name=self.server.region, **keys)

    def read_all(self, bucket: str, prefix: str) -> Iterator[tuple[str, bytes]]:
        """Yield what lies below a prefix, in blocks: the name and the next bytes."""
        client = self.client()
        for key in self.keys(bucket, prefix):
            body = client.get_object(Bucket=bucket, Key=key)["Body"]  # type: ignore[attr-defined]  # boto3 has no types
            for block in body.iter_chunks(MIB):
                yield key.removeprefix(prefix), block

    def keys(self, bucket: str, prefix: str) -> list[str]:
        """Return the keys with a prefix."""
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)  # type: ignore[attr-defined]  # as above
        return [entry["Key"] for page in pages for entry in page.get("Contents", ())]

    def clear(self, bucket: str, prefix: str) -> None:
        """Delete what lies below a prefix, and let the server give the room back now, not while something is measured."""
        client = self.client()
        with ThreadPoolExecutor(THREADS) as pool:
            for _ in pool.map(lambda key: client.delete_object(Bucket=bucket, Key=key), self.keys(bucket, prefix)):  # type: ignore[attr-defined]  # as above
                pass
        if (self.folder / "ceph.conf").exists():
            admin = find("radosgw-admin", Path("/usr/bin")) or "radosgw-admin"
            run_program([admin, "-c", str(self.folder / "ceph.conf"), "gc", "process", "--include-all"], seconds=120)


@contextlib.contextmanager
def serving(name: str, work: Path) -> Iterator[Store]:
    """Run the server in a folder of its own."""
    kind = SERVERS[name]
    if not kind.program():
        raise SystemExit(kind.MISSING)
    folder = work / "server"
    folder.mkdir()
    version = first_line(["ceph", "--version"]) if name == "ceph" else name
    with kind.serving(folder) as server:
        yield Store(server=server, version=version, folder=folder, buckets=(server.make_bucket(), server.make_bucket()))


class Bench:
    """The run: a server, the clients, the data, and the records that they gave."""

    def __init__(self, work: Path, store: Store, clients: Sequence[Client]) -> None:
        self._work, self._store, self._clients = work, store, clients
        self._numbers = count()
        self._sizes: dict[bool, str] = {}
        self._huge_mib = 0
        self.records: list[Record] = []
        self.huge: list[Huge] = []
        self.failures: list[str] = []

    def make(self, scale: int) -> None:
        """Make the data, here and on the server."""
        blocks, files = max(1, BIG_MIB // scale), max(1, FILES // scale)
        write_random(self._data(many=False) / "big.bin", blocks)
        source = random.Random("many")
        for number in range(files):
            target = self._data(many=True) / f"{number:05}.bin"
            target.parent.mkdir(exist_ok=True, parents=True)
            target.write_bytes(source.randbytes(FILE_BYTES))
        self._sizes = {False: f"One file of {blocks} MiB", True: f"{files} files of {FILE_BYTES >> 10} KiB"}
        client = self._store.client()
        for many in (False, True):
            for path in self._data(many=many).iterdir():
                name = f"source/{'many' if many else 'big'}/{path.name}"
                client.upload_file(str(path), self._store.buckets[0], name)  # type: ignore[attr-defined]  # boto3 has no types

    def play(self, number: int, cell: Cell) -> None:
        """Let every client copy once, beginning with another one in each round."""
        shift = number % max(1, len(self._clients))
        for client in [*self._clients[shift:], *self._clients[:shift]]:
            with self._noting(f"{client.name}: {cell.name}, round {number + 1}"):
                process, inside = self._measure(client, cell)
                self.records.append(Record(round=number + 1, cell=cell.name, client=client.name, process=process, inside=inside))
                shown = inside or process
                print(
                    f"round {number + 1}, {cell.name}, {client.name}: {shown.wall_seconds:.2f} s, CPU {shown.cpu_seconds:.2f} s",
                    file=sys.stderr,
                )

    def play_huge(self, mebibytes: int) -> None:
        """Let kist copy a huge file up and down, and from a web server that knows ranges."""
        self._huge_mib = mebibytes
        kist = next((client for client in self._clients if client.name == "kist"), None)
        if kist is None:
            return
        source, back = self._work / "huge" / "huge.bin", self._work / "huge-back"
        write_random(source, mebibytes)
        back.mkdir()
        url = f"s3://{self._store.buckets[0]}/huge/huge.bin"
        with self._noting("kist: huge"):
            self._copy_huge(kist, "up", str(source), url)
            expect_same(folder_blocks(source.parent), self._store.read_all(self._store.buckets[0], "huge/"))
            self._copy_huge(kist, "down", url, str(back / source.name))
            expect_same(folder_blocks(source.parent), folder_blocks(back))
        self._store.clear(self._store.buckets[0], "huge/")
        shutil.rmtree(back)
        if not rclone_program.program():
            self.failures.append(f"from a web server: not measured, {rclone_program.MISSING}")
            return
        back.mkdir()
        with self._noting("kist: huge from http"), web.rclone_server(source.parent, self._work / "http.log") as address:
            self._copy_huge(kist, "from http, with ranges", f"{address}/{source.name}", str(back / source.name))
            expect_same(folder_blocks(source.parent), folder_blocks(back))
        for folder in (back, source.parent):
            shutil.rmtree(folder)

    def report(self, conditions: dict[str, str], absent: Sequence[str]) -> str:
        """Return the report in Markdown."""
        names = [client.name for client in self._clients]
        described = facts([]) | {"clients": ", ".join(dict.fromkeys(client.version for client in self._clients))} | conditions
        lines = [
            "# Copying, and its peers",
            "",
            "Medians. For libraries (kist, boto3, s3fs) *wall* and *CPU* are those of the copying, after the imports; for programs, of the",
            "whole process, whose figures stand on the right for all. CPU is the client's alone, not the server's.",
            "",
            *(f"- {key}: {value}" for key, value in described.items()),
            *(f"- not installed, so left out: {name}" for name in absent),
            "- defaults, but for rclone's `--transfers 16`, and 16 threads for boto3's single requests for many files",
            "- kist syncs each file that it writes to this machine's disk before it gives it its name; the others leave that to the system",
            "- all that arrived was compared byte for byte with what was sent",
            *(f"- **failed**: {failure}" for failure in self.failures),
        ]
        if self.records:
            lines += ["", "## Goals", "", goals_table(self.records)]
        for cell in CELLS:
            if any(record.cell == cell.name for record in self.records):
                about = cell.about.replace("one file", self._sizes[False]).replace("many files", self._sizes[True])
                lines += ["", f"## {cell.name}", "", f"{about}.", "", cell_table(self.records, cell.name, names)]
        if self.huge:
            lines += ["", "## huge", "", f"kist copies one file of {self._huge_mib} MiB, whole process.", "", huge_table(self.huge)]
        return "\n".join(lines) + "\n"

    def _measure(self, client: Client, cell: Cell) -> tuple[Cost, Cost | None]:
        """Let a client copy once, and compare what arrived."""
        kind, number = "many" if cell.many else "big", next(self._numbers)
        name = "" if cell.many else "big.bin"
        here, out = self._data(many=cell.many), self._work / "out"
        bucket, prefix = self._store.buckets[cell.way == "across"], f"target/{number}/"
        route = Route(
            source=f"{here}/{name}" if cell.way == "up" else f"s3://{self._store.buckets[0]}/source/{kind}/{name}",
            target=f"{out}/{name}" if cell.way == "down" else f"s3://{bucket}/{prefix}{name}",
            many=cell.many,
            result=self._work / "inside",
        )
        out.mkdir()
        try:
            costs = self._run(client, route)
            expect_same(folder_blocks(here), folder_blocks(out) if cell.way == "down" else self._store.read_all(bucket, prefix))
        finally:
            shutil.rmtree(out)
            self._store.clear(bucket, prefix)
        return costs

    def _run(self, client: Client, route: Route) -> tuple[Cost, Cost | None]:
        """Run a client in a home of its own, which is empty."""
        home = self._work / "home"
        home.mkdir()
        environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", **self._store.environment}
        if client.name.startswith("kist") and "PYTHONPATH" in os.environ:
            environment["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, os.environ["PYTHONPATH"].split(os.pathsep)))
        try:
            process = run([*LIMIT, *client.command(route)], cwd=home, env=environment)
        finally:
            shutil.rmtree(home)
        if not client.library:
            return process, None
        cpu, wall = map(float, route.result.read_text().split())
        return process, Cost(cpu_seconds=cpu, wall_seconds=wall)

    def _copy_huge(self, kist: Client, what: str, source: str, target: str) -> None:
        process, _ = self._run(kist, Route(source=source, target=target, many=False, result=self._work / "inside"))
        self.huge.append(Huge(what=what, cost=process))
        print(f"huge, {what}: {process.wall_seconds:.2f} s, {process.peak_rss_bytes / MIB:.0f} MiB", file=sys.stderr)

    @contextlib.contextmanager
    def _noting(self, what: str) -> Iterator[None]:
        """Note a failure, and go on."""
        try:
            yield
        except CommandError as error:
            print(f"{what}: {error}", file=sys.stderr)
            said = str(error).splitlines()[-1]  # of a traceback, what it is about
            self.failures.append(f"{what}: {said}".replace(str(self._work), "WORK"))

    def _data(self, *, many: bool) -> Path:
        return self._work / "data" / ("many" if many else "big")


def write_random(target: Path, mebibytes: int) -> None:
    """Write bytes that can't be compressed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    source = random.Random(target.name)
    with target.open("wb") as file:
        for _ in range(mebibytes):
            file.write(source.randbytes(MIB))


def folder_blocks(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield what is in a folder, in blocks: the name and the next bytes."""
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            while block := file.read(MIB):
                yield path.name, block


def expect_same(sent: Iterator[tuple[str, bytes]], arrived: Iterator[tuple[str, bytes]]) -> None:
    """Compare names and bytes.

    Raises:
        CommandError: they differ.
    """
    try:
        for (name, block), (other, same) in zip(sent, arrived, strict=True):
            if name != other or block != same:
                raise CommandError(f"what arrived is not what was sent: {other} is not {name}, or has other bytes")
    except ValueError as error:
        raise CommandError("what arrived is not what was sent: there is more, or less") from error


def keep(report: str, bench: Bench, options: argparse.Namespace) -> None:
    """Write the report and the figures behind it; only a run of all at full size has the plain name."""
    partly = [f"scale-{options.scale}"] * (options.scale != 1) + [options.server] * (options.server != "ceph")
    partly += ["partly"] * bool(options.cells or options.clients)
    name = "-".join([today(), "transfers", *partly])
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / f"{name}.md").write_text(report)
    figures = {"cells": [asdict(record) for record in bench.records], "huge": [asdict(one) for one in bench.huge]}
    (options.results / f"{name}.json").write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
