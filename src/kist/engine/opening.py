"""Opening and making repositories: the `format`, and the commit rule that a store allows."""

import hashlib
import os
from collections.abc import Buffer, Callable, Iterable
from datetime import UTC, datetime
from typing import Literal, cast, override

from kist import settings
from kist.engine.cache import Cache
from kist.engine.clock import Clock, SystemClock
from kist.engine.objects import Objects
from kist.engine.records import CHUNKER, Format, RefEntry, decode_format, encode_format
from kist.engine.refs import CommitAuthority, CreateAuthority, EntryCache, ForkAuthority, NumberedRefs
from kist.engine.repository import Repository
from kist.engine.rooms import Rooms
from kist.engine.states import States
from kist.engine.tombstones import GRACE_SECONDS
from kist.engine.trees import Trees
from kist.errors import AlreadyExists, NotFound, Unsupported
from kist.ids import new_id
from kist.models import Collected, Version
from kist.stores.conditional import probe, probe_quickly
from kist.stores.protocols import ConditionalStore, Store
from kist.stores.urls import load, open_store, scheme_of, schemes

__all__ = ["FORMAT", "PROBES", "DecidedElsewhere", "create_repository", "open_repository", "repository_on", "rooms_on"]

type MakeAuthority = Callable[[Format, EntryCache | None], CommitAuthority]
"""Makes what decides the commits of a repository, of its `format` and what this machine remembers."""

FORMAT = "format"
PROBES = "gc/"
"""Before the names of what a probe writes: if it dies, no reader takes its debris for something else."""


def open_repository(url: str | os.PathLike[str], create: bool = False, **options: object) -> Repository:  # noqa: FBT001, FBT002 - the public name
    """Open the repository at a URL, such as ``/data/lab``, ``s3://bucket/prefix`` or ``memory://name``.

    Args:
        url: where its store is.
        create: make one if there is none.
        options: what the store takes beside its URL.

    Raises:
        NotFound: there is no repository.
        Unsupported: a newer kist wrote it.
        IntegrityError: its `format` is damaged.
        Denied: the store may not be used.
        StoreError: the store failed.
    """
    if (entry := schemes().get(scheme_of(url))) and entry.repository:
        return cast("Callable[..., tuple[Repository, object, object]]", load(entry.repository))(os.fspath(url), create=create, **options)[0]
    if scheme_of(url) == "file":
        store = open_store(url, create=create, **options)
    else:
        from kist.stores.locations import open_root  # noqa: PLC0415 - what knows mounts costs time, and a path names none

        store = open_root(url, create=create, **options)
    try:
        return repository_on(store, name=os.fspath(url))
    except NotFound:
        if not create:
            raise
    try:
        return create_repository(store, name=os.fspath(url))
    except AlreadyExists:
        return repository_on(store, name=os.fspath(url))


