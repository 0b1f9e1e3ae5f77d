"""From what is said of a mount to the URL that it stands for and the options that open it. Pure: no file, no network.

A mount says where it is by ``url``, or by ``provider`` with ``bucket`` and ``prefix``; or its name is a scheme or a provider. The URL
of a mount carries no credentials and no query, and messages never repeat them.
"""

import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import quote

from kist.errors import InvalidInput
from kist.stores.mounts.options import Options, family_of, is_true, split_address, translate

__all__ = ["Known", "Place", "check_name", "default_of", "filed_as", "place", "providers", "says_where"]

_NAME: Final = re.compile(r"[a-z][a-z0-9+._-]{0,99}")
_RESERVED: Final = frozenset({"file", "kist", "host", "memory", "http", "https"})
_WHERE: Final = ("url", "provider", "bucket", "prefix")
_PLACE: Final = ("url", "bucket", "prefix", "host", "endpoint_url")
_MARKS: Final = "%?#"
_OBJECTS: Final = ("s3", "gs", "az", "swift", "memory")
_SERVERS: Final = ("sftp", "ftp", "webdav", "http")


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """What a provider's name means: a scheme, options that its stores need, and its address, where that follows from others."""

    scheme: str
    options: Mapping[str, object] = field(default_factory=dict)
    endpoint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What URLs may begin with: our own schemes, the names of mounts, and what `others` says yes to, which takes time to ask."""

    schemes: Collection[str]
    mounts: Collection[str] = ()
    others: Callable[[str], bool] = field(default=lambda _: False)

    def __contains__(self, scheme: str) -> bool:
        return scheme in self.mounts or self.is_scheme(scheme)

    def __str__(self) -> str:
        told = f"the schemes {', '.join(sorted(self.schemes))}, what fsspec has a filesystem for"
        return f"{told}, and the mounts {', '.join(sorted(self.mounts))}" if self.mounts else told

    def is_scheme(self, name: str) -> bool:
        """Say whether there are stores of this scheme."""
        return name in self.schemes or self.others(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a mount stands for; no `url` means default options of the scheme that is its `name`."""

    name: str
    scheme: str
    url: str
    provider: str
    options: Options

    def without(self, names: Collection[str]) -> "Place":
        """Return the same with some options less."""
        return replace(self, options=Options({name: value for name, value in self.options.items() if name not in names}))


def _s3(endpoint: str = "", **options: object) -> Provider:
    return Provider(scheme="s3", options=options, endpoint=endpoint)


ASKED: Final = "?"
_PROVIDERS: Final[dict[str, Provider]] = {
    **dict.fromkeys(("s3", "aws"), _s3()),
    **dict.fromkeys(("minio", "ceph"), _s3(ASKED, region="us-east-1")),
    "garage": _s3(ASKED, region="garage"),
    "r2": _s3("https://{account_id}.r2.cloudflarestorage.com", region="auto"),
    **dict.fromkeys(("oss", "alibaba"), _s3("https://{bucket}.oss-{region}.aliyuncs.com", virtual_hosted_style_request=True)),
    **dict.fromkeys(("gs", "gcs", "google"), Provider(scheme="gs")),
    **dict.fromkeys(("az", "azure", "abfs"), Provider(scheme="az")),
    **dict.fromkeys(("swift", "openstack"), Provider(scheme="swift")),
    **dict.fromkeys(("file", "local"), Provider(scheme="file")),
    **dict.fromkeys(("sftp", "ssh"), Provider(scheme="sftp")),
    **{name: Provider(scheme=name) for name in ("ftp", "ftps", "http", "https", "kist", "memory", "ovh", "webdav", "webdavs")},
}
_DEFAULTS: Final = {"s3a": "s3", "aws": "s3", "gcs": "gs", "google": "gs", "azure": "az", "abfs": "az", "abfss": "az", "openstack": "swift"}
"""Names that stand for another scheme where default options are concerned."""


def providers() -> list[str]:
    """Return the names of all providers."""
    return sorted(_PROVIDERS)


def check_name(name: str) -> str:
    """Return the name of a mount in lower case.

    Raises:
        InvalidInput: no URL can begin with it, or such URLs mean something else.
    """
    lowered = name.lower()
    if not _NAME.fullmatch(lowered):
        raise InvalidInput(f"{name!r} can't be the name of a mount: use letters, digits and '+._-', a letter first, as in my_storage")
    if lowered in _RESERVED or lowered.startswith("host+"):
        raise InvalidInput(f"{name!r} can't be the name of a mount: such URLs have a meaning of their own; choose another name")
    return lowered


