"""A store in a bucket of S3: what all clouds can do, uploads in parts that survive an interruption, and copies between buckets."""

import contextlib
import re
from collections.abc import Mapping
from typing import override

import obstore

from kist.errors import Conflict, KistError, NotFound, Unsupported
from kist.stores import budget
from kist.stores.cloud import parts
from kist.stores.cloud.bucket import CloudStore
from kist.stores.cloud.calls import S3Calls
from kist.stores.cloud.connection import Connection
from kist.stores.cloud.transfers import expect_size
from kist.stores.keys import check_key
from kist.stores.protocols import ObjectMeta, PartUpload

__all__ = ["S3Store"]

_MD5 = re.compile(r"[0-9a-f]{32}")
_KEPT = ("CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Metadata")


class S3Store(CloudStore):
    """Objects in a bucket of S3, or of what speaks it."""

    copy_bytes = 5 << 30
    """The largest object that one request copies."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._calls = S3Calls(connection)
        self._etags_last = True  # copies have the ETags of their sources; not so where the server encrypts them

    def begin_parts(self, key: str, *, size_bytes: int) -> PartUpload:
        """See `kist.stores.protocols.PutParts`; parts are 8 MiB, or more so that they are at most 10,000."""
        return parts.begin(self.connection, self._calls, check_key(key), size_bytes)

    def take_up(self, key: str, token: str) -> tuple[PartUpload, dict[int, str]]:
        """See `kist.stores.protocols.PutParts`."""
        upload = parts.take_up(self.connection, self._calls, check_key(key), token)
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
        whence = {"Bucket": source.address.bucket, "Key": source.full_key(meta.key)}
        whither = {"Bucket": self.connection.address.bucket, "Key": self.connection.full_key(key)}
        if whence == whither:
            return True
        if meta.size_bytes > self.copy_bytes:
            self._copy_in_parts(source, meta, key)
            return True
        action = f"copy {meta.key!r} of {source.address.url} to {key!r} in {self.url}"
        plain = bool(_MD5.fullmatch(meta.etag))
        here, pieced = whence["Bucket"] == whither["Bucket"], "-" in meta.etag  # what was uploaded in parts has another ETag as a copy
        if here and ((plain and self._etags_last) or (pieced and self._is_free(key))) and self._copied_quickly(source, meta, key, action):
            return True
        result = self._calls("copy_object", action, Key=whither["Key"], CopySource=whence).get("CopyObjectResult")
        etag = str(result.get("ETag") or "").strip('"') if isinstance(result, Mapping) else ""
        if plain and etag != meta.etag:
            self._etags_last = False
        if not etag:  # nothing says that there is an object now
            expect_size(self.connection, key, meta.size_bytes)
        return True

    def _copied_quickly(self, source: Connection, meta: ObjectMeta, key: str, action: str) -> bool:
        """Copy through obstore, which takes a fifth of boto3's time; say whether it is proved: by the ETag, or of a free key by the size.

        S3 may answer 200 and tell an error in the body, of which obstore notices few; what was there may be as long as the source.
        """
        with self.connection.request(action):
            obstore.copy(self.connection.clients.whole, source.full_key(meta.key), self.connection.full_key(key))
        try:
            found = self.head(key)
        except NotFound:
            return False
        return found.size_bytes == meta.size_bytes and (found.etag == meta.etag or "-" in meta.etag)

    def _is_free(self, key: str) -> bool:
        try:
            self.head(key)
        except NotFound:
            return True
        return False

    def _copy_in_parts(self, source: Connection, meta: ObjectMeta, key: str) -> None:
        whence = {"Bucket": source.address.bucket, "Key": source.full_key(meta.key)}
        there, action = S3Calls(source), f"look at {meta.key!r} of {source.address.url}"

        def look() -> Mapping[str, object]:
            return there("head_object", action, Key=whence["Key"])

        before = look()
        kept = {name: before[name] for name in _KEPT if before.get(name)}
        upload = parts.begin(self.connection, self._calls, key, meta.size_bytes, **kept)
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
