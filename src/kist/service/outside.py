"""Places outside of repositories that a server may be asked to open: what may be said of them, and which of them it opens.

Only what is known to be harmless is taken: an option that names a file of the server, a program, or another address is not. Where an answer
of the place says where to go on (OpenStack's list of services), or nothing proves who answers (plain http, FTP), its host must be listed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote, urlsplit

from kist.errors import Denied, InvalidInput
from kist.service.hosts import addresses_of, check_host, check_url, is_listed
from kist.service.naming import parse
from kist.service.places import check_rules
from kist.service.rooms import Rules
from kist.stores.mounts.options import family_of, shown, translate
from kist.stores.mounts.providers import Known, check_name, place

__all__ = ["Outside", "check", "settle"]

_TIMES: Final = frozenset({"timeout_seconds", "connect_timeout_seconds"})
_OBJECTS: Final = _TIMES | {"retry_seconds", "max_retries", "allow_http", "skip_signature"}
_S3: Final = _OBJECTS | {"region", "endpoint", "access_key_id", "secret_access_key", "session_token", "virtual_hosted_style_request"}
_KEYSTONE: Final = frozenset(f"{kind}_{which}" for kind in ("project", "user_domain", "project_domain") for which in ("name", "id")) | {
    "auth_url",
    "auth_version",
    "username",
    "password",
    "application_credential_id",
    "application_credential_secret",
    "region",
    "token",
}
_TAKES: Final[dict[str, frozenset[str]]] = {
    "s3": _S3,
    "gs": _OBJECTS | {"base_url", "service_account_key"},
    "az": _OBJECTS | {"endpoint", "account_name", "account_key", "sas_token"},
    "swift": _OBJECTS | _KEYSTONE | {"storage_url"},
    "sftp": _TIMES | {"username", "password", "port"},
    "ftp": _TIMES | {"username", "password", "port", "tls"},
    "webdav": _TIMES | {"username", "password", "port", "token", "auth"},
    "http": _OBJECTS - {"skip_signature"} | {"username", "password", "token"},
    "file": frozenset(),
    "memory": frozenset(),
}
_SCHEMES: Final = frozenset(
    (
        *("s3", "s3a", "gs", "az", "azure", "abfs", "abfss", "swift", "ovh", "sftp", "ftp", "ftps", "webdav", "webdavs"),
        *("http", "https", "file", "memory"),
    )
)
_PORTS: Final = {"sftp": 22, "ftp": 21, "ftps": 990, "webdav": 80, "webdavs": 443, "http": 80, "https": 443}
_PROVEN: Final = frozenset({"sftp", "ftps", "webdavs", "https"})
_WHO: Final[dict[str, frozenset[str]]] = {
    "s3": frozenset({"access_key_id", "skip_signature"}),
    "gs": frozenset({"service_account_key", "skip_signature"}),
    "az": frozenset({"account_key", "sas_token", "skip_signature"}),
    "sftp": frozenset({"password"}),
}
"""What says who asks; without any of these, the machine's own credentials would."""

_ADDRESSES: Final = ("endpoint", "base_url", "auth_url", "storage_url")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """A place: its URL, and what its store is opened with."""

    url: str
    options: dict[str, object]
    secrets: dict[str, str] = field(repr=False)

    @property
    def scheme(self) -> str:
        """How its URL begins."""
        return self.url.partition(":")[0]

    def opened(self, rules: Rules) -> dict[str, object]:
        """Return what its store is opened with, secrets too, and nothing of this machine that the rules do not lend."""
        options: dict[str, object] = {**self.options, **self.secrets}
        family = family_of(self.scheme)
        if family in {"s3", "gs", "az", "swift"}:  # else an answer over https could lead to a plain server inside
            options["allow_http"] = any(str(options.get(address, "")).startswith("http://") for address in _ADDRESSES)
        if family == "sftp" and not rules.ambient:
            options["agent"] = False
        return options


