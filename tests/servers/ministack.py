"""MiniStack: a small S3 server in Python, and one that honours every condition."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.servers.process import answers, find, free_port, running, wait_until
from tests.servers.s3 import S3Server

MISSING = "MiniStack is not installed: pip install ministack"


def program() -> str | None:
    """Return where it is."""
    return find("ministack", Path(sys.executable).parent)


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[S3Server]:
    """Run it with its data in a folder."""
    server = S3Server(name="MiniStack", port=free_port())
    log = folder / "ministack.log"
    env = {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(server.port),
        "SERVICES": "s3,iam,sts",
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(folder / "data"),
        "STATE_DIR": str(folder / "state"),
        "AUTH": "true",
        "AWS_ACCESS_KEY_ID": server.access_key,
        "AWS_SECRET_ACCESS_KEY": server.secret_key,
        "LOG_LEVEL": "WARNING",
    }
    with running([program() or "ministack"], log=log, env=env, folder=folder):
        wait_until(lambda: answers(server.port), "MiniStack's start", log=log)
        yield server
