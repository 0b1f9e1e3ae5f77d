"""A repository: everything that can be done with one, in the words of its users. The work is done in the modules beside this one."""

import io
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO, Literal

from kist import settings
from kist.engine.commits import Concurrent, Made, Note, Session, merge_heads, ref_entry, some
from kist.engine.content import ContentReader, chunk_batches
from kist.engine.entries import Entry, check_path, same_entry
from kist.engine.history import History, entry_version, to_version
from kist.engine.merging import merge
from kist.engine.nodes import Root, Totals
from kist.engine.records import Forgotten, encode, seal
from kist.engine.refs import Line
from kist.engine.rooms import Rooms
from kist.engine.saving import Meta, Progress, Saver, Skipped, silent, unheard
from kist.engine.sources import Contents, telling
from kist.engine.states import Parent, record_of
from kist.engine.tombstones import Guard
from kist.engine.transactions import Source, Transaction
from kist.errors import AlreadyExists, Conflict, InvalidInput, NotFound
from kist.ids import check_ref_name, new_txn, parse_ref, short
from kist.models import Collected, Difference, Info, Report, Version
from kist.stores.local import LocalStore

if TYPE_CHECKING:
    from kist.engine.restoring import RestoreReport

__all__ = ["Repository", "check_forget"]

BUFFER_BYTES = 64 << 10
RESTORE_WORKERS = 8


