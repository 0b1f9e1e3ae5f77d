"""Ceph: a monitor, one disk that is a sparse file, and radosgw, its S3 server. All authenticated: without that radosgw never starts."""

import contextlib
import json
import uuid
from collections.abc import Iterator
from pathlib import Path

from tests.servers.process import answers, find, free_port, run, running, wait_until
from tests.servers.s3 import S3Server

MISSING = "Ceph is not installed: apt-get install --no-install-recommends radosgw ceph-mon ceph-osd ceph-mgr ceph-common"

_PROGRAMS = ("ceph", "ceph-authtool", "ceph-mgr", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")
_SBIN = (Path("/usr/sbin"), Path("/usr/bin"))
_DISK_BYTES = 8 << 30
_KEYS = {
    "mon.": ("mon", "allow *"),
    "client.admin": ("mon", "allow *", "osd", "allow *", "mgr", "allow *"),
    "mgr.x": ("mon", "allow profile mgr", "osd", "allow *"),
    "osd.0": ("mon", "allow profile osd", "mgr", "allow profile osd", "osd", "allow *"),
    "client.rgw.main": ("mon", "allow rw", "osd", "allow rwx", "mgr", "allow rw"),
}
# tcp_nodelay: without it every second request waits 40 ms. rgw_gc: deleted objects give their room back at once.
# paxos: a new cluster makes a dozen pools, one after the other, and would wait a second for others who want something before each.
_CONFIG = """
[global]
fsid = {fsid}
mon_initial_members = a
mon_host = {mon}
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
public_network = 127.0.0.0/8
auth_allow_insecure_global_id_reclaim = false
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
paxos_propose_interval = 0.02
paxos_min_wait = 0.01
mon_data_avail_crit = 1
mon_data_avail_warn = 2
run_dir = {folder}
admin_socket = {folder}/$name.asok
log_file = {folder}/$name.log
keyring = {folder}/keyring
osd_memory_target = 1073741824
[mon.a]
mon_data = {folder}/mon
[mgr.x]
mgr_data = {folder}/mgr
mgr_initial_modules =
[osd.0]
osd_data = {folder}/osd
osd_objectstore = bluestore
bluestore_block_size = {disk_bytes}
bluestore_block_create = true
[client.rgw.main]
rgw_frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1
rgw_gc_obj_min_wait = 5
rgw_gc_processor_period = 60
rgw_s3_auth_use_sts = true
rgw_sts_key = {sts_key}
"""


def program() -> str | None:
    """Return where radosgw is, if all the rest is there too."""
    found = [find(name, *_SBIN) for name in _PROGRAMS]
    return found[-2] if all(found) else None


class _Cluster:
    """The parts of a cluster in one folder."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.config = folder / "ceph.conf"
        self.fsid = str(uuid.uuid4())
        self.mon = f"[v2:127.0.0.1:{free_port()},v1:127.0.0.1:{free_port()}]"
        for name in ("mon", "mgr", "osd"):
            (folder / name).mkdir()
        places = {"fsid": self.fsid, "mon": self.mon, "folder": folder, "port": port}
        self.config.write_text(_CONFIG.format(**places, disk_bytes=_DISK_BYTES, sts_key=uuid.uuid4().hex[:16]))

    def program(self, name: str, *arguments: str) -> list[str]:
        """Return the command line of one of Ceph's programs."""
        return [find(name, *_SBIN) or name, *arguments]

    def daemon(self, name: str, *arguments: str) -> contextlib.AbstractContextManager[int]:
        """Run one of Ceph's servers."""
        return running(self.program(name, "-c", str(self.config), *arguments, "-f"), log=self.folder / f"{name}.out")

    def ceph(self, *arguments: str) -> str:
        """Ask the cluster."""
        return run(self.program("ceph", "-c", str(self.config), "--connect-timeout", "20", *arguments))

    def make_keys(self) -> None:
        """Make the keyring of all members."""
        keyring = str(self.folder / "keyring")
        run(self.program("ceph-authtool", "-C", keyring))
        for name, caps in _KEYS.items():
            pairs = [word for kind, what in zip(caps[::2], caps[1::2], strict=True) for word in ("--cap", kind, what)]
            run(self.program("ceph-authtool", keyring, "--gen-key", "-n", name, *pairs))

    def make_monitor(self) -> None:
        """Make the monitor's data."""
        monmap, keyring = str(self.folder / "monmap"), str(self.folder / "keyring")
        run(self.program("monmaptool", "--create", "--fsid", self.fsid, "--addv", "a", self.mon, monmap))
        run(self.program("ceph-mon", "-c", str(self.config), "-i", "a", "--mkfs", "--monmap", monmap, "--keyring", keyring))

    def make_disk(self) -> None:
        """Tell the monitor of the disk, and format it."""
        keyring = str(self.folder / "keyring")
        self.ceph("auth", "import", "-i", keyring)
        disk, secret = str(uuid.uuid4()), run(self.program("ceph-authtool", keyring, "-n", "osd.0", "-p")).strip()
        (self.folder / "osd.json").write_text(json.dumps({"cephx_secret": secret}))
        self.ceph("osd", "new", disk, "0", "-i", str(self.folder / "osd.json"))
        run(self.program("ceph-osd", "-c", str(self.config), "-i", "0", "--mkfs", "--osd-uuid", disk))


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[S3Server]:
    """Run a cluster with its data in a folder."""
    server = S3Server(name="Ceph radosgw", port=free_port())
    cluster = _Cluster(folder, server.port)
    cluster.make_keys()
    cluster.make_monitor()
    log = folder / "radosgw.out"
    with contextlib.ExitStack() as daemons:
        daemons.enter_context(cluster.daemon("ceph-mon", "-i", "a"))
        daemons.enter_context(cluster.daemon("ceph-mgr", "-i", "x"))
        cluster.make_disk()
        daemons.enter_context(cluster.daemon("ceph-osd", "-i", "0"))
        daemons.enter_context(cluster.daemon("radosgw", "-n", "client.rgw.main"))
        wait_until(lambda: answers(server.port), "radosgw's start", log=log, seconds=120)
        keys = ("--access-key", server.access_key, "--secret-key", server.secret_key)
        admin = cluster.program("radosgw-admin", "-c", str(cluster.config), "user", "create", "--uid=test", "--display-name=test", *keys)
        run([*admin, "--caps=roles=*"])  # it may make roles, which whoever they name may take on
        yield server
