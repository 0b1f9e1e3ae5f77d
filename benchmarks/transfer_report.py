"""Medians, tables and verdicts of the transfers. Pure: records in, text out."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.measure import Cost

__all__ = ["CELLS", "Cell", "Huge", "Record", "Summary", "cell_table", "goals_table", "huge_table", "median_of"]

MIB = 1 << 20
S5CMD_FACTOR = 1.25
PEAK_MIB = 200
LIBRARIES = ("boto3", "s3fs")
OURS = ("kist", "kist cp")
CLOCK = 0.01
"""The clock's step: a figure below it can't be divided by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What is copied, and from where to where."""

    name: str
    about: str
    many: bool
    way: str
    """One of ``up``, ``down``, ``within`` (one bucket) and ``across`` (two buckets of one server)."""


WAYS = {
    "up": "from this machine to the store",
    "down": "from the store to this machine",
    "within": "within one bucket",
    "across": "from one bucket to another",
}
CELLS = [
    Cell(name=f"{kind}-{way}", about=f"{what} {where}", many=kind == "many", way=way)
    for kind, what in (("big", "one file"), ("many", "many files"))
    for way, where in WAYS.items()
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One copy by one client in one round: `process` is what all of it cost, `inside` what it cost after the imports of a library."""

    round: int
    cell: str
    client: str
    process: Cost
    inside: Cost | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Huge:
    """One copy of the huge file by kist."""

    what: str
    cost: Cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The medians over the rounds; `wall` and `cpu` are those after the imports where the client is a library."""

    wall: float
    cpu: float
    process_wall: float
    process_cpu: float
    peak_mib: float


def median_of(records: Sequence[Record], cell: str, client: str) -> Summary | None:
    """Return the summary of a client in a cell, or None where nothing was measured."""
    found = [record for record in records if (record.cell, record.client) == (cell, client)]
    if not found:
        return None

    def median(figure: Callable[[Record], float]) -> float:
        return statistics.median(map(figure, found))

    return Summary(
        wall=median(lambda record: (record.inside or record.process).wall_seconds),
        cpu=median(lambda record: (record.inside or record.process).cpu_seconds),
        process_wall=median(lambda record: record.process.wall_seconds),
        process_cpu=median(lambda record: record.process.cpu_seconds),
        peak_mib=median(lambda record: record.process.peak_rss_bytes) / MIB,
    )


def cell_table(records: Sequence[Record], cell: str, clients: Sequence[str]) -> str:
    """Return the Markdown table of a cell: a row per client."""
    lines = [
        "| client | wall s | to boto3 | to s5cmd | CPU s | to boto3 | to s5cmd | process: wall s | CPU s | peak MiB |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    peers = [median_of(records, cell, name) for name in ("boto3", "s5cmd")]
    for client in clients:
        found = median_of(records, cell, client)
        if found:
            walls = [ratio(found.wall, peer.wall) if peer else "" for peer in peers]
            cpus = [ratio(found.cpu, peer.cpu) if peer else "" for peer in peers]
            process = f"{found.process_wall:.2f} | {found.process_cpu:.2f} | {found.peak_mib:.0f}"
            lines.append(f"| {client} | {found.wall:.2f} | {' | '.join(walls)} | {found.cpu:.2f} | {' | '.join(cpus)} | {process} |")
    return "\n".join(lines)


def goals_table(records: Sequence[Record]) -> str:
    """Return the Markdown table of verdicts; a goal whose figures are missing has no row."""
    lines = ["| goal | cell | kist | peer | ratio | limit | met |", "|---|---|--:|--:|--:|--:|---|"]
    for cell in CELLS:
        ours = median_of(records, cell.name, "kist")
        theirs = {name: found for name in LIBRARIES if (found := median_of(records, cell.name, name))}
        if ours and theirs:
            fastest = min(theirs, key=lambda name: theirs[name].wall)
            lines.append(verdict(f"wall s, to the fastest other library ({fastest})", cell.name, ours.wall, theirs[fastest].wall, 1))
    for client in OURS:
        for cell in CELLS:
            ours, other = median_of(records, cell.name, client), median_of(records, cell.name, "s5cmd")
            if ours and other:
                about = "wall s after imports, to s5cmd" if client == "kist" else "wall s of `kist cp`, to s5cmd"
                lines.append(verdict(about, cell.name, ours.wall, other.wall, S5CMD_FACTOR))
    return "\n".join(lines)


def verdict(goal: str, cell: str, ours: float, theirs: float, limit: float) -> str:
    """Return a row of the table of verdicts."""
    met = "yes" if ours <= limit * theirs else "**no**"
    return f"| {goal} | {cell} | {ours:.2f} | {theirs:.2f} | {ratio(ours, theirs)} | {limit:g} | {met} |"


def huge_table(huge: Sequence[Huge]) -> str:
    """Return the Markdown table of what kist did with the huge file."""
    lines = ["| copy | wall s | CPU s | peak MiB | limit | met |", "|---|--:|--:|--:|--:|---|"]
    for one in huge:
        peak = one.cost.peak_rss_bytes / MIB
        met = "yes" if peak <= PEAK_MIB else "**no**"
        lines.append(f"| {one.what} | {one.cost.wall_seconds:.2f} | {one.cost.cpu_seconds:.2f} | {peak:.0f} | {PEAK_MIB} MiB | {met} |")
    return "\n".join(lines)


def ratio(ours: float, theirs: float) -> str:
    """Return a quotient for a table; nothing where the peer's figure is too small."""
    return f"{ours / theirs:.2f}" if theirs > CLOCK else ""
