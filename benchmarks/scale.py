"""Measures what must not grow with the size of a repository: memory for a big file, time for a path's history, time for a folder's listing.

1. A file of 10 GiB is saved and restored within 256 MiB of memory.
2. The history of one path among 10,000 commits comes within 100 ms.
3. A folder in a tree of 1,000,000 files is listed within 50 ms; so is a page of a folder with 50,000 folders.

All that touches a repository runs in processes of its own, so that their memory and their caches are what a user's would be.
"""

import argparse
import hashlib
import json
import os
import random
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import batched, chain
from pathlib import Path

from benchmarks.machine import facts, load_average, today
from benchmarks.measure import CommandError, Cost, folder_bytes, run
from kist import open_repository

__all__ = ["main"]

MIB = 1 << 20
ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).with_name("results")
PAGE = 1000
REPEATS = 7
CHANGES_PER_PATH = 20
FILES_PER_FOLDER = 1000
FILES_PER_COMMIT = 10_000
# Of a million files, 50,000 lie in a folder each.
ONE_IN_A_FOLDER = 20
BIG, HISTORY = "big.bin", "folder-00/asked-for.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of the report; what has no limit is for information."""

    what: str
    figure: float
    unit: str
    limit: float | None = None

    def __str__(self) -> str:
        """Return the row in Markdown."""
        met = "" if self.limit is None else "yes" if self.figure <= self.limit else "**no**"
        return f"| {self.what} | {self.figure:,.1f} {self.unit} | {'' if self.limit is None else f'{self.limit:g} {self.unit}'} | {met} |"


class Bench:
    """A work folder with one repository, and the processes that use it."""

    def __init__(self, work: Path, kist: str) -> None:
        self.work = work
        self.url = (work / "repository").as_uri()
        self._kist = shlex.split(kist)
        paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        self._environment = {**os.environ, "KIST_HOME": str(work / "home"), "PYTHONPATH": paths}

    def child(self, task: str, *words: object) -> tuple[Cost, dict[str, float]]:
        """Run one of `TASKS` in a new process; return what it cost and the figures that it found."""
        found = self.work / "found.json"
        command = [sys.executable, "-m", "benchmarks.scale", "--child", task, str(found), self.url, *map(str, words)]
        cost = run(command, cwd=self.work, env=self._environment)
        return cost, json.loads(found.read_text())

    def command_line(self, *words: str) -> float:
        """Return the median of the seconds that kist's command line takes for something."""
        times = []
        for _ in range(REPEATS):
            began = time.perf_counter()
            subprocess.run([*self._kist, "-r", self.url, *words], env=self._environment, check=True, capture_output=True)
            times.append(time.perf_counter() - began)
        return statistics.median(times)


def measure_big(bench: Bench, options: argparse.Namespace) -> Iterator[Row]:
    """Save and restore a big file that cannot be compressed, and look at the memory."""
    source, target = bench.work / BIG, bench.work / "restored.bin"
    wanted = hashlib.sha256()
    blocks = random.Random("big")
    with source.open("wb") as file:
        for _ in range(round(options.gib * 1024)):
            block = blocks.randbytes(MIB)
            wanted.update(block)
            file.write(block)
    size = f"{options.gib:g} GiB"
    saved, _ = bench.child("save", source)
    yield Row(what=f"peak memory of saving {size}", figure=saved.peak_rss_bytes / MIB, unit="MiB", limit=256)
    yield Row(what=f"saving {size}: wall", figure=saved.wall_seconds, unit="s")
    yield Row(what=f"saving {size}: CPU", figure=saved.cpu_seconds, unit="s")
    source.unlink()
    restored, _ = bench.child("restore", target)
    with target.open("rb") as file:
        if hashlib.file_digest(file, "sha256").digest() != wanted.digest():
            raise CommandError(f"the {size} that were restored are not those that were saved")
    target.unlink()
    yield Row(what=f"peak memory of restoring {size}", figure=restored.peak_rss_bytes / MIB, unit="MiB", limit=256)
    yield Row(what=f"restoring {size}: wall", figure=restored.wall_seconds, unit="s")
    yield Row(what=f"restoring {size}: CPU", figure=restored.cpu_seconds, unit="s")


def measure_log(bench: Bench, options: argparse.Namespace) -> Iterator[Row]:
    """Make many commits, then ask for the history of one path."""
    made, _ = bench.child("commits", options.commits)
    yield Row(what=f"{options.commits:,} commits, each", figure=made.wall_seconds / options.commits * 1000, unit="ms")
    _, found = bench.child("log")
    if found["versions"] != CHANGES_PER_PATH:
        raise CommandError(f"{HISTORY} was changed {CHANGES_PER_PATH} times, log says {found['versions']:g}")
    about = f"history of a path among {options.commits:,} commits"
    yield Row(what=f"{about}: in a process that has not asked before", figure=found["first"] * 1000, unit="ms")
    yield Row(what=f"{about}: asked again", figure=found["again"] * 1000, unit="ms", limit=100)
    yield Row(what=f"{about}: command line, with the start of Python", figure=bench.command_line("log", HISTORY) * 1000, unit="ms")
    yield Row(what="command line: `--version`, for comparison", figure=bench.command_line("--version") * 1000, unit="ms")


