"""Measures kist against restic, borg, DVC and tar, in the same run and in turn, and writes the tables.

Every tool saves a folder, saves it again unchanged, saves it after a small change and restores it; what it restores is compared byte for
byte. A tool that isn't installed is left out, and the report says so. All data come from seeds and are removed at the end.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.datasets import DATASETS, EMPTY, Dataset, Options
from benchmarks.machine import facts, load_average, today
from benchmarks.measure import CommandError, Cost, folder_bytes, run
from benchmarks.report import GOALS, Record, goals_table, result_table
from benchmarks.tools import Borg, Dvc, Kist, Place, Restic, Step, Tar, Tool

__all__ = ["main"]

RESULTS = Path(__file__).with_name("results")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit code is 1 if a tool failed or did not restore what it had saved."""
    options = parser().parse_args(arguments)
    tools = [tool for tool in every_tool(options.kist) if not options.tools or any(name in tool.name for name in options.tools)]
    installed = [tool for tool in tools if shutil.which(tool.version[0])]
    absent = [tool.name for tool in tools if tool not in installed]
    options.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kist-benchmark-", dir=options.work) as work:
        bench = Bench(Path(work), installed)
        before = load_average()
        bench.make(options.data, Options(scale=options.scale, packages=options.packages))
        for number in range(options.rounds):
            bench.play(number)
        conditions = {
            "scale": f"1/{options.scale}",
            "rounds": str(options.rounds),
            "load average": f"{before} before, {load_average()} after",
        }
        report = bench.report(conditions, absent)
    print(report)
    keep(report, bench.records, options)
    return 1 if bench.failures else 0


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks engine", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--scale", type=int, default=1, metavar="N", help="divide all sizes by N")
    made.add_argument("--rounds", type=int, default=3, metavar="N", help="the figures are medians of N rounds (default: 3)")
    made.add_argument(
        "--work", type=Path, default=Path(tempfile.gettempdir()), metavar="FOLDER", help="where data and repositories are made"
    )
    made.add_argument("--results", type=Path, default=RESULTS, metavar="FOLDER", help="where the report goes (default: benchmarks/results)")
    made.add_argument("--kist", default="kist", metavar="COMMAND", help="how kist is started (default: kist)")
    made.add_argument("--tools", nargs="+", metavar="NAME", help="only tools whose name contains one of these words")
    made.add_argument("--data", nargs="+", choices=[name for name in DATASETS if name != EMPTY], help="only these data sets")
    packages = Path(sysconfig.get_path("purelib"))
    made.add_argument("--packages", type=Path, default=packages, metavar="FOLDER", help="the folder to copy for site-packages")
    return made


def every_tool(kist: str) -> list[Tool]:
    """Return all tools, in the order of the tables."""
    return [Kist(kist), Restic(), Borg("zstd,1"), Borg("lz4"), Dvc(), Tar()]


