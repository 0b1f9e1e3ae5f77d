"""The clients that are compared: how each is told to copy. Nothing runs here.

Every client has its defaults, but for rclone's 16 transfers at once; each sees the server by its environment variables alone.
"""

import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

__all__ = ["REMOTE", "Client", "Route", "every_client"]

CHILD = Path(__file__).with_name("transfer_child.py")
PEERS = Path(__file__).parents[1] / ".venv-bench"
REMOTE = "peer"
TRANSFERS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What is to be copied: paths or ``s3://`` URLs, those of folders with a ``/`` at the end. A library's figures go to `result`."""

    source: str
    target: str
    many: bool
    result: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """One way to copy; `library` says that it is used from Python, so that it can be timed without the start of Python."""

    name: str
    version: str
    command: Callable[[Route], list[str]]
    library: bool = False


def every_client(kist: str) -> tuple[list[Client], list[str]]:
    """Return the clients that are installed, in the order of the tables, and the names of those that are not."""
    found = [
        library("kist"),
        command_line("kist cp", [*shlex.split(kist), "--version"], partial(kist_cp, kist)),
        library("boto3"),
        library("s3fs"),
        command_line("s5cmd", ["s5cmd", "version"], s5cmd),
        command_line("rclone", ["rclone", "version"], rclone),
        command_line("aws s3 cp", ["aws", "--version"], aws),
    ]
    names = ["kist", "kist cp", "boto3", "s3fs", "s5cmd", "rclone", "aws s3 cp"]
    return [client for client in found if client], [name for name, client in zip(names, found, strict=True) if client is None]


def library(name: str) -> Client | None:
    """Return a client that is a library of this Python, or of the environment of the peers."""
    beside = shutil.which("s5cmd")
    pythons = [sys.executable, str(PEERS / "bin" / "python"), *([str(Path(beside).parent / "python")] if beside else [])]
    for python in pythons:
        version = said([python, "-P", "-c", f"import {name}; print({name}.__version__)"])
        if version:
            return Client(name=name, version=f"{name} {version}", command=partial(child, python, name), library=True)
    return None


def child(python: str, name: str, route: Route) -> list[str]:
    """Return the command that lets a library copy."""
    return [python, "-P", str(CHILD), str(route.result), name, "many" if route.many else "big", route.source, route.target]


def command_line(name: str, version: list[str], command: Callable[[Route], list[str]]) -> Client | None:
    """Return a client that is a program."""
    answer = said(version) if shutil.which(version[0]) else ""
    if not answer:
        return None
    program = name.split(maxsplit=1)[0]
    return Client(name=name, version=answer if answer.lower().startswith(program) else f"{program} {answer}", command=command)


def said(command: list[str]) -> str:
    """Return the first line that a command prints; nothing if it fails."""
    try:
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except OSError:
        return ""
    return "" if ended.returncode else next(iter(ended.stdout.strip().splitlines()), "")


def kist_cp(kist: str, route: Route) -> list[str]:
    return [*shlex.split(kist), "cp", *(["--recursive"] if route.many else []), route.source, route.target]


def s5cmd(route: Route) -> list[str]:
    """256 workers, and for a big file 5 parts of 50 MiB at once: its defaults. A folder is a pattern to it."""
    return ["s5cmd", "cp", f"{route.source}*" if route.many else route.source, route.target]


def rclone(route: Route) -> list[str]:
    """A folder of files is ``copy``, a file with a new name ``copyto``."""
    places = [place.replace("s3://", f"{REMOTE}:") for place in (route.source, route.target)]
    return ["rclone", "copy" if route.many else "copyto", "--transfers", str(TRANSFERS), *places]


def aws(route: Route) -> list[str]:
    return ["aws", "s3", "cp", "--only-show-errors", *(["--recursive"] if route.many else []), route.source, route.target]
