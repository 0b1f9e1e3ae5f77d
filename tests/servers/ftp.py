"""pyftpdlib on loopback: plain, within TLS, and as an old one that has no MLSD and refuses to rename over what is there."""

import argparse
import contextlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.servers.files import FileServer
from tests.servers.process import answers, free_port, run, running, wait_until

MISSING = "pyftpdlib is not installed: pip install pyftpdlib"


def program() -> str | None:
    """Return what runs it."""
    return sys.executable if importlib.util.find_spec("pyftpdlib") else None


def has_tls() -> bool:
    """Say whether it can speak TLS."""
    return importlib.util.find_spec("OpenSSL") is not None


@contextlib.contextmanager
def serving(folder: Path, *, old: bool = False, tls: bool = False) -> Iterator[FileServer]:
    """Run it on a folder, which also gets its certificate."""
    port, data = free_port(), folder / "data"
    data.mkdir()
    log = folder / "ftp.log"
    argv = [sys.executable, __file__, "--port", str(port), "--folder", str(data), *(["--old"] if old else [])]
    options: dict[str, object] = {"username": "tester", "password": "ftp-test-password"}
    if tls:
        certificate = folder / "certificate.pem"
        made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
        run([*made, "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(folder / "key.pem"), "-out", str(certificate)])
        certificate.with_name("both.pem").write_text(certificate.read_text() + (folder / "key.pem").read_text())
        argv += ["--certificate", str(folder / "both.pem")]
        options["ca_file"] = str(certificate)
    with running(argv, log=log, env={"PYTHONPATH": os.pathsep.join(sys.path)}) as pid:
        wait_until(lambda: answers(port), "pyftpdlib's start", log=log)
        yield FileServer(name="pyftpdlib", url=f"ftp{'s' if tls else ''}://127.0.0.1:{port}", folder=data, pid=pid, options=options)


def _serve(port: int, folder: str, *, old: bool, certificate: str | None) -> None:
    from pyftpdlib import handlers  # type: ignore[import-untyped]  # noqa: PLC0415  the server's process only
    from pyftpdlib.authorizers import DummyAuthorizer  # type: ignore[import-untyped]  # noqa: PLC0415  the server's process only
    from pyftpdlib.servers import ThreadedFTPServer  # type: ignore[import-untyped]  # noqa: PLC0415  the server's process only

    authorizer = DummyAuthorizer()
    authorizer.add_user("tester", "ftp-test-password", folder, perm="elradfmwMT")
    authorizer.add_user("reader", "ftp-test-password", folder, perm="elr")

    class Handler(handlers.TLS_FTPHandler if certificate else handlers.FTPHandler):  # type: ignore[misc]  # it has no types
        def ftp_RNTO(self, path: str) -> object:  # noqa: N802  the base class calls it so
            if old and os.path.lexists(path):
                self.respond("553 There is a file of this name.")
                return None
            return super().ftp_RNTO(path)

    Handler.authorizer = authorizer
    Handler.auth_failed_timeout = 0  # who is refused hears it at once
    if certificate:
        Handler.certfile, Handler.tls_control_required, Handler.tls_data_required = certificate, True, True
    if old:
        Handler.proto_cmds = {name: entry for name, entry in handlers.FTPHandler.proto_cmds.items() if name not in {"MLSD", "MLST"}}
    ThreadedFTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    parser.add_argument("--folder")
    parser.add_argument("--old", action="store_true")
    parser.add_argument("--certificate")
    chosen = parser.parse_args()
    _serve(chosen.port, chosen.folder, old=chosen.old, certificate=chosen.certificate)
