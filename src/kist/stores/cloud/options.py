"""From a URL and options to the clients of a bucket: the one place that knows obstore's settings.

Credentials come from the options, else from the environment variables of each platform (``AWS_ACCESS_KEY_ID``,
``GOOGLE_APPLICATION_CREDENTIALS``, ``AZURE_STORAGE_ACCOUNT_NAME``, …), else, for S3, from a profile of AWS's tools (named by
``AWS_PROFILE``, or ``default``; see `kist.stores.cloud.settings`), else from the role of the machine. All waiting is bounded. A bucket gets
two clients: one that gives up when the server is silent for a minute, and one for big uploads, where the server is silent for as long as
the upload lasts.
"""

import hashlib
import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from obstore.store import AzureStore, GCSStore, S3Store

from kist.errors import InvalidInput
from kist.stores.cloud.errors import FOREIGN, misconfigured
from kist.stores.cloud.settings import S3Settings, resolve
from kist.stores.keys import check_key

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig  # these exist for type checkers only

    from kist.stores.cloud.profile import Profile

__all__ = ["Address", "Clients", "Limits", "connect", "parse"]

type Client = S3Store | GCSStore | AzureStore

_KINDS: dict[str, type[Client]] = {
    **dict.fromkeys(("s3", "s3a"), S3Store),
    "gs": GCSStore,
    **dict.fromkeys(("az", "azure", "abfs", "abfss"), AzureStore),
}
_PLATFORMS = {S3Store: "s3", GCSStore: "gs", AzureStore: "az"}
_ENDPOINTS = {
    "gs": ("GOOGLE_BASE_URL",),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}
_ENDPOINT_OPTIONS = ("endpoint", "base_url", "azure_storage_endpoint")
_ALIASES = {"anonymous": "skip_signature", "endpoint_url": "endpoint"}
_AZURE_SECRETS = {"access_key": ("account_key", "access_key", "master_key"), "sas_token": ("sas_token", "sas_key")}
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
class Limits:
    """How long to wait, how often to try, and whether plain http may be used; for clients other than obstore's too."""

    connect_seconds: float
    silence_seconds: float
    max_retries: int
    allow_http: bool


@dataclass(frozen=True, kw_only=True)
class Clients:
    """How to reach a bucket."""

    platform: str
    requests: Client
    uploads: Client
    limits: Limits
    realm: str
    """Equal for stores that have the same platform, endpoint and credentials."""
    anonymous: bool
    s3: S3Settings | None
    options: Mapping[str, object] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    """What messages must not say."""
    given_secrets: bool
    """Whether any came as an option."""
    make_whole: Callable[[], Client] = field(repr=False)

    @property
    def profile(self) -> "Profile | None":
        """The profile of AWS's tools that counts."""
        return self.s3.profile if self.s3 else None

    @cached_property
    def whole(self) -> Client:
        """A client of the whole bucket, without the prefix."""
        return self.make_whole()


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
    rest = {_ALIASES.get(name, name): value for name, value in options.items() if value is not None}
    platform = _PLATFORMS[_KINDS[address.scheme]]
    s3 = resolve(rest) if platform == "s3" else None
    if platform == "gs" and "endpoint" in rest:
        rest["base_url"] = rest.pop("endpoint")
    timeout, upload = _times(rest)
    limits, secrets = _limits(platform, rest, timeout), _secrets(rest, s3.profile.secrets if s3 and s3.profile else ())
    retry, settings = _retry(rest, limits), _settings(address, rest)
    client = partial(_client, address, limits=limits, retry=retry, settings=settings, s3=s3, secrets=secrets)
    requests = client(address.prefix, timeout, silence=min(timeout, timedelta(seconds=SILENCE_SECONDS)))
    return Clients(
        platform=platform,
        requests=requests,
        uploads=client(address.prefix, upload),
        make_whole=lambda: client("", timeout),  # a copy takes its time
        limits=limits,
        realm=_realm(platform, settings, s3),
        anonymous=s3.anonymous if s3 else str(requests.config.get("skip_signature")).lower() == "true",
        s3=s3,
        options=options,
        secrets=secrets,
        given_secrets=any(_is_secret(name) for name in options),
    )


def _client(
    address: Address,
    prefix: str,
    timeout: timedelta,
    *,
    silence: timedelta | None = None,
    limits: Limits,
    retry: "RetryConfig",
    settings: Mapping[str, object],
    s3: S3Settings | None,
    secrets: tuple[str, ...],
) -> Client:
    times: ClientConfig = {"connect_timeout": timedelta(seconds=limits.connect_seconds), "timeout": timeout}
    times["allow_http"] = limits.allow_http
    if silence is not None:
        times["read_timeout"] = silence
    told = s3.provider if s3 else _provider(address.scheme, settings)
    provider = {"credential_provider": told} if told else {}
    try:
        return _KINDS[address.scheme](
            address.bucket,
            prefix=prefix or None,
            client_options=times,
            retry_config=retry,
            config=settings,  # type: ignore[arg-type]  # obstore checks the settings
            **provider,  # type: ignore[arg-type]  # obstore asks for the type of each platform
        )
    except FOREIGN as error:
        raise misconfigured(error, address.url, secrets) from None  # the cause may repeat an option, and so a secret