class Repository:
    """A tree of paths with a history. Threads may share one; so may processes and machines share the store.

    Paths are relative, ``/``-separated and literal. A `ref` is a branch, a tag, ``v42`` (``dev:v42`` of another branch than main), an id
    or 8 or more digits of one, or ``as-of:2026-11-20T10:00Z``; None is the head of `main`.
    """

    def __init__(self, rooms: Rooms, name: str) -> None:
        """Use `kist.open_repository`."""
        self._rooms = rooms
        self._history = History(rooms)
        self.name = name

    def __repr__(self) -> str:
        """Name the place."""
        return f"Repository({self.name!r})"

    @property
    def id(self) -> str:
        """The repository's id, 32 hexadecimal digits."""
        return self._rooms.format.id

    @property
    def authority(self) -> str:
        """How commits are decided: ``create``, ``fork`` or ``catalog``."""
        return self._rooms.authority.name

    # Saving

    def save(
        self,
        path: str,
        source: Source,
        *,
        message: str = "",
        author: str | None = None,
        labels: Iterable[str] | None = None,
        tags: dict[str, object] | None = None,
        ignore: Sequence[str] = (),
        branch: str = "main",
        always: bool = False,
        concurrent: Concurrent = "conflict",
        progress: Progress = silent,
        skipped: Skipped = unheard,
    ) -> Version:
        """Make `path` equal to a source, as one version; what the source lacks is removed. If nothing changed, return the current version.

        Args:
            path: where in the tree; empty for the whole tree.
            source: a path on this machine (text or `os.PathLike`: a file or a folder), or content (bytes or a binary file).
            message: why.
            author: who; the user of this machine if not said.
            labels: words for `path`; None keeps those that it has.
            tags: names and JSON values for `path`; None keeps those that it has.
            ignore: gitignore patterns, beside those of ``.kistignore`` files.
            branch: on which branch.
            always: make a version even if nothing changed.
            concurrent: if another writer changes the same path meanwhile: ``"conflict"`` raises, ``"order"`` puts this on top.
            progress: is told how many items and how many bytes were done since its last call.
            skipped: is told path and reason of what can't be kept (devices, sockets, names that are not Unicode).

        Raises:
            NotFound: the source does not exist.
            InvalidInput: the path or the source is not one.
            Conflict: another writer changed the same path meanwhile, or a file is where a folder must be.
            Denied: something may not be read or written.
            StoreError: the store failed.
        """
        check_path(path, root=True)
        meta = Meta(_labels(labels), tags, None, None)
        with Session(self._rooms, branch) as session:
            saver = Saver(self._rooms.objects, session.writer, self._rooms.cache, progress=progress, skipped=skipped)
            change = Transaction(self._rooms, saver, session.state.root)
            change.check_above(path)
            if isinstance(source, str | os.PathLike):
                old = self._rooms.trees.keyed_below(session.state.root, path)
                made = session.made(saver.folder(path, source, old, meta=meta, ignore=tuple(ignore)))
            else:
                change.put(path, source, meta=meta)
                made = session.made(change.changes())
            note = Note(message, author or settings.author(self._rooms.author))
            version = self._commit(session, made, note, always=always or bool(saver.lost), concurrent=concurrent)
            saver.remember()
        return version

    @contextmanager
    def transaction(
        self,
        message: str = "",
        *,
        author: str | None = None,
        branch: str = "main",
        always: bool = False,
        concurrent: Concurrent = "conflict",
    ) -> Iterator[Transaction]:
        """Make several changes one version, `Transaction.version`, at the end of the ``with`` block; or none at all, if that raises.

        Raises:
            Conflict: another writer changed the same path meanwhile.
            StoreError: the store failed.
        """
        with Session(self._rooms, branch) as session:
            saver = Saver(self._rooms.objects, session.writer, self._rooms.cache, progress=silent, skipped=unheard)
            change = Transaction(self._rooms, saver, session.state.root)
            yield change
            made = session.made(change.changes())
            note = Note(message, author or settings.author(self._rooms.author))
            change.version = self._commit(session, made, note, always=always or bool(saver.lost), concurrent=concurrent)
            saver.remember()

    def delete(self, path: str, *, message: str = "", author: str | None = None, branch: str = "main") -> Version:
        """Remove a path and all below it; earlier versions keep it.

        Raises:
            NotFound: there is nothing.
            Conflict: another writer changed it meanwhile.
        """
        with self.transaction(message or f"Delete {path}", author=author, branch=branch) as change:
            change.delete(path)
        return change.version

    def move(self, source: str, destination: str, *, message: str = "", author: str | None = None, branch: str = "main") -> Version:
        """Give a path and all below it another name; no content is read or written.

        Raises:
            NotFound: there is nothing at the source.
            AlreadyExists: there is something at the destination.
            InvalidInput: the destination lies in the source.
            Conflict: another writer changed it meanwhile.
        """
        with self.transaction(message or f"Move {source} to {destination}", author=author, branch=branch) as change:
            change.move(source, destination)
        return change.version

    def merge(
        self, ref: str, *, message: str = "", author: str | None = None, branch: str = "main", concurrent: Concurrent = "conflict"
    ) -> Version:
        """Bring what another ref changed into a branch, as one version with both as parents.

        Args:
            ref: what to merge.
            message: why.
            author: who.
            branch: into which branch.
            concurrent: if both changed a path differently: ``"conflict"`` raises, ``"order"`` takes that of `ref`.

        Raises:
            NotFound: there is no such ref or branch.
            Conflict: both changed the same path.
        """
        rooms = self._rooms
        found = self._history.find(ref)
        version, place = found.id, found.place
        with Session(rooms, branch) as session:
            base = rooms.states.common_base_of([(head.version, head.place) for head in session.state.heads], (version, place))
            theirs = self._history.root(ref)
            merged = merge(rooms.trees, base, session.state.root, theirs)
            if merged.conflicts and concurrent == "conflict":
                raise Conflict(
                    f"{branch} and {ref} both changed {some(merged.conflicts)}: save what it should be, "
                    f"or let {ref} win (concurrent='order', kist merge --on-conflict order)"
                )
            saver = Saver(rooms.objects, session.writer, rooms.cache, progress=silent, skipped=unheard)
            change = Transaction(rooms, saver, session.state.root)
            made = session.made((key, change.use(entry) if entry else None) for key, entry in merged.changes)
            note = Note(message or f"Merge {ref}", author or settings.author(self._rooms.author))
            known = base.id == theirs.id or any(head.version == version for head in session.state.heads)
            return self._commit(session, made, note, always=not known, concurrent=concurrent, merged=((version, place),))

    # Reading

    def log(self, path: str | None = None, *, limit: int | None = None, ref: str | None = None, branch: str = "main") -> list[Version]:
        """Return the versions of a branch, or up to a ref, newest first; with a path, those that changed it or something below it.

        Raises:
            NotFound: there is no such ref.
        """
        if path:
            check_path(path)
        if limit is not None and limit < 0:
            raise InvalidInput(f"a limit of {limit} versions makes no sense")
        return self._history.versions(path, ref=ref, branch=branch, limit=limit)

    def version(self, ref: str | None = None) -> Version:
        """Return the version that a ref means.

        Raises:
            NotFound: there is none.
        """
        return to_version(self._history.find(ref or "main"), forgotten=self._history.forgotten())

    def tree(self, path: str = "", *, ref: str | None = None, after: str = "", limit: int | None = None) -> list[Info]:
        """Return what lies right in a folder (or the one file at `path`), sorted; `after` and `limit` page through long listings.

        Raises:
            NotFound: there is no such ref or path.
        """
        root = self._history.root(ref)
        listed = self._rooms.trees.listing(root, check_path(path, root=True), after=after)
        infos = [_info(one.path, one.entry, one.totals) for one in islice(listed, limit)]
        if not infos and not after and path:
            only = self._stat(root, path, ref)
            return [only] if only.kind != "folder" else []
        return infos

    def walk(self, path: str = "", *, ref: str | None = None) -> Iterator[Info]:
        """Yield a path and all entries below it, in the order of the tree.

        Raises:
            NotFound: there is no such ref or path.
        """
        root = self._history.root(ref)
        if path:
            self._stat(root, check_path(path), ref)
        for entry in self._rooms.trees.below(root, path):
            yield _info(entry.path, entry, Totals(1, 1, entry.size))

    def stat(self, path: str, *, ref: str | None = None) -> Info:
        """Return what a version has at a path.

        Raises:
            NotFound: there is no such ref or path.
        """
        return self._stat(self._history.root(ref), check_path(path, root=True), ref)

    def open(self, path: str, *, ref: str | None = None) -> io.BufferedReader:
        """Open a file of a version to read its bytes: seekable; fetches only what is read, and checks it. Links are not followed.

        Raises:
            NotFound: there is no such ref or path.
            InvalidInput: it is no file.
        """
        entry = self._file(path, ref)
        return io.BufferedReader(ContentReader(self._rooms.objects, entry), buffer_size=BUFFER_BYTES)

    def read(self, path: str, *, ref: str | None = None) -> bytes:
        """Return the content of a file of a version.

        Raises:
            NotFound: there is no such ref or path.
            InvalidInput: it is no file.
            IntegrityError: what is stored is not what was saved.
        """
        return b"".join(chunk_batches(self._rooms.objects, self._file(path, ref)))

    def diff(self, a: str, b: str, path: str = "") -> list[Difference]:
        """Return what one ref has and another has not, sorted by path; changes of times alone are none.

        Raises:
            NotFound: there is no such ref.
        """
        old, new = self._history.root(a), self._history.root(b)
        check_path(path, root=True)
        inside = f"{path}/"
        differences = []
        for before, after in self._rooms.trees.differences(old, new):
            entry = after or before
            if entry is None or (path and entry.path != path and not entry.path.startswith(inside)):
                continue
            if before is None or after is None or not same_entry(before, after, times=False):
                differences.append(_difference(entry, before, after))
        return differences

    # Getting back

    def restore(
        self,
        path: str,
        destination: str | os.PathLike[str],
        *,
        ref: str | None = None,
        overwrite: bool = False,
        progress: Progress = silent,
    ) -> "RestoreReport":
        """Write a path of a version to this machine.

        The content of a folder goes into `destination`; a file becomes it, or goes into it if it is a folder. Nothing outside the
        destination is touched, whatever the repository says.

        Raises:
            NotFound: there is no such ref or path.
            AlreadyExists: something is in the way, and `overwrite` is not set.
            IntegrityError: what is stored is not what was saved.
            Denied: something may not be written.
        """
        from kist.engine.restoring import restore  # noqa: PLC0415 - a log or a listing should start fast

        workers = 1 if isinstance(self._rooms.store, LocalStore) else RESTORE_WORKERS
        return restore(
            self._contents(path, ref), destination, overwrite=overwrite, name=path.rpartition("/")[2], workers=workers, progress=progress
        )

    def export(
        self,
        path: str,
        file: str | os.PathLike[str] | BinaryIO,
        *,
        ref: str | None = None,
        overwrite: bool = False,
        progress: Progress = silent,
    ) -> None:
        """Write a path of a version as one archive, by the file's name; the same version gives the same bytes.

        Args:
            path: a file or folder; empty for the whole tree.
            file: where to, on this machine (``.tar.gz``, ``.tgz``, ``.tar`` or ``.zip``); or a binary file to write a ``.tar.gz`` to.
            ref: of which version.
            overwrite: whether a file that is there is replaced.
            progress: is told how many items and how many bytes were done since its last call.

        Raises:
            NotFound: there is no such ref or path.
            AlreadyExists: the file exists, and `overwrite` is not set.
            InvalidInput: the name says no known format.
            IntegrityError: what is stored is not what was saved; no file is left.
        """
        from kist.engine.archives import export_tar, export_zip, format_of  # noqa: PLC0415 - a log or a listing should start fast
        from kist.stores.disk.files import replacing  # noqa: PLC0415

        contents = telling(self._contents(path, ref), progress)
        top = path.rpartition("/")[2] or "kist"
        if not isinstance(file, str | os.PathLike):
            export_tar(contents, file, gzip=True, top=top)
            return
        kind = format_of(os.fspath(file))
        with replacing(os.path.abspath(file), only_new=not overwrite) as descriptor, os.fdopen(descriptor, "w+b", closefd=False) as target:
            if kind == "zip":
                export_zip(contents, target, top=top)
            else:
                export_tar(contents, target, gzip=kind == "tar.gz", top=top)

    # Refs

    def tag(self, name: str, ref: str | None = None) -> Version:
        """Give a version a name that never moves.

        Raises:
            AlreadyExists: there is a branch or tag of that name.
            NotFound: there is no such ref.
            InvalidInput: no tag may have that name.
        """
        return self._new_ref("tags", check_ref_name(name, what="tag"), ref)

    def tags(self) -> dict[str, Version]:
        """Return all tags with their versions."""
        return self._refs("tags")

    def branch(self, name: str, ref: str | None = None) -> Version:
        """Start a branch at a version.

        Raises:
            AlreadyExists: there is a branch or tag of that name.
            NotFound: there is no such ref.
            InvalidInput: no branch may have that name.
        """
        return self._new_ref("heads", check_ref_name(name, what="branch"), ref)

    def branches(self) -> dict[str, Version]:
        """Return all branches with their newest versions."""
        return self._refs("heads")

    # Keeping

    def forget(self, refs: Iterable[str], *, imsure: bool = False, author: str | None = None) -> list[Version]:
        """End versions: they stay in the log, but their content is not kept; `collect` frees what nothing else uses. Can't be undone.

        Args:
            refs: which versions.
            imsure: must be set.
            author: who; the user of this machine if not said.

        Raises:
            InvalidInput: `imsure` is not set.
            NotFound: there is no such version.
            Conflict: one is the head of a branch: save what should come after it first.
        """
        check_forget(refs, imsure=imsure)
        found = [self._history.find(ref) for ref in refs]
        heads = {head.version: name for name, line in self._lines("heads") for head in line.heads}
        for version in [one.id for one in found]:
            if version in heads:
                raise Conflict(f"version {short(version.hex())} is the head of {heads[version]}: save what should come after it first")
        for version in [one.id for one in found]:
            record = Forgotten(
                repo=self.id, version=version, time=self._rooms.clock.now(), author=author or settings.author(self._rooms.author)
            )
            self._rooms.store.put(f"refs/forgotten/{version.hex()}", seal(encode(record)))
        forgotten = self._history.forgotten()
        return [to_version(one, forgotten=forgotten) for one in found]

    def stored(self, prefix: str = "") -> Iterator[int]:
        """Yield the sizes in bytes of the objects that are stored: of all, or of those whose keys begin with `prefix`, such as ``packs/``.

        Raises:
            StoreError: the store failed.
        """
        return (meta.size_bytes for meta in self._rooms.store.list(prefix))

    def verify(self, level: Literal["metadata", "data"] = "metadata", *, progress: Progress = silent) -> Report:
        """Check what is stored: every version, tree and recipe, and that all they name is there; at level ``"data"`` every byte.

        Raises:
            StoreError: the store failed.
        """
        from kist.engine.verify import verify  # noqa: PLC0415 - seldom used, and large

        return verify(self._rooms, level, progress=progress)

    def repair(self) -> list[str]:
        """Rebuild what can be derived: the index from footers, and packs whose footers are damaged from their frames. Return what was done.

        Raises:
            StoreError: the store failed.
        """
        from kist.engine.verify import repair  # noqa: PLC0415 - seldom used, and large

        return repair(self._rooms)

    def collect(self, *, dry_run: bool = False) -> Collected:
        """Free what no version needs: mark it now, delete it once it was marked for a whole grace (24 hours). Safe beside writers.

        Raises:
            Unsupported: the store's clock goes backwards.
            StoreError: the store failed.
        """
        from kist.engine.collect import collect  # noqa: PLC0415 - seldom used, and large

        return collect(self._rooms, dry_run=dry_run)

    def _commit(
        self, session: Session, made: Made, note: Note, *, always: bool, concurrent: Concurrent, merged: tuple[Parent, ...] = ()
    ) -> Version:
        entry = session.commit(made, note, always=always, concurrent=concurrent, merged=merged)
        if entry is not None:
            return entry_version(entry)
        if not session.state.heads:
            raise InvalidInput("there is nothing to save, and no version yet: save some file first (or say always=True)")
        return entry_version(session.state.heads[-1])

    def _contents(self, path: str, ref: str | None) -> Contents:
        root = self._history.root(ref)
        if check_path(path, root=True):
            self._stat(root, path, ref)
        return Contents(self._rooms.objects, lambda: self._rooms.trees.below(root, path), base=path)

    def _stat(self, root: Root, path: str, ref: str | None) -> Info:
        entry = self._rooms.trees.get(root, path) if path else None
        if entry is not None and entry.kind != "folder":
            return _info(path, entry, Totals(1, 1, entry.size))
        totals = self._rooms.trees.totals(root, path)
        if path and entry is None and not totals.entries:
            raise NotFound(f"there is nothing at {path!r} in {ref or 'main'}: kist ls lists what there is")
        return _info(path, entry, totals)

    def _file(self, path: str, ref: str | None) -> Entry:
        entry = self._rooms.trees.get(self._history.root(ref), check_path(path))
        if entry is None or entry.kind != "file":
            kind = self.stat(path, ref=ref).kind
            raise InvalidInput(f"{path!r} is a {kind}, not a file")
        return entry

    def _lines(self, kind: str) -> Iterator[tuple[str, Line]]:
        for name in self._rooms.store.list_folders(f"refs/{kind}/"):
            if (line := self._rooms.authority.line(f"{kind}/{name}")) is not None:
                yield name, line

    def _refs(self, kind: str) -> dict[str, Version]:
        forgotten = self._history.forgotten()
        return {name: to_version(self._history.at_ref(line.heads[-1]), forgotten=forgotten) for name, line in self._lines(kind)}

    def _new_ref(self, kind: Literal["heads", "tags"], name: str, ref: str | None) -> Version:
        """Add the first entry of a ref."""
        wanted = parse_ref(ref or "main")
        if wanted.kind == "name" and len(self._rooms.state(wanted.name).heads) > 1:
            merge_heads(self._rooms, wanted.name)  # the state of a forked branch becomes a version before it gets a name
        found = self._history.find(ref or "main")
        self._history.root(found.id.hex())
        rooms = self._rooms
        guard = Guard(rooms.objects, rooms.store, rooms.writer(), rooms.clock, grace=rooms.grace, kept=[found.id])
        for other in ("heads", "tags"):
            if (line := self._rooms.authority.line(f"{other}/{name}")) is not None:
                raise AlreadyExists(f"{name!r} is taken: it names v{line.heads[-1].seq or record_of(line.heads[-1]).number}")
        seq = found.record.number if kind == "heads" else 0
        entry = ref_entry(self._rooms, f"{kind}/{name}", seq, (found.id, found.place, encode(found.record)), previous=(), txn=new_txn())
        if not guard.before():
            raise NotFound(f"version {short(found.id.hex())} was forgotten: its content is not kept any more")
        if not self._rooms.authority.commit(entry):
            raise AlreadyExists(f"{name!r} is taken: another writer was faster")
        guard.after()
        line = self._rooms.authority.settled(entry)
        if kind == "tags" and line and line.heads[0].txn != entry.txn:
            raise AlreadyExists(f"{name!r} is taken: another writer was faster")
        return to_version(found._replace(branch=name if kind == "heads" else found.branch, txn=""), forgotten=set())


