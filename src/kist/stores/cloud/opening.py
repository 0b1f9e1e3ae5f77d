"""Stores in the cloud: S3 and what speaks it, Google Cloud Storage, Azure.

Each request happens within the budget of the process (`kist.stores.budget`). A process that was forked after its parent used a cloud store
gets an error at once. S3 stores can do more than the others (`kist.stores.cloud.s3`).
"""

from kist.stores.cloud.bucket import CloudStore
from kist.stores.cloud.connection import Connection
from kist.stores.cloud.options import connect, parse
from kist.stores.cloud.s3 import S3Store

__all__ = ["CloudStore", "S3Store", "open_cloud"]


def open_cloud(url: str, *, create: bool = False, **options: object) -> CloudStore:
    """Open ``s3://bucket/prefix``, ``gs://bucket/prefix`` or ``az://container/prefix``; nothing is sent.

    Args:
        url: bucket and prefix.
        create: accepted and not needed; a prefix needs no making, and buckets are never made.
        options: ``timeout_seconds`` (of a request, 300; unless it is set, an upload may take 1800), ``connect_timeout_seconds`` (10),
            ``retry_seconds`` (60), ``max_retries`` (5), ``allow_http``, ``endpoint``, ``anonymous``; S3 also takes ``profile``; all
            else is the platform's: ``region``, ``access_key_id``, ``secret_access_key``, ``session_token``, ``account_name``,
            ``service_account_path``, …

    Raises:
        InvalidInput: the URL or an option makes no sense.
    """
    del create
    address = parse(url)
    connection = Connection(address=address, clients=connect(address, options))
    return S3Store(connection) if connection.clients.platform == "s3" else CloudStore(connection)