def create_repository(
    store: Store, *, name: str, clock: Clock | None = None, authority: Literal["create", "catalog"] | None = None
) -> Repository:
    """Make a repository on a store that has none.

    Args:
        store: where.
        name: how people call it.
        clock: what tells the time.
        authority: the commit rule; the strongest one that the store honours, which is tried, if not said. With ``"catalog"`` a database
            decides, and from the store alone the repository can be read only.

    Raises:
        AlreadyExists: there is one.
        StoreError: the store failed.
    """
    clock = clock or SystemClock()
    authority_ = authority or ("create" if probe(store, PROBES).put_if_absent else "fork")
    record = Format(
        authority=authority_,
        chunker=CHUNKER,
        created=datetime.fromtimestamp(clock.now() / 1_000_000, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        encryption=None,
        features={"collect": (), "read": (), "write": ()},
        hash="blake3-256",
        id=new_id(),
        kist="repository",
        version=1,
    )
    try:
        store.get(FORMAT)
    except NotFound:
        if isinstance(store, ConditionalStore) and authority_ == "create":
            store.create(FORMAT, encode_format(record))
        else:
            store.put(FORMAT, encode_format(record))
    else:
        raise AlreadyExists(f"there is a repository at {name}: open it instead")
    return repository_on(store, name=name, clock=clock)


def repository_on(
    store: Store,
    *,
    name: str,
    clock: Clock | None = None,
    grace: float = GRACE_SECONDS,
    cached: bool = True,
    authority: MakeAuthority | None = None,
) -> Repository:
    """Return the repository on a store; `name` is how people call it.

    `authority` makes what decides its commits, where that is not the store: a database, or a server.

    Raises:
        NotFound: there is none.
        IntegrityError: its `format` is damaged.
        Unsupported: a newer kist wrote it.
    """
    rooms = rooms_on(store, name=name, clock=clock, grace=grace, cached=cached, authority=authority)
    return (_OnlyRead if isinstance(rooms.authority, DecidedElsewhere) else Repository)(rooms, name)


def rooms_on(
    store: Store,
    *,
    name: str,
    clock: Clock | None = None,
    grace: float = GRACE_SECONDS,
    cached: bool = True,
    authority: MakeAuthority | None = None,
    author: str = "",
) -> Rooms:
    """Return the parts of the repository on a store; see `repository_on`.

    Raises:
        NotFound: there is none.
        IntegrityError: its `format` is damaged.
        Unsupported: a newer kist wrote it.
    """
    try:
        record = decode_format(store.get(FORMAT))
    except NotFound:
        raise NotFound(f"there is no repository at {name}: kist init makes one") from None
    cache = Cache(_cache_path(record.id, name)) if cached else None
    clock = clock or SystemClock()
    objects = Objects(store)
    trees = Trees(objects, cache)
    return Rooms(
        store=store,
        format=record,
        authority=authority(record, cache) if authority else _authority(store, record, cache, name=name, clock=clock),
        objects=objects,
        trees=trees,
        states=States(objects, trees),
        cache=cache,
        clock=clock,
        grace=grace,
        author=author,
    )


class DecidedElsewhere(NumberedRefs):
    """Reads a repository whose commits a database decides (§8.3), and refuses to commit: its rows are not to be seen from here."""

    name = "catalog"

    def __init__(self, store: Store, repo: str, cache: EntryCache | None, *, place: str) -> None:
        """Read entries; `place` is how people call the repository."""
        super().__init__(store, repo, cache)
        self._place = place

    def commit(self, entry: RefEntry) -> bool:
        """Refuse.

        Raises:
            Unsupported: always.
        """
        raise Unsupported(f"nothing was committed to {entry.ref} of {_only_read(self._place)}")


class _OnlyRead(Repository):
    """A repository whose commits a database decides, seen without that database."""

    @override
    def forget(self, refs: Iterable[str], *, imsure: bool = False, author: str | None = None) -> list[Version]:
        """Refuse.

        Raises:
            Unsupported: always.
        """
        raise Unsupported(f"nothing was forgotten in {_only_read(self.name)}")

    @override
    def collect(self, *, dry_run: bool = False) -> Collected:
        """Refuse: what a commit needs that only the database knows of yet must stay.

        Raises:
            Unsupported: always.
        """
        raise Unsupported(f"nothing was collected in {_only_read(self.name)}")


def _only_read(place: str) -> str:
    return (
        f"the repository at {place}: its commits are decided by the server or the catalog that made it, and from here it can only be read: "
        "open it by its name (kist.Client().get_repo, kist://org/repo)"
    )


def _authority(store: Store, record: Format, cache: Cache | None, *, name: str, clock: Clock) -> CommitAuthority:
    if record.authority == "fork":
        return ForkAuthority(store, record.id, cache)
    if record.authority == "catalog":
        return DecidedElsewhere(store, record.id, cache, place=name)
    if record.authority != "create":
        raise Unsupported(f"commits of the repository at {name} are decided by {record.authority!r}: install a newer kist")
    if not isinstance(store, ConditionalStore):
        raise Unsupported(f"the store at {name} has no put-if-absent any more, by which the commits of this repository are decided")
    return CreateAuthority(_ProbedStore(store, name), record.id, cache, sleep=clock.sleep)


class _ProbedStore:
    """A conditional store that is tried before its first commit: one that stopped honouring put-if-absent must fail loudly."""

    def __init__(self, store: ConditionalStore, name: str) -> None:
        self._store, self._name, self._probed = store, name, False
        self.get, self.get_range, self.head, self.list = store.get, store.get_range, store.head, store.list
        self.list_folders, self.put, self.delete = store.list_folders, store.put, store.delete

    def create(self, key: str, data: Buffer) -> None:
        if not self._probed:
            found = probe_quickly(self._store, PROBES)
            if not found.put_if_absent:
                raise Unsupported(
                    f"the store at {self._name} no longer honours put-if-absent ({'; '.join(found.reasons)}): nothing was committed"
                )
            self._probed = True
        self._store.create(key, data)


def _cache_path(repo: str, name: str) -> str:
    """Return where the cache of a repository is: by its id and its place, for a copy is another one."""
    place = name if "://" in name else os.path.realpath(name)
    return str(settings.cache_home() / f"{repo}-{hashlib.sha256(place.encode()).hexdigest()[:16]}.sqlite")
