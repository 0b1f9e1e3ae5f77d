"""Another service that says who somebody is, asked over HTTP: where it answers, its keys, and what it says for a code.

It is asked when somebody logs in, never before. What it says of itself is remembered for an hour, its keys until one is missing.
"""

import base64
import hashlib
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast
from urllib.parse import quote, urlencode, urlsplit

import httpx
import msgspec

from kist.errors import InvalidInput, StoreError, Unauthenticated
from kist.server.settings import Oidc as OidcSettings
from kist.server.tokens import Claims, UnknownKey, check_id_token, claims_of

__all__ = ["Provider"]

_SECONDS: Final = 10.0
_REMEMBERED_SECONDS: Final = 3600.0
_AGAIN_SECONDS: Final = 60.0
_MOST_BYTES: Final = 1 << 20
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_NEEDED: Final = ("authorization_endpoint", "token_endpoint", "jwks_uri")


@dataclass(frozen=True, slots=True)
class _Known:
    """What was read, and when."""

    said: Mapping[str, object]
    since: float


class Provider:
    """One such service. Threads share it."""

    def __init__(self, settings: OidcSettings, redirect_uri: str) -> None:
        """Take what the admin set, and where it sends browsers back to; nothing is sent yet.

        Raises:
            InvalidInput: the issuer can't be trusted with a secret.
        """
        _check(settings.issuer, "the issuer")
        self._settings, self._redirect_uri = settings, redirect_uri
        self._lock = threading.Lock()
        self._configuration: _Known | None = None
        self._keys: _Known | None = None

    def __repr__(self) -> str:
        return f"<Provider {self.issuer}>"

    @property
    def issuer(self) -> str:
        """Its name for itself."""
        return self._settings.issuer

    @property
    def name(self) -> str:
        """How people know it: by its host."""
        return urlsplit(self.issuer).netloc

    def address(self, *, state: str, nonce: str, verifier: str) -> str:
        """Return where to send a browser; the code that comes back is worth nothing without the verifier.

        Raises:
            StoreError: the service does not answer as one.
        """
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": self._redirect_uri,
            "scope": "openid email profile",
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        endpoint = self._endpoint("authorization_endpoint")
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}"

    def claims(self, code: str, *, nonce: str, verifier: str) -> Claims:
        """Return what the service says of whoever brought back a code.

        Raises:
            Unauthenticated: it does not take the code, or what it says proves nothing.
            StoreError: it does not answer.
        """
        answer = self._redeemed(code, verifier)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise Unauthenticated("the other service did not say who you are: it sent no ID token")
        try:
            found = self._checked(token, nonce, again=False)
        except UnknownKey:
            found = self._checked(token, nonce, again=True)
        if found.email or not isinstance(answer.get("access_token"), str) or not self._configured().get("userinfo_endpoint"):
            return found
        return self._told_more(found, str(answer["access_token"]))

    def _checked(self, token: str, nonce: str, *, again: bool) -> Claims:
        settings = self._settings
        return check_id_token(token, self._key_set(again=again), issuer=settings.issuer, client_id=settings.client_id, nonce=nonce)

    def _redeemed(self, code: str, verifier: str) -> Mapping[str, object]:
        """Give the code for tokens (RFC 6749, 4.1.3, with RFC 7636)."""
        settings = self._settings
        given = {"grant_type": "authorization_code", "code": code, "redirect_uri": self._redirect_uri, "code_verifier": verifier}
        headers = {}
        methods = self._configured().get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        if settings.client_secret and "client_secret_basic" in cast("list[object]", methods):
            pair = f"{quote(settings.client_id, safe='')}:{quote(settings.client_secret, safe='')}"
            headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            given |= {"client_id": settings.client_id} | ({"client_secret": settings.client_secret} if settings.client_secret else {})
        return self._asked("POST", self._endpoint("token_endpoint"), "the code of this login", data=given, headers=headers)

    def _told_more(self, found: Claims, access_token: str) -> Claims:
        """Return the claims with what only the page for them says, if it says it of the same subject (OpenID Connect Core 1.0, 5.3.4)."""
        headers = {"authorization": f"Bearer {access_token}"}
        said = self._asked("GET", self._endpoint("userinfo_endpoint"), "its own token", headers=headers)
        if said.get("sub") != found.subject:
            return found
        more = claims_of(said)
        return Claims(subject=found.subject, email=more.email, name=found.name or more.name)

    def _configured(self) -> Mapping[str, object]:
        with self._lock:
            known = self._configuration
            if known is None or time.monotonic() - known.since > _REMEMBERED_SECONDS:
                said = self._asked("GET", f"{self.issuer.rstrip('/')}/.well-known/openid-configuration", "its configuration")
                if said.get("issuer") != self.issuer:
                    raise StoreError(f"{self.issuer} calls itself {str(said.get('issuer'))[:200]!r}: set its issuer to exactly what it is")
                if missing := [name for name in _NEEDED if not isinstance(said.get(name), str)]:
                    raise StoreError(f"{self.issuer} does not say its {', '.join(missing)}: it is no OpenID provider that kist can use")
                self._configuration = known = _Known(said, time.monotonic())
            return known.said

    def _key_set(self, *, again: bool) -> Mapping[str, object]:
        address = self._endpoint("jwks_uri")
        with self._lock:
            known = self._keys
            age = time.monotonic() - known.since if known else 0.0
            if known is None or age > _REMEMBERED_SECONDS or (again and age > _AGAIN_SECONDS):
                self._keys = known = _Known(self._asked("GET", address, "its keys"), time.monotonic())
            return known.said

    def _endpoint(self, name: str) -> str:
        address = str(self._configured()[name])
        try:
            _check(address, f"the {name} of {self.issuer}")
        except InvalidInput as error:
            raise StoreError(str(error)) from error
        return address

    def _asked(
        self, verb: str, address: str, what: str, *, data: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> Mapping[str, object]:
        """Return the JSON object that an address answers with.

        Raises:
            Unauthenticated: it refuses what was given.
            StoreError: it does not answer, or something else.
        """
        try:
            with (
                httpx.Client(timeout=_SECONDS, follow_redirects=False) as client,
                client.stream(verb, address, data=data, headers={"accept": "application/json", **(headers or {})}) as response,
            ):
                content = bytearray()
                for block in response.iter_bytes():
                    content += block
                    if len(content) > _MOST_BYTES:
                        raise StoreError(f"{self.issuer} answers {what} with too much")
        except httpx.HTTPError as error:
            raise StoreError(f"{self.issuer} does not answer: {type(error).__name__}; try again later") from error
        if data is not None and response.status_code in {400, 401, 403}:
            raise Unauthenticated(f"{self.issuer} does not take {what}: begin anew")
        if response.status_code != httpx.codes.OK:
            raise StoreError(f"{self.issuer} answers {what} with {response.status_code}")
        try:
            return msgspec.json.decode(content, type=dict[str, object])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise StoreError(f"{self.issuer} answers {what} with something that is no JSON object") from error


def _check(address: str, what: str) -> None:
    """Let pass what nobody on the way can read or change: https, or a service of this machine.

    Raises:
        InvalidInput: it is neither.
    """
    try:
        parts = urlsplit(address)
        own = parts.scheme == "http" and parts.hostname in _LOOPBACK
    except ValueError as error:
        raise InvalidInput(f"{what} is no URL") from error
    if not (parts.netloc and (parts.scheme == "https" or own)) or parts.username or parts.fragment:
        raise InvalidInput(f"{what} must be an https:// URL without a user: {parts.scheme}://{parts.hostname or ''} is not")
