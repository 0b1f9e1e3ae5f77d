"""Entries of refs that a client hands over: looked at closely before a repository's own authority decides.

An entry is refused that belongs elsewhere, leaves out a number, does not follow the head, or names a version that is not stored: whoever
may write can make new versions, and must not be able to harm those that are there.
"""

from typing import Literal

from kist.engine.records import RefEntry, VersionRecord, decode, unseal
from kist.engine.refs import Line, entry_seal
from kist.engine.rooms import Rooms as Engine
from kist.errors import Conflict, IntegrityError, InvalidInput, NotFound
from kist.ids import check_ref_name

__all__ = ["State", "decide", "read_entry"]

type State = Literal["stands", "taken", "dropped"]

_KINDS = ("heads", "tags")


def read_entry(content: bytes, *, repo: str) -> RefEntry:
    """Return the entry that some bytes hold, which must be of the repository with this id.

    Raises:
        InvalidInput: they hold something else.
    """
    try:
        entry = decode(unseal(content, what="the entry"), RefEntry, what="the entry")
        record = decode(entry.record, VersionRecord, what="its version")
    except IntegrityError as error:
        raise InvalidInput(f"this is no entry of a ref: {error}") from error
    kind, _, name = entry.ref.partition("/")
    if entry.repo != repo:
        raise InvalidInput("the entry belongs to another repository: it was opened before that one took this name; open it again")
    if kind not in _KINDS:
        raise InvalidInput(f"the entry belongs to {entry.ref!r}, which is no branch and no tag")
    check_ref_name(name, what="branch" if kind == "heads" else "tag")
    if entry.seq != (record.number if kind == "heads" else 0):
        raise InvalidInput(f"the entry says number {entry.seq} of {entry.ref}, its version says {record.number}")
    return entry


def decide(engine: Engine, entry: RefEntry) -> State:
    """Let the authority of a repository decide on an entry; to ask again with the same entry is safe.

    Raises:
        Conflict: it does not follow what is there, or what it names is not stored.
        StoreError: the outcome is unknown.
    """
    authority = engine.authority
    line = authority.line(entry.ref)
    if line is not None and authority.name != "fork" and entry.seq <= line.highest:
        return "stands" if entry in authority.at(entry.ref, entry.seq) else "taken"
    if line is None and _names_something_else(engine, entry):
        return "taken"
    _check_place(line, entry, forks=authority.name == "fork")
    _check_stored(engine, entry)
    if not authority.commit(entry):
        return "taken"
    return "dropped" if authority.settled(entry) is None else "stands"


def _names_something_else(engine: Engine, entry: RefEntry) -> bool:
    """Say whether a new tag would have the name of a branch, or the other way round."""
    kind, _, name = entry.ref.partition("/")
    return engine.authority.line(f"{_KINDS[1 - _KINDS.index(kind)]}/{name}") is not None


def _check_place(line: Line | None, entry: RefEntry, *, forks: bool) -> None:
    """Refuse an entry that would leave a gap, or does not follow the head.

    Raises:
        Conflict: it would.
    """
    if line is None:
        if entry.previous:
            raise Conflict(f"there is no {entry.ref} yet, and the entry follows something: open the repository again")
        return
    if entry.seq > line.highest + 1:
        raise Conflict(f"the newest entry of {entry.ref} is number {line.highest}, so {entry.seq} can't be the next: look at it again")
    if not forks and entry.previous != tuple(entry_seal(head) for head in line.heads):
        raise Conflict(f"the entry does not follow the head of {entry.ref}: open the repository again, and save again")


def _check_stored(engine: Engine, entry: RefEntry) -> None:
    """Refuse an entry whose version is not stored where it says.

    Raises:
        Conflict: it is not.
    """
    try:
        engine.objects.read(entry.version, entry.place)
    except (IntegrityError, NotFound) as error:
        raise Conflict(f"the version that the entry of {entry.ref} names is not stored: save again") from error
