"""From a change to a version: store, check tombstones, write the ref entry, and rebase if another writer was faster."""

import random
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple, Self

from kist.engine.changed import ChangedPaths
from kist.engine.entries import Entry, Place
from kist.engine.merging import merge
from kist.engine.nodes import Root, Totals
from kist.engine.objects import Writer
from kist.engine.packs import FrameKind
from kist.engine.records import RefEntry, VersionRecord, encode
from kist.engine.rooms import Rooms
from kist.engine.states import Parent, State
from kist.engine.tombstones import Guard
from kist.engine.updates import Change, update_tree
from kist.errors import Conflict, IntegrityError, NotFound
from kist.ids import check_ref_name, new_txn

__all__ = ["Concurrent", "Made", "Note", "Session", "merge_heads", "ref_entry", "some"]

TOOL = "kist 0.1.0"
ATTEMPTS = 1000
PATIENCE = 8
"""How many times as long as a lost attempt took a writer waits at most before the next one."""
SOME = 5
Concurrent = Literal["conflict", "order"]


class Note(NamedTuple):
    """What people say about a version."""

    message: str
    author: str
    notes: Mapping[str, str] = MappingProxyType({})


class Made(NamedTuple):
    """What a change makes of a tree."""

    root: Root
    totals: Totals
    changed: ChangedPaths


class Session:
    """One change of one branch: what it starts from, and the writer that takes what it stores. A context manager."""

    def __init__(self, rooms: Rooms, branch: str) -> None:
        """Read the branch; it need not exist if the repository is empty."""
        self.branch = check_ref_name(branch, what="branch")
        self._rooms = rooms
        self._began = rooms.clock.elapsed()
        self.writer = rooms.writer()
        self.state = rooms.durable(self.writer, rooms.state(branch))
        if not self.state.heads and branch != "main":
            raise NotFound(f"there is no branch {branch!r}: kist branch {branch} makes one")

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """End; what was stored and not committed is left for the collector.

        Raises:
            Conflict: the change took so long that something it needs was collected.
        """
        self.writer.close()
        if isinstance(error, IntegrityError) and self._rooms.clock.elapsed() - self._began > self._rooms.grace:
            raise Conflict("part of what this change started from, or stored, was collected while it ran: try again") from error

    def made(self, changes: Iterable[Change]) -> Made:
        """Store the tree that some changes, sorted, make of the branch."""
        changed = ChangedPaths()
        root, totals = update_tree(self._rooms.trees, self.writer, self.state.root, changes, changed=changed)
        return Made(root, totals, changed)

    def commit(
        self, made: Made, note: Note, *, always: bool = False, concurrent: Concurrent = "conflict", merged: tuple[Parent, ...] = ()
    ) -> RefEntry | None:
        """Make a tree the next version of the branch; return its entry, or None if nothing changed.

        Args:
            made: the tree.
            note: message and author.
            always: make a version even if nothing changed.
            concurrent: if another writer changed the same path meanwhile: ``"conflict"`` raises, ``"order"`` puts this change on top.
            merged: versions of other branches that become parents too.

        Raises:
            Conflict: another writer changed the same path meanwhile.
            StoreError: the store failed; the outcome may be unknown, and the message says so then.
        """
        rooms, start, change, txn = self._rooms, self.state, made, new_txn()
        if not made.changed.count and not always and len(self.state.heads) < 2:  # noqa: PLR2004 - no one head has the state of several
            if self.writer.reused:
                self.guard().before()  # content that was read again heals what was found damaged
            return None
        for attempt in range(ATTEMPTS):
            began = rooms.clock.elapsed()
            entry = _entry(rooms, self.branch, self.writer, state=self.state, made=made, note=note, txn=txn, merged=merged)
            self.writer.flush()
            guard = self.guard()
            if guard.before() and rooms.authority.commit(entry):
                guard.after()
                line = rooms.authority.settled(entry)
                if line is not None:
                    if len(line.heads) > 1:
                        merge_heads(rooms, self.branch)
                    return entry
                txn = new_txn()
            if attempt:  # many writers at once: who has lost more than once lets the others go on
                rooms.clock.sleep(random.uniform(0, min(attempt, PATIENCE)) * (rooms.clock.elapsed() - began))  # noqa: S311  no secret
            made = self._rebase(start, change, concurrent if rooms.authority.name != "fork" else "order")
        raise Conflict(f"{ATTEMPTS} other versions of {self.branch} came first, one after the other: try again when there is less going on")

    def guard(self) -> Guard:
        """Return what checks the session's next entry. Heads of a fork may be forgotten once somebody else wrote."""
        rooms = self._rooms
        kept = [head.version for head in self.state.heads] if rooms.authority.name == "fork" else []
        return Guard(
            rooms.objects, rooms.store, self.writer, rooms.clock, grace=rooms.grace, began=self._began, cache=rooms.cache, kept=kept
        )

    def _rebase(self, start: State, made: Made, concurrent: Concurrent) -> Made:
        """Put a change on top of what other writers made of the branch since it started.

        Always from there: a state in between may hold an entry of ours that a checkpoint dropped, and our change would seem to be done.
        """
        rooms = self._rooms
        self.state = rooms.durable(self.writer, rooms.state(self.branch))
        merge_ = merge(rooms.trees, start.root, self.state.root, made.root)
        if merge_.conflicts and concurrent == "conflict":
            raise Conflict(
                f"another version of {self.branch} changed {some(merge_.conflicts)} meanwhile: look at it (kist log), then save again"
            )
        for _, entry in merge_.changes:
            self._note_use(entry)
        return self.made(merge_.changes)

    def _note_use(self, entry: Entry | None) -> None:
        """Note the use of content that a change took from what was its parent before."""
        if entry is None or entry.place is None:
            return
        kind, frame_id = (FrameKind.RECIPE, entry.recipe) if entry.recipe else (FrameKind.DATA, entry.hash)
        if frame_id not in self.writer.reused:
            self.writer.reuse(kind, frame_id, entry.place)


