"""What a key may look like: the same rules in every store, checked before anything happens.

A key is segments joined by ``/``, in UTF-8 at most `MAX_KEY_BYTES` long. No segment is empty, ``.`` or ``..``, and no control character
occurs. So a key can never leave the root of a folder, and means the same on every store.
"""

import re
from typing import Final

from kist.errors import InvalidInput

__all__ = ["MAX_KEY_BYTES", "check_folder", "check_key", "check_prefix", "check_range"]

MAX_KEY_BYTES: Final = 900
"""S3 allows 1024 bytes for the key together with the prefix of the store."""

_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def check_key(key: str) -> str:
    """Return `key` if it is one.

    Raises:
        InvalidInput: it is not.
    """
    reason = _fault(key)
    if reason:
        raise InvalidInput(f"{key!r} is no key: {reason}")
    return key


def check_prefix(prefix: str) -> str:
    """Return `prefix` if some key may start with it.

    Raises:
        InvalidInput: none can.
    """
    reason = _fault(prefix + "x") if prefix else ""
    if reason:
        raise InvalidInput(f"{prefix!r} is no prefix of a key: {reason}")
    return prefix


def check_folder(prefix: str) -> str:
    """Return a prefix that names a folder: empty, or ending in ``/``.

    Raises:
        InvalidInput: it does not.
    """
    if prefix and not prefix.endswith("/"):
        raise InvalidInput(f"{prefix!r} names no folder: end it with '/'")
    return check_prefix(prefix)


def check_range(start: int, end: int) -> None:
    """Accept ``0 <= start <= end``.

    Raises:
        InvalidInput: it does not hold.
    """
    if not 0 <= start <= end:
        raise InvalidInput(f"bytes {start} to {end} are no range: ask for 0 <= start <= end")


def _fault(key: str) -> str:
    """Say what is wrong with a key, or nothing."""
    if not key:
        return "it is empty"
    if _FORBIDDEN.search(key):
        return "it has a control character or is not Unicode text"
    if len(key.encode()) > MAX_KEY_BYTES:
        return f"it is longer than {MAX_KEY_BYTES} bytes"
    for segment in key.split("/"):
        if segment in {"", ".", ".."}:
            return "a segment is empty, '.' or '..'"
    return ""
