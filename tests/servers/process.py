"""Start other programs for tests: on loopback, at free ports, with bounded waits, and always ended by their own process id."""

import contextlib
import os
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on, below those that the system gives to whoever asks for any."""
    for port in random.SystemRandom().sample(range(20_000, 32_000), 100):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("of a hundred ports of 127.0.0.1 none is free")


def memory(least_bytes: int = 64 << 20) -> Path | None:
    """Return a folder in memory that has room: for what asks nothing of `fsync`, and would wait for it thousands of times."""
    folder = Path("/dev/shm")
    return folder if folder.is_dir() and os.access(folder, os.W_OK) and shutil.disk_usage(folder).free >= least_bytes else None


def answers(port: int) -> bool:
    """Say whether somebody accepts connections at a port of 127.0.0.1."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def find(program: str, *folders: Path) -> str | None:
    """Return where a program is: on the path, or in one of these folders."""
    return shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", ""), *map(str, folders)]))


@contextlib.contextmanager
def running(argv: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None, folder: Path | None = None) -> Iterator[int]:
    """Run a program in the background while the context lasts, and yield its process id; it also ends if this process is killed."""
    guard = [setpriv, "--pdeathsig", "KILL", "--"] if (setpriv := shutil.which("setpriv")) else []
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*guard, *argv], stdin=subprocess.DEVNULL, stdout=output, stderr=output, env={**os.environ, **(env or {})}, cwd=folder
        )
    try:
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def wait_until(ready: Callable[[], bool], what: str, *, log: Path, seconds: float = 60) -> None:
    """Wait until something holds; fail with the end of a log if it takes too long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if ready():
            return
        time.sleep(0.1)
    tail = log.read_text(errors="replace")[-2000:] if log.exists() else ""
    raise AssertionError(f"{what} did not happen within {seconds} s; its log ends with:\n{tail}")


def run(argv: Sequence[str], *, seconds: float = 60) -> str:
    """Run a program to its end and return what it prints."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode == 0, f"{argv[0]} ended with {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout
