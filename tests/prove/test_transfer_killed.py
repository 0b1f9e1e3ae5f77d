"""``kill -9`` in the middle of a big transfer: the next try moves what is missing, and nothing is half done before or after."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.prove.scale import scaled
from tests.prove.transferring import Ways, bounded, content, two_ways
from tests.servers.proxy import Fault, Kind, proxying
from tests.servers.s3 import S3Server

from kist import storage

PART = 8 << 20
SIZE = (64 << 20) + 5
COUNT = 5
DONE = 3
"""How many parts are done when a transfer is killed."""

DATA = content(random.Random("old"), SIZE)
OTHER = content(random.Random("new"), SIZE)

pytestmark = pytest.mark.peer("MiniStack")


@pytest.fixture
def ways(ministack: S3Server) -> Iterator[Ways]:
    with proxying(ministack.port) as proxy, two_ways(ministack, proxy) as made:
        yield made


def begun(ways: Ways, source: str, target: str) -> subprocess.Popen[bytes]:
    """Start a process that copies."""
    argument = json.dumps([ways.options, source, target])
    path = os.pathsep.join(sys.path)
    return subprocess.Popen(
        [sys.executable, __file__.replace("test_transfer_killed", "copying_process"), argument], env={**os.environ, "PYTHONPATH": path}
    )


def killed(process: subprocess.Popen[bytes], when: Callable[[], bool]) -> None:
    """Kill a process as soon as something holds, or it has ended by itself."""
    end = time.monotonic() + 60
    while not when() and process.poll() is None:
        assert time.monotonic() < end, "it neither moves on nor ends"
        time.sleep(0.005)
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGKILL)
    process.wait(60)


def noted(home: Path) -> int:
    """Return how many parts the notes say are done."""
    files = list((home / "cache/transfers").glob("*"))
    return sum(file.read_text().count("\n") for file in files) - len(files)


def interrupted(ways: Ways, source: str, target: str, home: Path, method: str) -> None:
    """Begin to copy, and be killed when `DONE` parts are done and no others can be."""
    ways.proxy.arm(Fault(kind=Kind.HOLD, method=method, at=DONE, times=1000), only="/big")
    killed(begun(ways, source, target), lambda: noted(home) >= DONE)
    assert noted(home) == DONE
    ways.proxy.arm(only="/big")


def moved(ways: Ways, method: str) -> int:
    """Return how many bytes of objects went through the proxy."""
    return sum(max(seen.sent_bytes, seen.answered_bytes) for seen in ways.proxy.seen if seen.method == method)


def uploads(ways: Ways) -> int:
    """Return how many uploads in parts the first bucket has begun and not ended."""
    return ways.server.request("GET", f"/{ways.buckets[0]}", query="uploads=").count(b"<UploadId>")


def strays(folder: Path) -> list[str]:
    return [file.name for file in folder.rglob(".kist-*")]


def test_an_upload_goes_on(ways: Ways, home: Path, quick_path: Path) -> None:
    (quick_path / "source").write_bytes(DATA)
    source, target = str(quick_path / "source"), ways.url("bucket", "big")
    interrupted(ways, source, target, home, "PUT")
    assert not storage.exists(target)
    storage.copy(source, target)
    assert ways.store("bucket").get("big") == DATA
    assert moved(ways, "PUT") == SIZE - DONE * PART
    assert (uploads(ways), noted(home)) == (0, 0)


def test_a_download_goes_on(ways: Ways, home: Path, quick_path: Path) -> None:
    ways.store("bucket").put("big", DATA)
    source, target = ways.url("bucket", "big"), quick_path / "target"
    target.write_bytes(b"old")
    interrupted(ways, source, str(target), home, "GET")
    assert target.read_bytes() == b"old"
    storage.copy(source, str(target))
    assert target.read_bytes() == DATA
    assert moved(ways, "GET") == SIZE - DONE * PART
    assert (strays(quick_path), noted(home)) == ([], 0)


def test_a_part_that_the_disk_has_lost_is_read_again(ways: Ways, home: Path, quick_path: Path) -> None:
    ways.store("bucket").put("big", DATA)
    source, target = ways.url("bucket", "big"), str(quick_path / "target")
    interrupted(ways, source, target, home, "GET")
    (partial,) = quick_path.glob(".kist-partial-*")
    with partial.open("r+b") as file:
        for part in range(COUNT):
            file.seek(part * PART + 12345)
            if file.read(1) != b"\0":
                file.seek(-1, os.SEEK_CUR)
                file.write(b"\0")
                break
    storage.copy(source, target)
    assert Path(target).read_bytes() == DATA
    assert moved(ways, "GET") == SIZE - (DONE - 1) * PART
    assert strays(quick_path) == []


@pytest.mark.parametrize("upwards", [True, False], ids=["upload", "download"])
def test_of_a_source_that_has_changed_nothing_old_is_taken(ways: Ways, home: Path, quick_path: Path, upwards: bool) -> None:  # noqa: FBT001
    local, remote = str(quick_path / "local"), ways.url("bucket", "big")
    source, target = (local, remote) if upwards else (remote, local)

    def write(data: bytes) -> None:
        if upwards:
            Path(local).write_bytes(data)
        else:
            ways.store("bucket").put("big", data)

    write(DATA)
    interrupted(ways, source, target, home, "PUT" if upwards else "GET")
    write(OTHER)
    storage.copy(source, target)
    assert (ways.store("bucket").get("big"), Path(local).read_bytes()) == (OTHER, OTHER)
    assert (strays(quick_path), uploads(ways), noted(home)) == ([], 0, 0)


def test_a_network_that_fails_while_an_upload_is_taken_up_costs_no_parts(ways: Ways, home: Path, quick_path: Path) -> None:
    (quick_path / "source").write_bytes(DATA)
    source, target = str(quick_path / "source"), ways.url("bucket", "big")
    interrupted(ways, source, target, home, "PUT")
    name, options = next(iter(ways.options.items()))
    storage.mount(name, replace=True, max_retries=1, **options)  # type: ignore[arg-type]  # whatever the store takes
    ways.proxy.arm(Fault(kind=Kind.RESET_BEFORE, method="GET", times=3), only="/big?")
    storage.copy(source, target)
    assert ways.store("bucket").get("big") == DATA
    assert moved(ways, "PUT") == SIZE - DONE * PART
    assert uploads(ways) == 0


@pytest.mark.parametrize("way", ["upload", "download", "copy"])
def test_killed_at_any_moment(way: str, ways: Ways, home: Path, quick_path: Path) -> None:
    chance = random.Random(way)
    for number in range(scaled(40)):
        local, remote, beside = str(quick_path / "local"), ways.url("bucket", "big"), ways.url("direct", "source")
        source, target = {"upload": (local, remote), "download": (remote, local), "copy": (beside, remote)}[way]
        data, old = (DATA, OTHER) if number % 2 else (OTHER, DATA)
        for url, what in ((source, data), (target, old)):
            if url == local:
                Path(local).write_bytes(what)
            else:
                ways.store("bucket").put(url.partition("://")[2], what)
        limit = chance.randrange(SIZE + 1000)
        ways.proxy.arm(only="/big")
        killed(begun(ways, source, target), lambda limit=limit: max(ways.proxy.moved_bytes()) >= limit)  # type: ignore[misc]  # mypy can't see the default
        assert storage.open(target, "rb").read() in (old, data), f"killed after {limit} bytes"
        bounded(lambda source=source, target=target: storage.copy(source, target))  # type: ignore[misc]  # as above
        assert storage.open(target, "rb").read() == data
        assert [name for name in strays(quick_path) if name.startswith(".kist-partial-")] == []
        assert (uploads(ways), noted(home)) == (0, 0)
