"""A server from nothing to the first saved version, by commands alone; and its keys are replaced."""

import contextlib
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.cli.running import Kist, environment, program, write
from tests.servers.process import answers, free_port, running, wait_until

PATIENCE_SECONDS = 60


@contextlib.contextmanager
def server(home: Path, folder: Path, port: int) -> Iterator[str]:
    """Run ``kist serve``, and yield what it said until it answered."""
    (log := folder / "log").unlink(missing_ok=True)
    env = environment(home) | {"PYTHONUNBUFFERED": "1"}
    with running([sys.executable, "-m", "kist", "serve", "--config", str(folder / "server.toml")], log=log, env=env):
        end = time.monotonic() + PATIENCE_SECONDS
        while not answers(port):
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.05)
        yield log.read_text()


def log_in(home: Path, url: str, browser: httpx.Client) -> None:
    """Log a terminal in by a browser."""
    process = program(home, "login", url, "--browser", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stderr is not None
    found = re.search(rb"confirm the code ([\w-]+)", process.stderr.readline())
    assert found is not None
    said = {"code": found[1].decode(), "verdict": "allow"}
    assert browser.post("/login/device/confirm", data=said).status_code == 200
    assert process.communicate(timeout=PATIENCE_SECONDS)[0].startswith(f"logged in to {url} as ".encode())
    assert process.returncode == 0


@pytest.fixture
def port(kist: Kist, tmp_path: Path) -> int:
    """Where a server will listen whose settings and keys are in `tmp_path`."""
    port = free_port()
    kist.ok("config", "new-key", "keys")
    top = f'database = "sqlite:///{tmp_path / "catalog.sqlite"}"\nlocal_roots = ["{tmp_path}"]\n'
    (tmp_path / "server.toml").write_text(f'{top}[keys]\nfile = "{tmp_path / "keys"}"\n[listen]\nport = {port}\n')
    return port


def test_from_nothing_to_the_first_version(kist: Kist, tmp_path: Path, port: int) -> None:
    url, log = f"http://127.0.0.1:{port}", tmp_path / "log"
    with server(kist.home, tmp_path, port) as said, httpx.Client(base_url=url, headers={"origin": url}) as browser:
        (link,) = re.findall(r"log in once with (\S+)", said)
        assert browser.get(link).status_code in {200, 303}
        log_in(kist.home, url, browser)
        kist.ok("org", "create", "lab")
        kist.ok("config", "set", "org", "lab")
        kist.ok("bucket", "create", "disk", str(tmp_path / "disk"))
        kist.ok("repo", "create", "climate")
        kist.ok("save", str(write(tmp_path / "data", a__txt="one\n")), "-r", "kist://lab/climate")
        token = kist.ok("token", "create", "nightly").out
        added = kist.ok("config", "rotate-key", "--config", "server.toml", "--json").json["key"]
        kist.ok("config", "rotate-key", "--config", "server.toml", "--use", added)
        wait_until(lambda: f"{added} seals" in log.read_text(), "the new key's use", log=log)
        assert kist.ok("cat", "kist://lab/climate/data/a.txt").out == "one\n"
        newer = kist.ok("token", "create", "hourly").out
    with server(kist.home, tmp_path, port) as said:
        assert "log in once" not in said
        for made in (token, newer):
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("KIST_TOKEN", made.strip())
                assert kist.ok("whoami", "--json").json["name"] == "admin"
    with server(kist.home, tmp_path, port), pytest.MonkeyPatch.context() as patch:
        patch.setenv("KIST_TOKEN", token.strip())
        assert kist.ok("cat", "kist://lab/climate/data/a.txt").out == "one\n"
        assert [one["name"] for one in kist.ok("repo", "list", "--json").json] == ["climate"]
