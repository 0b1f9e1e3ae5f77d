"""A repository that looks like a store: what is behind ``kist://``.

Its keys are the files of a version: of a ref, or of the head of a branch, main unless said. A write or deletion is a commit; `batch` makes
many of them one. Old versions, tags and ids can be read only. A link is no object here.
"""

import builtins
import contextlib
import io
import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Buffer, Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice

from kist.engine.entries import check_path
from kist.engine.repository import Repository
from kist.engine.transactions import Source, Transaction
from kist.errors import AlreadyExists, Conflict, IntegrityError, InvalidInput, NotFound, Unsupported
from kist.models import Info
from kist.stores.keys import check_folder, check_range
from kist.stores.protocols import ObjectMeta

__all__ = ["RepositoryStore"]

MAIN = "main"
_HEADS = 1000


class RepositoryStore:
    """The files of a repository, at a ref."""

    def __init__(self, repository: Repository, ref: str | None = None, *, url: str = "", change: Transaction | None = None) -> None:
        """Look at `ref`, or at the head of main; with `change`, writes go there."""
        self.url = url or repository.name
        self._repository, self._ref, self._change = repository, ref, change
        self._lock = threading.RLock()
        self._seen: str | None = None  # the version that was looked at last
        self._heads: OrderedDict[str, str] = OrderedDict()  # where files were that somebody may be reading, by their hashes

    def __repr__(self) -> str:
        return f"<RepositoryStore {self.url}>"

    def get(self, key: str) -> bytes:
        """See `kist.stores.protocols.Get`."""
        _checked(key)
        with _files_only():
            return self._repository.read(key, ref=self._version())

    def get_range(self, key: str, *, start: int, end: int) -> bytes:
        """See `kist.stores.protocols.GetRange`."""
        check_range(start, end)
        return self._read(_checked(key), self._version(), start, end)

    def get_part(self, meta: ObjectMeta, *, start: int, end: int) -> bytes:
        """See `kist.stores.protocols.GetPart`: the bytes of the version that was listed, or of another where the file is the same."""
        check_range(start, end)
        for version in filter(None, (self._heads.get(meta.etag), self._seen, self._version())):
            with contextlib.suppress(NotFound):
                if self._repository.stat(meta.key, ref=version).hash == meta.etag:
                    return self._read(meta.key, version, start, end)
        raise Conflict(f"{meta.key!r} has changed in {self.url}: look at it again")

    def head(self, key: str) -> ObjectMeta:
        """See `kist.stores.protocols.Head`."""
        version = self._version()
        info = self._repository.stat(_checked(key), ref=version)
        if info.kind != "file":
            raise NotFound(f"{key!r} is a {info.kind} in {self.url}, not a file")
        if version:
            self._heads.pop(info.hash, None)
            self._heads[info.hash] = version
            while len(self._heads) > _HEADS:
                self._heads.popitem(last=False)
        return _meta(info)

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectMeta]:
        """See `kist.stores.protocols.List`; a listing is of one version from beginning to end."""
        version = self._version()
        return self._below(prefix.rpartition("/")[0], prefix, start_after, version) if version else iter(())

    def list_folder(self, prefix: str) -> tuple[builtins.list[ObjectMeta], builtins.list[str]]:
        """See `kist.stores.protocols.ListFolder`."""
        infos = self._tree(check_folder(prefix).rstrip("/"), self._version())
        files = [_meta(info) for info in infos if info.kind == "file"]
        folders = [info.name for info in infos if info.kind == "folder"]
        return sorted(files, key=lambda meta: meta.key.encode()), sorted(folders, key=str.encode)

    def list_folders(self, prefix: str) -> builtins.list[str]:
        """See `kist.stores.protocols.List`; empty folders count here."""
        return self.list_folder(prefix)[1]

    def put(self, key: str, data: Buffer) -> None:
        """See `kist.stores.protocols.Put`."""
        self._put(key, bytes(data))

    def put_stream(self, key: str, parts: Iterable[Buffer], *, size_bytes: int | None = None) -> None:
        """See `kist.stores.protocols.PutStream`."""
        self._put(key, io.BufferedReader(_Parts(parts, size_bytes)))

    def copy_from(self, source: object, source_key: str, key: str, *, meta: ObjectMeta | None = None) -> bool:
        """See `kist.stores.protocols.CopyFrom`: within a branch no content is read or written."""
        del meta
        if not isinstance(source, RepositoryStore) or (source._repository.id, source._ref) != (self._repository.id, self._ref):  # noqa: SLF001 - of its own class
            return False
        with self._changing(f"Copy {source_key} to {key}") as change:
            if self._holds(change, source_key) != "file":
                raise NotFound(f"there is no file {source_key!r} in {self.url}")
            if (held := self._holds(change, key)) == "folder":
                raise Conflict(f"{key!r} is a folder in {self.url}, so no file can have this name")
            if held and key != source_key:
                change.delete(key)
            if key != source_key:
                change.duplicate(source_key, key)
        return True

    def create(self, key: str, data: Buffer) -> None:
        """See `kist.stores.protocols.Create`."""
        try:
            with self._changing(f"Create {key}") as change:
                if any(change.below(_checked(key))):
                    raise AlreadyExists(f"{key!r} exists already in {self.url}")
                change.put(key, bytes(data))
        except Conflict as error:
            raise AlreadyExists(f"{key!r} was created by another writer in {self.url}") from error

    def delete(self, key: str) -> None:
        """See `kist.stores.protocols.Delete`."""
        with contextlib.suppress(NotFound), self._changing(f"Delete {key}") as change:
            change.delete(_checked(key))

    def move(self, key: str, new_key: str) -> None:
        """See `kist.stores.protocols.Move`."""
        with self._changing(f"Move {key} to {new_key}") as change:
            if not self._holds(change, key):
                raise NotFound(f"there is nothing at {key!r} in {self.url}")
            if self._holds(change, new_key) == "file" and not f"{new_key}/".startswith(f"{key}/"):
                change.delete(new_key)
            change.move(key, new_key)

    def where(self, key: str) -> str:
        """See `kist.stores.protocols.Where`."""
        return f"kist {self._repository.id} {self._ref or MAIN}/{key}"

    def is_folder(self, key: str) -> bool:
        """See `kist.stores.protocols.Folders`."""
        if not key:
            return True
        try:
            return self._repository.stat(_checked(key), ref=self._version()).kind == "folder"
        except NotFound:
            return False

    def make_folder(self, key: str) -> None:
        """See `kist.stores.protocols.Folders`."""
        with tempfile.TemporaryDirectory() as empty, self._changing(f"Make {key}") as change:
            os.chmod(empty, 0o755)  # noqa: S103 - as mkdir would
            if not any(change.below(_checked(key))):
                change.put(key, empty)

    def remove_folder(self, key: str) -> None:
        """See `kist.stores.protocols.Folders`."""
        with self._changing(f"Remove {key}") as change:
            held = list(islice(change.below(_checked(key)), 2))
            if any(path != key for path in held):
                raise Conflict(f"the folder {key!r} is not empty in {self.url}")
            if held:
                change.delete(key)

    @contextlib.contextmanager
    def batch(self, message: str = "") -> Iterator["RepositoryStore"]:
        """See `kist.stores.protocols.Batch`: one commit."""
        if self._change is not None:
            yield self
            return
        with self._repository.transaction(message, branch=self._branch()) as change:
            yield RepositoryStore(self._repository, self._ref, url=self.url, change=change)

    def _put(self, key: str, source: Source) -> None:
        with self._changing(f"Write {key}") as change:
            if self._holds(change, key) == "folder":
                raise Conflict(f"{key!r} is a folder in {self.url}, so no file can have this name")
            change.put(key, source)

    def _holds(self, change: Transaction, key: str) -> str:
        """Say what has a name after the changes so far: a folder, a file, or nothing."""
        held = list(islice(change.below(_checked(key)), 2))
        if any(path != key for path in held) or (held and self.is_folder(key)):
            return "folder"
        return "file" if held else ""

    @contextlib.contextmanager
    def _changing(self, message: str) -> Iterator[Transaction]:
        """Lend the change that a write is part of; one at a time, for threads of one process need not race."""
        with self._lock:
            if self._change is not None:
                yield self._change
                return
            with self._repository.transaction(message, branch=self._branch()) as change:
                yield change

    def _branch(self) -> str:
        """Return the branch that writes go to."""
        if self._ref is None or self._ref in self._repository.branches():
            return self._ref or MAIN
        raise Unsupported(f"{self.url} is a version, which never changes: write to a branch, such as {self.url.rpartition('@')[0]}")

    def _version(self) -> str | None:
        """Return the id of the version that is looked at now; None where nothing was ever committed."""
        try:
            self._seen = self._repository.version(self._ref).id
        except NotFound:
            if self._ref is not None:
                raise
            self._seen = None
        return self._seen

    def _read(self, key: str, version: str | None, start: int, end: int) -> bytes:
        with _files_only(), self._repository.open(key, ref=version) as file:
            file.seek(start)
            return file.read(end - start)

    def _tree(self, folder: str, version: str | None) -> builtins.list[Info]:
        try:
            infos = self._repository.tree(folder, ref=version)
        except NotFound:
            return []
        return [info for info in infos if info.path != folder]

    def _below(self, folder: str, prefix: str, start_after: str, version: str) -> Iterator[ObjectMeta]:
        """Yield files in the order of their keys, in which the content of ``a`` comes behind ``a.txt``; trees sort otherwise."""
        named = [(f"{info.path}/" if info.kind == "folder" else info.path, info) for info in self._tree(folder, version)]
        for path, info in sorted(named, key=lambda pair: pair[0].encode()):
            if info.kind == "folder" and _may_hold(path, prefix, start_after):
                yield from self._below(info.path, prefix, start_after, version)
            elif info.kind == "file" and path.startswith(prefix) and path.encode() > start_after.encode():
                yield _meta(info)


