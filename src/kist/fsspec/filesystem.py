"""A filesystem of fsspec over `kist.storage`, one class for all: nothing of a listing is ever kept, and no error is taken for an answer.

Paths are literal and have no protocol: ``org/repo@ref/path`` in ``kist://``, ``path`` in a mount. URLs are percent-decoded, once, as
everywhere in kist. Folders above a new file are made where they are needed. What one call changes in a repository is one commit.
"""

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from glob import has_magic
from typing import ClassVar, cast, override

from fsspec.callbacks import DEFAULT_CALLBACK, Callback  # type: ignore[import-untyped]  # as above
from fsspec.compression import compr  # type: ignore[import-untyped]  # as above
from fsspec.core import get_compression  # type: ignore[import-untyped]  # as above

from kist.errors import AlreadyExists, InvalidInput, NotFound, Unsupported
from kist.fsspec.changes import Batches, Changes, Later
from kist.fsspec.files import CompressedWriter, StorageReader, StorageWriter
from kist.fsspec.looking import ReadingFileSystem, telling
from kist.storage.files import open_writer
from kist.storage.places import is_folder, remove_place
from kist.stores import mounts
from kist.stores.disk import Disk
from kist.stores.locations import Location, locate
from kist.stores.protocols import Batch, Folders, Move
from kist.stores.reading import BUFFER_BYTES, ObjectReader
from kist.stores.transfers import transfer
from kist.stores.writing import TextWriter

__all__ = ["KistFileSystem", "MountFileSystem", "StorageFileSystem"]

type Paths = str | list[str]


