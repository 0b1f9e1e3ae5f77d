"""An upload to S3 in parts, which may be sent side by side and from several processes, one after another.

The server checks the SHA-256 of every part. A token tells the server's id of the upload and its two lengths; it is no secret, and opens
nothing without the credentials.
"""

import hashlib
import re
from collections.abc import Buffer, Mapping, Sequence
from typing import Final, cast

from kist.errors import InvalidInput, NotFound, StoreError
from kist.stores.cloud.calls import S3Calls
from kist.stores.cloud.connection import Connection
from kist.stores.cloud.transfers import expect_size, piece_bytes

__all__ = ["S3Upload", "begin", "take_up"]

LEAST_BYTES: Final = 8 << 20
"""Parts are held whole, several at a time, so they are small."""

_NOTHING = "empty"  # the receipt of a part without bytes, which Garage refuses; such an object is written at the end, whole
_MD5 = re.compile(r'"?([0-9a-f]{32})"?')


class S3Upload:
    """A `kist.stores.protocols.PartUpload`."""

    def __init__(self, connection: Connection, calls: S3Calls, key: str, *, upload: str, size_bytes: int, part_bytes: int) -> None:
        self.part_bytes = part_bytes
        self._connection, self._calls, self._key = connection, calls, key
        self._upload, self._size_bytes = upload, size_bytes
        self._named = {"Key": connection.full_key(key), "UploadId": upload}
        self._where = f"{key!r} in {connection.address.url}"

    @property
    def token(self) -> str:
        """See `kist.stores.protocols.PartUpload`."""
        return f"{self._size_bytes}:{self.part_bytes}:{self._upload}"

    @property
    def parts(self) -> int:
        """How many parts there are."""
        return max(1, -(-self._size_bytes // self.part_bytes))

    def length(self, number: int) -> int:
        """Return how long a part is."""
        return min(self.part_bytes, self._size_bytes - number * self.part_bytes)

    def put_part(self, number: int, data: Buffer) -> str:
        """See `kist.stores.protocols.PartUpload`."""
        body = data if isinstance(data, bytes) else bytes(data)
        if not 0 <= number < self.parts or len(body) != self.length(number):
            raise InvalidInput(
                f"part {number} with {len(body)} bytes does not belong to {self._where}: it has {self.token.rpartition(':')[0]}"
            )
        if not body:
            return _NOTHING
        answer = self._calls("upload_part", f"write part {number} of {self._where}", **self._named, PartNumber=number + 1, Body=body)
        return str(answer["ETag"])

    def copy_part(self, number: int, source: Mapping[str, str]) -> str:
        """Make a part from bytes of another object of the service; return its receipt.

        Raises:
            StoreError: the store failed.
        """
        start = number * self.part_bytes
        span = f"bytes={start}-{start + self.length(number) - 1}"
        arguments = {**self._named, "PartNumber": number + 1, "CopySource": source, "CopySourceRange": span}
        answer = self._calls("upload_part_copy", f"copy part {number} of {self._where}", **arguments)
        return str(cast("Mapping[str, object]", answer["CopyPartResult"])["ETag"])

    def receipts(self) -> dict[int, str]:
        """Return the receipts of the parts that are there.

        Raises:
            NotFound: the upload is no more.
            StoreError: the store failed.
        """
        found: dict[int, str] = {}
        after, more = 0, True
        while more:
            page = self._calls("list_parts", f"list the parts of {self._where}", **self._named, PartNumberMarker=after)
            parts = cast("Sequence[Mapping[str, object]]", page.get("Parts", ()))
            for part in parts:
                number = int(str(part["PartNumber"])) - 1
                if number < self.parts and part["Size"] == self.length(number):
                    found[number] = str(part["ETag"])
            last = max((int(str(part["PartNumber"])) for part in parts), default=0)
            more, after = bool(page.get("IsTruncated")) and last > after, last
        return found

    def finish(self, receipts: Sequence[str]) -> None:
        """See `kist.stores.protocols.PartUpload`."""
        if len(receipts) != self.parts:
            raise InvalidInput(f"{self._where} has {self.parts} parts, and {len(receipts)} receipts are no proof of them")
        if not self._size_bytes:
            self._calls("put_object", f"write {self._where}", Key=self._named["Key"], Body=b"")
            self.abort()
            return
        parts = [{"PartNumber": number, "ETag": receipt} for number, receipt in enumerate(receipts, 1)]
        try:
            self._calls("complete_multipart_upload", f"finish {self._where}", **self._named, MultipartUpload={"Parts": parts})
        except NotFound as error:
            if not self._is_there(receipts):  # else the answer to the first try was lost
                raise StoreError(f"can't finish {self._where}: this upload is gone; write the object anew") from error
        expect_size(self._connection, self._key, self._size_bytes)

    def abort(self) -> None:
        """See `kist.stores.protocols.PartUpload`."""
        try:
            self._calls("abort_multipart_upload", f"remove the parts of {self._where}", **self._named)
        except NotFound:
            return

    def _is_there(self, receipts: Sequence[str]) -> bool:
        """Say whether the object is there, and made of these parts: S3 makes its ETag from theirs."""
        digests = [bytes.fromhex(said[1]) for said in map(_MD5.fullmatch, receipts) if said]
        if len(digests) != len(receipts):
            return False
        expected = f"{hashlib.md5(b''.join(digests), usedforsecurity=False).hexdigest()}-{len(digests)}"
        try:
            found = self._calls("head_object", f"look at {self._where}", Key=self._named["Key"])
        except NotFound:
            return False
        return str(found.get("ETag")).strip('"') == expected


def begin(connection: Connection, calls: S3Calls, key: str, size_bytes: int, **settings: object) -> S3Upload:
    """Begin an upload; `settings` are what the object gets beside its bytes, as boto3 calls it.

    Raises:
        InvalidInput: no object has such a size.
        StoreError: the store failed.
    """
    if size_bytes < 0:
        raise InvalidInput(f"an object of {size_bytes} bytes can't be: say how long it is")
    action = f"begin to write {key!r} in {connection.address.url}"
    try:
        answer = calls("create_multipart_upload", action, Key=connection.full_key(key), **settings)
    except NotFound as error:
        raise StoreError(f"can't {action}: the server says that there is no such bucket") from error
    part_bytes = piece_bytes(size_bytes, least=LEAST_BYTES)
    return S3Upload(connection, calls, key, upload=str(answer["UploadId"]), size_bytes=size_bytes, part_bytes=part_bytes)


def take_up(connection: Connection, calls: S3Calls, key: str, token: str) -> S3Upload:
    """Return the upload that a token tells of; nothing is sent.

    Raises:
        InvalidInput: it is no token.
    """
    size, part, upload = [*token.split(":", 2), "", ""][:3]
    if not (size.isdecimal() and part.isdecimal() and int(part) and upload):
        raise InvalidInput(f"{token!r} is no token of an upload to S3")
    return S3Upload(connection, calls, key, upload=upload, size_bytes=int(size), part_bytes=int(part))
