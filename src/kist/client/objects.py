"""The objects of a repository as a store, reached by operations: for places that a client may not, or can't, be let into.

Only what `kist.stores.protocols.Store` asks for, and of that no deletion: what to write is an object below packs/, index/ or sessions/,
all else is for operations of their own. Keys are checked before anything is sent, as in every store.
"""

import builtins
from collections.abc import Buffer, Iterator
from typing import NoReturn

from kist.client.transport import Transport
from kist.errors import Denied
from kist.models import requests as ask
from kist.operations import HEAD_OBJECT, LIST_OBJECTS, PUT_OBJECT, READ_OBJECT
from kist.stores.keys import check_folder, check_key, check_prefix, check_range
from kist.stores.protocols import ObjectMeta

__all__ = ["ServerStore"]

FIRST_PAGE = 50
"""Most listings of the engine are done after their first few keys."""

PAGE = 1000


class ServerStore:
    """Reads and writes through operations. Threads may share one.

    It takes no room in the budget of requests: where the service works in this process, its own store does.
    """

    def __init__(self, transport: Transport, org: str, repo: str) -> None:
        """Reach a repository's objects; nothing is sent yet."""
        self._transport, self._org, self._repo = transport, org, repo

    def __repr__(self) -> str:
        return f"<ServerStore of {self._org}/{self._repo} at {self._transport.place}>"

    def get(self, key: str) -> bytes:
        """See `kist.stores.protocols.Get`."""
        return self._transport.call(READ_OBJECT, ask.ReadObject(org=self._org, repo=self._repo, key=check_key(key)))

    def get_range(self, key: str, *, start: int, end: int) -> bytes:
        """See `kist.stores.protocols.GetRange`."""
        check_range(start, end)
        request = ask.ReadObject(org=self._org, repo=self._repo, key=check_key(key), start=start, end=end)
        return self._transport.call(READ_OBJECT, request)

    def head(self, key: str) -> ObjectMeta:
        """See `kist.stores.protocols.Head`."""
        return _meta(self._transport.call(HEAD_OBJECT, ask.ObjectName(org=self._org, repo=self._repo, key=check_key(key))))

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectMeta]:
        """See `kist.stores.protocols.List`."""
        check_prefix(prefix)
        return self._walk(prefix, start_after.partition("\0")[0])  # no key has a zero character, and no request may

    def list_folders(self, prefix: str) -> builtins.list[str]:
        """See `kist.stores.protocols.List`."""
        check_folder(prefix)
        names: builtins.list[str] = []
        while True:
            page = self._page(prefix, names[-1] if names else "", folders=True, limit=PAGE)
            names += page.folders
            if not page.more:
                return names

    def put(self, key: str, data: Buffer) -> None:
        """See `kist.stores.protocols.Put`; only below packs/, index/ and sessions/.

        Raises:
            Denied: elsewhere, or by somebody who may only read.
        """
        self._transport.call(PUT_OBJECT, ask.PutObject(org=self._org, repo=self._repo, key=check_key(key), content=bytes(data)))

    def delete(self, key: str) -> NoReturn:
        """Refuse.

        Raises:
            Denied: always.
        """
        check_key(key)
        raise Denied(f"{key!r} of {self._org}/{self._repo} is not deleted by a client: forget versions and collect, to free what they took")

    def _walk(self, prefix: str, after: str) -> Iterator[ObjectMeta]:
        limit = FIRST_PAGE
        while True:
            page = self._page(prefix, after, folders=False, limit=limit)
            yield from map(_meta, page.objects)
            if not page.more:
                return
            after, limit = page.objects[-1].key, PAGE

    def _page(self, prefix: str, after: str, *, folders: bool, limit: int) -> ask.StoredPage:
        request = ask.ListObjects(org=self._org, repo=self._repo, prefix=prefix, start_after=after, folders=folders, limit=limit)
        return self._transport.call(LIST_OBJECTS, request)


def _meta(stored: ask.Stored) -> ObjectMeta:
    return ObjectMeta(key=stored.key, size_bytes=stored.size_bytes, modified=stored.modified, etag=stored.etag)
