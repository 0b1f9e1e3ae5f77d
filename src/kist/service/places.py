"""The places of bucket configs, opened: with their credentials, and only where the rules of the installation allow it.

What is not allowed is refused before anything is sent: folders outside of `Rules.local_roots`, hosts that are not public, the machine's own
credentials. Opened stores are kept for a while. What the
machine's own configuration says of mounts counts only for whoever may use its credentials.
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from kist.catalog.buckets import BucketRow
from kist.errors import Denied, InvalidInput, Unauthenticated, Unsupported
from kist.service.credentials import unsealed
from kist.service.hosts import addresses_of, check_url, is_listed
from kist.service.naming import S3_FAMILY, Extra
from kist.service.rooms import Rooms, Rules
from kist.stores.keys import check_key
from kist.stores.protocols import Store
from kist.stores.urls import encode, open_store

if TYPE_CHECKING:
    from kist.service.roles import Role

__all__ = [
    "Reached",
    "check_rules",
    "credentials_of",
    "credentials_place",
    "lend",
    "open_place",
    "open_without_keeping",
    "reach",
    "role_of",
]

_KEPT: Final = 64
_SCHEMES: Final = {"gs": "gs", "azure": "az", "local": "file", "memory": "memory"}
_REGIONS: Final = {"garage": "garage"}
_SPEAKING: Final = ("AWS_", "AZURE_", "GOOGLE_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """How to reach a place: what `kist.stores.urls.open_store` takes. The options hold credentials; they end at `expires`, if they do."""

    url: str
    options: dict[str, str] = field(repr=False)
    expires: datetime | None = None


def check_rules(rules: Rules, platform: str, name: str, extra_config: Extra, *, look_up: bool) -> None:
    """Refuse a place that this installation does not allow; names of hosts are looked up only if asked for.

    Raises:
        Denied: it is not allowed; the message says who can change that.
        StoreError: nobody knows the name of a host.
    """
    if platform == "memory" and not rules.memory:
        raise Denied("buckets in memory end with their process, and this server allows none: choose another platform")
    if platform == "local":
        _check_folder(rules, name)
    for key in ("endpoint_url", "sts_endpoint_url"):
        if key in extra_config:
            check_url(str(extra_config[key]), rules.endpoints, look_up=addresses_of if look_up else None)


def credentials_place(bucket_id: str) -> str:
    """Return what the credentials of a bucket config are sealed for."""
    return f"bucket_configs/{bucket_id}/credentials"


def credentials_of(rooms: Rooms, bucket: BucketRow) -> dict[str, str]:
    """Return the credentials of a bucket config; nothing, if it has none.

    Raises:
        IntegrityError: they do not open.
    """
    if bucket.credentials is None:
        return {}
    return unsealed(rooms.keyring.open(bucket.credentials, place=credentials_place(bucket.id)))


def reach(rooms: Rooms, bucket: BucketRow, prefix: str = "") -> Reached:
    """Return how to reach what lies below a prefix of a bucket config. Only a role is asked for over the network.

    Raises:
        Denied: the rules do not allow it.
        Unauthenticated: the credentials are missing.
        InvalidInput: the prefix is none.
        StoreError: a host is not known, or nobody gives keys for a role.
    """
    options = _options(rooms, bucket)
    expires = None
    if bucket.auth_method == "role":
        keys = role_of(rooms, bucket).keys_for()
        options |= {"access_key_id": keys.access_key_id, "secret_access_key": keys.secret_access_key, "session_token": keys.session_token}
        expires = keys.expires
    return Reached(url=_url(bucket, prefix), options=options, expires=expires)


def role_of(rooms: Rooms, bucket: BucketRow) -> "Role":
    """Return the role that a bucket config names, or, where it names an STS beside its keys, what narrows these.

    Raises:
        Unsupported: it names neither.
        Denied: the rules do not allow it.
    """
    extra, keys = bucket.extra_config, credentials_of(rooms, bucket) or None
    if bucket.platform not in S3_FAMILY or not (bucket.auth_method == "role" or (keys and "sts_endpoint_url" in extra)):
        raise Unsupported(f"the bucket config {bucket.nickname!r} has no role and no sts_endpoint_url, so its keys can't be narrowed")
    check_rules(rooms.rules, bucket.platform, bucket.name, extra, look_up=True)
    endpoint = str(extra.get("sts_endpoint_url") or extra.get("endpoint_url") or "")
    if keys is None:
        _check_ambient(rooms.rules, bucket.nickname, endpoint)
    from kist.service.roles import Role  # noqa: PLC0415  it needs boto3, which takes a fifth of a second

    return Role(
        arn=str(extra.get("role_arn", "")),
        external_id=str(extra.get("external_id", "")),
        endpoint=endpoint,
        region=str(extra.get("region_name") or _REGIONS.get(bucket.platform, "us-east-1")),
        keys=keys,
    )


def lend(rooms: Rooms, bucket: BucketRow, prefix: str, *, policy: str, seconds: int) -> Reached:
    """Return how others may reach what lies below a prefix of a bucket config: by keys that a policy narrows, and that end.

    Raises:
        Unsupported: the bucket config names neither a role nor an STS.
        Denied: the rules do not allow it, or nobody may take the role on.
        StoreError: nobody gives keys.
    """
    keys = role_of(rooms, bucket).keys_for(policy=policy, seconds=seconds)
    own = credentials_of(rooms, bucket)
    options = {name: value for name, value in _options(rooms, bucket).items() if name not in own}
    options |= {"access_key_id": keys.access_key_id, "secret_access_key": keys.secret_access_key, "session_token": keys.session_token}
    return Reached(url=_url(bucket, prefix), options=options, expires=keys.expires)


def open_place(rooms: Rooms, bucket: BucketRow, prefix: str = "") -> Store:
    """Open the store below a prefix of a bucket config, or the one that was opened before. A folder of this machine is made if need be.

    Raises:
        Denied: the rules do not allow it.
        Unauthenticated: the credentials are missing.
        InvalidInput: the prefix is none, or the store does not take the settings.
        StoreError: the name of a host is not known.
    """
    ambient = bucket.auth_method in {"ambient", "role"}
    environment = tuple(sorted(one for one in os.environ.items() if one[0].startswith(_SPEAKING))) if ambient else ()
    extra = tuple(sorted(bucket.extra_config.items()))
    which = (rooms.rules, bucket.id, bucket.updated, bucket.place, extra, bucket.auth_method, bucket.credentials, prefix, environment)
    with _lock:
        if which in _stores:
            _stores.move_to_end(which)
            return _stores[which]
    store = open_without_keeping(rooms, bucket, prefix)
    with _lock:
        store = _stores.setdefault(which, store)
        while len(_stores) > _KEPT:
            _stores.popitem(last=False)
    return store


def open_without_keeping(rooms: Rooms, bucket: BucketRow, prefix: str = "", *, limits: Mapping[str, object] | None = None) -> Store:
    """Open a store as `open_place` does, for once; `limits` are options that say how long it waits.

    Raises:
        Denied: the rules do not allow it.
        Unauthenticated: the credentials are missing.
        InvalidInput: the prefix is none, or the store does not take the settings.
        StoreError: the name of a host is not known.
    """
    options: dict[str, object] = {**_options(rooms, bucket)}
    if bucket.auth_method == "role":
        options["profile"] = role_of(rooms, bucket).profile()
    if limits and bucket.platform not in {"local", "memory"}:
        options |= limits
    return open_store(_url(bucket, prefix), create=True, **options)


type _Which = tuple[object, ...]

_stores: OrderedDict[_Which, Store] = OrderedDict()
_lock = threading.Lock()


def _check_folder(rules: Rules, path: str) -> None:
    """Refuse a folder outside of those that the admin allows, and one that has become a link to elsewhere.

    Raises:
        Denied: it is one.
    """
    real = os.path.realpath(path)
    if real != path:
        raise Denied(f"the folder {path!r} is reached by a link now, and leads elsewhere: make it a folder again")
    roots = [os.path.realpath(root) for root in rules.local_roots]
    if not any(os.path.commonpath([real, root]) == root for root in roots):
        raise Denied(
            f"the folder {path!r} is not below one that organisations may use: "
            "the server's admin adds folders to `local_roots` in the settings"
        )


def _check_ambient(rules: Rules, nickname: str, endpoint: str) -> None:
    """Refuse this machine's own credentials where the admin does not lend them, and to whom they must not be shown.

    Raises:
        Denied: they are not lent.
    """
    if not rules.ambient:
        raise Denied(
            f"the bucket config {nickname!r} has no credentials of its own, and this server lends nobody those of its machine: "
            "give it credentials (rotate_credentials, kist bucket rotate), or, if the bucket is public, auth_method='public'"
        )
    parts = urlsplit(endpoint)
    if endpoint and not is_listed(parts.hostname or "", parts.port or {"http": 80}.get(parts.scheme, 443), rules.endpoints):
        raise Denied(
            f"the machine's own credentials are not shown to {parts.hostname}, which is not on this server's list of endpoints: "
            "give the bucket config credentials of its own (rotate_credentials)"
        )


def _options(rooms: Rooms, bucket: BucketRow) -> dict[str, str]:
    """Return what the store is opened with, all but the keys of a role.

    Raises:
        Denied: the rules do not allow it.
        Unauthenticated: the credentials are missing.
        IntegrityError: they do not open.
    """
    extra = bucket.extra_config
    check_rules(rooms.rules, bucket.platform, bucket.name, extra, look_up=True)
    if bucket.platform in {"local", "memory"}:
        return {}
    options = _s3(bucket.platform, bucket.name, extra) if bucket.platform in S3_FAMILY else {}
    if "account_name" in extra:
        options["account_name"] = str(extra["account_name"])
    if (endpoint := str(extra.get("endpoint_url", ""))) and "endpoint" not in options:
        options["endpoint"] = endpoint
    if endpoint:
        options["allow_http"] = "true" if endpoint.startswith("http://") else "false"
    return _signing(rooms, bucket, endpoint) | options


def _signing(rooms: Rooms, bucket: BucketRow, endpoint: str) -> dict[str, str]:
    """Return the options that say who asks."""
    if bucket.auth_method == "role":
        return {}
    if bucket.auth_method == "public":
        return {"skip_signature": "true"}
    if bucket.auth_method == "keys":
        keys = credentials_of(rooms, bucket)
        if not keys:
            raise Unauthenticated(
                f"the credentials of the bucket config {bucket.nickname!r} are gone, for its service is another one now: "
                "give new ones (rotate_credentials, kist bucket rotate)"
            )
        return keys
    _check_ambient(rooms.rules, bucket.nickname, endpoint)
    return {} if endpoint else _ambient_defaults(_SCHEMES.get(bucket.platform, "s3"))


def _ambient_defaults(scheme: str) -> dict[str, str]:
    """Return what the machine's own configuration says of all URLs of a scheme."""
    from kist.stores import mounts  # noqa: PLC0415 - what knows them costs time, and few bucket configs ask for it

    said = mounts.find(scheme)
    options = said.options if said is not None and not said.url else {}
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in options.items()}


def _s3(platform: str, name: str, extra: Extra) -> dict[str, str]:
    options = {"region": str(extra.get("region_name") or _REGIONS.get(platform, "us-east-1"))}
    endpoint = str(extra.get("endpoint_url", ""))
    if extra.get("force_path_style") is False:
        options["virtual_hosted_style_request"] = "true"
        scheme, _, host = endpoint.partition("://")
        if endpoint:  # then it has to hold the bucket
            options["endpoint"] = endpoint if host.startswith(f"{name}.") else f"{scheme}://{name}.{host}"
    return options


def _url(bucket: BucketRow, prefix: str) -> str:
    """Return the URL of what lies below a prefix.

    Raises:
        InvalidInput: the prefix is none.
    """
    wanted = prefix.strip("/")
    if wanted:
        try:
            check_key(wanted)
        except InvalidInput as error:
            raise InvalidInput(f"{prefix!r} is no prefix of a repository: {error}") from error
    whole = "/".join(filter(None, (bucket.name.rstrip("/"), bucket.prefix, wanted)))
    return f"{_SCHEMES.get(bucket.platform, 's3')}://{encode(whole)}"
