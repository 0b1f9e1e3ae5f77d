"""What a user may say about a web server: who asks, and how long to wait."""

import base64
import re
from collections.abc import Mapping
from typing import Final

from kist.errors import InvalidInput
from kist.stores.web.client import WebSettings

__all__ = ["settings_from"]

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]{0,8000}")
_RESERVED: Final = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "range", "if-match", "accept-encoding", "te", "upgrade", "expect"}
)
_DAY_SECONDS: Final = 86400
_TIMES: Final = ("timeout_seconds", "connect_timeout_seconds", "retry_seconds")


def settings_from(options: Mapping[str, object]) -> tuple[WebSettings, bool]:
    """Return what the options say, and whether credentials may go out in the clear.

    Raises:
        InvalidInput: an option is unknown or makes no sense; secrets are not repeated.
    """
    rest = {name: value for name, value in options.items() if value is not None}
    credentials = _credentials(rest)
    allow_http = str(rest.pop("allow_http", False)).lower() in {"1", "true", "yes", "on"}
    numbers: dict[str, float] = {name: _number(name, rest.pop(name), least=0.001) for name in _TIMES if name in rest}
    if "min_bytes_per_second" in rest:
        numbers["min_bytes_per_second"] = _number("min_bytes_per_second", rest.pop("min_bytes_per_second"), least=0)
    retries = int(_number("max_retries", rest.pop("max_retries", 3), least=0))
    if rest:
        raise InvalidInput(f"a web server takes no option {', '.join(sorted(rest))}")
    return WebSettings(credentials=credentials, max_retries=min(retries, 20), **numbers), allow_http


def _number(name: str, value: object, *, least: float) -> float:
    try:
        number = float(str(value))
    except ValueError:
        number = -1
    if not least <= number < _DAY_SECONDS:
        raise InvalidInput(f"{name} is a number from {least:g} to {_DAY_SECONDS}; found {value!r}")
    return number


def _credentials(rest: dict[str, object]) -> dict[str, str]:
    """Take out of the options what tells the server who asks, as headers."""
    headers = _headers(rest.pop("headers", {}))
    token, username, password = (str(rest.pop(name, "")) for name in ("token", "username", "password"))
    if token and (username or password):
        raise InvalidInput("give a token, or username and password, not both")
    if password and not username:
        raise InvalidInput("a password needs a username")
    if token:
        headers["Authorization"] = f"Bearer {token}"
    elif username:
        if ":" in username:
            raise InvalidInput("a username on the web has no ':'")
        headers["Authorization"] = f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}"
    for name, value in headers.items():
        if not _NAME.fullmatch(name) or name.lower() in _RESERVED or not _VALUE.fullmatch(value):
            raise InvalidInput(f"the header {name!r} can't be sent: its name is reserved, or its name or value have odd characters")
    return headers


def _headers(given: object) -> dict[str, str]:
    if isinstance(given, str):
        pairs = [line.partition(":") for line in given.splitlines() if line.strip()]
        return {name.strip(): value.strip() for name, _, value in pairs}
    if isinstance(given, Mapping):
        return {str(name): str(value).strip() for name, value in given.items()}
    raise InvalidInput("headers are a mapping of names to values, or lines 'Name: value'")