def measure_listing(bench: Bench, options: argparse.Namespace) -> Iterator[Row]:
    """Make a tree of many files, then list folders of it."""
    made, _ = bench.child("files", options.entries)
    yield Row(what=f"committing {options.entries:,} files, per 1,000", figure=made.wall_seconds / options.entries * 1e6, unit="ms")
    yield Row(what=f"committing {options.entries:,} files: peak memory", figure=made.peak_rss_bytes / MIB, unit="MiB")
    yield Row(what=f"repository of {options.entries:,} files", figure=folder_bytes(bench.work / "repository") / 1e6, unit="MB")
    subfolders = options.entries // ONE_IN_A_FOLDER
    middle = subfolders // 2
    full = (options.entries - subfolders) // FILES_PER_FOLDER // 2
    cases = (
        (f"a folder of {FILES_PER_FOLDER:,} files", f"files/{full:05}", "", FILES_PER_FOLDER),
        (f"the first {PAGE:,} of {subfolders:,} folders", "folders", "", min(PAGE, subfolders)),
        (f"{PAGE:,} in the middle of {subfolders:,} folders", "folders", f"{middle:06}", min(PAGE, subfolders - middle - 1)),
    )
    for about, folder, after, names in cases:
        _, found = bench.child("listing", folder, after)
        if found["names"] != names:
            raise CommandError(f"{about} must be {names} names, the listing has {found['names']:g}")
        yield Row(what=f"listing {about}: in a process that has not asked before", figure=found["first"] * 1000, unit="ms")
        yield Row(what=f"listing {about}: asked again", figure=found["again"] * 1000, unit="ms", limit=50)


def save_big(url: str, source: str) -> dict[str, float]:
    """Save a file from the disk."""
    open_repository(url, create=True).save(BIG, source)
    return {}


def restore_big(url: str, target: str) -> dict[str, float]:
    """Restore it to the disk."""
    open_repository(url).restore(BIG, target)
    return {}


def make_commits(url: str, count: str) -> dict[str, float]:
    """Make commits of one small file each; every path is changed `CHANGES_PER_PATH` times, the one that is asked for among them."""
    repository = open_repository(url, create=True)
    paths = max(1, int(count) // CHANGES_PER_PATH)
    for number in range(int(count)):
        path = number % paths
        with repository.transaction(message=f"commit {number}") as change:
            change.put(HISTORY if path == 0 else f"folder-{path % 20:02}/file-{path:05}.txt", b"%d\n" % number)
    return {}


def ask_log(url: str) -> dict[str, float]:
    """Ask for the history of a path."""
    repository = open_repository(url)
    return timed(lambda: len(repository.log(HISTORY)), "versions")


def make_files(url: str, count: str) -> dict[str, float]:
    """Commit many files: most in folders of `FILES_PER_FOLDER`, one in `ONE_IN_A_FOLDER` in a folder of its own."""
    repository = open_repository(url, create=True)
    alone = int(count) // ONE_IN_A_FOLDER
    paths = (f"files/{number // FILES_PER_FOLDER:05}/{number % FILES_PER_FOLDER:03}.txt" for number in range(int(count) - alone))
    folders = (f"folders/{number:06}/one.txt" for number in range(alone))
    for part in batched(chain(paths, folders), FILES_PER_COMMIT):
        with repository.transaction(message=f"from {part[0]}") as change:
            for path in part:
                change.put(path, path.encode())
    return {}


def ask_listing(url: str, folder: str, after: str) -> dict[str, float]:
    """Ask for a page of a folder."""
    repository = open_repository(url)
    return timed(lambda: len(repository.tree(folder, after=after, limit=PAGE)), "names")


def timed(question: Callable[[], int], counted: str) -> dict[str, float]:
    """Return the seconds of asking first and again (the median), and what the answer counted."""
    times, answer = [], 0
    for _ in range(1 + REPEATS):
        began = time.perf_counter()
        answer = question()
        times.append(time.perf_counter() - began)
    return {"first": times[0], "again": statistics.median(times[1:]), counted: answer}


TASKS: dict[str, Callable[..., dict[str, float]]] = {
    "save": save_big,
    "restore": restore_big,
    "commits": make_commits,
    "log": ask_log,
    "files": make_files,
    "listing": ask_listing,
}
PARTS = {"big": measure_big, "log": measure_log, "listing": measure_listing}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts that are asked for; the exit code is 1 if a limit is not kept."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["--child"]:
        task, found, *words = arguments[1:]
        Path(found).write_text(json.dumps(TASKS[task](*words)))
        return 0
    options = parser().parse_args(arguments)
    options.work.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    before = load_average()
    for part in options.parts or PARTS:
        with tempfile.TemporaryDirectory(prefix="kist-benchmark-", dir=options.work) as work:
            for row in PARTS[part](Bench(Path(work), options.kist), options):
                print(row, file=sys.stderr)
                rows.append(row)
    report = report_of(rows, f"{before} before, {load_average()} after")
    print(report)
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / f"{today()}-scale.md").write_text(report)
    return 1 if any(row.limit is not None and row.figure > row.limit for row in rows) else 0


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks scale", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)} (default: all)")
    made.add_argument("--gib", type=float, default=10, metavar="N", help="size of the big file in GiB (default: 10)")
    made.add_argument("--commits", type=int, default=10_000, metavar="N", help="(default: 10,000)")
    made.add_argument("--entries", type=int, default=1_000_000, metavar="N", help="files in the tree that is listed (default: 1,000,000)")
    made.add_argument(
        "--work", type=Path, default=Path(tempfile.gettempdir()), metavar="FOLDER", help="where data and repositories are made"
    )
    made.add_argument("--results", type=Path, default=RESULTS, metavar="FOLDER", help="where the report goes (default: benchmarks/results)")
    made.add_argument("--kist", default="kist", metavar="COMMAND", help="how kist is started (default: kist)")
    return made


def report_of(rows: Sequence[Row], load: str) -> str:
    """Return the report in Markdown."""
    lines = ["# kist at scale", "", *(f"- {key}: {value}" for key, value in (facts([]) | {"load average": load}).items()), ""]
    lines += ["| what | figure | limit | met |", "|---|--:|--:|---|", *map(str, rows)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
