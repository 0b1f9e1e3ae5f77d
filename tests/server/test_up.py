"""``kist up``: the program that a user starts on this machine."""

import contextlib
import hashlib
import io
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from kist import open_repository
from kist.errors import Busy, InvalidInput, NotFound
from kist.server.serve import up

RUN = "import sys; from kist.server.serve import up; up(sys.argv[1], port=int(sys.argv[2]))"
HERE = "/-/lab"


@contextlib.contextmanager
def program(place: Path | None, *, port: int = 0) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the server on a repository, made if there is none, or on those of the user alone, and yield it with its login link."""
    if place:
        open_repository(place, create=True)
    with subprocess.Popen([sys.executable, "-c", RUN, str(place or ""), str(port)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            printed = [process.stdout.readline() for _ in range(3)]
            link = re.search(r"http://\S+/login\?token=\S+", printed[1])
            assert link, printed
            yield process, link[0]
        finally:
            process.kill()


@contextlib.contextmanager
def log_in(link: str) -> Iterator[httpx.Client]:
    """Yield a client that used a link."""
    with httpx.Client(base_url=link.partition("/login")[0], timeout=60, trust_env=False) as client:
        assert client.get(link).status_code == 200
        yield client


def test_it_shows_an_empty_repository(tmp_path: Path) -> None:
    with program(tmp_path / "lab") as (_, link), log_in(link) as client:
        assert "Nothing is saved yet" in client.get(HERE).text


def test_it_shows_what_the_user_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIST_HOME", str(tmp_path))
    with program(None) as (_, link), log_in(link) as client:
        open_repository(tmp_path / "data" / "repositories" / "local" / "default").save("a.txt", b"a", message="By another program")
        assert 'href="/local/default"' in client.get("/").text
        assert "By another program" in client.get("/local/default").text
        assert client.get("/local/default/download?path=a.txt").content == b"a"


def test_it_makes_none(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no folder"):
        up(str(tmp_path / "lab"))


def test_what_is_saved_meanwhile_appears(tmp_path: Path) -> None:
    with program(tmp_path / "lab") as (_, link), log_in(link) as client:
        open_repository(tmp_path / "lab").save("a.txt", b"a", message="By another program")
        assert "By another program" in client.get(HERE).text


def test_two_run_side_by_side(tmp_path: Path) -> None:
    with program(tmp_path / "one") as (_, one), program(tmp_path / "two") as (_, two):
        assert httpx.URL(one).port != httpx.URL(two).port
        with log_in(one) as client:
            client.get(two)  # the same browser
            assert client.get(httpx.URL(one).copy_with(path="/-/one", query=None)).status_code == 200


@pytest.mark.parametrize("busy", [False, True])
def test_ctrl_c_ends_it_well(tmp_path: Path, busy: bool) -> None:  # noqa: FBT001
    if busy:
        open_repository(tmp_path / "lab", create=True).save("large", hashlib.shake_128(b"large").digest(64 << 20))
    with program(tmp_path / "lab") as (process, link), log_in(link) as client, contextlib.ExitStack() as stack:
        if busy:
            stack.enter_context(client.stream("GET", f"{HERE}/download?path=large"))
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


def test_a_taken_port_is_said_so(tmp_path: Path) -> None:
    open_repository(tmp_path / "lab", create=True)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(Busy, match="taken: choose another"):
            up(str(tmp_path / "lab"), port=taken.getsockname()[1])


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])
def test_other_machines_are_not_let_in(tmp_path: Path, host: str) -> None:
    with pytest.raises(InvalidInput, match="this machine alone"):
        up(str(tmp_path / "lab"), host=host)
    assert not (tmp_path / "lab").exists()


class Repeating(io.RawIOBase):
    """A gibibyte that repeats itself further apart than any buffer remembers."""

    def __init__(self) -> None:
        self.block = hashlib.shake_128(b"block").digest(32 << 20)
        self.position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        offset = self.position % len(self.block)
        count = min(len(buffer), len(self.block) - offset, (1 << 30) - self.position)
        buffer[:count] = self.block[offset : offset + count]
        self.position += count
        return count


def test_a_gibibyte_is_downloaded_in_bounded_memory(tmp_path: Path) -> None:
    open_repository(tmp_path / "lab", create=True).save("large", io.BufferedReader(Repeating()))
    with program(tmp_path / "lab") as (process, link), log_in(link) as client:
        size = 0
        with client.stream("GET", f"{HERE}/download?path=large") as answer:
            for block in answer.iter_raw():
                size += len(block)
        peak = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
        assert size == 1 << 30
        assert peak
        assert int(peak[1]) < 256 << 10
