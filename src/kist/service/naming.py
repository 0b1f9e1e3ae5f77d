"""From what somebody says of a bucket to its one place: platform, name, prefix, settings, and a text that is equal for equal places. Pure.

- The text is ``realm/name/prefix/``; so one place lies in another if its text begins with the other's. The realm is whose names they are:
  all of Amazon's endpoints are one, and so are an endpoint's spellings.
- Of folders of this machine the path is the real one, without links.
- Nothing is sent, and no message repeats what may be a credential.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast, get_args
from urllib.parse import SplitResult, unquote, urlsplit

from kist.errors import InvalidInput
from kist.models import Platform
from kist.service.hosts import canonical
from kist.stores.keys import check_key

__all__ = ["S3_FAMILY", "Extra", "Place", "changed", "parse"]

type Extra = Mapping[str, str | bool]

S3_FAMILY: Final = frozenset({"s3", "s3-compatible", "minio", "garage"})
"""The platforms that speak S3."""

PREFIX_BYTES: Final = 256
NAME_CHARACTERS: Final = 255
_ENDPOINT_CHARACTERS: Final = 200
_VALUE_CHARACTERS: Final = 1224

_SCHEMES: Final[dict[str, Platform]] = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gs",
    "gcs": "gs",
    "az": "azure",
    "azure": "azure",
    "abfs": "azure",
    "abfss": "azure",
    "file": "local",
    "memory": "memory",
}
_S3_KEYS: Final = frozenset({"region_name", "endpoint_url", "use_ssl", "force_path_style", "role_arn", "external_id", "sts_endpoint_url"})
_KNOWN_KEYS: Final[dict[str, frozenset[str]]] = {
    **dict.fromkeys(S3_FAMILY, _S3_KEYS),
    "gs": frozenset({"endpoint_url"}),
    "azure": frozenset({"endpoint_url", "account_name"}),
    "local": frozenset(),
    "memory": frozenset(),
}
_SWITCHES: Final = frozenset({"use_ssl", "force_path_style"})
_WORDS: Final = {"true": True, "false": False}
_SECRET: Final = re.compile(r"secret|token|password|credential|sas(_|$)|key(_id)?$", re.IGNORECASE)
_VALUES: Final = {
    "region_name": (re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"), "a region such as us-east-1"),
    "account_name": (re.compile(r"[a-z0-9]{3,24}"), "3 to 24 lower-case letters and digits"),
    "role_arn": (re.compile(r"arn:[a-z-]+:iam:[a-z0-9-]*:[A-Za-z0-9_.-]*:role/[\w+=,.@/-]{1,128}"), "arn:aws:iam::123456789012:role/name"),
    "external_id": (re.compile(r"[\w+=,.@:/-]{2,1224}", re.ASCII), "2 to 1224 letters, digits and '+=,.@:/-_'"),
}
_LOOSE: Final = (re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]"), "3 to 63 letters, digits, '.', '_' and '-'")
_NAMES: Final = {
    "s3": (
        re.compile(r"(?!xn--|sthree-)(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?<!-s3alias)"),
        "3 to 63 lower-case letters, digits, '.' and '-'",
    ),
    "gs": (re.compile(r"(?!.*\.\.)[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]"), "3 to 63 lower-case letters, digits, '.', '_' and '-'"),
    "azure": (re.compile(r"(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]"), "3 to 63 lower-case letters, digits and single '-'"),
    "memory": (re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"), "1 to 63 letters, digits, '.', '_' and '-'"),
}
_ADDRESS: Final = re.compile(r"[0-9]+(\.[0-9]+){3}")
_AMAZON: Final = re.compile(r"(?:.+\.)?amazonaws\.com(?P<china>\.cn)?")
_GOOGLE: Final = re.compile(r"(?:.+\.)?storage\.googleapis\.com")
_AZURE: Final = re.compile(r"(?P<account>[a-z0-9]{3,24})\.(?:blob|dfs)\.core\.windows\.net")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a bucket config is. `place` is its one text; of a folder of this machine, `name` is all of the path."""

    platform: Platform
    name: str
    prefix: str
    extra_config: dict[str, str | bool]
    realm: str

    @property
    def place(self) -> str:
        """The one text of this place, ending in ``/``."""
        below = [self.name.strip("/"), self.prefix]
        return "/".join([self.realm, *filter(None, below), ""])