def some(paths: Sequence[str]) -> str:
    """Return the first few of some paths for a message."""
    named = ", ".join(repr(path) for path in paths[:SOME])
    return f"{named} and {len(paths) - SOME} more" if len(paths) > SOME else named


def _entry(
    rooms: Rooms, branch: str, writer: Writer, *, state: State, made: Made, note: Note, txn: bytes, merged: tuple[Parent, ...] = ()
) -> RefEntry:
    """Store the version's record; return the entry that would make it the head."""
    now = rooms.clock.now()
    record = VersionRecord(
        parents=(*state.parents, *(parent for parent in merged if parent not in state.parents)),
        tree=made.root.id,
        place=made.root.place,
        number=state.highest + 1,
        time=max([now, state.time + 1, *(rooms.states.record(*parent).time + 1 for parent in merged)]),
        author=note.author,
        message=note.message,
        tool=TOOL,
        files=made.totals.files,
        size=made.totals.size,
        new_bytes=writer.stats.new_bytes,
        reused_bytes=writer.stats.reused_bytes,
        changed=made.changed.listed(),
        filter=made.changed.filter(),
        notes=dict(note.notes),
    )
    raw = encode(record)
    version, place = writer.add_metadata(FrameKind.VERSION, raw)
    return ref_entry(rooms, f"heads/{branch}", record.number, (version, place, raw), previous=state.previous, txn=txn)


def ref_entry(
    rooms: Rooms, ref: str, seq: int, version: tuple[bytes, Place, bytes], *, previous: tuple[bytes, ...], txn: bytes
) -> RefEntry:
    """Return the entry that makes a version (id, place, record) number `seq` of a ref."""
    return RefEntry(
        repo=rooms.format.id,
        ref=ref,
        seq=seq,
        txn=txn,
        previous=previous,
        version=version[0],
        place=version[1],
        record=version[2],
        time=rooms.clock.now(),
    )


def merge_heads(rooms: Rooms, branch: str) -> None:
    """Commit the merge of a forked branch's heads, once; whether that is seen first or another one does not matter."""
    with Session(rooms, branch) as session:
        state, writer = session.state, session.writer
        if len(state.heads) < 2:  # noqa: PLR2004 - nothing to merge
            return
        names = " and ".join(f"v{head.seq}-{head.txn.hex()[:8]}" for head in state.heads)
        made = Made(state.root, rooms.totals(state.root), ChangedPaths())
        entry = _entry(rooms, branch, writer, state=state, made=made, note=Note(f"Merge {names}", "kist"), txn=new_txn())
        writer.flush()
        guard = session.guard()
        if guard.before():
            rooms.authority.commit(entry)
            guard.after()
