"""OpenStack Swift: account, container, object and proxy server on one folder, with its S3 side (s3api) beside its own API."""

import contextlib
import shutil
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import override

from tests.servers.process import answers, find, free_port, run, running, wait_until
from tests.servers.s3 import S3Server

from kist.stores.protocols import Store
from kist.stores.urls import open_store

PACKAGES = "memcached swift-account swift-container swift-object swift-proxy"
MISSING = f"Swift is not installed: apt-get install --no-install-recommends {PACKAGES}"

_SERVICES = ("account", "container", "object")
_COMMON = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
swift_dir = {folder}
workers = {workers}
user = root
log_level = WARNING
log_address = {folder}/nolog
"""
_BACKEND = """
devices = {folder}/srv
mount_check = false
disable_fallocate = true
[pipeline:main]
pipeline = {name}-server
[app:{name}-server]
use = egg:swift#{name}
"""
_CLUSTER = """
[swift-hash]
swift_hash_path_prefix = aa
swift_hash_path_suffix = bb
[swift-constraints]
max_file_size = {max_file_bytes}
[storage-policy:0]
name = gold
default = yes
"""
_PROXY = """
[pipeline:main]
pipeline = catch_errors healthcheck cache listing_formats bulk tempurl s3api tempauth copy slo dlo versioned_writes symlink proxy-server
[app:proxy-server]
use = egg:swift#proxy
allow_account_management = true
account_autocreate = true
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{memcached}
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
s3_acl = false
check_bucket_owner = false
min_segment_size = 1048576
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testsecret .admin
storage_url_scheme = http
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_versioned_writes = true
allow_object_versioning = true
"""
_PLAIN_FILTERS = ("catch_errors", "healthcheck", "listing_formats", "bulk", "tempurl", "copy", "slo", "dlo", "symlink")


@dataclass(frozen=True, slots=True, kw_only=True)
class SwiftServer(S3Server):
    """A running server, by either of its sides."""

    @property
    def auth_url(self) -> str:
        """Where its own API asks who one is."""
        return f"{self.endpoint}/auth/v1.0"

    def swift_options(self) -> dict[str, object]:
        """Return what a ``swift`` URL needs beside itself."""
        return {"auth_url": self.auth_url, "username": self.access_key, "password": self.secret_key, "auth_version": "1"}

    def swift(self, container: str, prefix: str = "", **options: object) -> Store:
        """Open a store by Swift's own API."""
        return open_store(f"swift://{container}/{prefix}", create=False, **{**self.swift_options(), **options})

    def make_signing_container(self) -> str:
        """Make an empty container whose URLs can be signed with this server's secret key, and return its name."""
        name = self.make_bucket()
        asked = urllib.request.Request(self.auth_url, headers={"X-Auth-User": self.access_key, "X-Auth-Key": self.secret_key})
        with urllib.request.urlopen(asked, timeout=60) as answer:
            account, token = answer.headers["X-Storage-Url"], answer.headers["X-Auth-Token"]
        headers = {"X-Auth-Token": token, "X-Container-Meta-Temp-URL-Key": self.secret_key}
        urllib.request.urlopen(urllib.request.Request(f"{account}/{name}", method="POST", headers=headers), timeout=60).close()
        return name

    @override
    def make_bucket(self, *, versioned: bool = False) -> str:
        """Make an empty container and return its name."""
        name = f"test-{uuid.uuid4().hex[:12]}"
        self.request("PUT", f"/{name}")
        return name


def program() -> str | None:
    """Return where it is."""
    return find("swift-proxy-server") if find("memcached") else None


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[SwiftServer]:
    """Run it with its data in a folder."""
    ports = {name: free_port() for name in (*_SERVICES, "proxy", "memcached")}
    _configure(folder, ports)
    logs = {name: folder / f"{name}.log" for name in ports}
    server = SwiftServer(name="Swift", port=ports["proxy"], access_key="test:tester", secret_key="testsecret")
    with contextlib.ExitStack() as daemons:
        memcached = ["memcached", "-u", "nobody", "-l", "127.0.0.1", "-p", str(ports["memcached"])]
        daemons.enter_context(running(memcached, log=logs["memcached"]))
        for name in (*_SERVICES, "proxy"):
            daemons.enter_context(running([f"swift-{name}-server", str(folder / f"{name}.conf")], log=logs[name]))
        for name, port in ports.items():
            wait_until(lambda port=port: answers(port), f"the start of Swift's {name}", log=logs[name])  # type: ignore[misc]  # mypy can't see the default
        yield server


def _configure(folder: Path, ports: dict[str, int]) -> None:
    (folder / "srv/d1").mkdir(parents=True)
    (folder / "swift.conf").write_text(_CLUSTER.format(max_file_bytes=5 << 30))
    builder = shutil.which("swift-ring-builder") or "swift-ring-builder"
    for name in _SERVICES:
        ring = [builder, str(folder / f"{name}.builder")]
        run([*ring, "create", "4", "1", "0"])
        run([*ring, "add", f"r1z1-127.0.0.1:{ports[name]}/d1", "1"])
        run([*ring, "rebalance"])
        text = _COMMON + _BACKEND
        (folder / f"{name}.conf").write_text(text.format(port=ports[name], folder=folder, workers=1, name=name))
    filters = "".join(f"[filter:{name}]\nuse = egg:swift#{name}\n" for name in _PLAIN_FILTERS)
    text = _COMMON + _PROXY + filters
    (folder / "proxy.conf").write_text(text.format(port=ports["proxy"], folder=folder, workers=2, memcached=ports["memcached"]))
