"""A store in a bucket of S3: what all clouds can do, uploads in parts that survive an interruption, and copies between buckets."""

import contextlib
from collections.abc import Mapping
from typing import override

from kist.errors import Conflict, KistError, Unsupported
from kist.stores import budget, cloud_parts
from kist.stores.cloud_bucket import CloudStore
from kist.stores.cloud_calls import S3Calls
from kist.stores.cloud_connection import Connection
from kist.stores.cloud_transfers import copy_here, expect_size
from kist.stores.keys import check_key
from kist.stores.protocols import ObjectMeta, PartUpload

__all__ = ["S3Store"]

_KEPT = ("CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Metadata")


class S3Store(CloudStore):
    """Objects in a bucket of S3, or of what speaks it."""

    copy_bytes = 5 << 30
    """The largest object that one request copies."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._calls = S3Calls(connection)

    def begin_parts(self, key: str, *, size_bytes: int) -> PartUpload:
        """See `kist.stores.protocols.PutParts`; parts are 16 MiB, or more so that they are at most 10,000."""
        return cloud_parts.begin(self.connection, self._calls, check_key(key), size_bytes)

    def take_up(self, key: str, token: str) -> tuple[PartUpload, dict[int, str]]:
        """See `kist.stores.protocols.PutParts`."""
        upload = cloud_parts.take_up(self.connection, self._calls, check_key(key), token)
        return upload, upload.receipts()

    def versioned(self) -> bool:
        """Say whether the bucket keeps the old versions of its objects now; a server that knows no versions keeps none.

        Raises:
            StoreError: the store failed.
        """
        try:
            answer = self._calls("get_bucket_versioning", f"ask whether {self.url} keeps versions")
        except Unsupported:
            return False
        return answer.get("Status") == "Enabled"

    @override
    def _copy(self, source: Connection, meta: ObjectMeta, key: str) -> bool:
        if meta.size_bytes > self.copy_bytes:
            self._copy_in_parts(source, meta, key)
        elif source.address.bucket == self.connection.address.bucket:
            return copy_here(source, meta, self.connection, key)
        else:
            whence = {"Bucket": source.address.bucket, "Key": source.full_key(meta.key)}
            action = f"copy {meta.key!r} of {source.address.url} to {key!r} in {self.url}"
            self._calls("copy_object", action, Key=self.connection.full_key(key), CopySource=whence)
            expect_size(self.connection, key, meta.size_bytes)
        return True

    def _copy_in_parts(self, source: Connection, meta: ObjectMeta, key: str) -> None:
        whence = {"Bucket": source.address.bucket, "Key": source.full_key(meta.key)}
        there, action = S3Calls(source), f"look at {meta.key!r} of {source.address.url}"

        def look() -> Mapping[str, object]:
            return there("head_object", action, Key=whence["Key"])

        before = look()
        kept = {name: before[name] for name in _KEPT if before.get(name)}
        upload = cloud_parts.begin(self.connection, self._calls, key, meta.size_bytes, **kept)
        try:
            receipts = list(budget.map_ordered(lambda number: upload.copy_part(number, whence), range(upload.parts)))
            _expect_same(before, look(), f"{meta.key!r} of {source.address.url}")
            upload.finish(receipts)
        except BaseException:
            with contextlib.suppress(KistError):
                upload.abort()
            raise


def _expect_same(before: Mapping[str, object], after: Mapping[str, object], what: str) -> None:
    """Refuse an object that has changed meanwhile.

    Raises:
        Conflict: it has.
    """
    if before.get("ETag") != after.get("ETag"):
        raise Conflict(f"{what} has changed while it was copied: try again")
