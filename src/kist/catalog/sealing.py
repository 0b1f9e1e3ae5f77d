"""Secrets at rest: sealed so that only this installation can open them, each bound to the place where it is kept.

AES-256-GCM. What a secret belongs to (table, row, column) is authenticated with it, so a sealed value that is copied to another row does
not open. Keys have names: all of a keyring open, the first one seals, and so a key can be replaced while the server runs.
"""

import base64
import hashlib
import hmac
import os
import re
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kist.errors import IntegrityError, InvalidInput

__all__ = ["Keyring"]

_KEY_BYTES = 32
_NONCE_BYTES = 12
_NAME = re.compile(r"[A-Za-z0-9_-]{1,16}")
_HOW = "a line is name:key, with a name of up to 16 letters and digits, and 32 random bytes in base64"


class Keyring:
    """The keys of an installation, the current one first."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        """Use keys of 32 random bytes, by name.

        Raises:
            InvalidInput: there is none, or one is not such a key.
        """
        if not keys:
            raise InvalidInput(f"the keyring is empty: {_HOW}")
        for number, (name, key) in enumerate(keys.items(), 1):  # a name that is none may be a key: it is not repeated
            if not _NAME.fullmatch(name) or len(key) != _KEY_BYTES:
                raise InvalidInput(f"key {number} of the keyring is no key: {_HOW}")
        self._keys = dict(keys)

    def __repr__(self) -> str:
        return f"<Keyring {', '.join(self._keys)}>"

    @classmethod
    def parse(cls, text: str) -> "Keyring":
        """Read lines of ``name:base64``, the current key first; empty ones and those that begin with ``#`` say nothing.

        Raises:
            InvalidInput: a line is something else, or a name is there twice; its content is not repeated.
        """
        keys: dict[str, bytes] = {}
        for number, line in enumerate(map(str.strip, text.splitlines()), 1):
            if not line or line.startswith("#"):
                continue
            name, _, encoded = line.partition(":")
            try:
                key = base64.b64decode(encoded, validate=True)
            except ValueError:
                raise InvalidInput(f"line {number} of the keyring is none: {_HOW}") from None
            if not _NAME.fullmatch(name) or len(key) != _KEY_BYTES or name in keys:
                raise InvalidInput(f"line {number} of the keyring is none, or its name is there twice: {_HOW}")
            keys[name] = key
        return cls(keys)

    @property
    def current(self) -> str:
        """The name of the key that seals."""
        return next(iter(self._keys))

    def follow(self, newer: "Keyring") -> None:
        """Use the keys of another one from now on, in all threads at once."""
        self._keys = newer._keys  # noqa: SLF001  of its own class

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the keys, the current one first."""
        return tuple(self._keys)

    @property
    def mark(self) -> bytes:
        """What all begins with that the current key has sealed."""
        return _mark(self.current)

    @staticmethod
    def new_line(name: str = "") -> str:
        """Return a line with a new key, by a random name unless one is given."""
        name = name or f"k{os.urandom(4).hex()}"
        return f"{name}:{base64.b64encode(os.urandom(_KEY_BYTES)).decode()}\n"

    def seal(self, secret: bytes, *, place: str) -> bytes:
        """Return a secret so that it can be kept at `place`, such as ``bucket_configs/<id>/credentials``."""
        name, nonce = self.current, os.urandom(_NONCE_BYTES)
        return _mark(name) + nonce + AESGCM(self._derived(name, b"seal")).encrypt(nonce, secret, place.encode())

    def open(self, sealed: bytes, *, place: str) -> bytes:
        """Return the secret that was sealed for `place`.

        Raises:
            IntegrityError: it was not sealed for this place, by none of these keys, or has been changed.
        """
        name, rest = self.sealed_by(sealed), sealed[1 + sealed[0] :] if sealed else b""
        if name not in self._keys:
            raise IntegrityError(f"the secret of {place} was sealed by the key {name!r}, which is not in the keyring")
        try:
            return AESGCM(self._derived(name, b"seal")).decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], place.encode())
        except (InvalidTag, ValueError) as error:
            raise IntegrityError(f"the secret of {place} does not open: it has been changed, or belongs elsewhere") from error

    @staticmethod
    def sealed_by(sealed: bytes) -> str:
        """Return the name of the key that a value was sealed by; empty if it is no such value."""
        return sealed[1 : 1 + sealed[0]].decode(errors="replace") if sealed else ""

    def digest(self, data: bytes, *, use: str, key: str = "") -> bytes:
        """Return a keyed hash of 32 bytes: of a token, or to derive a secret from. `key` names which one; the current one unless said.

        Raises:
            IntegrityError: there is no such key.
        """
        name = key or self.current
        if name not in self._keys:
            raise IntegrityError(f"the key {name!r} is not in the keyring")
        return hmac.digest(self._derived(name, use.encode()), data, "sha256")

    def digests(self, data: bytes, *, use: str) -> list[bytes]:
        """Return the keyed hashes by all keys, the current one first."""
        return [self.digest(data, use=use, key=name) for name in self._keys]

    def _derived(self, name: str, use: bytes) -> bytes:
        """Return a key for one use, so that no two uses share one."""
        return hmac.digest(self._keys[name], b"kist " + use, hashlib.sha256)


def _mark(name: str) -> bytes:
    return bytes([len(name)]) + name.encode()
