"""From a URL, options and the environment to an account of OpenStack Swift.

Options are named as OpenStack names them. The variables of the environment (``OS_*``, ``ST_*``) are those of its own command line. They
are only used together: if an address to log in at is given as an option, no password of the environment goes there.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final
from urllib.parse import unquote, urlsplit

from kist.errors import InvalidInput
from kist.stores.keys import check_key

__all__ = ["Account", "Container", "account_from", "parse"]

_ALIASES: Final = {
    "user": "username",
    "key": "password",
    "tenant_name": "project_name",
    "tenant_id": "project_id",
    "region_name": "region",
    "os_storage_url": "storage_url",
}
_VARIABLES: Final = {
    "auth_url": ("OS_AUTH_URL", "ST_AUTH"),
    "username": ("OS_USERNAME", "ST_USER"),
    "password": ("OS_PASSWORD", "ST_KEY"),
    "auth_version": ("OS_IDENTITY_API_VERSION", "OS_AUTH_VERSION", "ST_AUTH_VERSION"),
    "project_name": ("OS_PROJECT_NAME", "OS_TENANT_NAME"),
    "project_id": ("OS_PROJECT_ID", "OS_TENANT_ID"),
    "user_domain_name": ("OS_USER_DOMAIN_NAME",),
    "user_domain_id": ("OS_USER_DOMAIN_ID",),
    "project_domain_name": ("OS_PROJECT_DOMAIN_NAME",),
    "project_domain_id": ("OS_PROJECT_DOMAIN_ID",),
    "application_credential_id": ("OS_APPLICATION_CREDENTIAL_ID",),
    "application_credential_secret": ("OS_APPLICATION_CREDENTIAL_SECRET",),
    "region": ("OS_REGION_NAME",),
    "storage_url": ("OS_STORAGE_URL",),
    "token": ("OS_AUTH_TOKEN",),
    "cacert": ("OS_CACERT",),
}
_SECRETS: Final = ("password", "application_credential_secret", "token", "temp_url_key")
_OWN: Final = frozenset({*_VARIABLES, "temp_url_key", "segment_bytes", "timeout_seconds", "max_retries", "allow_http"})
_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_DEFAULT_SEGMENT_BYTES: Final = 32 << 20
_DAY_SECONDS: Final = 86400


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """What a URL names."""

    scheme: str
    name: str
    prefix: str

    @property
    def url(self) -> str:
        """The URL."""
        return f"{self.scheme}://{self.name}/{self.prefix}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who asks, and where; `names` are the settings by their OpenStack names, empty ones left out."""

    names: Mapping[str, str] = field(repr=False)
    auth_version: str
    segment_bytes: int = _DEFAULT_SEGMENT_BYTES
    timeout_seconds: float = 60
    max_retries: int = 3
    given_secrets: bool = False

    def get(self, name: str) -> str:
        """Return a setting, or nothing."""
        return self.names.get(name, "")

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no message may repeat."""
        return tuple(filter(None, map(self.get, _SECRETS)))

    @property
    def identity(self) -> tuple[str, ...]:
        """What two stores have in common if one account holds both."""
        return tuple(self.get(name) for name in _VARIABLES if name not in {"cacert", "token"})


def parse(url: str) -> Container:
    """Take ``swift://container/prefix`` apart.

    Raises:
        InvalidInput: it names no container, or holds what such a URL can't have.
    """
    scheme, _, rest = url.partition("://")
    parts = urlsplit(f"swift://{rest}")
    if "@" in parts.netloc or ":" in parts.netloc:
        raise InvalidInput(f"credentials and ports don't belong into a {scheme!r} URL; set them as options or in the environment")
    if not parts.netloc:
        raise InvalidInput(f"{url!r} names no container: write {scheme}://container/prefix")
    if "?" in url or "#" in url:
        raise InvalidInput(f"a {scheme!r} URL has no '?' nor '#': write them as %3F and %23, and options as options")
    prefix = unquote(parts.path).strip("/")
    return Container(scheme=scheme.lower(), name=unquote(parts.netloc), prefix=check_key(prefix) if prefix else "")


def account_from(options: Mapping[str, object], *, auth_url: str = "") -> Account:
    """Put options and environment together; `auth_url` is where to log in unless they say otherwise.

    Raises:
        InvalidInput: an option is unknown or makes no sense, or something is missing.
    """
    given = {_ALIASES.get(name, name): str(value) for name, value in options.items() if value is not None}
    if unknown := sorted(set(given) - _OWN):
        raise InvalidInput(f"a Swift store takes no option {', '.join(unknown)}")
    names = given if {"auth_url", "storage_url"} & set(given) else {**_environment(), **given}
    if auth_url:
        names = {"auth_url": auth_url, "auth_version": "3", **names}
    _check_complete(names)
    return Account(
        names={name: value for name, value in names.items() if value},
        auth_version=_version(names),
        segment_bytes=int(_number(names, "segment_bytes", _DEFAULT_SEGMENT_BYTES, most=5 << 30)),
        timeout_seconds=_number(names, "timeout_seconds", 60, most=_DAY_SECONDS),
        max_retries=int(_number(names, "max_retries", 3, most=20, least=0)),
        given_secrets=bool(set(_SECRETS) & set(given)),
    )


def _environment() -> dict[str, str]:
    found = {name: next(filter(None, map(os.environ.get, variables)), "") for name, variables in _VARIABLES.items()}
    return {name: value for name, value in found.items() if value}


def _check_complete(names: Mapping[str, str]) -> None:
    """See that one can log in, and not in the clear.

    Raises:
        InvalidInput: one can't.
    """
    ready = names.get("storage_url") and names.get("token")
    if not names.get("auth_url") and not ready:
        raise InvalidInput("Swift needs to know where to log in: set auth_url, username and password (or OS_AUTH_URL and its kin)")
    login = (names.get("username") and names.get("password")) or names.get("application_credential_id")
    if not login and not ready:
        raise InvalidInput("Swift needs to know who asks: set username and password (or OS_USERNAME and OS_PASSWORD)")
    for name in ("auth_url", "storage_url"):
        parts = urlsplit(names.get(name, ""))
        if parts.scheme == "http" and not _is_here(parts.hostname or "") and names.get("allow_http", "").lower() not in _TRUE:
            raise InvalidInput(f"{name} is plain http, and would get credentials in the clear; use https, or set allow_http")
        if names.get(name) and parts.scheme not in {"http", "https"}:
            raise InvalidInput(f"{name} is no address on the web: write https://host/path")


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _version(names: Mapping[str, str]) -> str:
    """Return 1, 2 or 3; as the address ends, if nobody says.

    Raises:
        InvalidInput: there is no such version.
    """
    given = names.get("auth_version", "").lower().removeprefix("v").partition(".")[0]
    if given:
        if given not in {"1", "2", "3"}:
            raise InvalidInput(f"auth_version is 1, 2 or 3; found {names['auth_version']!r}")
        return given
    last = urlsplit(names.get("auth_url", "")).path.rstrip("/").rpartition("/")[2]
    return {"v1": "1", "v1.0": "1", "v2": "2", "v2.0": "2"}.get(last, "3")


def _number(names: Mapping[str, str], name: str, default: float, *, most: float, least: float = 1) -> float:
    try:
        number = float(names.get(name) or default)
    except ValueError:
        number = -1
    if not least <= number <= most:
        raise InvalidInput(f"{name} is a number from {least:g} to {most:g}; found {names[name]!r}")
    return number
