"""How text files differ between two versions, line by line, in the form that ``patch -p1`` takes."""

import difflib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from kist.cli.output import Style, line, paint
from kist.cli.text import escape, size
from kist.models import Difference

if TYPE_CHECKING:
    from kist.engine.repository import Repository

__all__ = ["print_patches"]

MAX_BYTES, MAX_LINES = 1 << 20, 20_000
NOTHING = "/dev/null"
STYLES: dict[str, Style] = {"+": "green", "-": "red", "@": "cyan"}


def print_patches(repository: "Repository", differences: list[Difference], *, old: str, new: str) -> None:
    """Print a unified diff of every text file that differs, and a line for what is no text or too long.

    Raises:
        KistError: content can't be read.
    """
    for one in differences:
        if one.kind == "folder":
            continue
        before = _text(repository, one, old, one.old_size)
        after = _text(repository, one, new, one.new_size)
        path = escape(one.path)
        names = NOTHING if one.change == "added" else f"a/{path}", NOTHING if one.change == "removed" else f"b/{path}"
        if before is None or after is None:
            sizes = " and ".join(size(side) for side in (one.old_size, one.new_size) if side is not None)
            line(f"{names[0]} and {names[1]} differ: not text, or too long ({sizes})")
            continue
        for text in _unified(before, after, names):
            style = STYLES.get(text[:1])
            shown = escape(text).replace("\\t", "\t") if sys.stdout.isatty() else text
            line(paint(shown, style) if style else shown)


def _text(repository: "Repository", one: Difference, ref: str, size_bytes: int | None) -> list[str] | None:
    """Return the lines of a file, none if it does not exist on this side; None if it has no lines to show."""
    if size_bytes is None:
        return []
    if size_bytes > MAX_BYTES:
        return None
    info = repository.stat(one.path, ref=ref)
    if info.kind != "file":
        return [f"{info.kind} {info.target}".rstrip()]
    return _lines(repository.read(one.path, ref=ref))


def _lines(data: bytes) -> list[str] | None:
    """Return the lines of a text; None if it is none, or has too many."""
    try:
        lines = data.decode().split("\n")
    except UnicodeDecodeError:
        return None
    if b"\0" in data or len(lines) > MAX_LINES:
        return None
    if lines[-1]:
        lines[-1] += "\n\\ No newline at end of file"
        return lines
    return lines[:-1]


def _unified(before: list[str], after: list[str], names: tuple[str, str]) -> Iterator[str]:
    """Yield the lines of a unified diff; a mode that changed alone leaves the content as it was."""
    lines = list(difflib.unified_diff(before, after, *names, lineterm=""))
    if not lines:
        yield f"{names[0]} and {names[1]} differ in mode, labels or tags only"
    for text in lines:
        yield from text.split("\n")