def parse(
    *,
    uri: str | None = None,
    platform: str | None = None,
    name: str | None = None,
    prefix: str | None = None,
    extra_config: Mapping[str, object] | None = None,
) -> Place:
    """Return the place that a `uri`, or a platform, name and prefix say, with settings.

    Raises:
        InvalidInput: they make no sense; the message never repeats a credential.
    """
    if platform is not None and platform not in get_args(Platform):
        raise InvalidInput(f"nothing is known about the platform {platform!r}: it is one of {', '.join(get_args(Platform))}")
    given = dict(extra_config or {})
    if uri is not None:
        if name is not None or prefix is not None:
            raise InvalidInput("give a uri, or platform, name and prefix, not both")
        kind, name, prefix = _split(uri, given)
        platform = _agreed(kind, platform or None)
    elif not platform or not name:
        raise InvalidInput("where is the bucket? give a uri such as s3://my-bucket/my-prefix, or platform and name")
    else:
        prefix = _as_said(prefix or "")
    if platform in {"s3", "s3-compatible"}:
        platform = "s3-compatible" if given.get("endpoint_url") else "s3" if platform == "s3" else platform
    found = _extra(platform, given)
    if platform == "local":
        name, prefix = _folder(name, prefix), ""
    else:
        _check_name(platform, name)
        _check_prefix(prefix)
    return Place(platform=cast("Platform", platform), name=name, prefix=prefix, extra_config=found, realm=_realm(platform, name, found))


def changed(platform: str, name: str, prefix: str, extra_config: Extra, *, said: Mapping[str, object | None]) -> Place:
    """Return the place that what is `said` (as `parse` takes it) makes of an old one: what is not said stays, if it fits the platform.

    Raises:
        InvalidInput: it makes no sense.
    """
    given = {key: value for key, value in said.items() if value is not None}
    uri = str(given["uri"]) if "uri" in given else None
    kind = _scheme_of(uri) if uri is not None else platform
    target = str(given.get("platform") or (platform if kind == "s3" and platform in S3_FAMILY else kind))
    alike = target == platform or {target, platform} <= S3_FAMILY
    extra = dict(cast("Mapping[str, object]", given["extra_config"])) if "extra_config" in given else dict(extra_config) if alike else {}
    if "platform" not in given and target == "s3-compatible" and not extra.get("endpoint_url"):
        target = "s3"
    if uri is not None and "@" in uri and "extra_config" not in given:
        extra.pop("account_name", None)  # the URI names another
    where: dict[str, str | None] = {"uri": uri} if uri is not None else {"name": name, "prefix": prefix}
    where |= {key: str(given[key]) for key in ("name", "prefix") if key in given}
    return parse(**where, platform=target, extra_config=extra)


def _scheme_of(uri: str) -> str:
    """Return the platform that a URI's scheme names; an unknown one is refused later."""
    scheme, separator, _ = uri.strip().partition("://")
    return _SCHEMES.get(scheme.lower(), "") if separator else "local"


def _split(uri: str, given: dict[str, object]) -> tuple[Platform, str, str]:
    """Take a URI apart; an Azure account that it names goes into the settings."""
    scheme, separator, rest = uri.strip().partition("://")
    scheme = scheme.lower() if separator else "file"
    if scheme not in _SCHEMES:
        shown = repr(scheme) if re.fullmatch(r"[a-z0-9+.-]{1,20}", scheme) else "such"
        raise InvalidInput(f"nothing is known about {shown} URIs: write s3://, gs://, az://, file:// or memory://, then bucket and prefix")
    if scheme == "file":
        return "local", unquote(rest.removeprefix("localhost")) if separator else str(Path(uri.strip()).expanduser()), ""
    bucket, _, path = rest.partition("/")
    if "?" in rest or "#" in rest:
        raise InvalidInput(f"a {scheme}:// URI has no '?' nor '#': write them as %3F and %23; settings belong into extra_config")
    if scheme in {"abfs", "abfss"} and "@" in bucket:
        bucket, _, host = bucket.partition("@")
        if not (match := _AZURE.fullmatch(host.lower().rstrip("."))) or given.get("account_name") not in {None, match["account"]}:
            raise InvalidInput("behind the '@' stands the storage account: abfss://container@account.dfs.core.windows.net/prefix")
        given["account_name"] = match["account"]
    if "@" in bucket or ":" in bucket:
        raise InvalidInput(f"no credentials and no port in a {scheme}:// URI: give credentials=… and extra_config={{'endpoint_url': …}}")
    if not bucket:
        raise InvalidInput(f"the URI names no bucket: write {scheme}://bucket/prefix")
    return _SCHEMES[scheme], bucket, _decoded(path).strip("/")


