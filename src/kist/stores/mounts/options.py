"""The options of a mount: by what names a store knows them, and how they are shown. Pure.

- Names that other programs use (``client_id``, ``aws_access_key_id``, ``user``, …) become the store's own; its own names stay as they
  are.
- What is shown says no secret: a value is shown only where its name is known to be harmless, everything else is ``***``.
"""

from collections.abc import Iterator, Mapping
from typing import Final, Self, override
from urllib.parse import SplitResult, urlsplit

from kist.errors import InvalidInput

__all__ = ["Options", "family_of", "holds_secret", "is_true", "shown", "split_address", "translate", "unknown"]

MASK: Final = "***"
_ON: Final = frozenset({"1", "true", "yes", "on"})
_OFF: Final = frozenset({"0", "false", "no", "off"})

_FAMILIES: Final = {
    **dict.fromkeys(("s3", "s3a"), "s3"),
    "gs": "gs",
    **dict.fromkeys(("az", "azure", "abfs", "abfss"), "az"),
    **dict.fromkeys(("swift", "ovh"), "swift"),
    "sftp": "sftp",
    **dict.fromkeys(("ftp", "ftps"), "ftp"),
    **dict.fromkeys(("webdav", "webdavs"), "webdav"),
    **dict.fromkeys(("http", "https"), "http"),
}

_LOGIN: Final = {"client_id": "username", "secret_id": "password", "user": "username", "pass": "password"}

_NAMES: Final[dict[str, dict[str, str]]] = {
    "s3": {
        "client_id": "access_key_id",
        "secret_id": "secret_access_key",
        "aws_access_key_id": "access_key_id",
        "aws_secret_access_key": "secret_access_key",
        "aws_session_token": "session_token",
        "key": "access_key_id",
        "secret": "secret_access_key",
        "token": "session_token",
        "access_key": "access_key_id",
        "secret_key": "secret_access_key",
        "access_key_secret": "secret_access_key",
        "security_token": "session_token",
        "endpoint_url": "endpoint",
        "region_name": "region",
        "anon": "skip_signature",
        "anonymous": "skip_signature",
        "unsecure": "allow_http",
    },
    "gs": {
        "service_account": "service_account_path",
        "service_account_file": "service_account_path",
        "google_application_credentials": "application_credentials",
        "endpoint_url": "base_url",
        "endpoint": "base_url",
        "anon": "skip_signature",
        "anonymous": "skip_signature",
        "unsecure": "allow_http",
    },
    "az": {
        "account": "account_name",
        "key": "account_key",
        "secret_id": "account_key",
        "endpoint_url": "endpoint",
        "anon": "skip_signature",
        "anonymous": "skip_signature",
        "unsecure": "allow_http",
    },
    "swift": {
        **_LOGIN,
        "key": "password",
        "auth": "auth_url",
        "authurl": "auth_url",
        "endpoint_url": "auth_url",
        "region_name": "region",
        "tenant": "project_name",
        "tenant_name": "project_name",
        "tenant_id": "project_id",
        "auth_token": "token",
        "unsecure": "allow_http",
    },
    "sftp": {**_LOGIN, "key_file": "key_filename"},
    "ftp": _LOGIN,
    "webdav": {**_LOGIN, "bearer_token": "token"},
    "http": {**_LOGIN, "bearer_token": "token", "unsecure": "allow_http"},
}
"""What others call an option, by family, and what the store calls it."""

