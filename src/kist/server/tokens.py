"""Checks what another service says of somebody: its ID token, by its own keys and for us alone. No I/O.

OpenID Connect Core 1.0, 3.1.3.7. Only signatures by a key pair count: with ``none`` or a shared secret anybody, or we, could have signed.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import jwt
from jwt import PyJWK

from kist.errors import Unauthenticated

__all__ = ["ALGORITHMS", "Claims", "UnknownKey", "check_id_token", "claims_of"]

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
LEEWAY_SECONDS: Final = 60
_NAME_CHARS: Final = 200


class UnknownKey(Unauthenticated):
    """The token names a key that is not among the known ones: they may be new."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a service says of somebody. An `email` is said only where the service has verified it."""

    subject: str
    email: str = ""
    name: str = ""


def check_id_token(token: str, keys: Mapping[str, object], *, issuer: str, client_id: str, nonce: str) -> Claims:
    """Return what an ID token says, if it is of this issuer, for this client, in answer to the request with this nonce, and still valid.

    Args:
        token: as it was sent.
        keys: the issuer's key set, as it was read.
        issuer: who must have made it.
        client_id: for whom.
        nonce: what the request had.

    Raises:
        UnknownKey: it was signed by a key that is not among these.
        Unauthenticated: it is anything but that.
    """
    try:
        header = jwt.get_unverified_header(token)
        algorithm = header.get("alg")
        if algorithm not in ALGORITHMS:
            raise Unauthenticated(f"the login was signed by {algorithm!r}, which proves nothing")
        claims = jwt.decode(
            token,
            _key(keys, header.get("kid"), algorithm),
            algorithms=[algorithm],
            audience=client_id,
            issuer=issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": ["iss", "sub", "aud", "exp", "iat"], "enforce_minimum_key_length": True},
        )
    except jwt.PyJWTError as error:
        raise Unauthenticated(f"the login does not count: {error}") from error
    said = claims.get("nonce")
    if not isinstance(said, str) or not hmac.compare_digest(said.encode("utf-8", "surrogatepass"), nonce.encode()):
        raise Unauthenticated("the login does not answer the question of this browser: begin anew")
    party = claims.get("azp")
    if (isinstance(claims["aud"], list) and len(claims["aud"]) > 1 and party is None) or party not in {None, client_id}:
        raise Unauthenticated("the login was made for another service")
    return claims_of(claims)


def claims_of(said: Mapping[str, object]) -> Claims:
    """Return what counts of the claims of an ID token, or of the page where a service tells more.

    Raises:
        Unauthenticated: they do not say whose they are.
    """
    subject, email = said.get("sub"), said.get("email")
    if not isinstance(subject, str) or not subject:
        raise Unauthenticated("the other service does not say who you are")
    named = (said.get(name) for name in ("preferred_username", "name"))
    name = next((one for one in named if isinstance(one, str) and one), "")
    verified = isinstance(email, str) and said.get("email_verified") is True
    return Claims(subject=subject, email=str(email) if verified else "", name=name[:_NAME_CHARS])


def _key(keys: Mapping[str, object], key_id: object, algorithm: str) -> PyJWK:
    """Return the key of this id that can sign so; the only one, if no id is said."""
    listed = keys.get("keys")
    found = [
        one
        for one in (listed if isinstance(listed, list) else [])
        if isinstance(one, dict)
        and one.get("use", "sig") == "sig"
        and one.get("alg", algorithm) == algorithm
        and one.get("kty") in {"RSA", "EC", "OKP"}
        and key_id in {None, one.get("kid")}
    ]
    if len(found) != 1:
        raise UnknownKey("the login was signed by a key that the other service does not show")
    return PyJWK.from_dict(found[0], algorithm=algorithm)