def _decoded(path: str) -> str:
    decoded = unquote(path, errors="surrogateescape")
    if not decoded.isprintable() and any("\ud800" <= sign <= "\udfff" for sign in decoded):
        raise InvalidInput("the prefix of the URI is not UTF-8: percent-encode its bytes as UTF-8")
    return decoded


def _as_said(prefix: str) -> str:
    """Return a prefix that was given by itself."""
    if prefix.startswith("/") or prefix.endswith("/"):
        raise InvalidInput("Bucket prefix must not start or end with a slash.")
    return prefix


def _agreed(kind: Platform, platform: str | None) -> str:
    """Return the platform that a URI and a caller mean together."""
    if platform is None or platform == kind:
        return kind
    if kind == "s3" and platform in S3_FAMILY:
        return platform
    raise InvalidInput(f"the URI is of platform {kind!r}, not {platform!r}: leave the platform out")


def _extra(platform: str, given: Mapping[str, object]) -> dict[str, str | bool]:
    """Return settings, checked.

    Raises:
        InvalidInput: one is unknown, makes no sense, is missing, or is a secret.
    """
    known, found = _KNOWN_KEYS[platform], dict[str, str | bool]()
    for key, value in given.items():
        if key not in known:
            _refuse_key(platform, str(key), known)
        if value is None or value == "":
            continue
        found[key] = _switch(key, value) if key in _SWITCHES else _value(key, value)
    for key in ("endpoint_url", "sts_endpoint_url"):
        if key in found:
            found[key] = _endpoint(key, str(found[key]), secure=found.get("use_ssl"))
    if platform in S3_FAMILY - {"s3"} and "endpoint_url" not in found:
        raise InvalidInput(f"{platform} buckets require an endpoint_url: extra_config={{'endpoint_url': 'https://…'}}")
    if platform == "s3" and "region_name" not in found:
        raise InvalidInput("S3 buckets require a region_name: extra_config={'region_name': 'us-east-1'}")
    if platform == "azure" and "account_name" not in found:
        found |= _account(str(found.get("endpoint_url", "")))
    if platform == "azure" and "account_name" not in found:
        raise InvalidInput("Azure containers require an account_name: extra_config={'account_name': '…'}, or abfss://container@account…")
    return found


def _refuse_key(platform: str, key: str, known: frozenset[str]) -> None:
    if _SECRET.search(key):
        raise InvalidInput(
            f"{key[:64]!r} does not belong into extra_config, which everybody in the organisation sees: give it as credentials"
        )
    said = f"it takes {', '.join(sorted(known))}" if known else "it takes none"
    raise InvalidInput(f"nothing is known about {key[:64]!r} in the extra_config of a bucket of platform {platform!r}: {said}")


def _switch(key: str, value: object) -> bool:
    found = _WORDS.get(value.strip().lower()) if isinstance(value, str) else value
    if not isinstance(found, bool):
        raise InvalidInput(f"{key} is true or false")
    return found


def _value(key: str, value: object) -> str:
    if not isinstance(value, str) or len(value) > _VALUE_CHARACTERS or not value.isprintable():
        raise InvalidInput(f"{key} is a text of at most {_VALUE_CHARACTERS} printable characters")
    pattern, means = _VALUES.get(key, (None, ""))
    if pattern and not pattern.fullmatch(value.strip()):
        raise InvalidInput(f"{key} {value[:64]!r} is none: write {means}")
    return value.strip()