_TIMES: Final = ("timeout_seconds", "connect_timeout_seconds")
_OBJECTS: Final = (*_TIMES, "retry_seconds", "max_retries", "allow_http", "skip_signature")
_OTHERS: Final = (*_TIMES, "username", "password", "port")
_S3: Final = (
    *("access_key_id", "secret_access_key", "session_token", "endpoint", "region", "default_region", "profile", "s3_express"),
    *("checksum_algorithm", "conditional_put", "copy_if_not_exists", "disable_tagging", "disable_bulk_delete", "imdsv1_fallback"),
    *("container_credentials_relative_uri", "container_credentials_full_uri", "container_authorization_token_file"),
    *("metadata_endpoint", "request_payer", "role_arn", "role_session_name", "server_side_encryption", "sse_bucket_key_enabled"),
    *("sse_customer_key_base64", "sse_kms_key_id", "sts_endpoint", "unsigned_payload", "virtual_hosted_style_request"),
    "web_identity_token_file",
)
_KNOWN: Final[dict[str, frozenset[str]]] = {
    "s3": frozenset((*_OBJECTS, *_S3)),
    "gs": frozenset((*_OBJECTS, "service_account_path", "service_account_key", "application_credentials", "base_url", "bearer_token")),
    "az": frozenset(
        (
            *_OBJECTS,
            *("account_name", "account_key", "sas_token", "sas_key", "endpoint", "client_id", "client_secret", "tenant_id", "token"),
            *("authority_host", "credential_type", "use_emulator", "use_fabric_endpoint", "encryption_key", "msi_endpoint", "object_id"),
            *("msi_resource_id", "federated_token_file", "use_azure_cli", "disable_tagging"),
        )
    ),
    "swift": frozenset(
        (
            *_S3,  # OVH has both
            *(
                "timeout_seconds",
                "max_retries",
                "allow_http",
                "segment_bytes",
                "temp_url_key",
                "token",
                "cacert",
                "storage_url",
                "auth_url",
            ),
            *("username", "password", "auth_version", "project_name", "project_id", "user_domain_name", "user_domain_id"),
            *("project_domain_name", "project_domain_id", "application_credential_id", "application_credential_secret"),
        )
    ),
    "sftp": frozenset((*_OTHERS, "key_filename", "passphrase", "known_hosts", "host_key_policy", "agent")),
    "ftp": frozenset((*_OTHERS, "ca_file", "tls")),
    "webdav": frozenset((*_OTHERS, "ca_file", "token", "auth")),
    "http": frozenset(
        (*_TIMES, "retry_seconds", "max_retries", "min_bytes_per_second", "allow_http", "username", "password", "token", "headers")
    ),
    "file": frozenset(),
    "memory": frozenset(),
}
"""What the stores of a family take, as far as files are checked for it; of other families nothing is known."""

_SWITCHES: Final = frozenset(
    (
        *("allow_http", "skip_signature", "agent", "virtual_hosted_style_request", "disable_tagging", "disable_bulk_delete", "s3_express"),
        *("imdsv1_fallback", "sse_bucket_key_enabled", "unsigned_payload", "use_emulator", "use_fabric_endpoint", "use_azure_cli"),
    )
)
_NUMBERS: Final = ("_seconds", "_bytes", "_per_second", "_retries")
_HARMLESS: Final = frozenset(
    (
        *("url", "provider", "bucket", "prefix", "endpoint", "endpoint_url", "base_url", "auth_url", "storage_url", "region", "profile"),
        *(
            "access_key_id",
            "account_name",
            "username",
            "client_id",
            "tenant_id",
            "project_id",
            "project_name",
            "auth_version",
            "host",
            "port",
        ),
        *("user_domain_name", "user_domain_id", "project_domain_name", "project_domain_id", "domain_name", "tenant", "tenant_name"),
        *("key_filename", "service_account_path", "application_credentials", "known_hosts", "default_region", "role_arn"),
        *(
            "host_key_policy",
            "agent",
            "tls",
            "ca_file",
            "cacert",
            "user_domain",
            "max_retries",
            "conditional_put",
            "copy_if_not_exists",
            "checksum_algorithm",
            "service_account_file",
        ),
        *("server_side_encryption", "request_payer", "metadata_endpoint", "sts_endpoint", "credential_type", "authority_host", "cloud"),
    )
)
_SECRETS: Final = ("secret", "password", "passphrase", "token", "key", "sas", "credential", "header", "connection_string")


