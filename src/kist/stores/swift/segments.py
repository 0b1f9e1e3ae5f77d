"""Big objects of Swift: segments in a container beside, and a manifest under the key that puts them together.

Swift takes 5 GiB at once at most. The segments of ``container`` are in ``container_segments``, below ``kist/``, one folder per upload;
nothing else there is ever touched. Readers see the manifest, and so all or nothing. Segments end with the manifest that names them.
"""

import contextlib
import json
import time
import uuid
from collections.abc import Buffer, Iterable, Iterator
from hashlib import md5
from io import BytesIO
from typing import Final

from kist.errors import IntegrityError, KistError, NotFound, StoreError
from kist.stores.swift.connection import Connections, status_of

__all__ = ["Segments", "check_size", "put_object", "sized"]

_MOST_SEGMENTS: Final = 1000
_GROWS_AFTER: Final = 200
_LARGEST_BYTES: Final = 1 << 30
_LOOK_AGAIN_SECONDS: Final = 60


class Segments:
    """The segments of one container."""

    def __init__(self, connections: Connections, container: str) -> None:
        self._connections = connections
        self._container = container
        self._beside = f"{container}_segments"
        self._absent_until = 0.0

    def store(self, name: str, pieces: Iterator[bytes], size_bytes: int | None) -> set[str]:
        """Store pieces as segments, and their manifest as `name`; return the paths of the segments.

        Raises:
            IntegrityError: the server has other bytes, or they are not as many as announced.
        """
        self._make_container()
        folder = f"kist/{uuid.uuid4().hex}"
        entries: list[dict[str, object]] = []
        try:
            for piece in pieces:
                path = f"{folder}/{len(entries):08}"
                entries.append({"path": f"/{self._beside}/{path}", "etag": _digest(piece), "size_bytes": len(piece)})
                put_object(self._connections, self._beside, path, piece, f"write a part of {name!r} to {self._beside!r}")
            check_size(name, sum(int(str(entry["size_bytes"])) for entry in entries), size_bytes)
        except BaseException:
            self.remove({str(entry["path"]) for entry in entries})
            raise
        self._finish(name, entries)
        return {str(entry["path"]) for entry in entries}

    def of(self, name: str) -> set[str]:
        """Return the paths of those segments of an object that are ours; none if it is no big object of ours, or missing."""
        if self._is_absent():
            return set()
        action = f"look for parts of {name!r} in {self._container!r}"
        try:
            with self._connections.request(action) as connection:
                head = connection.head_object(self._container, name)
                if head.get("x-static-large-object", "").lower() != "true":
                    return set()
                _, body = connection.get_object(self._container, name, query_string="multipart-manifest=get")
        except NotFound:
            return set()
        try:
            paths = {str(entry.get("name", "")) for entry in json.loads(body)}
        except (ValueError, AttributeError, TypeError) as error:
            raise StoreError(f"can't {action}: the server sends no manifest") from error
        return {path for path in paths if path.startswith(f"/{self._beside}/kist/")}

    def replaced(self, name: str, old: set[str]) -> None:
        """Remove the segments of what was under a name, unless another writer has put it there again."""
        if old:
            self.remove(old - self.of(name))

    def remove(self, paths: Iterable[str]) -> None:
        """Remove segments as far as possible: what is left is in nobody's way, and takes room only."""
        for path in paths:
            with contextlib.suppress(KistError), self._connections.request(f"remove {path!r}") as connection:
                connection.delete_object(self._beside, path.removeprefix(f"/{self._beside}/"))

    def _finish(self, name: str, entries: list[dict[str, object]]) -> None:
        try:
            with self._connections.request(f"put {name!r} together in {self._container!r}") as connection:
                connection.put_object(
                    self._container,
                    name,
                    json.dumps(entries),
                    query_string="multipart-manifest=put",
                    content_type="application/octet-stream",
                )
        except KistError as error:
            if 400 <= status_of(error) < 500:  # noqa: PLR2004  HTTP: refused, so that nothing names the segments
                self.remove(str(entry["path"]) for entry in entries)
                raise IntegrityError(f"{error}; the server does not have the parts that were sent") from error
            raise StoreError(str(error)) from error

    def _make_container(self) -> None:
        with self._connections.request(f"make the container {self._beside!r} for parts of big objects") as connection:
            connection.put_container(self._beside)
        self._absent_until = 0.0

    def _is_absent(self) -> bool:
        """Say whether nothing was ever stored in segments here; another process is noticed after a minute."""
        if time.monotonic() < self._absent_until:
            return True
        try:
            with self._connections.request(f"look for {self._beside!r}") as connection:
                connection.head_container(self._beside)
        except NotFound:
            self._absent_until = time.monotonic() + _LOOK_AGAIN_SECONDS
            return True
        return False


def put_object(connections: Connections, container: str, name: str, data: bytes | memoryview, action: str) -> None:
    """Store bytes, and let the server compare their MD5.

    Raises:
        IntegrityError: other bytes arrived; nothing was replaced.
        StoreError: the store failed, or there is no such container.
    """
    try:
        with connections.request(action) as connection:
            connection.put_object(container, name, BytesIO(data), content_length=len(data), etag=_digest(data))
    except NotFound as error:
        raise StoreError(f"can't {action}: the server says that there is no such container; make it first") from error


def check_size(name: str, came: int, announced: int | None) -> None:
    """Compare how many bytes came with how many were announced, if any were.

    Raises:
        IntegrityError: other ones.
    """
    if announced is not None and came != announced:
        raise IntegrityError(f"can't write {name!r}: {announced} bytes were announced, and {came} came")


def sized(parts: Iterable[Buffer], first_bytes: int, size_bytes: int | None) -> Iterator[bytes]:
    """Cut a stream into pieces for segments: as many as a manifest holds, and so larger as it goes on."""
    least = max(first_bytes, -(-(size_bytes or 0) // _MOST_SEGMENTS))
    waiting, number = bytearray(), 0
    for part in parts:
        waiting += memoryview(part).cast("B")
        while len(waiting) >= (wanted := _wanted(least, number)):
            yield bytes(waiting[:wanted])
            del waiting[:wanted]
            number += 1
    if waiting or not number:
        yield bytes(waiting)


def _wanted(least: int, number: int) -> int:
    return min(least << (number // _GROWS_AFTER), max(least, _LARGEST_BYTES))


def _digest(data: bytes | memoryview) -> str:
    return md5(data, usedforsecurity=False).hexdigest()
