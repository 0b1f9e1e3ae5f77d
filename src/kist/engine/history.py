"""Which version a ref means, and which versions there are: of a branch, and of a path."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice

from kist.engine.changed import filter_has, with_folders
from kist.engine.entries import Place
from kist.engine.nodes import EMPTY, Root
from kist.engine.records import RefEntry, VersionRecord
from kist.engine.rooms import Rooms
from kist.engine.states import record_of
from kist.errors import InvalidInput, NotFound
from kist.ids import Ref, parse_ref, short
from kist.models import Stats, Version

__all__ = ["Found", "History", "entry_version", "found_at", "to_version"]

FORGOTTEN = "refs/forgotten/"
Found = tuple[bytes, Place, VersionRecord, str, str]
"""Id and place of a version, its record, the branch and the transaction under which it was found."""


class History:
    """Resolves refs and lists versions of one repository."""

    def __init__(self, rooms: Rooms) -> None:
        """Read nothing yet."""
        self._rooms = rooms

    def root(self, ref: str | None, *, branch: str = "main") -> Root:
        """Return the tree that a ref means: the state of a branch, the tree of a version, or an empty one if there is no version yet.

        Raises:
            NotFound: there is no such ref, or the version was forgotten.
        """
        wanted = ref or branch
        parsed = parse_ref(wanted, branch=branch)
        if parsed.kind == "name" and (state := self._rooms.state(parsed.name)).heads:
            return state.root
        if parsed.kind == "name" and parsed.name == "main" and self._is_empty():
            return EMPTY
        version, _, record, _, _ = self.find(wanted, branch=branch)
        if version.hex() in self.forgotten():
            raise NotFound(f"version {short(version.hex())} was forgotten: its content is not kept any more")
        return Root(record.tree, record.place)

    def find(self, text: str, *, branch: str = "main") -> Found:
        """Return the version that a ref means; of a forked branch its newest head.

        Raises:
            NotFound: there is none.
            InvalidInput: the text is no ref, or means several versions.
        """
        ref = parse_ref(text, branch=branch)
        if ref.kind == "name":
            for kind in ("heads", "tags"):
                if (line := self._rooms.authority.line(f"{kind}/{ref.name}")) is not None:
                    return self.at_ref(line.heads[-1])
            raise NotFound(f"there is no branch or tag {ref.name!r}: kist branch and kist tag list what there is")
        if ref.kind == "number":
            return self._by_number(ref, text)
        if ref.kind == "id":
            return self._by_id(ref.name)
        return self._as_of(ref, text)

    def at_ref(self, entry: RefEntry) -> Found:
        """Return the version of an entry; that of a tag by the branch where it has its number, main first."""
        version, place, record, name, txn = found_at(entry)
        if not entry.ref.startswith("tags/"):
            return version, place, record, name, txn
        for branch in ("main", *self._rooms.store.list_folders("refs/heads/")):
            if any(one.version == version for one in self._rooms.authority.at(f"heads/{branch}", record.number)):
                return version, place, record, branch, ""
        return version, place, record, "main", ""

    def entries(self, branch: str) -> Iterator[Found]:
        """Yield the versions of a branch, newest first, and then those of the one that it started from."""
        last: Found | None = None
        for entry in self._rooms.authority.entries(f"heads/{branch}"):
            last = found_at(entry)
            yield last
        if last is not None:
            yield from islice(self.ancestors(last), 1, None)

    def ancestors(self, found: Found) -> Iterator[Found]:
        """Yield a version and its first parents."""
        version, place, record, branch, txn = found
        while True:
            yield version, place, record, branch, txn
            if not record.parents:
                return
            version, place = record.parents[0]
            record, txn = self._rooms.states.record(version, place), ""

    def versions(self, path: str | None, *, ref: str | None, branch: str, limit: int | None) -> list[Version]:
        """Return the versions of a branch, or up to a ref, newest first; with a path those that changed it or something below it."""
        forgotten = self.forgotten()
        found = self._of_path(path, ref, branch) if path else self._all(ref, branch)
        listed = list(islice(found, limit))
        numbers = [one[2].number for one in listed]
        return [
            to_version(
                one,
                forgotten=forgotten,
                forked=numbers.count(one[2].number) > 1 if one[4] and self._rooms.authority.name == "fork" else False,
            )
            for one in listed
        ]

    def forgotten(self) -> set[str]:
        """Return the ids of the versions that were forgotten."""
        return {meta.key.removeprefix(FORGOTTEN) for meta in self._rooms.store.list(FORGOTTEN)}

    def _all(self, ref: str | None, branch: str) -> Iterator[Found]:
        if ref is None or ref == branch:
            if self._rooms.authority.line(f"heads/{branch}") is None:
                if branch == "main" and self._is_empty():
                    return iter(())
                raise NotFound(f"there is no branch {branch!r}")
            return self.entries(branch)
        parsed = parse_ref(ref, branch=branch)
        if parsed.kind == "name" and self._rooms.authority.line(f"heads/{parsed.name}") is not None:
            return self.entries(parsed.name)
        return self.ancestors(self.find(ref, branch=branch))

    def _of_path(self, path: str, ref: str | None, branch: str) -> Iterator[Found]:
        """Yield the versions that changed a path: from the index in the cache where there is one, else by looking at each."""
        start = parse_ref(ref, branch=branch) if ref is not None else Ref(kind="name", name=branch)
        name = f"heads/{start.name}"
        line = self._rooms.authority.line(name) if start.kind == "name" else None
        if line is None or self._rooms.cache is None:
            yield from (one for one in self._all(ref, branch) if self._changed(one, path))
            return
        self._index(name, line.highest)
        cache = self._rooms.cache
        hits = {(seq, txn) for seq, txn in cache.changes(name, path)}
        maybe = {(seq, txn) for seq, txn, data in cache.filters(name) if filter_has(data, path)}
        known = cache.indexed(name)
        first: Found | None = None
        for seq in sorted({seq for seq, _ in hits | maybe}, reverse=True):
            for entry in reversed(self._rooms.authority.at(name, seq)):
                one = found_at(entry)
                if (seq, entry.txn) in hits or (seq, entry.txn) not in known or self._changed(one, path):
                    yield one
        oldest = min((seq for seq, _ in known), default=1)
        if oldest > 1:
            first = next((found_at(entry) for entry in self._rooms.authority.at(name, oldest)), None)
        if first is not None:
            yield from (one for one in islice(self.ancestors(first), 1, None) if self._changed(one, path))

    def _index(self, name: str, highest: int) -> None:
        """Bring the cache's index of a branch up to date: read the entries that it lacks."""
        cache = self._rooms.cache
        if cache is None or (self._rooms.authority.name == "create" and cache.newest_indexed(name) == highest):
            return
        known = cache.indexed(name)
        rows, paths = [], []
        for entry in self._rooms.authority.entries(name):
            if (entry.seq, entry.txn) in known:
                if self._rooms.authority.name == "create":
                    break
                continue
            record = record_of(entry)
            rows.append((name, entry.seq, entry.txn, entry.version, record.filter))
            changed = {folder for path in record.changed or () for folder in with_folders(path)}
            paths += [(path, name, entry.seq, entry.txn) for path in changed]
        cache.index_entries(rows, paths)

    def _changed(self, found: Found, path: str) -> bool:
        """Say whether a version changed a path or something below it."""
        record = found[2]
        if record.changed is not None:
            return any(path in with_folders(one) for one in record.changed)
        if not filter_has(record.filter, path):
            return False
        parent = self._rooms.states.record(*record.parents[0]) if record.parents else None
        old = Root(parent.tree, parent.place) if parent else EMPTY
        trees, new = self._rooms.trees, Root(record.tree, record.place)
        return (
            trees.get(old, path) != trees.get(new, path)
            or trees.totals(old, path) != trees.totals(new, path)
            or list(trees.below(old, path)) != list(trees.below(new, path))
        )

    def _by_number(self, ref: Ref, text: str) -> Found:
        entries = [entry for entry in self._rooms.authority.at(f"heads/{ref.branch}", ref.number) if entry.txn.hex().startswith(ref.txn)]
        if len(entries) > 1:
            names = " or ".join(f"v{entry.seq}-{entry.txn.hex()[:8]}" for entry in entries)
            raise InvalidInput(f"{text!r} means {len(entries)} versions, for writers forked there: say {names}")
        if entries:
            return found_at(entries[0])
        for found in self.entries(ref.branch):
            if found[2].number == ref.number and not ref.txn:
                return found
            if found[2].number < ref.number:
                break
        raise NotFound(f"there is no version {text!r}: kist log lists them")

    def _by_id(self, prefix: str) -> Found:
        found: dict[bytes, Found] = {}
        for kind in ("heads", "tags"):
            for name in self._rooms.store.list_folders(f"refs/{kind}/"):
                for one in self.entries(name) if kind == "heads" else map(found_at, self._rooms.authority.entries(f"tags/{name}")):
                    if one[0].hex().startswith(prefix):
                        found.setdefault(one[0], one)
                        if len(prefix) == 64:  # noqa: PLR2004 - a whole id
                            return one
        if len(found) > 1:
            raise InvalidInput(f"{prefix!r} starts the ids of {len(found)} versions: give more digits")
        if not found:
            raise NotFound(f"there is no version with an id that starts with {prefix!r}")
        return next(iter(found.values()))

    def _as_of(self, ref: Ref, text: str) -> Found:
        """Return the newest version of a branch that is not younger: times grow with numbers, so bisect where numbers have no gaps."""
        if ref.time is None:
            raise InvalidInput(f"ref {text!r} has no time")
        moment = int(ref.time.timestamp() * 1_000_000)
        for found in self.entries(ref.branch):
            if found[2].time <= moment:
                return found
        raise NotFound(f"{ref.branch} had no version at {ref.time.isoformat()}")

    def _is_empty(self) -> bool:
        return next(iter(self._rooms.store.list("refs/heads/")), None) is None


def found_at(entry: RefEntry) -> Found:
    """Return the version of an entry."""
    return entry.version, entry.place, record_of(entry), entry.ref.partition("/")[2], entry.txn.hex()


def to_version(found: Found, *, forgotten: set[str], forked: bool = False) -> Version:
    """Return a version as people see it."""
    version, _, record, branch, txn = found
    return Version(
        id=version.hex(),
        number=record.number,
        time=datetime.fromtimestamp(record.time / 1_000_000, UTC),
        author=record.author,
        message=record.message,
        stats=Stats(files=record.files, bytes=record.size, new_bytes=record.new_bytes, reused_bytes=record.reused_bytes),
        parents=tuple(parent.hex() for parent, _ in record.parents),
        branch=branch,
        txn=txn,
        forked=forked,
        forgotten=version.hex() in forgotten,
    )


def entry_version(entry: RefEntry) -> Version:
    """Return the version of an entry that was just committed."""
    return to_version(found_at(entry), forgotten=set())