class Options(Mapping[str, object]):
    """Options by name; never changed, and shown without secrets."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = dict(values)

    @override
    def __getitem__(self, name: str) -> object:
        return self._values[name]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    @override
    def __len__(self) -> int:
        return len(self._values)

    @override
    def __repr__(self) -> str:
        return repr(shown(self))

    @override
    def __reduce__(self) -> tuple[object, ...]:
        if holds_secret(self):
            raise InvalidInput("these options hold secrets, which are not pickled: mount the store where it is used")
        return type(self), (dict(self),)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _: object) -> Self:
        return self


def shown(options: Mapping[str, object]) -> dict[str, object]:
    """Return options as people, logs and programs may see them."""
    return {name: value if _is_harmless(name, value) else MASK for name, value in sorted(options.items())}


def holds_secret(options: Mapping[str, object]) -> bool:
    """Say whether any option is one that others must not read."""
    return any(not _is_harmless(name, value) and any(word in name.lower() for word in _SECRETS) for name, value in options.items())


def family_of(scheme: str) -> str:
    """Return what kind of store a scheme opens: schemes of one family take the same options."""
    return _FAMILIES.get(scheme, scheme)


def is_true(value: object) -> bool:
    """Say whether a setting is on, also where it is a word."""
    return value if isinstance(value, bool) else str(value).strip().lower() in _ON


def split_address(text: str) -> SplitResult:
    """Take the address of a server apart.

    Raises:
        InvalidInput: it is none; it is not repeated, since it may hold credentials.
    """
    try:
        parts = urlsplit(text)
        _ = parts.hostname, parts.port
    except ValueError:
        raise InvalidInput("the address of the server is none: write https://host:port/path, or sftp://host and the like") from None
    return parts


def translate(scheme: str, said: Mapping[str, object]) -> dict[str, object]:
    """Return options by the names that the stores of a scheme know.

    Raises:
        InvalidInput: two of them are one and differ, or a value makes no sense.
    """
    family, options = family_of(scheme), dict[str, object]()
    for name, value in _own(family, _flat(said)).items():
        real = _NAMES.get(family, {}).get(name, name)
        if real in options and options[real] != value:
            raise InvalidInput(f"{name!r} is {real!r} by another name, and they differ: give one of them")
        options[real] = _typed(real, value)
    if "allow_http" not in _KNOWN.get(family, {"allow_http"}):
        options.pop("unsecure", None)  # they say it by their scheme
    if family == "gs":
        options.pop("project_id", None)  # a bucket has one of its own
    return options


def unknown(scheme: str, options: Mapping[str, object]) -> list[str]:
    """Return which options no store of this scheme takes, as far as that is known."""
    known = _KNOWN.get(family_of(scheme))
    return [] if known is None else [name for name in options if name not in known]


def _flat(said: Mapping[str, object]) -> dict[str, object]:
    """Return options without the groups that older programs put them into."""
    flat: dict[str, object] = {}
    for name, value in said.items():
        if name in {"options", "storage_parameters", "client_kwargs", "client", "session", "config_kwargs", "os_options"} and isinstance(
            value, Mapping
        ):
            flat |= _flat({str(one): two for one, two in value.items()})
        elif value is not None and value != "" and (name != "unsecure" or is_true(value)):
            flat[name] = value
    return flat


def _own(family: str, said: dict[str, object]) -> dict[str, object]:
    """Return options in which a login means what it means to this family, where that depends on more than its name."""
    if family == "gs":
        if "client_id" in said:
            raise InvalidInput("Google Cloud Storage takes no client_id: secret_id is the path of a key file, or its content")
        if (secret := said.pop("secret_id", None)) is not None:
            is_content = isinstance(secret, str) and secret.lstrip().startswith("{")
            said["service_account_key" if is_content else "service_account_path"] = secret
    elif family == "az" and "client_id" in said:
        if "tenant_id" not in said:
            said["account_name"] = said.pop("client_id")
        elif "secret_id" in said:
            said["client_secret"] = said.pop("secret_id")
    return said


def _typed(name: str, value: object) -> object:
    """Return numbers and switches as such, also where a file or the environment spells them in letters; all else that is plain as text."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return value
    if name in _SWITCHES:
        if str(value).strip().lower() not in {*_ON, *_OFF}:
            raise InvalidInput(f"{name!r} is true or false; found {value!r}")
        return is_true(value)
    if not name.endswith(_NUMBERS) and name != "port":
        return str(value)
    try:
        return value if not isinstance(value, str) else int(value) if value.strip().isdecimal() else float(value)
    except ValueError:
        raise InvalidInput(f"{name!r} is a number; found {value!r}") from None


def _is_harmless(name: str, value: object) -> bool:
    lowered = name.lower()
    if isinstance(value, Mapping | list | tuple | bytes):
        return False
    if isinstance(value, str) and "://" in value and "@" in value:
        return False
    return value is None or isinstance(value, bool) or lowered in _HARMLESS or lowered.endswith(_NUMBERS)
