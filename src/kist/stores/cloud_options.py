"""From a URL and options to the clients of a bucket: the one place that knows obstore's settings.

Credentials come from the options or from the environment variables of each platform (``AWS_ACCESS_KEY_ID``,
``GOOGLE_APPLICATION_CREDENTIALS``, ``AZURE_STORAGE_ACCOUNT_NAME``, …). All waiting is bounded. A bucket gets two clients: one that gives
up when the server is silent for a minute, and one for big uploads, where the server is silent for as long as the upload lasts.
"""

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from obstore.store import AzureStore, GCSStore, S3Store

from kist.errors import InvalidInput
from kist.stores.cloud_errors import FOREIGN, misconfigured
from kist.stores.keys import check_key

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig  # these exist for type checkers only

__all__ = ["Address", "Clients", "connect", "parse"]

type Client = S3Store | GCSStore | AzureStore

_KINDS: dict[str, type[Client]] = {
    **dict.fromkeys(("s3", "s3a"), S3Store),
    "gs": GCSStore,
    **dict.fromkeys(("az", "azure", "abfs", "abfss"), AzureStore),
}
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_SECRET_NAME = re.compile(r"secret|token|password|sas(_|$)|key(_base64)?$", re.IGNORECASE)
_SECRET_VARIABLES = ("AWS_", "AZURE_", "GOOGLE_", "SERVICE_ACCOUNT")
_SHORTEST_SECRET = 6  # a shorter one would mask half of every message

SILENCE_SECONDS: Final = 60
UPLOAD_SECONDS: Final = 1800


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """What a URL names."""

    scheme: str
    bucket: str
    prefix: str
    account: str = ""

    @property
    def url(self) -> str:
        """The URL, which never holds a secret."""
        return f"{self.scheme}://{self.bucket}/{self.prefix}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clients:
    """How to reach a bucket; `secrets` are what messages must not say, `given_secrets` whether any came as an option."""

    requests: Client
    uploads: Client
    secrets: tuple[str, ...]
    given_secrets: bool


def parse(url: str) -> Address:
    """Take the URL of a bucket and prefix apart.

    Raises:
        InvalidInput: it has no bucket, or something that such a URL can't have; the message never repeats credentials.
    """
    scheme, _, rest = url.partition("://")
    scheme = scheme.lower()
    parts = urlsplit(f"{scheme}://{rest}")
    bucket, account = parts.netloc, ""
    if scheme in {"abfs", "abfss"} and "@" in bucket:
        bucket, _, host = bucket.partition("@")
        account = host.partition(".")[0]
    if "@" in bucket or ":" in bucket:
        raise InvalidInput(
            f"credentials, ports and endpoints don't belong into a {scheme!r} URL; set them as options or in the environment"
        )
    if not bucket:
        raise InvalidInput(f"{url!r} names no bucket: write {scheme}://bucket/prefix")
    if parts.query or parts.fragment or "?" in url or "#" in url:
        raise InvalidInput(f"a {scheme!r} URL has no '?' nor '#': write them as %3F and %23, and options as options")
    prefix = unquote(parts.path).strip("/")
    return Address(scheme=scheme, bucket=bucket, prefix=check_key(prefix) if prefix else "", account=account)


def connect(address: Address, options: Mapping[str, object]) -> Clients:
    """Make the clients of a bucket; nothing is sent.

    Raises:
        InvalidInput: an option is unknown or makes no sense.
    """
    rest = dict(options)
    times: ClientConfig = {"connect_timeout": _seconds(rest, "connect_timeout_seconds", 10), "allow_http": _allow_http(address, rest)}
    timeout, silence, upload = _seconds(rest, "timeout_seconds", 300), timedelta(seconds=SILENCE_SECONDS), timedelta(seconds=UPLOAD_SECONDS)
    retry: RetryConfig = {
        "max_retries": _retries(rest),
        "retry_timeout": _seconds(rest, "retry_seconds", 60),
        "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=5), "base": 2},
    }
    settings, secrets = _settings(address, rest), _secrets(rest)

    def client(config: "ClientConfig") -> Client:
        kind = _KINDS[address.scheme]
        try:
            return kind(address.bucket, prefix=address.prefix or None, client_options=config, retry_config=retry, config=settings)  # type: ignore[arg-type]  # obstore checks the settings
        except FOREIGN as error:
            raise misconfigured(error, address.url, secrets) from None  # the cause may repeat an option, and so a secret

    return Clients(
        requests=client({**times, "timeout": timeout, "read_timeout": min(timeout, silence)}),
        uploads=client({**times, "timeout": max(timeout, upload)}),
        secrets=secrets,
        given_secrets=any(_is_secret(name) for name in rest),
    )


def _settings(address: Address, rest: Mapping[str, object]) -> dict[str, object]:
    """Return what obstore is told beside times."""
    own: dict[str, object] = {}
    if address.scheme in {"s3", "s3a"}:
        own["disable_bulk_delete"] = True  # one DELETE per key: what every server understands
    if address.account:
        own["account_name"] = address.account
    return {**own, **{name: value for name, value in rest.items() if value is not None}}


def _allow_http(address: Address, rest: dict[str, object]) -> bool:
    """Say whether plain http may be used: if asked for, or if the endpoint is on this machine."""
    given = rest.pop("allow_http", None)
    if given is None and address.scheme in {"s3", "s3a"}:
        given = os.environ.get("AWS_ALLOW_HTTP")
    if given is not None:
        return str(given).lower() in {"1", "true", "yes", "on"}
    endpoint = rest.get("endpoint") or rest.get("endpoint_url") or next(filter(None, map(os.environ.get, _ENDPOINTS)), "")
    host = urlsplit(str(endpoint)).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _seconds(rest: dict[str, object], name: str, default: float) -> timedelta:
    value = rest.pop(name, default)
    if not isinstance(value, int | float) or not 0 < value < 86400:  # noqa: PLR2004  a day
        raise InvalidInput(f"{name} is a number of seconds, more than 0 and less than a day; found {value!r}")
    return timedelta(seconds=value)


def _retries(rest: dict[str, object]) -> int:
    value = rest.pop("max_retries", 5)
    if not isinstance(value, int) or value < 0:
        raise InvalidInput(f"max_retries is a number from 0 on; found {value!r}")
    return value


def _is_secret(name: str) -> bool:
    return bool(_SECRET_NAME.search(name))


def _secrets(options: Mapping[str, object]) -> tuple[str, ...]:
    """Return all values, given or of the environment, that no message may repeat; the longest first."""
    variables = {name: value for name, value in os.environ.items() if name.upper().startswith(_SECRET_VARIABLES)}
    values = {str(value) for name, value in [*options.items(), *variables.items()] if _is_secret(name)}
    return tuple(sorted((value for value in values if len(value) >= _SHORTEST_SECRET), key=len, reverse=True))
