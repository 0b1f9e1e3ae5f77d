"""Content out of the repository: a file, whole or in part, or a folder as one archive. Streamed, in bounded memory.

Content is always an attachment of unknown type, so nothing that a repository holds ever runs as part of this site. A download that fails on
the way ends with a broken connection: no client takes it for whole.
"""

import logging
import os
import re
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import BinaryIO
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from kist.engine.repository import Repository
from kist.errors import Busy, InvalidInput, KistError
from kist.server.render import HIDDEN, site_name

__all__ = ["Downloads", "byte_range", "disposition"]

BLOCK_BYTES = 256 << 10
RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
UNSAFE = re.compile(r"[^A-Za-z0-9 ._()+=,@~-]|^\.")
log = logging.getLogger(__name__)


class Downloads:
    """The endpoints."""

    def __init__(self, repository: Repository) -> None:
        """Take the repository."""
        self._repository = repository

    def file(self, request: Request) -> Response:
        """Answer with a file, or with the range of it that is asked for.

        Raises:
            KistError: what the repository raises.
        """
        path, ref = request.query_params.get("path", ""), request.query_params.get("ref")
        info = self._repository.stat(path, ref=ref)
        reader = self._repository.open(path, ref=ref)
        if self._repository.stat(path, ref=ref).hash != info.hash:
            raise Busy(f"{path!r} changed just now: try again")
        etag = f'"{info.hash}"'
        headers = {"accept-ranges": "bytes", "content-disposition": disposition(info.name), "etag": etag}
        wanted = byte_range(request.headers.get("range", ""), info.size) if request.headers.get("if-range", etag) == etag else None
        start, stop = wanted or (0, info.size)
        if wanted and start >= stop:
            return Response(status_code=HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers={"content-range": f"bytes */{info.size}"})
        status = HTTPStatus.PARTIAL_CONTENT if wanted else HTTPStatus.OK
        if wanted:
            headers["content-range"] = f"bytes {start}-{stop - 1}/{info.size}"
        headers["content-length"] = str(stop - start)
        if request.method == "HEAD":
            return Response(status_code=status, headers=headers, media_type="application/octet-stream")
        return _Download(_read(reader, start, stop), status=status, headers=headers)

    def folder(self, request: Request) -> Response:
        """Answer with a folder as a ``.tar.gz``.

        Raises:
            KistError: what the repository raises.
        """
        path, ref = request.query_params.get("path", ""), request.query_params.get("ref")
        info = self._repository.stat(path, ref=ref)
        if info.kind != "folder":
            raise InvalidInput(f"{path!r} is a {info.kind}, not a folder: download it as a file")
        name = f"{info.name or site_name(self._repository.name)}-{ref or 'main'}.tar.gz"
        headers = {"content-disposition": disposition(name)}
        if request.method == "HEAD":
            return Response(headers=headers, media_type="application/octet-stream")
        return _Download(self._packed(path, ref), status=HTTPStatus.OK, headers=headers)

    def _packed(self, path: str, ref: str | None) -> Generator[bytes]:
        """Yield an archive while a thread makes it; a pipe between them holds the thread back, and ends it when nobody reads any more."""
        read_end, write_end = os.pipe()

        def export() -> None:
            with os.fdopen(write_end, "wb", buffering=0) as sink:
                self._repository.export(path, sink, ref=ref)

        with os.fdopen(read_end, "rb", buffering=0) as source:
            worker = ThreadPoolExecutor(1)
            exported = worker.submit(export)
            worker.shutdown(wait=False)
            while block := source.read(BLOCK_BYTES):
                yield block
        exported.result()


class _Download(StreamingResponse):
    """An attachment. Its first block is read at once: what fails there still becomes an error page."""

    def __init__(self, blocks: Generator[bytes], *, status: int, headers: dict[str, str]) -> None:
        first = next(blocks, b"")

        def whole() -> Generator[bytes]:
            yield first
            yield from blocks

        self._blocks = whole()
        super().__init__(self._blocks, status, headers, media_type="application/octet-stream")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except KistError as error:
            log.error("a download broke off: %s", error)  # noqa: TRY400 - expected, so no stack trace
        finally:
            self._blocks.close()


def _read(reader: BinaryIO, start: int, stop: int) -> Generator[bytes]:
    with reader:
        reader.seek(start)
        position = start
        while position < stop and (block := reader.read(min(BLOCK_BYTES, stop - position))):
            position += len(block)
            yield block


def byte_range(header: str, size_bytes: int) -> tuple[int, int] | None:
    """Return start and stop of the bytes that a Range header asks for (RFC 9110, §14.2): None for the whole, start >= stop for none."""
    match = RANGE.fullmatch(header.replace(" ", ""))
    if not match or not any(match.groups()):
        return None
    first, last = match.groups()
    if not first:
        return max(0, size_bytes - int(last)), size_bytes
    if last and int(last) < int(first):
        return None
    return int(first), min(int(last) + 1, size_bytes) if last else size_bytes


def disposition(name: str) -> str:
    """Return the header that makes a browser save content under a name (RFC 6266), plain and exact; hidden characters become ``_``."""
    name = HIDDEN.sub("_", name)
    return f"attachment; filename=\"{UNSAFE.sub('_', name)}\"; filename*=UTF-8''{quote(name, safe='')}"
