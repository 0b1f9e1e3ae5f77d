"""What goes to the terminal, a pipe or a program: lines, tables and JSON on stdout, notes on stderr.

stdout carries results only. Colour, and tables by `rich`, are for a terminal (without ``NO_COLOR``); else text is plain and aligned.
Everything that may come from a repository is escaped first, by whoever makes the line.
"""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from kist.cli.text import escape

__all__ = ["Column", "is_coloured", "line", "note", "paint", "print_array", "print_facts", "print_object", "print_table", "warn"]

Style = Literal["bold", "dim", "red", "green", "yellow", "blue", "cyan"]
CODES: dict[Style, str] = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "1;34", "cyan": "36"}

FLEXIBLE, FACT_WIDTH = 24, 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """How one column of a table looks. Where there is no room, `spare` ones are left out, the highest first; `flexible` ones are cut."""

    title: str
    right: bool = False
    style: Style | None = None
    flexible: bool = False
    spare: int = 0


def line(text: str = "") -> None:
    """Write one line to stdout."""
    sys.stdout.write(text + "\n")


def note(text: str) -> None:
    """Write one line for people to stderr."""
    sys.stderr.write(text + "\n")


def warn(text: str) -> None:
    """Write one line on stderr about what went wrong, escaped: it may quote what a repository says."""
    note(f"kist: {escape(text)}")


def is_coloured() -> bool:
    """Say whether stdout is a terminal whose user likes colour."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, style: Style) -> str:
    """Return text in a style, where there is colour."""
    return f"\x1b[{CODES[style]}m{text}\x1b[0m" if is_coloured() else text


def print_object(value: object) -> None:
    """Write one thing as JSON."""
    import json  # noqa: PLC0415 - only where it is asked for

    from kist.cli.plain import plain  # noqa: PLC0415

    line(json.dumps(plain(value), indent=2))


def print_array(values: Iterable[object]) -> None:
    """Write a listing as JSON, as it comes: one thing in each line of one array."""
    import json  # noqa: PLC0415 - only where it is asked for

    from kist.cli.plain import plain  # noqa: PLC0415

    before = "["
    for value in values:
        sys.stdout.write(f"{before}\n  {json.dumps(plain(value))}")
        before = ","
    line("[]" if before == "[" else "\n]")


def print_facts(facts: Mapping[str, object]) -> None:
    """Write what there is to say of one thing, a line for each fact; what is empty is left out."""
    told = {name: str(value) for name, value in facts.items() if value not in {None, ""}}
    width = max(FACT_WIDTH, *(len(name) + 2 for name in told)) if told else FACT_WIDTH
    for name, value in told.items():
        line(f"{f'{name}:':<{width}}{escape(value)}")


def print_table(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
    """Write a table; columns that are empty in all rows are left out, and no rows are no table."""
    cells = [[escape(cell) for cell in row] for row in rows]
    used = [at for at in range(len(columns)) if any(row[at] for row in cells)]
    columns, cells = [columns[at] for at in used], [[row[at] for at in used] for row in cells]
    if not cells:
        return
    if is_coloured():
        _print_rich(columns, cells)
        return
    widths = _widths(columns, cells)
    for row in [[column.title for column in columns], *cells]:
        padded = (
            cell.rjust(width) if column.right else cell.ljust(width) for cell, width, column in zip(row, widths, columns, strict=True)
        )
        line("  ".join(padded).rstrip())


def _widths(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> list[int]:
    return [max(len(column.title), *(len(row[at]) for row in cells)) for at, column in enumerate(columns)]


def _fitting(columns: Sequence[Column], cells: Sequence[Sequence[str]], width: int) -> list[int]:
    """Return which columns there is room for."""
    widths = [min(one, FLEXIBLE) if column.flexible else one for one, column in zip(_widths(columns, cells), columns, strict=True)]
    kept = list(range(len(columns)))
    while sum(widths[at] + 2 for at in kept) > width and (spare := max(kept, key=lambda at: columns[at].spare)) and columns[spare].spare:
        kept.remove(spare)
    return kept


def _print_rich(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> None:
    from rich.console import Console  # noqa: PLC0415 - costs 50 ms
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False)
    kept = _fitting(columns, cells, console.width)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in (columns[at] for at in kept):
        table.add_column(
            column.title,
            justify="right" if column.right else "left",
            style={"blue": "bold blue"}.get(column.style or "", column.style),
            no_wrap=not column.flexible,
        )
    for row in cells:
        table.add_row(*(Text(cell, no_wrap=True, overflow="ellipsis") for cell in (row[at] for at in kept)))
    console.print(table)