def default_of(name: str) -> str:
    """Return the scheme whose default options count for a scheme: itself, or the one that it is another word for."""
    return _DEFAULTS.get(name, name)


def filed_as(name: str, said: Mapping[str, object]) -> str:
    """Return the name that a mount goes by in the end: that of a scheme, where it gives default options."""
    return name if any(said.get(key) for key in _WHERE if key != "provider") else default_of(name)


def says_where(said: Mapping[str, object]) -> bool:
    """Say whether parameters name a place, and not only how to open one."""
    return bool(said.get("url") or said.get("provider"))


def place(name: str, *layers: Mapping[str, object], known: Known) -> Place:
    """Return what a mount stands for.

    Args:
        name: of the mount, checked.
        layers: what is said of it, the weakest first.
        known: what URLs may begin with.

    Raises:
        InvalidInput: it says no place, or two, or one that nobody knows, or its options make no sense.
    """
    where = {key: str(layer[key]) for layer in layers for key in _WHERE if layer.get(key)}
    url = _checked(where["url"], name, where.get("provider", ""), known) if "url" in where else ""
    said = where.get("provider", "").lower() or url.partition(":")[0] or _implied(name, known)
    provider = _provider(said, layers, known)
    scheme = url.partition(":")[0] or provider.scheme
    if url and family_of(scheme) != family_of(provider.scheme):
        raise InvalidInput(f"the mount {name!r} is to be of {said!r}, and its URL begins with {scheme}://: leave one of them out")
    if url and ("bucket" in where or "prefix" in where):
        raise InvalidInput(f"the mount {name!r} has a url: bucket and prefix belong into it")
    options: dict[str, object] = {}
    for layer in layers:
        options |= translate(scheme, {key: value for key, value in layer.items() if key not in _WHERE})
    unsecure = next((layer["unsecure"] for layer in reversed(layers) if "unsecure" in layer), options.get("allow_http", False))
    _fill(name, options, provider, where.get("bucket", "") or url.partition("://")[2].partition("/")[0], unsecure=unsecure)
    if _is_default(name, where.keys() | (options.keys() if family_of(scheme) in _SERVERS else set()), known) or (
        said == name == scheme and not url and not where.keys() - {"provider"}
    ):
        if default_of(name) != default_of(provider.scheme):
            raise InvalidInput(f"{name!r} is a scheme, not one of {said!r}: choose another name for this mount")
        return Place(name=default_of(name), scheme=scheme, url="", provider=said, options=Options(options))
    return Place(
        name=name,
        scheme=scheme,
        url=url or _made(name, scheme, where, options, unsecure=unsecure),
        provider=said,
        options=Options(options),
    )


def _implied(name: str, known: Known) -> str:
    """Return the provider that the name itself says: ``s3``, ``aws``, ``aws.second``."""
    for one in (name, name.partition(".")[0]):
        if one in _PROVIDERS or one in _DEFAULTS or known.is_scheme(one):
            return one
    raise InvalidInput(f"the mount {name!r} names no place: give it a url or a provider; {name!r} itself is none of {known}")


def _provider(said: str, layers: tuple[Mapping[str, object], ...], known: Known) -> Provider:
    if said == "ovh" and any(layer.get("endpoint_url") for layer in layers):
        return _s3()  # OVH has both: Swift is reached by an auth_url, S3 by an endpoint
    if said in _PROVIDERS:
        return _PROVIDERS[said]
    if said in known:
        return Provider(scheme=said)
    raise InvalidInput(f"nothing is known about the provider {said!r}; known are {', '.join(providers())}; and {known}")


def _is_default(name: str, said: Collection[str], known: Known) -> bool:
    """Say whether this sets the default options of a scheme.

    Raises:
        InvalidInput: the name is a scheme, and a place is given all the same.
    """
    has_place = any(key in said for key in _PLACE)
    if has_place and name in known.schemes:
        raise InvalidInput(f"{name!r} is a scheme, which takes default options only: choose another name for this place")
    return not has_place and (name in known.schemes or name in _DEFAULTS)


def _fill(name: str, options: dict[str, object], provider: Provider, bucket: str, *, unsecure: object) -> None:
    """Add what the provider needs, and write the address of the service in full."""
    for key, value in provider.options.items():
        options.setdefault(key, value)
    given = {"bucket": bucket, "region": options.get("region"), "account_id": options.pop("account_id", None)}
    if "endpoint" not in options and provider.endpoint:
        missing = [key for key, value in given.items() if f"{{{key}}}" in provider.endpoint and not value]
        if provider.endpoint == ASKED or missing:
            raise InvalidInput(f"the mount {name!r} lacks {', '.join(missing) or 'endpoint_url'}: where is its service?")
        options["endpoint"] = provider.endpoint.format_map(given)
    for key in ("endpoint", "base_url", "auth_url", "endpoint_url"):
        if key in options:
            options[key] = _address(str(options[key]), key, unsecure=is_true(unsecure))


