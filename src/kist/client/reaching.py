"""The store of a repository that one was given access to: directly, as long as that lasts, or through the server.

Access is asked for again before it ends, and when it is refused before that: credentials may have been changed, and the repository moved.
"""

import builtins
import threading
import time
from collections.abc import Buffer, Callable, Iterator
from datetime import UTC, datetime

from kist.client.objects import ServerStore
from kist.client.transport import Transport
from kist.errors import Denied, Unauthenticated
from kist.models import Access
from kist.models import requests as ask
from kist.operations import OPEN_REPO
from kist.stores.protocols import ObjectMeta, Store
from kist.stores.urls import open_store

__all__ = ["ReachedStore"]

MARGIN_SECONDS = 60.0
PAUSE_SECONDS = 1.0
"""Access that is younger than this is not asked for again."""


class ReachedStore:
    """A store that is opened again when it must be. Threads may share one."""

    def __init__(self, transport: Transport, access: Access) -> None:
        """Use access that was just given; nothing is sent yet."""
        self._transport, self._org, self._repo, self._writable = transport, access.repo.org, access.repo.name, access.writable
        self._lock = threading.Lock()
        self._take(access)

    def __repr__(self) -> str:
        return f"<ReachedStore of {self._org}/{self._repo} at {self._transport.place}>"

    def renew(self) -> None:
        """Ask for access again, unless that was done a moment ago."""
        seen = self._given
        with self._lock:
            if self._given == seen and time.monotonic() - seen > PAUSE_SECONDS:
                self._ask()

    def get(self, key: str) -> bytes:
        """See `kist.stores.protocols.Get`."""
        return self._reading(lambda store: store.get(key))

    def get_range(self, key: str, *, start: int, end: int) -> bytes:
        """See `kist.stores.protocols.GetRange`."""
        return self._reading(lambda store: store.get_range(key, start=start, end=end))

    def head(self, key: str) -> ObjectMeta:
        """See `kist.stores.protocols.Head`."""
        return self._reading(lambda store: store.head(key))

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectMeta]:
        """See `kist.stores.protocols.List`."""
        return self._store().list(prefix, start_after=start_after)

    def list_folders(self, prefix: str) -> builtins.list[str]:
        """See `kist.stores.protocols.List`."""
        return self._reading(lambda store: store.list_folders(prefix))

    def put(self, key: str, data: Buffer) -> None:
        """See `kist.stores.protocols.Put`; only below packs/, index/ and sessions/.

        Raises:
            Denied: elsewhere, or it was opened to be read.
        """
        if not self._writable:
            raise Denied(f"{self._org}/{self._repo} was opened to be read: open it to write, with the role of a writer")
        self._reading(lambda store: store.put(key, data))

    def delete(self, key: str) -> None:
        """See `kist.stores.protocols.Delete`; for a client this is never allowed.

        Raises:
            Denied: always.
        """
        ServerStore(self._transport, self._org, self._repo).delete(key)

    def _reading[T](self, work: Callable[[Store], T]) -> T:
        """Do what may be done twice; once more with new access, if the old one is refused."""
        store = self._store()
        try:
            return work(store)
        except (Denied, Unauthenticated):
            self.renew()
            if self._opened is store:
                raise
            return work(self._opened)

    def _store(self) -> Store:
        if time.monotonic() > self._ends:
            with self._lock:
                if time.monotonic() > self._ends:
                    self._ask()
        return self._opened

    def _ask(self) -> None:
        wanted = ask.OpenRepo(org=self._org, repo=self._repo, access="write" if self._writable else "read")
        self._take(self._transport.call(OPEN_REPO, wanted))

    def _take(self, access: Access) -> None:
        if access.url:
            self._opened: Store = open_store(access.url, create=False, **access.options)
        else:
            self._opened = ServerStore(self._transport, self._org, self._repo)
        self._given = time.monotonic()
        left = (access.expires - datetime.now(UTC)).total_seconds() if access.expires else float("inf")
        self._ends = self._given + max(left - MARGIN_SECONDS, left / 2, PAUSE_SECONDS)
