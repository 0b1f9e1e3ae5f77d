"""Which lines of a text changed: a shortest edit script (Myers 1986), within bounds that no text can exceed.

Pure. Texts that differ too much still compare, as one block removed and one added, so time stays bounded by `MAX_EDITS` times the lines.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["Line", "compare_lines"]

CONTEXT = 3
MAX_EDITS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of one or both texts, with its number (from 1) in each; or, as ``gap``, how many equal lines are left out."""

    change: Literal["same", "removed", "added", "gap"]
    text: str = ""
    old: int | None = None
    new: int | None = None
    skipped: int = 0


def compare_lines(old: Sequence[str], new: Sequence[str]) -> list[Line]:
    """Return what changed, with a few lines around it; nothing if nothing did."""
    lines = list(_script(old, new))
    near = bytearray(len(lines))
    for index, line in enumerate(lines):
        if line.change != "same":
            start = max(0, index - CONTEXT)
            near[start : index + CONTEXT + 1] = b"\1" * (min(len(lines), index + CONTEXT + 1) - start)
    if not any(near):
        return []
    kept: list[Line] = []
    skipped = 0
    for line, keep in zip(lines, near, strict=True):
        if keep and skipped:
            kept.append(Line(change="gap", skipped=skipped))
        if keep:
            kept.append(line)
        skipped = 0 if keep else skipped + 1
    return [*kept, Line(change="gap", skipped=skipped)] if skipped else kept


def _script(old: Sequence[str], new: Sequence[str]) -> Iterator[Line]:
    """Yield all lines of both texts in order; where lines were replaced, the removed ones first."""
    shorter = min(len(old), len(new))
    head = next((row for row in range(shorter) if old[row] != new[row]), shorter)
    tail = next((row for row in range(shorter - head) if old[-1 - row] != new[-1 - row]), shorter - head)
    middle = _matches(old[head : len(old) - tail], new[head : len(new) - tail])
    pairs = [(row, row) for row in range(head)]
    pairs += [(head + one, head + two) for one, two in middle]
    pairs += [(len(old) - row, len(new) - row) for row in range(tail, -1, -1)]
    one = two = 0
    for old_row, new_row in pairs:
        yield from (Line(change="removed", text=old[row], old=row + 1) for row in range(one, old_row))
        yield from (Line(change="added", text=new[row], new=row + 1) for row in range(two, new_row))
        if old_row < len(old):
            yield Line(change="same", text=old[old_row], old=old_row + 1, new=new_row + 1)
        one, two = old_row + 1, new_row + 1


def _matches(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """Return the pairs of rows that a shortest edit script keeps; none if it takes more than `MAX_EDITS`."""
    if not old or not new:
        return []
    middle = MAX_EDITS + 1
    reach = [0] * (2 * middle + 1)  # by diagonal: the old row that a script of so many edits comes to
    trail: list[list[int]] = []
    for edits in range(MAX_EDITS + 1):
        trail.append(reach[middle - edits - 1 : middle + edits + 2])
        for diagonal in range(-edits, edits + 1, 2):
            at = middle + diagonal
            row = reach[at + 1] if _comes_from_above(reach, at, diagonal, edits) else reach[at - 1] + 1
            while row < len(old) and row - diagonal < len(new) and old[row] == new[row - diagonal]:
                row += 1
            reach[at] = row
            if row >= len(old) and row - diagonal >= len(new):
                return _back(trail, len(old), len(new))
    return []


def _comes_from_above(reach: list[int], at: int, diagonal: int, edits: int) -> bool:
    """Say whether the furthest way to a diagonal ends with an added line, not with a removed one."""
    return diagonal == -edits or (diagonal != edits and reach[at - 1] < reach[at + 1])


def _back(trail: list[list[int]], one: int, two: int) -> list[tuple[int, int]]:
    """Walk from the ends of both texts to their starts, by what was reached before each edit, and return the rows that are equal."""
    pairs = []
    for edits in range(len(trail) - 1, -1, -1):
        reach, diagonal = trail[edits], one - two
        at = edits + 1 + diagonal
        came_from = diagonal + 1 if _comes_from_above(reach, at, diagonal, edits) else diagonal - 1
        old_row = reach[edits + 1 + came_from] if edits else 0
        new_row = old_row - came_from if edits else 0
        while one > old_row and two > new_row:
            one, two = one - 1, two - 1
            pairs.append((one, two))
        one, two = old_row, new_row
    return pairs[::-1]
