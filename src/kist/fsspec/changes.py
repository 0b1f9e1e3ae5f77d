"""Several changes at once: what a repository takes as one commit, and what other stores take one after the other, at the end."""

import threading
from contextlib import ExitStack, suppress
from typing import Protocol, override

from fsspec.transaction import Transaction  # type: ignore[import-untyped]  # it has no types

from kist.stores.protocols import Batch, ReadableStore

__all__ = ["Batches", "Changes", "Later"]


class _Abandoned(Exception):
    """Ends batches without an effect."""


class Batches:
    """Stores that make many changes one, each with what has changed so far. May be used from any thread."""

    def __init__(self, message: str) -> None:
        self._message = message
        self._stack = ExitStack()
        self._open: dict[int, tuple[ReadableStore, ReadableStore]] = {}
        self._lock = threading.Lock()

    def store(self, store: ReadableStore) -> ReadableStore:
        """Return where changes of a store go: of one that takes them one by one, itself."""
        if not isinstance(store, Batch):
            return store
        with self._lock:
            if id(store) not in self._open:  # it is kept, so that nothing else gets its id
                self._open[id(store)] = store, self._stack.enter_context(store.batch(self._message))
            return self._open[id(store)][1]

    def end(self, *, commit: bool) -> None:
        """Let all changes take effect, or none.

        Raises:
            Conflict: another writer was faster.
            StoreError: a store failed.
        """
        if commit:
            self._stack.close()
            return
        with suppress(_Abandoned), self._stack:
            raise _Abandoned


class Later(Protocol):
    """A change that waits."""

    def commit(self) -> None:
        """Make it."""
        ...

    def discard(self) -> None:
        """Forget it."""
        ...


class Changes(Transaction):  # type: ignore[misc]  # it has no types
    """``with fs.transaction:``. In a repository it is one commit; elsewhere all is written at the end, one after the other.

    Until then nobody sees a change, not even the filesystem itself. After an exception nothing has changed.
    """

    def __init__(self, fs: object) -> None:
        super().__init__(fs)
        self.batches = Batches("Transaction")

    @override
    def complete(self, commit: bool = True) -> None:
        """End it.

        Raises:
            KistError: a change could not be made; of a repository, none was.
        """
        batches, self.batches = self.batches, Batches("Transaction")
        try:
            super().complete(commit)
        except BaseException:
            batches.end(commit=False)
            raise
        batches.end(commit=commit)
