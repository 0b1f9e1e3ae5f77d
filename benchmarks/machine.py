"""What a figure is worth nothing without: the machine, its load, the versions of the programs."""

import os
import platform
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

__all__ = ["facts", "load_average", "today"]


def facts(versions: Iterable[list[str]]) -> dict[str, str]:
    """Return name and value of what describes this machine; `versions` are commands that print a program's version."""
    described = {
        "date": today(),
        "machine": f"{processor()}, {os.cpu_count()} CPUs, {memory_gib():.0f} GiB",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
    }
    programs = ", ".join(dict.fromkeys(first_line(command) for command in versions))
    return described | ({"programs": programs} if programs else {})


def today() -> str:
    """Return the date in UTC."""
    return datetime.now(UTC).date().isoformat()


def load_average() -> str:
    """Return how many processes wanted a CPU in the last minute."""
    return f"{os.getloadavg()[0]:.1f}"


def processor() -> str:
    """Return the name of the CPU."""
    info = Path("/proc/cpuinfo")
    names = (
        [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    )
    return names[0] if names else platform.processor() or platform.machine()


def memory_gib() -> float:
    """Return the size of the memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def first_line(command: list[str]) -> str:
    """Return the first line that a command prints, behind the name of its program."""
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip().splitlines()
    line = said[0] if said else "?"
    name = Path(command[0]).name
    return line if line.lower().startswith(name) else f"{name} {line}"
