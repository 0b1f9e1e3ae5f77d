"""A repository that is reached by its name: the engine works here, and what only a server may do are operations.

Packs are stored directly where access allows it, else through the server. Commits always are an operation, so that whoever moves or
deletes a repository can shut it; ending versions and collecting are operations too.
"""

import random
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, override

from kist.client.reaching import ReachedStore
from kist.client.transport import Transport
from kist.engine.opening import rooms_on
from kist.engine.records import Format, RefEntry
from kist.engine.refs import EntryCache, ForkAuthority, Line, NumberedRefs, encode_entry
from kist.engine.repository import Repository, check_forget
from kist.engine.rooms import Rooms
from kist.errors import KistError, StoreError, Unsupported
from kist.models import Access, Collected, Version
from kist.models import requests as ask
from kist.operations import COLLECT_REPO, FORGET_VERSIONS, PUT_REF_ENTRY

__all__ = ["ServedAuthority", "ServedRepository", "open_served"]

ATTEMPTS = 5

type State = Literal["stands", "taken", "dropped"]


def open_served(transport: Transport, access: Access) -> Repository:
    """Open the repository that one was given access to.

    Raises:
        NotFound: nothing is stored there.
        Unsupported: it is not made of files, or a newer kist wrote it.
        StoreError: the store failed.
    """
    repo = access.repo
    if repo.kind != "files":
        raise Unsupported(f"{repo.full_name} holds {repo.kind}, not files: they come with kist[{repo.kind}]")
    store = ReachedStore(transport, access)

    def put(content: bytes) -> State:
        return transport.call(PUT_REF_ENTRY, ask.PutRefEntry(org=repo.org, repo=repo.name, content=content)).state

    def authority(record: Format, cache: EntryCache | None) -> ServedAuthority:
        reads = ForkAuthority if record.authority == "fork" else NumberedRefs
        return ServedAuthority(reads(store, record.id, cache), record.authority, put, renew=store.renew)

    # the cache of this machine goes by it: two servers may each have a copy of one repository
    place = transport.place if "://" in transport.place else "kist:/"
    name = f"{place.rstrip('/')}/{repo.full_name}"
    return ServedRepository(
        rooms_on(store, name=name, authority=authority, author=access.author), name, transport=transport, org=repo.org, repo=repo.name
    )


class ServedAuthority:
    """Reads entries from the store, and lets the server decide on new ones."""

    def __init__(
        self,
        reads: NumberedRefs | ForkAuthority,
        name: str,
        put: Callable[[bytes], State],
        *,
        renew: Callable[[], None] = lambda: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Read by `reads`, commit by `put`; `renew` is called when somebody else was faster, for they may have been elsewhere."""
        self.name = name
        self._reads, self._put, self._renew, self._sleep = reads, put, renew, sleep
        self._dropped: set[bytes] = set()

    def line(self, ref: str) -> Line | None:
        """See `kist.engine.refs.CommitAuthority`."""
        return self._reads.line(ref)

    def commit(self, entry: RefEntry) -> bool:
        """Let the server add an entry; False means that its number went to another writer. To ask twice does no harm.

        Raises:
            StoreError: the outcome is unknown.
            KistError: the server refused it.
        """
        state = self._asked(encode_entry(entry))
        if state == "taken":
            self._renew()
        if state == "dropped":
            self._dropped.add(entry.txn)
        return state != "taken"

    def settled(self, entry: RefEntry) -> Line | None:
        """Return a listing that holds an entry of ours; None if the server said that it must be committed anew."""
        if entry.txn in self._dropped:
            self._dropped.discard(entry.txn)
            return None
        return self._reads.line(entry.ref) if self.name == "fork" else Line((entry,), entry.seq)

    def at(self, ref: str, seq: int) -> list[RefEntry]:
        """See `kist.engine.refs.CommitAuthority`."""
        return self._reads.at(ref, seq)

    def entries(self, ref: str, *, seq: int | None = None) -> Iterator[RefEntry]:
        """See `kist.engine.refs.CommitAuthority`."""
        return self._reads.entries(ref, seq=seq)

    def all_entries(self, ref: str) -> Iterator[RefEntry]:
        """See `kist.engine.refs.CommitAuthority`."""
        return self._reads.all_entries(ref)

    def doubled(self, ref: str) -> set[int]:
        """See `kist.engine.refs.CommitAuthority`."""
        return self._reads.doubled(ref)

    def _asked(self, content: bytes) -> State:
        last: StoreError | None = None
        for attempt in range(ATTEMPTS):
            if attempt:
                self._sleep(random.uniform(0.5, 1) * 0.1 * 2**attempt)  # noqa: S311  no secret
            try:
                return self._put(content)
            except StoreError as error:
                last = error
            except KistError as error:
                if last is None:
                    raise
                raise StoreError(
                    f"nobody knows whether this was committed: look at it (kist log) before you try again ({error})"
                ) from error
        raise StoreError(f"nobody knows whether this was committed: look at it (kist log) before you try again ({last})") from last


class ServedRepository(Repository):
    """A repository that is reached by its name."""

    def __init__(self, rooms: Rooms, name: str, *, transport: Transport, org: str, repo: str) -> None:
        """Use `open_served`."""
        super().__init__(rooms, name)
        self._transport, self._org, self._repo = transport, org, repo

    @override
    def forget(self, refs: Iterable[str], *, imsure: bool = False, author: str | None = None) -> list[Version]:
        """See `Repository.forget`; the server writes down who asked, whoever is said to be the author."""
        check_forget(refs, imsure=imsure)
        ids = [self.version(ref).id for ref in refs]
        if ids:
            self._transport.call(FORGET_VERSIONS, ask.ForgetVersions(org=self._org, repo=self._repo, refs=ids, imsure=True))
        return [self.version(version_id) for version_id in ids]

    @override
    def collect(self, *, dry_run: bool = False) -> Collected:
        """See `Repository.collect`."""
        return self._transport.call(COLLECT_REPO, ask.CollectRepo(org=self._org, repo=self._repo, dry_run=dry_run))
