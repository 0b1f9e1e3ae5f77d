"""How secrets look that kist gives out. Pure, but for the random numbers.

An API token is ``kist_<id>_<secret><check>``: 16, 43 and 6 letters and digits. The check covers what stands before it, so scanners of
source code can tell a token from chance, and a token that was not copied whole is told apart from one that is unknown.
"""

import base64
import re
import secrets
import string
import zlib
from typing import Final

from kist.catalog.sealing import Keyring
from kist.errors import Unauthenticated

__all__ = ["new_access_key", "new_secret", "new_token", "new_user_code", "s3_secret", "token_id", "typed_code"]

DIGITS: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_TOKEN: Final = re.compile(r"kist_([0-9A-Za-z]{16})_[0-9A-Za-z]{43}([0-9A-Za-z]{6})")
_ID_DIGITS, _SECRET_DIGITS, _CHECK_DIGITS = 16, 43, 6  # 62**43 > 2**256, and 62**6 > 2**32
_CODE: Final = "BCDFGHJKLMNPQRSTVWXZ"  # no vowels: no words; nothing that looks like a digit


def new_token() -> tuple[str, str]:
    """Return a new API token, and its id."""
    key_id = "".join(secrets.choice(DIGITS) for _ in range(_ID_DIGITS))
    said = f"kist_{key_id}_{_digits(secrets.randbits(256), _SECRET_DIGITS)}"
    return said + _check(said), key_id


def token_id(token: str) -> str:
    """Return the id in an API token.

    Raises:
        Unauthenticated: it is no token, or not a whole one; it is not repeated.
    """
    match = _TOKEN.fullmatch(token)
    if match is None or _check(token[:-_CHECK_DIGITS]) != match[2]:
        raise Unauthenticated("this is no token of kist, or not the whole one: copy it again, from kist_ to its end")
    return match[1]


def new_access_key() -> str:
    """Return a new access key for S3 clients: 20 capital letters and digits."""
    return "".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(20))


def s3_secret(keyring: Keyring, access_key: str, salt: bytes, master: str) -> str:
    """Return the secret of an access key, which is derived, for it can't be kept as a hash: whoever checks a signature needs it.

    Raises:
        IntegrityError: its master key is not in the keyring any more.
    """
    return base64.b64encode(keyring.digest(access_key.encode() + salt, use="s3", key=master)).decode()


def new_secret() -> str:
    """Return a secret for a session or a link."""
    return secrets.token_urlsafe(32)


def new_user_code() -> str:
    """Return a code for people to read and type: ``BCDF-GHJK``."""
    letters = "".join(secrets.choice(_CODE) for _ in range(8))
    return f"{letters[:4]}-{letters[4:]}"


def typed_code(text: str) -> str:
    """Return a code as it was given out, however it was typed."""
    letters = "".join(letter for letter in text.upper() if letter in _CODE)
    return f"{letters[:4]}-{letters[4:]}"


def _check(said: str) -> str:
    return _digits(zlib.crc32(said.encode()), _CHECK_DIGITS)


def _digits(number: int, count: int) -> str:
    found = ""
    for _ in range(count):
        number, digit = divmod(number, len(DIGITS))
        found = DIGITS[digit] + found
    return found
