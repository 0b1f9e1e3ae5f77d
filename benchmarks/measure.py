"""What a command costs: CPU of its process tree, wall time, peak memory of its largest process."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CommandError", "Cost", "folder_bytes", "run"]

LAUNCHER = Path(__file__).with_name("launch.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one command or several in a row took; CPU is user and system time."""

    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    peak_rss_bytes: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        """Return the cost of one after the other: times add up, of the memory the greater counts."""
        return Cost(
            cpu_seconds=self.cpu_seconds + other.cpu_seconds,
            wall_seconds=self.wall_seconds + other.wall_seconds,
            peak_rss_bytes=max(self.peak_rss_bytes, other.peak_rss_bytes),
        )


class CommandError(Exception):
    """A command ended with another code than 0, or did the wrong thing; the message has the end of its output."""


def run(command: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> Cost:
    """Run `command` to its end, with nothing left to be written to the disk from before.

    Raises:
        CommandError: it failed.
    """
    os.sync()
    with tempfile.NamedTemporaryFile() as result, tempfile.TemporaryFile() as output:
        launcher = [sys.executable, "-I", "-S", str(LAUNCHER), result.name, *command]
        ended = subprocess.run(launcher, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False)
        if ended.returncode:
            output.seek(0)
            said = output.read()[-1500:].decode(errors="replace").strip()
            raise CommandError(f"{' '.join(command)} ended with code {ended.returncode}: {said}")
        cpu, wall, rss = result.read().split()
    return Cost(cpu_seconds=float(cpu), wall_seconds=float(wall), peak_rss_bytes=int(rss))


def folder_bytes(folder: Path) -> int:
    """Return the sum of the sizes of all files below `folder`."""
    return sum((parent / name).lstat().st_size for parent, _, names in folder.walk() for name in names)
