"""``swift://container/prefix`` and ``ovh://container/prefix``: the object stores of OpenStack, and OVH's among them.

OVH's containers are reached by their S3 side if S3 keys are given, else by Swift. `kist.stores.swift.store` is loaded when it is needed.
"""

import re
from typing import TYPE_CHECKING

from kist.errors import InvalidInput, Unsupported
from kist.stores.protocols import Store
from kist.stores.swift.options import account_from, parse

if TYPE_CHECKING:
    from kist.stores.swift.store import SwiftStore  # needs what may not be installed

__all__ = ["open_swift"]

_OVH_LOGIN = "https://auth.cloud.ovh.net/v3"
_OVH_S3 = "https://s3.{region}.io.cloud.ovh.net"
_S3_KEYS = frozenset({"access_key_id", "secret_access_key", "aws_access_key_id", "aws_secret_access_key"})
_REGION = re.compile(r"[a-z0-9-]{2,30}")


def open_swift(url: str, *, create: bool = False, **options: object) -> "Store | SwiftStore":
    """Open a container; nothing is sent.

    Args:
        url: container and prefix.
        create: accepted and not needed; a prefix needs no making, and containers are never made.
        options: ``auth_url``, ``username`` (or ``user``), ``password`` (or ``key``), ``auth_version`` (1, 2, 3), ``project_name``,
            ``project_id``, ``user_domain_name``, ``project_domain_name``, ``region``, ``application_credential_id`` and its ``_secret``,
            ``storage_url``, ``token``, ``cacert``, or what ``OS_*`` and ``ST_*`` say in the environment; ``temp_url_key`` to sign URLs;
            ``segment_bytes`` (32 MiB), ``timeout_seconds`` (60), ``max_retries`` (3), ``allow_http``. For ``ovh`` also
            ``access_key_id``, ``secret_access_key`` and ``region``: the S3 side.

    Raises:
        InvalidInput: the URL or an option makes no sense, or nobody says who asks.
        Unsupported: swiftclient is not installed; the message says how to install it.
    """
    del create
    container = parse(url)
    if container.scheme == "ovh" and _S3_KEYS & set(options):
        return _by_s3(url, options)
    account = account_from(options, auth_url=_OVH_LOGIN if container.scheme == "ovh" else "")
    try:
        from kist.stores.swift.store import SwiftStore  # noqa: PLC0415  only here can a missing library be told
    except ImportError as error:
        raise Unsupported(f"{container.scheme} URLs need two more libraries: pip install 'kist[swift]' ({error})") from error
    return SwiftStore(container, account)


def _by_s3(url: str, options: dict[str, object]) -> Store:
    """Open a container of OVH by its S3 side."""
    from kist.stores.cloud import open_cloud  # noqa: PLC0415  it loads another client

    region = str(options.get("region") or options.get("region_name") or "").lower()
    if not options.get("endpoint") and not _REGION.fullmatch(region):
        raise InvalidInput("the S3 side of OVH needs a region: set region to one such as 'gra' or 'sbg'")
    rest = {name: value for name, value in options.items() if name != "region_name"}
    settings = {"endpoint": _OVH_S3.format(region=region), **rest, "region": region or "us-east-1"}
    return open_cloud(f"s3://{url.partition('://')[2]}", create=False, **settings)
