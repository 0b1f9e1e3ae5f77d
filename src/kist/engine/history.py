"""Which version a ref means, and which versions there are: of a branch, and of a path."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain, islice
from typing import NamedTuple

from kist.engine.changed import filter_has, with_folders
from kist.engine.entries import Place
from kist.engine.nodes import EMPTY, Root
from kist.engine.records import RefEntry, VersionRecord
from kist.engine.rooms import Rooms
from kist.engine.states import record_of
from kist.errors import InvalidInput, NotFound
from kist.ids import Ref, parse_ref, short
from kist.models import Stats, Version

__all__ = ["FORGOTTEN", "Found", "History", "entry_version", "found_at", "to_version"]

FORGOTTEN = "refs/forgotten/"
WHOLE_ID = 64


class Found(NamedTuple):
    """A version, where its frame lies, and the branch and transaction under which it was found."""

    id: bytes
    place: Place
    record: VersionRecord
    branch: str
    txn: str


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
        found = self.find(wanted, branch=branch)
        if found.id.hex() in self.forgotten():
            raise NotFound(f"version {short(found.id.hex())} was forgotten: its content is not kept any more")
        return Root(found.record.tree, found.record.place)

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
        found = found_at(entry)
        if not entry.ref.startswith("tags/"):
            return found
        for branch in ("main", *self._rooms.store.list_folders("refs/heads/")):
            if any(one.version == found.id for one in self._rooms.authority.at(f"heads/{branch}", found.record.number)):
                return found._replace(branch=branch, txn="")
        return found._replace(branch="main", txn="")

    def versions(self, path: str | None, *, ref: str | None, branch: str, limit: int | None) -> list[Version]:
        """Return the versions of a branch, or up to a ref, newest first; with a path those that changed it or something below it."""
        forgotten = self.forgotten()
        found = list(islice(self._of_path(path, ref, branch) if path else self._all(ref, branch), limit))
        doubled = {name: self._rooms.authority.doubled(f"heads/{name}") for name in {one.branch for one in found}}
        forks = [bool(one.txn) and one.record.number in doubled[one.branch] for one in found]
        return [to_version(one, forgotten=forgotten, forked=forked) for one, forked in zip(found, forks, strict=True)]

    def forgotten(self) -> set[str]:
        """Return the ids of the versions that were forgotten."""
        return {meta.key.removeprefix(FORGOTTEN) for meta in self._rooms.store.list(FORGOTTEN)}

    def _entries(self, branch: str) -> Iterator[Found]:
        """Yield the versions of a branch, newest first, and then those of the one that it started from."""
        last: Found | None = None
        for entry in self._rooms.authority.entries(f"heads/{branch}"):
            last = found_at(entry)
            yield last
        if last is not None:
            yield from self._before(last)

    def _before(self, found: Found) -> Iterator[Found]:
        """Yield the first parents of a version."""
        while found.record.parents:
            version, place = found.record.parents[0]
            found = Found(version, place, self._rooms.states.record(version, place), found.branch, "")
            yield found

    def _all(self, ref: str | None, branch: str) -> Iterator[Found]:
        wanted = ref or branch
        parsed = parse_ref(wanted, branch=branch)
        if parsed.kind == "name" and self._rooms.authority.line(f"heads/{parsed.name}") is not None:
            return self._entries(parsed.name)
        if wanted == "main" and self._is_empty():
            return iter(())
        found = self.find(wanted, branch=branch)
        return chain([found], self._before(found))

    def _of_path(self, path: str, ref: str | None, branch: str) -> Iterator[Found]:
        """Yield the versions that changed a path: from the index in the cache where there is one, else by looking at each."""
        start = parse_ref(ref or branch, branch=branch)
        name = f"heads/{start.name}"
        cache, authority = self._rooms.cache, self._rooms.authority
        known = self._index(name) if start.kind == "name" and authority.line(name) is not None else None
        if cache is None or known is None:
            yield from (one for one in self._all(ref, branch) if self._changed(one, path))
            return
        certain = set(cache.changes(name, path))
        maybe = {(seq, txn) for seq, txn, data in cache.filters(name) if filter_has(data, path)}
        for seq in sorted({seq for seq, _ in certain | maybe}, reverse=True):
            for entry in reversed(authority.at(name, seq)):
                one = found_at(entry)
                if (seq, entry.txn) in certain or self._changed(one, path):
                    yield one
        oldest = min((seq for seq, _ in known), default=1)
        if oldest > 1:
            first = found_at(authority.at(name, oldest)[0])
            yield from (one for one in self._before(first) if self._changed(one, path))

    def _index(self, name: str) -> set[tuple[int, bytes]] | None:
        """Bring the cache's index of a branch up to date; return which entries it has, None if the cache can't keep them."""
        cache, authority = self._rooms.cache, self._rooms.authority
        if cache is None:
            return None
        known = cache.indexed(name)
        rows, paths = [], []
        for entry in authority.entries(name):
            if (entry.seq, entry.txn) in known:
                if authority.name == "fork":
                    continue
                break
            record = record_of(entry)
            rows.append((name, entry.seq, entry.txn, entry.version, record.filter))
            changed = {above for path in record.changed or () for above in with_folders(path)}
            paths += [(path, name, entry.seq, entry.txn) for path in changed]
        if rows:
            cache.index_entries(rows, paths)
            known = cache.indexed(name)
        return known if all((seq, txn) in known for _, seq, txn, _, _ in rows) else None

    def _changed(self, found: Found, path: str) -> bool:
        """Say whether a version changed a path or something below it."""
        record = found.record
        if record.changed is not None:
            return any(path in with_folders(one) for one in record.changed)
        if not filter_has(record.filter, path):
            return False
        parent = self._rooms.states.record(*record.parents[0]) if record.parents else None
        old = Root(parent.tree, parent.place) if parent else EMPTY
        trees, new = self._rooms.trees, Root(record.tree, record.place)
        return trees.totals(old, path) != trees.totals(new, path) or list(trees.below(old, path)) != list(trees.below(new, path))

    def _by_number(self, ref: Ref, text: str) -> Found:
        entries = [entry for entry in self._rooms.authority.at(f"heads/{ref.branch}", ref.number) if entry.txn.hex().startswith(ref.txn)]
        if len(entries) > 1:
            names = " or ".join(f"v{entry.seq}-{entry.txn.hex()[:8]}" for entry in entries)
            raise InvalidInput(f"{text!r} means {len(entries)} versions, for writers forked there: say {names}")
        if entries:
            return found_at(entries[0])
        for found in self._entries(ref.branch):
            if found.record.number == ref.number and not ref.txn:
                return found
            if found.record.number < ref.number:
                break
        raise NotFound(f"there is no version {text!r}: kist log lists them")

    def _by_id(self, prefix: str) -> Found:
        found: dict[bytes, Found] = {}
        for one in self._candidates(prefix):
            if one.id.hex().startswith(prefix):
                found.setdefault(one.id, one)
                if len(prefix) == WHOLE_ID:
                    break
        if len(found) > 1:
            raise InvalidInput(f"{prefix!r} starts the ids of {len(found)} versions: give more digits")
        if not found:
            raise NotFound(f"there is no version with an id that starts with {prefix!r}")
        return next(iter(found.values()))

    def _candidates(self, prefix: str) -> Iterator[Found]:
        """Yield versions among which are all with ids that start with `prefix`: just those from the cache's index, if there is one."""
        cache, authority = self._rooms.cache, self._rooms.authority
        for branch in self._rooms.store.list_folders("refs/heads/"):
            name = f"heads/{branch}"
            if cache is None or self._index(name) is None:
                yield from self._entries(branch)
                continue
            for seq, txn in cache.versions(name, prefix):
                yield from (found_at(entry) for entry in authority.at(name, seq) if entry.txn == txn)

    def _as_of(self, ref: Ref, text: str) -> Found:
        """Return the newest version of a branch that is not younger."""
        if ref.time is None:
            raise InvalidInput(f"ref {text!r} has no time")
        moment = int(ref.time.timestamp() * 1_000_000)
        for found in self._since(ref.branch, moment):
            if found.record.time <= moment:
                return found
        raise NotFound(f"{ref.branch} had no version at {ref.time.isoformat()}")

    def _since(self, branch: str, moment: int) -> Iterator[Found]:
        """Yield versions of a branch, newest first, from one that is at most one younger than a moment: times and numbers grow together."""
        name, authority = f"heads/{branch}", self._rooms.authority
        line = authority.line(name)
        if line is None or authority.name == "fork":
            yield from self._all(branch, branch)
            return
        low, high = 0, line.highest
        while low < high:
            middle = (low + high + 1) // 2
            young = any(record_of(entry).time > moment for entry in authority.at(name, middle))
            low, high = (low, middle - 1) if young else (middle, high)
        start = next((found_at(entry) for entry in authority.at(name, low)), None)
        if start is None:  # before the branch began
            yield from self._entries(branch)
        else:
            yield from chain([start], self._before(start))

    def _is_empty(self) -> bool:
        return next(iter(self._rooms.store.list("refs/heads/")), None) is None


def found_at(entry: RefEntry) -> Found:
    """Return the version of an entry."""
    return Found(entry.version, entry.place, record_of(entry), entry.ref.partition("/")[2], entry.txn.hex())


def to_version(found: Found, *, forgotten: set[str], forked: bool = False) -> Version:
    """Return a version as people see it."""
    record = found.record
    return Version(
        id=found.id.hex(),
        number=record.number,
        time=datetime.fromtimestamp(record.time / 1_000_000, UTC),
        author=record.author,
        message=record.message,
        stats=Stats(files=record.files, bytes=record.size, new_bytes=record.new_bytes, reused_bytes=record.reused_bytes),
        parents=tuple(parent.hex() for parent, _ in record.parents),
        branch=found.branch,
        txn=found.txn,
        forked=forked,
        forgotten=found.id.hex() in forgotten,
    )


def entry_version(entry: RefEntry) -> Version:
    """Return the version of an entry that was just committed."""
    return to_version(found_at(entry), forgotten=set())
