"""How far long work is: a bar where somebody looks at stderr, a line every ten seconds elsewhere, nothing for what is done at once.

`rich` draws the bar, and is loaded when the work takes longer than a moment.
"""

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kist.cli.options import Everywhere
from kist.cli.output import note
from kist.cli.text import count, duration, escape, size

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

__all__ = ["Lines", "Meter", "Total", "watching"]

MOMENT_SECONDS, DRAW_SECONDS, LINE_SECONDS, RATE_SECONDS = 0.5, 0.1, 10.0, 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """How much there is to do."""

    items: int
    size_bytes: int


@dataclass(slots=True)
class Meter:
    """What is done so far, and how fast the last ten seconds went. Pure: whoever adds says what time it is, in seconds."""

    total: Total | None = None
    items: int = 0
    size_bytes: int = 0
    _recent: deque[tuple[float, int]] = field(default_factory=deque)

    def add(self, items: int, size_bytes: int, *, now: float) -> None:
        """Count what was done since the last call."""
        self.items += items
        self.size_bytes += size_bytes
        if not self._recent or now - self._recent[-1][0] >= DRAW_SECONDS:
            self._recent.append((now, self.size_bytes))
            while now - self._recent[0][0] > RATE_SECONDS:
                self._recent.popleft()

    @property
    def rate(self) -> float:
        """Bytes per second."""
        (start, before), (end, after) = (self._recent[0], self._recent[-1]) if self._recent else ((0, 0), (0, 0))
        return (after - before) / (end - start) if end > start else 0.0

    @property
    def remaining_seconds(self) -> float | None:
        """How long the rest will take at that rate; None if nobody knows."""
        if self.total is None or not self.rate:
            return None
        return max(self.total.size_bytes - self.size_bytes, 0) / self.rate

    def facts(self) -> str:
        """Say all of it: ``1,200 items, 3.4 GB of 10 GB, 340 MB/s, 0:19 left``."""
        done = size(self.size_bytes) + (f" of {size(self.total.size_bytes)}" if self.total else "")
        facts = [count(self.items, "item"), done]
        if self.rate:
            facts.append(f"{size(self.rate)}/s")
        if self.remaining_seconds is not None:
            facts.append(f"{duration(self.remaining_seconds)} left")
        return ", ".join(facts)


@contextmanager
def watching(
    doing: str, everywhere: Everywhere, *, total: Total | None = None, sizes: Callable[[], Iterable[int]] | None = None
) -> Iterator[Callable[[int, int], None]]:
    """Show how far the work in the ``with`` block is; what it yields is to be told of items and bytes that are done.

    Args:
        doing: what is being done, such as "saving data".
        everywhere: whether to be quiet.
        total: how much there is, if that is known.
        sizes: lists the sizes of all items, if that has to be found out; another thread counts them once the work turns out to be long.
    """
    if everywhere.quiet:
        yield lambda _items, _size_bytes: None
        return
    looked_at = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    shown = _Bar(escape(doing), total, sizes) if looked_at else Lines(escape(doing), total)
    try:
        yield shown.tell
    finally:
        shown.stop()


class Lines:
    """Tells a file or a pipe from time to time."""

    def __init__(self, doing: str, total: Total | None, *, every_seconds: float = LINE_SECONDS) -> None:
        """Say nothing yet."""
        self._doing, self._meter, self._every_seconds = doing, Meter(total), every_seconds
        self._next = time.monotonic() + every_seconds

    def tell(self, items: int, size_bytes: int) -> None:
        """Count what was done since the last call, and write a line if it is time."""
        now = time.monotonic()
        self._meter.add(items, size_bytes, now=now)
        if now >= self._next:
            self._next = now + self._every_seconds
            note(f"{self._doing}: {self._meter.facts()}")

    def stop(self) -> None:
        """There is nothing to end."""


class _Bar:
    """For a terminal."""

    def __init__(self, doing: str, total: Total | None, sizes: Callable[[], Iterable[int]] | None) -> None:
        self._doing, self._meter, self._sizes = doing, Meter(total), sizes
        self._next = time.monotonic() + MOMENT_SECONDS
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._stopped = threading.Event()

    def tell(self, items: int, size_bytes: int) -> None:
        now = time.monotonic()
        self._meter.add(items, size_bytes, now=now)
        if now < self._next:
            return
        self._next = now + DRAW_SECONDS
        if self._bar is None:
            self._start()
        if self._bar is not None and self._task is not None:
            total = self._meter.total.size_bytes if self._meter.total else None
            self._bar.update(self._task, completed=self._meter.size_bytes, total=total, facts=self._meter.facts())

    def stop(self) -> None:
        self._stopped.set()
        if self._bar is not None:
            self._bar.stop()

    def _start(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - costs 50 ms
        from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn  # noqa: PLC0415

        facts = TextColumn("{task.fields[facts]}", markup=False)
        doing = TextColumn("{task.description}", markup=False)
        console = Console(stderr=True, highlight=False)
        self._bar = Progress(SpinnerColumn(), doing, BarColumn(bar_width=24), TaskProgressColumn(), facts, console=console, transient=True)
        self._task = self._bar.add_task(self._doing, total=None, facts="")
        self._bar.start()
        if self._sizes is not None:
            threading.Thread(target=self._count, args=(self._sizes,), name="kist-count", daemon=True).start()

    def _count(self, sizes: Callable[[], Iterable[int]]) -> None:
        """Find out how much there is; if that fails, so will the work, and better explained."""
        items = size_bytes = 0
        try:
            for one in sizes():
                items, size_bytes = items + 1, size_bytes + one
                if self._stopped.is_set():
                    return
        except OSError:
            return
        self._meter.total = Total(items=items, size_bytes=size_bytes)
