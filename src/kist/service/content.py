"""What is in repositories: objects to read and to store, entries of refs, and what only a server may do with them.

Whoever may write stores objects below packs/, index/ and sessions/, and none that is there is replaced. Refs, and what collecting keeps,
are changed by operations alone (rule 8 of the design).
"""

from itertools import islice
from typing import Final

from kist.engine.repository import Repository
from kist.errors import Busy, Denied, NotFound, StoreError
from kist.models import Collected
from kist.models.requests import (
    CollectRepo,
    ForgetVersions,
    ListObjects,
    ObjectName,
    PutObject,
    PutRefEntry,
    ReadObject,
    RefState,
    Stored,
    StoredPage,
)
from kist.operations import (
    COLLECT_REPO,
    FORGET_VERSIONS,
    HEAD_OBJECT,
    LIST_OBJECTS,
    PUT_OBJECT,
    PUT_REF_ENTRY,
    READ_OBJECT,
)
from kist.service import moving
from kist.service.committing import CatalogAuthority
from kist.service.entering import decide, read_entry
from kist.service.handlers import Handlers
from kist.service.opened import Opened, engine_of, here, still_here
from kist.service.rooms import Act
from kist.stores.keys import check_folder, check_key, check_prefix, check_range
from kist.stores.protocols import ObjectMeta, Store

__all__ = ["HANDLERS", "WRITABLE"]

HANDLERS = Handlers()

WRITABLE: Final = ("packs/", "index/", "sessions/")
"""Where those who may write store objects."""

_NEVER_REPLACED: Final = ("packs/", "index/")


@HANDLERS.work(LIST_OBJECTS)
def _list(act: Act, request: ListObjects) -> StoredPage:
    """List objects, or folders."""
    if request.folders:
        check_folder(request.prefix)
        names = [name for name in here(act).store.list_folders(request.prefix) if name.encode() > request.start_after.encode()]
        return StoredPage(folders=names[: request.limit], more=len(names) > request.limit)
    check_prefix(request.prefix)
    found = list(islice(here(act).store.list(request.prefix, start_after=request.start_after), request.limit + 1))
    return StoredPage(objects=[_stored(meta) for meta in found[: request.limit]], more=len(found) > request.limit)


@HANDLERS.work(HEAD_OBJECT)
def _head(act: Act, request: ObjectName) -> Stored:
    """Look at an object."""
    return _stored(here(act).store.head(check_key(request.key)))


@HANDLERS.work(READ_OBJECT)
def _read(act: Act, request: ReadObject) -> bytes:
    """Read an object, or part of it."""
    key, start, end = check_key(request.key), request.start, request.end
    store = here(act).store
    if end is None:
        if not start:
            return store.get(key)
        end = max(start, store.head(key).size_bytes)
    check_range(start, end)
    return store.get_range(key, start=start, end=end)


@HANDLERS.work(PUT_OBJECT)
def _put(act: Act, request: PutObject) -> None:
    """Store an object."""
    key = check_key(request.key)
    if not key.startswith(WRITABLE):
        raise Denied(f"{key!r} is not for clients to write: objects are stored below {', '.join(WRITABLE)}, all else by operations")
    opened = here(act, write=True)
    if key.startswith(_NEVER_REPLACED) and not _is_free(opened.store, key, request.content):
        return
    opened.store.put(key, request.content)


def _is_free(store: Store, key: str, content: bytes) -> bool:
    """Say whether nothing is under a key yet; the same bytes once more are no harm.

    Raises:
        Denied: other bytes are there.
    """
    try:
        found = store.head(key)
    except NotFound:
        return True
    if found.size_bytes == len(content) and store.get(key) == content:
        return False
    raise Denied(f"{key!r} is stored already, and such objects never change")


@HANDLERS.work(PUT_REF_ENTRY)
def _put_ref_entry(act: Act, request: PutRefEntry) -> RefState:
    """Commit.

    The repository is online before and after, and in the same place: so whoever moves it, and shuts it before the last look at its old
    place, finds there all that was ever acknowledged.
    """
    opened = here(act, write=True)
    engine = engine_of(act.rooms, opened)
    entry = read_entry(request.content, repo=engine.format.id)
    moving.catch_up(act.rooms, opened)
    state = decide(engine, entry)
    if state != "taken" and not still_here(act.rooms, opened):
        raise StoreError(
            f"{opened.name} was moved or deleted meanwhile, and nobody knows whether this was committed: look at it, then try again"
        )
    act.details.update({"ref": entry.ref, "number": entry.seq, "version": entry.version.hex()[:12], "state": state})
    return RefState(state=state)


@HANDLERS.work(FORGET_VERSIONS)
def _forget(act: Act, request: ForgetVersions) -> None:
    """End versions for ever."""
    opened = here(act, write=True)
    found = Repository(engine_of(act.rooms, opened), opened.name).forget(request.refs, imsure=request.imsure, author=act.who.name)
    _check_still_here(act, opened)
    act.details["versions"] = [version.id[:12] for version in found][:100]


@HANDLERS.work(COLLECT_REPO)
def _collect(act: Act, request: CollectRepo) -> Collected:
    """Free what no version needs."""
    opened = here(act, write=True)
    engine = engine_of(act.rooms, opened)
    if isinstance(engine.authority, CatalogAuthority):
        engine.authority.heal()  # what is committed and not to be seen yet needs its packs too
    found = Repository(engine, opened.name).collect(dry_run=request.dry_run)
    act.details.update({"deleted": found.deleted, "freed_bytes": found.freed_bytes, "dry_run": request.dry_run})
    return found


def _check_still_here(act: Act, opened: Opened) -> None:
    if not still_here(act.rooms, opened):
        raise Busy(f"{opened.name} was moved or deleted meanwhile: look whether it was done, then try again")


def _stored(meta: ObjectMeta) -> Stored:
    return Stored(key=meta.key, size_bytes=meta.size_bytes, modified=meta.modified, etag=meta.etag)
