"""Garage: one node, with one user who may make buckets."""

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path

from tests.servers.process import find, free_port, run, running, wait_until
from tests.servers.s3 import S3Server

MISSING = "Garage is not installed: cargo install garage --locked --root ~/.cache/kist-peers/garage"

_CONFIG = """
metadata_dir = "{folder}/meta"
data_dir = "{folder}/data"
db_engine = "sqlite"
replication_factor = 1
rpc_bind_addr = "127.0.0.1:{rpc}"
rpc_public_addr = "127.0.0.1:{rpc}"
rpc_secret = "{secret}"
[s3_api]
s3_region = "garage"
api_bind_addr = "127.0.0.1:{port}"
root_domain = ".s3.garage.localhost"
"""


def program() -> str | None:
    """Return where it is."""
    return find("garage", Path.home() / ".cache/kist-peers/garage/bin")


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[S3Server]:
    """Run it with its data in a folder."""
    garage = program() or "garage"
    server = S3Server(
        name="Garage", port=free_port(), access_key=f"GK{secrets.token_hex(12)}", secret_key=secrets.token_hex(32), region="garage"
    )
    config = folder / "garage.toml"
    config.write_text(_CONFIG.format(folder=folder, rpc=free_port(), port=server.port, secret=secrets.token_hex(32)))
    config.chmod(0o600)
    ask = [garage, "-c", str(config)]
    log = folder / "garage.log"

    def ready() -> bool:
        with contextlib.suppress(AssertionError):
            return "NO ROLE ASSIGNED" not in run([*ask, "status"])
        return False

    with running([*ask, "server", "--single-node"], log=log, env={"RUST_LOG": "garage=warn"}):
        wait_until(ready, "Garage's start", log=log)
        run([*ask, "key", "import", "--yes", "-n", "test", server.access_key, server.secret_key])
        run([*ask, "key", "allow", "--create-bucket", server.access_key])
        yield server