def _address(text: str, key: str, *, unsecure: bool) -> str:
    """Return the address of a service with its scheme, which older programs left out."""
    whole = text if "://" in text else f"{'http' if unsecure else 'https'}://{text}"
    if "@" in split_address(whole).netloc or not whole.isprintable():
        raise InvalidInput(f"credentials don't belong into the {key} of a mount: give them as options")
    return whole


def _made(name: str, scheme: str, where: Mapping[str, str], options: dict[str, object], *, unsecure: object) -> str:
    """Return a URL from bucket and prefix."""
    bucket, prefix = where.get("bucket", ""), where.get("prefix", "").strip("/")
    family = family_of(scheme)
    if family in _OBJECTS and "/" in bucket.strip("/"):
        raise InvalidInput(f"the bucket {bucket!r} of the mount {name!r} has a '/': what follows it is the prefix")
    if family in _SERVERS:
        scheme, server = _server(name, scheme, options, unsecure=unsecure)
        return "/".join([f"{scheme}://{server}", *(_encoded(one.strip("/")) for one in (bucket, prefix) if one.strip("/"))])
    if scheme == "file":
        return _folder(os.path.join(bucket, prefix) if bucket else prefix and f"/{prefix}", name)
    if scheme == "kist" and not bucket:
        raise InvalidInput(f"the mount {name!r} lacks the repository: url='kist://org/repo'")
    bucket = bucket or (name if scheme == "memory" else "")
    return f"{scheme}://{_encoded(bucket.strip('/'))}" + (f"/{_encoded(prefix)}" if prefix else "")


def _server(name: str, scheme: str, options: dict[str, object], *, unsecure: object) -> tuple[str, str]:
    """Return scheme and host of a server, with port and folder, which the options name."""
    endpoint, host, port = (str(options.pop(key, "")) for key in ("endpoint_url", "host", "port"))
    parts = split_address(endpoint if "://" in endpoint else f"//{endpoint or host}")
    if not parts.hostname:
        raise InvalidInput(f"the mount {name!r} lacks a host or an endpoint_url: where is its server?")
    family = family_of(scheme)
    if family in {"webdav", "http"} and (parts.scheme or scheme == family):
        secure = parts.scheme in {"https", "webdavs"} if parts.scheme else not is_true(unsecure)
        scheme = f"{family}s" if secure else family
    server = parts.netloc if parts.port or not port else f"{parts.netloc}:{port}"
    return scheme, server + parts.path.rstrip("/")


def _checked(url: str, name: str, provider: str, known: Known) -> str:
    """Return the URL of a mount as it is kept: its scheme in lower case, no slash at its end."""
    if "://" not in url:
        return _folder(url, name)
    scheme, _, rest = url.partition("://")
    scheme = scheme.lower()
    if provider.lower() in {"webdav", "webdavs"} and scheme in {"http", "https"}:
        scheme = scheme.replace("http", "webdav")
    if ":" in rest.partition("/")[0].rpartition("@")[0]:
        raise InvalidInput(f"credentials don't belong into the URL of the mount {name!r}: give them as options")
    if "?" in rest or "#" in rest or not rest.isprintable():
        raise InvalidInput(f"the URL of the mount {name!r} has no '?' nor '#': write them as %3F and %23, and options as options")
    if scheme == name:
        raise InvalidInput(f"the mount {name!r} leads to itself: {scheme}://… is what it is to explain")
    if scheme not in known:
        raise InvalidInput(f"nothing is known about {scheme!r} URLs, as the mount {name!r} has; known are {known}")
    if scheme == "file":
        return _folder(rest.removeprefix("localhost"), name, encoded=True)
    return f"{scheme}://{rest.rstrip('/')}"


def _folder(path: str, name: str, *, encoded: bool = False) -> str:
    """Return the URL of a folder of this machine."""
    whole = path if encoded else os.path.expanduser(path)
    if not whole.startswith("/"):
        raise InvalidInput(f"the mount {name!r} needs a folder from the root on, as /data or ~/data, or a URL; found {path!r}")
    return f"file:///{(whole if encoded else _encoded(whole)).strip('/')}"


def _encoded(path: str) -> str:
    return "".join(quote(sign, safe="") if sign in _MARKS or not sign.isprintable() else sign for sign in path)