def check_forget(refs: Iterable[str], *, imsure: bool) -> None:
    """Refuse to forget what was not meant.

    Raises:
        InvalidInput: it is one text, not several; or nobody is sure.
    """
    if isinstance(refs, str):
        raise InvalidInput(f"forget takes a list of refs, not one: [{refs!r}]")
    if not imsure:
        raise InvalidInput("forgetting can't be undone: say that you are sure (imsure=True, kist forget --imsure)")


def _labels(labels: Iterable[str] | None) -> tuple[str, ...] | None:
    if labels is None:
        return None
    if isinstance(labels, str):
        raise InvalidInput(f"labels are a set of words, not one text: {{{labels!r}}}")
    return tuple(sorted(set(labels)))


def _info(path: str, entry: Entry | None, totals: Totals) -> Info:
    if entry is None:
        return Info(path=path, kind="folder", size=totals.size, files=totals.files)
    folder = entry.kind == "folder"
    return Info(
        path=path,
        kind=entry.kind,
        size=totals.size if folder else entry.size,
        files=totals.files if folder else 1,
        mtime_ns=entry.mtime_ns,
        mode=entry.mode,
        hash=entry.hash.hex(),
        crc32c=entry.crc32c if entry.kind == "file" else None,
        sha256=entry.sha256.hex(),
        target=entry.target,
        id=entry.id,
        timestamp=entry.timestamp,
        labels=frozenset(entry.labels),
        tags=dict(entry.tags or {}),
    )


def _difference(entry: Entry, before: Entry | None, after: Entry | None) -> Difference:
    change: Literal["added", "removed", "modified"] = "added" if before is None else "removed" if after is None else "modified"
    return Difference(
        path=entry.path, change=change, kind=entry.kind, old_size=before.size if before else None, new_size=after.size if after else None
    )
