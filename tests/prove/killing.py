"""Processes that die at a chosen moment: ``kill -9`` of themselves at their n-th change of the disk, or from outside, at any time.

A worker that forks should have no threads at work. What a child did before it died it tells through a pipe, so that nothing it
acknowledged is unknown.
"""

import itertools
import os
import select
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass

CHANGES = ("fsync", "rename", "replace", "link", "unlink", "mkdir", "rmdir", "symlink")
"""The calls of the operating system that change a disk, beside writes and the opening of new files."""

Say = Callable[[str], None]
"""Acknowledges something to the parent."""


@dataclass(frozen=True, kw_only=True)
class Life:
    """What a child did: what it acknowledged, whether it came to its end, after how many changes, and what it raised."""

    said: list[str]
    finished: bool
    changes: int
    error: str


def live(act: Callable[[Say], None], *, die_at: int = 0, kill_after: float = 0) -> Life:
    """Act in a child; kill it at one of its changes, counted from 1, or after some seconds; 0: never."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        _act(act, die_at, write)
    os.close(write)
    with os.fdopen(read, "rb", buffering=0) as pipe:
        if kill_after and not select.select([pipe], [], [], 0)[0]:
            time.sleep(kill_after)
            os.kill(child, signal.SIGKILL)
        lines = b"".join(iter(lambda: pipe.read(1 << 16), b"")).decode().split("\0")
    status = os.waitpid(child, 0)[1]
    said = [line.removeprefix("+") for line in lines if line.startswith("+")]
    changes = sum(int(line.removeprefix("#")) for line in lines if line.startswith("#"))
    error = "".join(line.removeprefix("!") for line in lines if line.startswith("!"))
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) != signal.SIGKILL:
        error = f"ended by signal {os.WTERMSIG(status)}: it hung, or crashed"
    return Life(said=said, finished=status == 0, changes=changes, error=error)


def _act(act: Callable[[Say], None], die_at: int, pipe: int) -> None:
    """Be the child."""
    tell = os.write
    try:
        signal.alarm(60)
        changes = _die_at(die_at)
        act(lambda text: _told(tell, pipe, f"+{text}\0"))
        _told(tell, pipe, f"#{next(changes)}\0")
    except BaseException:  # noqa: BLE001  a forked child must never return into the test
        _told(tell, pipe, f"!{traceback.format_exc()}\0")
        os._exit(1)
    os._exit(0)


def _told(tell: Callable[[int, bytes], int], pipe: int, text: str) -> None:
    tell(pipe, text.encode())


def _die_at(count: int) -> Iterator[int]:
    """Make the change with this number, counted from 1, the last that this process does; a write is half done then. Return the counter."""
    changes = itertools.count()

    def dies() -> bool:
        return next(changes) + 1 == count

    def deadly(real: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            if dies():
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        return call

    def deadly_open(path: str | bytes, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if flags & (os.O_CREAT | os.O_TMPFILE & ~os.O_DIRECTORY) and dies():
            os.kill(os.getpid(), signal.SIGKILL)
        return real_open(path, flags, mode, dir_fd=dir_fd)

    def deadly_write(file: int, data: memoryview) -> int:
        if dies():
            real_write(file, memoryview(data)[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return real_write(file, data)

    real_open, real_write = os.open, os.write
    os.open, os.write = deadly_open, deadly_write  # type: ignore[assignment]  # the same calls, and the end
    for name in CHANGES:
        setattr(os, name, deadly(getattr(os, name)))
    return changes
