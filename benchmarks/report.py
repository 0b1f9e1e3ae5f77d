"""Medians, tables and verdicts from the measured figures. Pure: records in, text out."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from benchmarks.datasets import EMPTY
from benchmarks.measure import Cost

__all__ = ["GOALS", "Goal", "Record", "Summary", "goals_table", "median_of", "result_table"]

STEPS = ("save", "unchanged", "change", "restore")
MB = 1_000_000
MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One step of one tool on one data set in one round; `stored_bytes` is what the repository then holds, `added_bytes` the growth."""

    round: int
    dataset: str
    tool: str
    step: str
    cost: Cost
    stored_bytes: int
    added_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The medians over the rounds, and what lies above those of the same tool with an empty folder."""

    cpu: float
    wall: float
    cpu_above_empty: float
    wall_above_empty: float
    stored_mb: float
    added_mb: float
    peak_mib: float


def median_of(records: Sequence[Record], key: tuple[str, str, str]) -> Summary | None:
    """Return the summary for a data set, tool and step, or None where nothing was measured."""
    _, tool, step = key
    found = [record for record in records if (record.dataset, record.tool, record.step) == key]
    if not found:
        return None
    # An empty folder has no change: to save it again is the same question.
    empty_key = (EMPTY, tool, "unchanged" if step == "change" else step)
    empty = [record for record in records if (record.dataset, record.tool, record.step) == empty_key]
    cpu, wall = median(r.cost.cpu_seconds for r in found), median(r.cost.wall_seconds for r in found)
    return Summary(
        cpu=cpu,
        wall=wall,
        cpu_above_empty=cpu - median(r.cost.cpu_seconds for r in empty),
        wall_above_empty=wall - median(r.cost.wall_seconds for r in empty),
        stored_mb=median(r.stored_bytes for r in found) / MB,
        added_mb=median(r.added_bytes for r in found) / MB,
        peak_mib=median(r.cost.peak_rss_bytes for r in found) / MIB,
    )


def median(values: Iterable[float]) -> float:
    """Return the median, 0 of nothing."""
    values = list(values)
    return statistics.median(values) if values else 0.0


def result_table(records: Sequence[Record], dataset: str, tools: Sequence[str]) -> str:
    """Return the Markdown table of a data set: a row per step and tool."""
    lines = [
        "| step | tool | CPU s | above empty | wall s | above empty | added MB | stored MB | peak MiB |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for step in STEPS:
        for tool in tools:
            found = median_of(records, (dataset, tool, step))
            if found:
                times = f"{found.cpu:.2f} | {found.cpu_above_empty:.2f} | {found.wall:.2f} | {found.wall_above_empty:.2f}"
                lines.append(f"| {step} | {tool} | {times} | {found.added_mb:.2f} | {found.stored_mb:.1f} | {found.peak_mib:.0f} |")
    return "\n".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """kist's figure must not exceed `factor` times the peer's, or `factor` itself where there is no `peer`."""

    title: str
    datasets: tuple[str, ...]
    step: str
    figure: Callable[[Summary], float]
    above_empty: Callable[[Summary], float] | None = None
    peer: str | None = None
    factor: float


def cpu_goal(title: str, step: str, *, datasets: tuple[str, ...], peer: str, factor: float) -> Goal:
    """Return a goal for the CPU time of a step."""
    return Goal(
        title=title,
        datasets=datasets,
        step=step,
        figure=lambda found: found.cpu,
        above_empty=lambda found: found.cpu_above_empty,
        peer=peer,
        factor=factor,
    )


FOLDERS = ("files", "site-packages")
CASES = ("random", "csv", *FOLDERS)
GOALS = (
    cpu_goal("CPU s of the first save, to restic", "save", datasets=CASES, peer="restic", factor=0.5),
    cpu_goal("CPU s of the first save, to borg zstd,1 (unencrypted)", "save", datasets=CASES, peer="borg zstd,1", factor=1.3),
    cpu_goal("CPU s of saving an unchanged folder, to restic", "unchanged", datasets=FOLDERS, peer="restic", factor=0.3),
    Goal(title="MB stored for 1 KiB inserted", datasets=("random",), step="change", figure=lambda found: found.added_mb, factor=1),
    Goal(
        title="wall s of the restore, to restic",
        datasets=CASES,
        step="restore",
        figure=lambda found: found.wall,
        above_empty=lambda found: found.wall_above_empty,
        peer="restic",
        factor=1,
    ),
)


def goals_table(goals: Iterable[Goal], records: Sequence[Record]) -> str:
    """Return the Markdown table of verdicts; a goal whose figures are missing has no row."""
    lines = ["| goal | data | kist | peer | ratio | above empty | limit | met |", "|---|---|--:|--:|--:|--:|--:|---|"]
    for goal in goals:
        lines += [row for dataset in goal.datasets if (row := goal_row(goal, records, dataset))]
    return "\n".join(lines)


def goal_row(goal: Goal, records: Sequence[Record], dataset: str) -> str | None:
    """Return a row of the table of verdicts; it is the whole figure that counts, the one above an empty run is for information."""
    ours = median_of(records, (dataset, "kist", goal.step))
    theirs = median_of(records, (dataset, goal.peer, goal.step)) if goal.peer else None
    if ours is None or (goal.peer and theirs is None):
        return None
    figure = goal.figure(ours)
    if theirs is None:
        cells, met = ["", "", ""], figure <= goal.factor
    else:
        above = ratio(goal.above_empty(ours), goal.above_empty(theirs)) if goal.above_empty else ""
        cells = [f"{goal.figure(theirs):.2f}", ratio(figure, goal.figure(theirs)), above]
        met = figure <= goal.factor * goal.figure(theirs)
    return f"| {goal.title} | {dataset} | {figure:.2f} | {' | '.join(cells)} | {goal.factor:g} | {'yes' if met else '**no**'} |"


def ratio(ours: float, theirs: float) -> str:
    """Return a quotient for a table; figures too small to be divided give nothing."""
    return f"{ours / theirs:.2f}" if theirs > 0.01 else ""  # noqa: PLR2004 (the clock's step)