def _provider(scheme: str, settings: Mapping[str, object]) -> Callable[[], object] | None:
    """Return what gives obstore the key or signature of an Azure account that the options name.

    Told as settings, they would make way for a token or key of the environment, which may be somebody else's.

    Raises:
        InvalidInput: the environment has a token that Google would get instead of what the options name.
    """
    if _KINDS[scheme] is GCSStore:
        keyed = any("service_account" in name.lower() for name in settings) and not any("bearer" in name.lower() for name in settings)
        if keyed and os.environ.get("GOOGLE_BEARER_TOKEN"):
            raise InvalidInput("GOOGLE_BEARER_TOKEN is set, and would be sent instead of the service account's: unset it")
        return None
    if _KINDS[scheme] is not AzureStore:
        return None
    for kind, names in _AZURE_SECRETS.items():
        found = next((str(value) for name, value in settings.items() if name.lower().removeprefix("azure_storage_") in names), "")
        if found:
            said = {kind: found.removeprefix("?") if kind == "sas_token" else found, "expires_at": None}
            return lambda: said
    return None


def _times(rest: dict[str, object]) -> tuple[timedelta, timedelta]:
    """Return how long a request may last, and how long an upload; what is asked for bounds both."""
    asked = "timeout_seconds" in rest
    timeout = _seconds(rest, "timeout_seconds", 300)
    return timeout, timeout if asked else timedelta(seconds=UPLOAD_SECONDS)


def _limits(platform: str, rest: dict[str, object], timeout: timedelta) -> Limits:
    return Limits(
        connect_seconds=_seconds(rest, "connect_timeout_seconds", 10).total_seconds(),
        silence_seconds=timeout.total_seconds(),
        max_retries=_retries(rest),
        allow_http=_allow_http(platform, rest),
    )


def _retry(rest: dict[str, object], limits: Limits) -> "RetryConfig":
    return {
        "max_retries": limits.max_retries,
        "retry_timeout": _seconds(rest, "retry_seconds", 60),
        "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=5), "base": 2},
    }


def _settings(address: Address, rest: Mapping[str, object]) -> dict[str, object]:
    """Return what obstore is told beside times."""
    own: dict[str, object] = {}
    if address.scheme in {"s3", "s3a"}:
        own["disable_bulk_delete"] = True  # one DELETE per key: what every server understands
    if address.account:
        own["account_name"] = address.account
    return {**own, **rest}


def _realm(platform: str, settings: Mapping[str, object], s3: S3Settings | None) -> str:
    """Return a text that tells credentials and endpoints apart, and tells nobody what they are."""
    prefixes = {"s3": ("AWS_",), "gs": ("GOOGLE_", "SERVICE_ACCOUNT"), "az": ("AZURE_",)}[platform]
    variables = sorted((name, value) for name, value in os.environ.items() if name.startswith(prefixes))
    given = sorted((name, str(value)) for name, value in settings.items())
    if s3:
        given = [("endpoint", s3.endpoint), ("profile", s3.profile.name if s3.profile else ""), ("anonymous", str(s3.anonymous))]
        given += sorted(s3.keys.items())
    known = s3 and (s3.keys or s3.anonymous)
    return hashlib.sha256(repr((platform, given, () if known else variables)).encode()).hexdigest()


def _allow_http(platform: str, rest: dict[str, object]) -> bool:
    """Say whether plain http may be used: if asked for, or if the endpoint is on this machine."""
    given = rest.pop("allow_http", None)
    if given is None and platform == "s3":
        given = os.environ.get("AWS_ALLOW_HTTP")
    if given is not None:
        return str(given).lower() in {"1", "true", "yes", "on"}
    if rest.get("use_emulator"):
        return True
    endpoint = next(filter(None, [*map(rest.get, _ENDPOINT_OPTIONS), *map(os.environ.get, _ENDPOINTS.get(platform, ()))]), "")
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


def _secrets(options: Mapping[str, object], others: tuple[str, ...]) -> tuple[str, ...]:
    """Return all values, given, of the environment or others, that no message may repeat; the longest first."""
    variables = {name: value for name, value in os.environ.items() if name.upper().startswith(_SECRET_VARIABLES)}
    values = {*others, *(str(value) for name, value in [*options.items(), *variables.items()] if _is_secret(name))}
    return tuple(sorted((value for value in values if len(value) >= _SHORTEST_SECRET), key=len, reverse=True))