class Bench:
    """The run: data sets and tools in a work folder, and the records that they gave."""

    def __init__(self, work: Path, tools: Sequence[Tool]) -> None:
        self._work = work
        self._tools = tools
        self._datasets: dict[str, tuple[Dataset, str]] = {}
        self.records: list[Record] = []
        self.failures: list[str] = []

    def make(self, names: Sequence[str] | None, options: Options) -> None:
        """Make the data sets; the empty one is always among them, for it is what the others are compared with."""
        for name, build in DATASETS.items():
            if name == EMPTY or not names or name in names:
                dataset = Dataset(self._work / "data" / name)
                self._datasets[name] = (dataset, build(dataset, options))

    def play(self, number: int) -> None:
        """Play a round: every tool on every data set, beginning with another tool each time."""
        shift = number % max(1, len(self._tools))
        for name, (dataset, _) in self._datasets.items():
            for tool in [*self._tools[shift:], *self._tools[:shift]]:
                try:
                    self._measure(number, (name, dataset), tool)
                except CommandError as error:
                    said = str(error).replace(str(self._work), "WORK")
                    self.failures.append(f"{tool.name} on {name}, round {number + 1}: {said}")
                    print(self.failures[-1], file=sys.stderr)
                finally:
                    self._clear(dataset)

    def report(self, conditions: dict[str, str], absent: Sequence[str]) -> str:
        """Return the report in Markdown."""
        names = [tool.name for tool in self._tools]
        lines = [
            "# kist and its peers",
            "",
            "Medians. CPU is user and system time of all processes; *above empty* is what lies above the same",
        ]
        lines += ["command on an empty folder, so without what a tool takes to start.", ""]
        lines += [f"- {key}: {value}" for key, value in (facts([tool.version for tool in self._tools]) | conditions).items()]
        lines += [f"- not installed, so left out: {name}" for name in absent]
        lines += ["- every restore was compared byte for byte (`diff -r`)"]
        lines += [f"- **failed**: {failure}" for failure in self.failures]
        if "kist" in names:
            lines += ["", "## Goals", "", goals_table(GOALS, self.records)]
        for name, (_, about) in self._datasets.items():
            lines += ["", f"## {name}", "", f"{about[:1].upper()}{about[1:]}.", "", result_table(self.records, name, names)]
        return "\n".join(lines) + "\n"

    def _measure(self, number: int, case: tuple[str, Dataset], tool: Tool) -> None:
        """Let a tool do all its steps on a data set, in a repository of its own."""
        name, dataset = case
        place = Place(project=dataset.project, repository=self._work / "repository", home=self._work / "home", out=self._work / "out")
        for folder in (place.home, place.out):
            folder.mkdir()
        environment = {"PATH": os.environ["PATH"], "HOME": str(place.home), "LANG": "C.UTF-8", **tool.environment(place)}
        execute(tool.create(place), environment)
        stored = folder_bytes(place.repository)
        plan = [("save", tool.save(place, 1)), ("unchanged", tool.save(place, 2)), ("restore", tool.restore(place, 2))]
        if dataset.changed:
            plan[2:] = [("change", tool.save(place, 3)), ("restore", tool.restore(place, 3))]
        for step, commands in plan:
            dataset.show(1 if step in {"save", "unchanged"} or not dataset.changed else 2)
            cost = execute(commands, environment)
            before, stored = stored, folder_bytes(place.repository)
            print(
                f"round {number + 1}, {name}, {tool.name}: {step} {cost.cpu_seconds:.2f} s CPU, {cost.wall_seconds:.2f} s", file=sys.stderr
            )
            grown = {"stored_bytes": stored, "added_bytes": stored - before}
            self.records.append(Record(round=number + 1, dataset=name, tool=tool.name, step=step, cost=cost, **grown))
        compare(place.project / "data", tool.restored(place))

    def _clear(self, dataset: Dataset) -> None:
        """Take away all that a tool left; the data set shows its first version again."""
        dataset.show(1)
        for path in (*(self._work / name for name in ("repository", "home", "out")), *dataset.project.iterdir()):
            if path == dataset.data:
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def execute(steps: Sequence[Step], environment: dict[str, str]) -> Cost:
    """Run commands one after the other and return what the timed ones cost."""
    total = Cost()
    for step in steps:
        cost = run(step.command, cwd=step.cwd, env=environment)
        if step.timed:
            total += cost
    return total


def compare(data: Path, restored: Path) -> None:
    """See that two folders are equal.

    Raises:
        CommandError: they are not.
    """
    if not any(data.iterdir()) and not restored.exists():
        # An empty folder is no content: a tool may leave it out.
        return
    ended = subprocess.run(["diff", "-r", data, restored], capture_output=True, text=True, check=False)
    if ended.returncode:
        raise CommandError(f"what was restored differs: {ended.stdout[:500]}{ended.stderr[:500]}")


def keep(report: str, records: Sequence[Record], options: argparse.Namespace) -> None:
    """Write the report and the figures behind it; a run at another scale does not replace one at full size."""
    name = f"{today()}-engine" + (f"-scale-{options.scale}" if options.scale != 1 else "")
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / f"{name}.md").write_text(report)
    (options.results / f"{name}.json").write_text(json.dumps([asdict(record) for record in records], indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