def settle(name: str, url: str, options: Mapping[str, object], secrets: Mapping[str, str]) -> Outside:
    """Return the place that was meant, by the names of options that its store knows.

    Raises:
        InvalidInput: it makes no sense, or an option is a secret or not known to be harmless; no secret is repeated.
    """
    if "://" not in url:
        raise InvalidInput("a mount needs a URL: s3://bucket/prefix, sftp://host/folder, https://host/folder, …")
    scheme = url.partition("://")[0].lower()
    if scheme not in _SCHEMES:
        raise InvalidInput(f"mounts of organisations are of {', '.join(sorted(_SCHEMES))}; {scheme[:20]!r} is none of them")
    if "@" in url.partition("://")[2].partition("/")[0] and scheme not in {"abfs", "abfss"}:
        raise InvalidInput("no user and no password in the URL of a mount: give username as an option, and password among secrets")
    if both := sorted(options.keys() & secrets.keys()):
        raise InvalidInput(f"{', '.join(both)} is given twice, among options and among secrets: give it once")
    found = place(check_name(name), {"url": url, **options, **secrets}, known=Known(schemes=_SCHEMES))
    hidden = translate(scheme, secrets)
    open_ = {key: value for key, value in found.options.items() if key not in hidden}
    family = family_of(scheme)
    if strange := sorted(found.options.keys() - _TAKES[family]):
        raise InvalidInput(
            f"a mount of an organisation takes no option {', '.join(strange)}; {family} takes {', '.join(sorted(_TAKES[family]))}"
        )
    if told := sorted(key for key, value in shown(open_).items() if value != open_[key]):
        raise InvalidInput(
            f"{', '.join(told)} does not belong into the options, which everybody in the organisation sees: give it as secrets"
        )
    return Outside(url=found.url, options=open_, secrets={key: str(value) for key, value in hidden.items()})


def check(rules: Rules, outside: Outside, *, use: bool) -> None:
    """Refuse a place that this installation does not open; `use` says that it is to be opened now: then names of hosts are looked up.

    Raises:
        Denied: it is not allowed.
        StoreError: nobody knows the name of a host.
    """
    scheme, family = outside.scheme, family_of(outside.scheme)
    said = {**outside.options, **outside.secrets}
    if family == "file":
        folder = parse(uri=outside.url)
        check_rules(rules, "local", folder.name, {}, look_up=False)
    elif family == "memory":
        check_rules(rules, "memory", "", {}, look_up=False)
    elif scheme in _PORTS:
        _check_server(rules, scheme, outside.url, said, use=use)
    for address in _ADDRESSES:
        if address in said:
            check_url(str(said[address]), rules.endpoints, look_up=addresses_of if use else None)
            _check_listed(rules, str(said[address]), family)
    if use and family in _WHO and not _WHO[family] & said.keys():
        _check_ambient(rules, said)


def _check_server(rules: Rules, scheme: str, url: str, said: Mapping[str, object], *, use: bool) -> None:
    parts = urlsplit(url)
    host, port = unquote(parts.hostname or ""), parts.port or int(str(said.get("port") or _PORTS[scheme]))
    if scheme not in _PROVEN and not is_listed(host, port, rules.endpoints):
        raise Denied(f"{scheme}:// proves nobody's name, so {host} must be among the `endpoints` in the server's settings; or use TLS")
    check_host(host, port, rules.endpoints, look_up=addresses_of if use else None)


def _check_listed(rules: Rules, address: str, family: str) -> None:
    parts = urlsplit(address)
    if family == "swift" and not is_listed(parts.hostname or "", parts.port or 443, rules.endpoints):
        raise Denied(
            f"OpenStack's {parts.hostname} says itself where its store is, so it must be among the `endpoints` in the server's settings"
        )


def _check_ambient(rules: Rules, said: Mapping[str, object]) -> None:
    hosts = [urlsplit(str(said[address])) for address in _ADDRESSES if address in said]
    if not rules.ambient or not all(is_listed(host.hostname or "", host.port or 443, rules.endpoints) for host in hosts):
        raise Denied("this mount has no credentials, and this server does not lend those of its machine: set it again, with secrets={…}")