class _Parts(io.RawIOBase):
    """Reads parts as they come."""

    def __init__(self, parts: Iterable[Buffer], size_bytes: int | None) -> None:
        self._parts = iter(parts)
        self._left = memoryview(b"")
        self._size_bytes, self._done = size_bytes, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        with memoryview(buffer).cast("B") as view:
            while not self._left:
                part = next(self._parts, None)
                if part is None:
                    if self._size_bytes not in {None, self._done}:
                        raise IntegrityError(f"{self._size_bytes} bytes were announced, and {self._done} came: nothing was written")
                    return 0
                self._left = memoryview(part).cast("B")
                self._done += len(self._left)
            count = min(len(view), len(self._left))
            view[:count] = self._left[:count]
            self._left = self._left[count:]
            return count


@contextlib.contextmanager
def _files_only() -> Iterator[None]:
    """Say of a folder what stores say: that there is no object."""
    try:
        yield
    except InvalidInput as error:
        raise NotFound(str(error)) from error


def _checked(key: str) -> str:
    return check_path(key)


def _may_hold(folder: str, prefix: str, start_after: str) -> bool:
    """Say whether a folder, whose path ends in ``/``, can hold a wanted key."""
    wanted = folder.startswith(prefix) or prefix.startswith(folder)
    return wanted and (folder.encode() > start_after.encode() or start_after.startswith(folder))


def _meta(info: Info) -> ObjectMeta:
    modified = datetime.fromtimestamp((info.mtime_ns or 0) / 1e9, UTC)
    return ObjectMeta(key=info.path, size_bytes=info.size, modified=modified, etag=info.hash)