def _endpoint(key: str, text: str, *, secure: object) -> str:
    """Return the address of a service in one spelling, with its scheme."""
    whole = text if "://" in text else f"{'http' if secure is False else 'https'}://{text}"
    parts = _address(whole)
    if parts is None or parts.scheme not in {"http", "https"} or len(whole) > _ENDPOINT_CHARACTERS:
        raise InvalidInput(f"{key} is the address of a service: write https://host:port, without credentials, '?' and '#'")
    if key == "endpoint_url" and secure is not None and secure != (parts.scheme == "https"):
        raise InvalidInput(f"use_ssl says {secure}, and the endpoint_url begins with {parts.scheme}://: leave one of them out")
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def _account(endpoint: str) -> dict[str, str | bool]:
    """Return the Azure account that an endpoint names: as its host, or, where there is an emulator, at the end of its path."""
    parts = urlsplit(endpoint)
    match = _AZURE.fullmatch(parts.hostname or "")
    name = match["account"] if match else parts.path.rpartition("/")[2]
    return {"account_name": name} if _VALUES["account_name"][0].fullmatch(name) else {}


def _address(text: str) -> SplitResult | None:
    """Take an address apart; None if it is none, or has a user, a query or odd characters."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return None
    odd = "@" in parts.netloc or "?" in text or "#" in text or "\\" in text or not text.isascii() or not text.isprintable() or " " in text
    path = parts.path.rstrip("/")
    hollow = path and any(unquote(segment) in {"", ".", ".."} for segment in path[1:].split("/"))
    return None if odd or hollow or not parts.hostname or canonical(parts.hostname) is None else parts


def _folder(name: str, prefix: str) -> str:
    """Return the real path of a folder of this machine, there or not."""
    path = f"{name}/{prefix}" if prefix else name
    if not path.startswith("/"):
        raise InvalidInput("the folder of a local bucket begins with '/': write file:///data/lab, or /data/lab")
    if "\0" in path or not path.isprintable():
        raise InvalidInput("the path of the folder has characters that can't be printed")
    real = os.path.realpath(path)
    if len(real) > NAME_CHARACTERS:
        raise InvalidInput(f"the path of the folder is longer than {NAME_CHARACTERS} characters")
    return real


def _check_name(platform: str, name: str) -> None:
    pattern, means = _NAMES.get(platform, _LOOSE)
    if not pattern.fullmatch(name) or _ADDRESS.fullmatch(name):
        raise InvalidInput(
            f"the name of a bucket of platform {platform!r} has {means}, a letter or digit first and last, and is no IP address"
        )


def _check_prefix(prefix: str) -> None:
    if not prefix:
        return
    if "://" in prefix:
        raise InvalidInput("the prefix of a bucket has no '://' in it")
    if len(prefix.encode(errors="replace")) > PREFIX_BYTES:
        raise InvalidInput(f"the prefix of a bucket is at most {PREFIX_BYTES} bytes long")
    check_key(prefix)


def _realm(platform: str, name: str, extra: Extra) -> str:
    """Return whose names the buckets are."""
    if platform in {"local", "memory"}:
        return f"{platform}:"
    endpoint = _address(str(extra["endpoint_url"])) if "endpoint_url" in extra else None
    host = (canonical(endpoint.hostname or "") or "") if endpoint else ""
    if platform in S3_FAMILY:
        if endpoint is None or _AMAZON.fullmatch(host):
            return f"{_partition(host, str(extra.get('region_name', '')))}:"
        if extra.get("force_path_style") is False:
            host = host.removeprefix(f"{name}.")
    if (platform == "gs" and endpoint is None) or _GOOGLE.fullmatch(host):
        return "gs:"
    if platform == "azure":
        match = _AZURE.fullmatch(host)
        if endpoint is None or match:
            return f"azure:{match['account'] if match else extra['account_name']}"
    if endpoint is None:
        raise AssertionError(platform)
    return f"at:{_with_port(host, endpoint)}{endpoint.path.rstrip('/').replace('/', '|')}"


def _with_port(host: str, endpoint: SplitResult) -> str:
    """Return a host with its port, if that is no usual one: http and https of one host are one server."""
    return host if endpoint.port in {None, 80, 443} else f"{host}:{endpoint.port}"


def _partition(host: str, region: str) -> str:
    """Return which of Amazon's worlds a bucket is in; each has names of its own."""
    if region.startswith("cn-") or host.endswith(".cn"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") or "us-gov-" in host else "aws"
