"""WsgiDAV behind Cheroot on loopback: before it renames over a file it removes that file, so readers may find nothing for a moment."""

import argparse
import contextlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.servers.files import FileServer
from tests.servers.process import answers, free_port, running, wait_until

MISSING = "WsgiDAV is not installed: pip install wsgidav cheroot"


def program() -> str | None:
    """Return what runs it."""
    return sys.executable if importlib.util.find_spec("wsgidav") and importlib.util.find_spec("cheroot") else None


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[FileServer]:
    """Run it on a folder."""
    port, data = free_port(), folder / "data"
    data.mkdir()
    log = folder / "webdav.log"
    argv = [sys.executable, __file__, "--port", str(port), "--folder", str(data)]
    with running(argv, log=log, env={"PYTHONPATH": os.pathsep.join(sys.path)}) as pid:
        wait_until(lambda: answers(port), "WsgiDAV's start", log=log)
        options: dict[str, object] = {"username": "tester", "password": "dav-test-password"}
        yield FileServer(name="WsgiDAV", url=f"webdav://127.0.0.1:{port}", folder=data, pid=pid, options=options)


def _serve(port: int, folder: str) -> None:
    from cheroot.wsgi import Server  # noqa: PLC0415  only the process that serves has it loaded
    from wsgidav.wsgidav_app import WsgiDAVApp  # type: ignore[import-untyped]  # noqa: PLC0415  the server's process only

    config = {
        "provider_mapping": {"/": folder},
        "simple_dc": {"user_mapping": {"*": {"tester": {"password": "dav-test-password"}}}},
        "http_authenticator": {"accept_basic": True, "accept_digest": True, "default_to_digest": True},
        "verbose": 1,
    }
    Server(("127.0.0.1", port), WsgiDAVApp(config), numthreads=16).start()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    parser.add_argument("--folder")
    chosen = parser.parse_args()
    _serve(chosen.port, chosen.folder)
