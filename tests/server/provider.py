"""An OpenID provider that says what a test wants it to: right by default, wrong on request. It checks PKCE and the client's secret."""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, override
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

CLIENT = ("kist", "the secret / of + the client")


def new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@dataclass
class Scripted:
    """What it says. `sign` makes the ID token of the claims; `change` changes them before."""

    key: rsa.RSAPrivateKey = field(default_factory=new_key)
    kid: str = "one"
    user: dict[str, object] = field(default_factory=lambda: {"sub": "1", "preferred_username": "ann"})
    userinfo: dict[str, object] = field(default_factory=dict)
    change: Callable[[dict[str, object]], object] = lambda _claims: None
    sign: Callable[[dict[str, object]], str] | None = None
    configuration: dict[str, object] = field(default_factory=dict)
    back: dict[str, str] = field(default_factory=dict)
    nonce: str | None = None
    issuer: str = ""
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def token(self, nonce: str) -> str:
        """Return the ID token."""
        now = int(time.time())
        claims: dict[str, object] = {"iss": self.issuer, "aud": CLIENT[0], "iat": now, "exp": now + 300, "nonce": nonce, **self.user}
        self.change(claims)
        if self.sign:
            return self.sign(claims)
        return jwt.encode(claims, self.key, "RS256", headers={"kid": self.kid})

    def jwks(self) -> dict[str, object]:
        """Return the key set."""
        return {"keys": [{**RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True), "kid": self.kid, "use": "sig", "alg": "RS256"}]}


@contextmanager
def providing() -> Iterator[Scripted]:
    """Run a provider at a free port of loopback."""
    scripted = Scripted()

    class Handler(_Handler):
        script = scripted

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    scripted.issuer = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield scripted
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    script: Scripted

    def do_GET(self) -> None:
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        self.script.asked.append(path)
        if path == "/authorize":
            self._authorize({name: values[0] for name, values in query.items()})
        elif path == "/.well-known/openid-configuration":
            here = self.script.issuer
            places = {f"{name}_endpoint": f"{here}/{name}" for name in ("token", "userinfo")}
            self._answer(
                {
                    "issuer": here,
                    "authorization_endpoint": f"{here}/authorize",
                    "jwks_uri": f"{here}/jwks",
                    **places,
                    **self.script.configuration,
                }
            )
        elif path == "/jwks":
            self._answer(self.script.jwks())
        elif path == "/userinfo" and self.headers.get("authorization") == "Bearer access":
            self._answer(self.script.userinfo)
        else:
            self._answer({"error": "unknown"}, 404)

    def do_POST(self) -> None:
        self.script.asked.append("/token")
        content = self.rfile.read(int(self.headers["content-length"])).decode()
        said = {name: values[0] for name, values in parse_qs(content).items()}
        begun = self.script.codes.pop(said.get("code", ""), None)
        if begun is None or not self._is_client() or said.get("redirect_uri") != begun["redirect_uri"] or not _fits(said, begun):
            self._answer({"error": "invalid_grant"}, 400)
            return
        self._answer({"access_token": "access", "token_type": "Bearer", "id_token": self.script.token(self.script.nonce or begun["nonce"])})

    def _authorize(self, asked: dict[str, str]) -> None:
        code = f"code-{len(self.script.codes)}-{time.monotonic_ns()}"
        self.script.codes[code] = asked
        back = {"code": code, "state": asked["state"], **self.script.back}
        self.send_response(302)
        self.send_header("location", f"{asked['redirect_uri']}?{urlencode(back)}")
        self.end_headers()

    def _is_client(self) -> bool:
        pair = f"{CLIENT[0]}:{urlencode({'': CLIENT[1]})[1:].replace('+', '%20')}"
        return self.headers.get("authorization") == f"Basic {base64.b64encode(pair.encode()).decode()}"

    def _answer(self, said: dict[str, object], status: int = 200) -> None:
        content = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def _fits(said: dict[str, str], begun: dict[str, str]) -> bool:
    """Say whether the verifier is the one of the challenge (RFC 7636)."""
    digest = hashlib.sha256(said.get("code_verifier", "").encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == begun.get("code_challenge")
