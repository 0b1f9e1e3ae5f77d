"""A service on the web that redirects inside: whoever asked is not led there."""

import datetime
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import override

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from tests.service.bucketing import KEYS, Lab, small_lab

from kist.errors import KistError
from kist.models.requests import SetMount
from kist.operations import SET_MOUNT
from kist.service.mounts import resolve
from kist.service.places import open_place
from kist.stores.urls import open_store


class Canary(BaseHTTPRequestHandler):
    """A server inside, which notes whoever comes."""

    visits: list[str]

    def do_GET(self) -> None:
        self.visits.append(self.path)
        self.send_response(200)
        for name, value in {"Content-Length": "6", "ETag": '"x"', "Last-Modified": "Fri, 20 Nov 2026 10:00:00 GMT"}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"secret")

    do_PUT = do_HEAD = do_GET  # noqa: N815  the base class calls these names

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler], context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Run a server, and yield its port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def certified(folder: Path) -> ssl.SSLContext:
    """Make an authority in ``ca.pem``, and what proves that a server is ``localhost``."""
    now, name = datetime.datetime.now(datetime.UTC), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    root, own = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    made = []
    for number, (key, extension) in enumerate(
        ((root, x509.BasicConstraints(ca=True, path_length=None)), (own, x509.SubjectAlternativeName([x509.DNSName("localhost")])))
    ):
        builder = x509.CertificateBuilder().issuer_name(name).public_key(key.public_key()).serial_number(number + 1)
        builder = builder.subject_name(name if not number else x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]))
        builder = builder.not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(1))
        made.append(builder.add_extension(extension, critical=not number).sign(root, hashes.SHA256()))
    (folder / "ca.pem").write_bytes(made[0].public_bytes(Encoding.PEM))
    secret = own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "own.pem").write_bytes(made[1].public_bytes(Encoding.PEM) + secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "own.pem")
    return context


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, list[str], list[str]]]:
    """The URL of a server that redirects to a plain one; who came to each."""
    came: list[str] = []
    canary = type("Own", (Canary,), {"visits": []})
    with serving(canary) as port:

        class Redirecting(Canary):
            visits = came

            @override
            def do_GET(self) -> None:
                self.visits.append(self.path)
                self.send_response(307)
                self.send_header("Location", f"http://127.0.0.1:{port}/canary")
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_PUT = do_HEAD = do_GET  # noqa: N815  the base class calls these names

        with serving(Redirecting, certified(tmp_path)) as outer:
            monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
            yield f"https://localhost:{outer}", came, canary.visits  # type: ignore[attr-defined]  # just made


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return small_lab(tmp_path)


@pytest.mark.parametrize(
    ("uri", "credentials", "extra"),
    [("s3://bkt", KEYS, {}), ("gs://bkt", None, {}), ("az://cont", {"account_key": "b3Vycw=="}, {"account_name": "ours"})],
)
def test_a_bucket_leads_to_no_plain_server(
    lab: Lab, inside: tuple[str, list[str], list[str]], uri: str, credentials: dict[str, str] | None, extra: dict[str, str]
) -> None:
    url, came, visits = inside
    lab.create(uri=uri, extra_config={"endpoint_url": url, **extra}, credentials=credentials, auth_method="" if credentials else "public")

    with pytest.raises(KistError):
        open_place(lab.rooms, lab.row()).get("key")
    assert came
    assert visits == []


def test_a_mount_leads_to_no_plain_server(lab: Lab, inside: tuple[str, list[str], list[str]]) -> None:
    url, came, visits = inside
    request = SetMount(org="earthmover", name="shared", url="s3://bkt", options={"endpoint_url": url, "allow_http": "true"}, secrets=KEYS)
    lab.do(SET_MOUNT, request)
    with lab.rooms.database.reading() as sql:
        where, options = resolve(lab.rooms, sql, lab.ids["earthmover"], "shared")

    with pytest.raises(KistError):
        open_store(where, create=False, **options).get("key")
    assert came
    assert visits == []
