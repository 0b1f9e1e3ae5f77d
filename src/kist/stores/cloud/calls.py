"""Calls of S3 that obstore lacks; boto3 makes them, and is imported at the first one."""

import threading
from collections.abc import Callable, Mapping
from typing import cast

from kist.stores.cloud.connection import Connection

__all__ = ["Answer", "S3Calls"]

type Answer = Mapping[str, object]


class S3Calls:
    """Calls of one bucket; its client is made once, at the first call."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._client: object = None

    def __call__(self, verb: str, action: str, **arguments: object) -> Answer:
        """Make one call, named as boto3 names it; the bucket is added.

        Args:
            verb: the method of boto3's client.
            action: what is done, for messages.
            arguments: what the method takes.

        Raises:
            KistError: it failed.
        """
        from kist.stores.cloud import boto  # noqa: PLC0415  boto3 is heavy, and seldom needed

        with self._connection.request(action, foreign=boto.FOREIGN, said=boto.translate):
            with self._lock:
                if self._client is None:
                    self._client = boto.new_client(self._connection)
            method = cast("Callable[..., Answer]", getattr(self._client, verb))
            return method(Bucket=self._connection.address.bucket, **arguments)