class StorageFileSystem(ReadingFileSystem):
    """A filesystem. Made by `fsspec.filesystem`; options are those of the store, and go before those of a mount."""

    transaction_type = Changes

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)
        self._mine = threading.local()

    # Changes

    def _batches(self) -> Batches | None:
        mine = getattr(self._mine, "batches", None)
        return mine or (self.transaction.batches if self._intrans else None)

    @contextmanager
    def _together(self, message: str) -> Iterator[None]:
        """Let a repository take what this thread changes meanwhile as one commit."""
        if self._batches() is not None:
            yield
            return
        batches = self._mine.batches = Batches(message)
        try:
            yield
        except BaseException:
            batches.end(commit=False)
            raise
        else:
            batches.end(commit=True)
        finally:
            self._mine.batches = None

    def _target(self, path: str) -> Location:
        """Find a place that is to be changed, and make the folders above it where that is needed."""
        place = self._at(path)
        if self._is_root(path) or not place.key:
            raise InvalidInput(f"{place.shown} is a whole store: name something in it")
        if isinstance(place.store, Disk):
            above, root = place.key.rpartition("/")[0], self._at("")
            if not place.store.is_folder(root.key):
                raise NotFound(f"there is no folder /{root.key}, which {root.url} stands for: is its disk there?")
            place.store.make_folder(above)
        batches = self._batches()
        return replace(place, store=batches.store(place.store)) if batches else place

    def _waits(self, place: Location) -> bool:
        """Say whether changes of a place wait for the end of a transaction; a repository takes them at once, and shows them at the end."""
        return bool(self._intrans) and not isinstance(place.store, Batch)

    def _do(self, place: Location, change: Callable[[], object]) -> None:
        if self._waits(place):
            self.transaction.files.append(_Waiting(change))
        else:
            change()

    # Opening

    @override
    def open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        cache_options: Mapping[str, object] | None = None,
        compression: str | None = None,
        **kwargs: object,
    ) -> object:
        """Open a file. What is written appears at close, whole; never after an exception in the ``with`` block.

        Raises:
            NotFound: there is nothing to read.
            AlreadyExists: the mode is ``x``, and there is something.
            Unsupported: this place is read-only.
        """
        if "r" in mode and "+" not in mode:
            return super().open(path, mode, block_size, cache_options, compression, **kwargs)
        text = {name: cast("str | None", kwargs.pop(name, None)) for name in ("encoding", "errors", "newline")}
        writer = self._writer(path, mode.replace("b", "").replace("t", ""), waits=not kwargs.get("autocommit", True))
        method = get_compression(path, compression)
        file = writer if method is None else CompressedWriter(compr[method](writer, mode="w"), writer)
        return file if "b" in mode else TextWriter(file, text["encoding"] or "utf-8", text["errors"], text["newline"])

    @override
    def _open(self, path: str, *_: object, **__: object) -> StorageReader:
        path, place, meta = self._path(path), self._at(path), self._meta(path)
        return StorageReader(ObjectReader(place.store, meta, place.named), BUFFER_BYTES, fs=self, path=path, meta=meta)

    def _writer(self, path: str, kind: str, *, waits: bool) -> StorageWriter:
        place = self._target(path)
        if isinstance(place.store, Folders) and place.store.is_folder(place.key):
            raise InvalidInput(f"{place.shown} is a folder: a file can't take its place")
        writer = open_writer(place, kind, made=StorageWriter)
        writer.waits = waits
        if self._intrans:
            writer.waits = self._waits(place)
            self.transaction.files.append(writer)
        return writer

    # Writing

    @override
    def pipe(self, path: str | Mapping[str, bytes], value: bytes | None = None, **kwargs: object) -> None:
        """Write a file, or many.

        Raises:
            StoreError: the store failed.
        """
        count = "1 file" if isinstance(path, str) else f"{len(path)} files"
        with self._together(f"Write {count}"):
            super().pipe(path, value, **kwargs)

    @override
    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_: object) -> None:
        """Write a file.

        Raises:
            AlreadyExists: the mode is ``"create"``, and there is something.
            StoreError: the store failed.
        """
        with cast("StorageWriter", self.open(path, "xb" if mode == "create" else "wb")) as file:
            file.write(value)

    @override
    def put_file(self, lpath: str, rpath: str, callback: Callback = DEFAULT_CALLBACK, mode: str = "overwrite", **kwargs: object) -> None:
        """Copy a file from this machine; of a folder, make an empty one.

        Raises:
            AlreadyExists: the mode is ``"create"``, and there is something.
            IntegrityError: what arrived is not what was sent.
        """
        if mode == "create" and self.exists(rpath):
            raise AlreadyExists(f"{self.unstrip_protocol(rpath)} exists already")
        if os.path.isdir(lpath):
            self._make_folder(rpath)
            return
        target = self._target(rpath)
        if self._waits(target):
            super().put_file(lpath, rpath, callback, **kwargs)
            return
        source = locate(os.path.abspath(lpath))
        meta = source.store.head(source.key)
        callback.set_size(meta.size_bytes)
        transfer(source, meta, target, heard=telling(callback))

    @override
    def put(self, lpath: str, rpath: str, recursive: bool = False, callback: Callback = DEFAULT_CALLBACK, **kwargs: object) -> None:
        """Copy files from this machine; errors as of `put_file`."""
        with self._together(f"Put {_said(rpath)}"):
            super().put(lpath, rpath, recursive, callback, **kwargs)

    @override
    def cp_file(self, path1: str, path2: str, **_: object) -> None:
        """Copy a file, within the service where it can; of a folder, make an empty one.

        Raises:
            NotFound: there is nothing.
            IntegrityError: what arrived is not what was sent.
        """
        source = self._at(path1)
        meta = source.find()
        if meta is None and not is_folder(source):
            raise NotFound(f"there is nothing at {source.url}")
        if meta is None:
            self._make_folder(path2)
        elif self._strip_protocol(path1) != self._strip_protocol(path2):
            target = self._target(path2)
            self._do(target, lambda: transfer(source, meta, target))

    @override
    def copy(self, path1: str, path2: str, recursive: bool = False, **kwargs: object) -> None:
        """Copy files; errors as of `cp_file`."""
        with self._together(f"Copy {_said(path1)} to {_said(path2)}"):
            super().copy(path1, path2, recursive, **kwargs)

    @override
    def mv(self, path1: Paths, path2: Paths, recursive: bool = False, maxdepth: int | None = None, **kwargs: object) -> None:
        """Move files: by a renaming where the store can, else by copying and removing.

        Raises:
            NotFound: there is nothing.
            StoreError: the store failed; the source is still there.
        """
        with self._together(f"Move {_said(path1)} to {_said(path2)}"):
            is_one = isinstance(path1, str) and isinstance(path2, str) and not has_magic(path1) and maxdepth is None
            if not is_one or not self._renamed(str(path1), str(path2), recursive=recursive):
                super().mv(path1, path2, recursive, maxdepth, **kwargs)

    def _renamed(self, path1: str, path2: str, *, recursive: bool) -> bool:
        """Move by a renaming, if that is possible."""
        source = self._at(path1)
        is_file = source.find() is not None
        if self._is_root(path1) or self._intrans or not isinstance(source.store, Move) or not (is_file or recursive):
            return False
        if path2.endswith("/") or (self.isdir(path2) and (is_file or not path1.endswith("/"))):
            path2 = f"{path2.rstrip('/')}/{source.name}"
        if self._at(path2).store is not source.store or self.exists(path2):
            return False
        target = self._target(path2)
        if not isinstance(target.store, Move):
            return False
        try:
            with target.named():
                target.store.move(source.key, target.key)
        except Unsupported:
            return False
        return True

    @override
    def rm(self, path: str | list[str], recursive: bool = False, maxdepth: int | None = None) -> None:
        """Remove files, and with `recursive` folders with all that is in them; links go, not what they lead to.

        Raises:
            NotFound: there is nothing.
            InvalidInput: it is a folder that is not empty, and `recursive` is not set; or a whole store.
        """
        with self._together(f"Remove {_said(path)}"):
            if maxdepth is not None:
                super().rm(path, recursive, maxdepth)
                return
            for one in [path] if isinstance(path, str) else path:
                matching = self.glob(one) if has_magic(one) else None
                if matching == []:
                    raise NotFound(f"nothing matches {one}")
                for each in [one] if matching is None else matching:
                    if matching is None or self.exists(each):
                        self._remove(each, recursive=recursive)

    @override
    def rm_file(self, path: str) -> None:
        """Remove a file, or an empty folder; errors as of `rm`."""
        self._remove(path, recursive=False)

    def _remove(self, path: str, *, recursive: bool) -> None:
        place = self._at(path)
        if self._is_root(path):
            raise InvalidInput(f"{place.shown} is a whole store, which is not removed at once: remove what is in it")
        batches = self._batches()
        target = replace(place, store=batches.store(place.store)) if batches else place
        self._do(target, lambda: remove_place(target, recursive=recursive))

    # Folders

    @override
    def mkdir(self, path: str, create_parents: bool = True, **_: object) -> None:
        """Make a folder. Where folders are but the beginning of names, there is nothing to make.

        Raises:
            AlreadyExists: the name is taken.
            NotFound: there is no folder above it, and `create_parents` is not set.
        """
        if not create_parents and not self.isdir(self._parent(path)):
            raise NotFound(f"there is no folder {self.unstrip_protocol(self._parent(path))}: make it first")
        self.makedirs(path)

    @override
    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Make a folder and those above it.

        Raises:
            AlreadyExists: the name is taken, by a file or, unless `exist_ok` is set, a folder.
        """
        if self.isfile(path) or (self.isdir(path) and not exist_ok):
            raise AlreadyExists(f"{self.unstrip_protocol(path)} exists already")
        self._make_folder(path)

    def _make_folder(self, path: str) -> None:
        if self._is_root(path):
            self._check_root(path)
            return
        target = self._target(path)
        if isinstance(target.store, Folders):
            with target.named():
                target.store.make_folder(target.key)

    @override
    def rmdir(self, path: str) -> None:
        """Remove an empty folder.

        Raises:
            NotFound: there is none.
            InvalidInput: it is not empty.
        """
        if not self.isdir(path):
            raise NotFound(f"there is no folder {self.unstrip_protocol(path)}")
        self._remove(path, recursive=False)


class KistFileSystem(StorageFileSystem):
    """Repositories: ``org/repo/path`` is a file at the head of main, ``org/repo@ref/path`` one of a branch, a tag or an old version."""

    protocol: ClassVar[str] = "kist"

    @override
    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Make a folder, as one commit; with `exist_ok` none, for what is written makes those that it needs.

        Raises:
            AlreadyExists: the name is taken, by a file or, unless `exist_ok` is set, a folder.
        """
        if not exist_ok or self.isfile(path):
            super().makedirs(path)

    def _is_root(self, path: str) -> bool:
        return self._path(path).count("/") < len(("org", "repo"))

    def _check_root(self, path: str) -> None:
        if "/" in self._path(path):
            next(self._at(path).store.list(), None)  # looks for the version


class MountFileSystem(StorageFileSystem):
    """A mount. Each has a class of its own, so that it can be sent to other processes, which must have the mount too."""

    def _scheme(self) -> str:
        if mounts.find(self.protocol):
            return self.protocol
        return next((name for name in mounts.mounts() if name.replace("_", "-") == self.protocol), self.protocol)


class _Waiting(Later):
    """A change that waits for the end of a transaction."""

    def __init__(self, change: Callable[[], object]) -> None:
        self._change = change

    def commit(self) -> None:
        self._change()

    def discard(self) -> None:
        pass


def _said(path: str | list[str]) -> str:
    return path if isinstance(path, str) else f"{len(path)} files"
