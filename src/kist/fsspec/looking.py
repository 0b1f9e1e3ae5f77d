"""The half of a filesystem that changes nothing: what is there, and its bytes. Many files are read side by side."""

import os
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from hashlib import sha256
from typing import BinaryIO, ClassVar, cast, override
from urllib.parse import unquote

from fsspec import AbstractFileSystem  # type: ignore[import-untyped]  # it has no types
from fsspec.callbacks import DEFAULT_CALLBACK, Callback  # type: ignore[import-untyped]  # as above

from kist.errors import InvalidInput, NotFound, Unsupported
from kist.storage.places import is_folder, level
from kist.stores import budget
from kist.stores.locations import Location, locate, resolve
from kist.stores.mounts.options import translate
from kist.stores.protocols import Folders, GetPart, ObjectMeta, ReadableStore, Sign
from kist.stores.transfers import parts_of, transfer
from kist.stores.urls import encode, scheme_of

__all__ = ["ReadingFileSystem", "telling"]

type Details = dict[str, object]

_OF_FSSPEC = frozenset({"use_listings_cache", "listings_expiry_time", "max_paths", "asynchronous", "loop", "auto_mkdir"})
"""Options that are no store's."""


class ReadingFileSystem(AbstractFileSystem):  # type: ignore[misc]  # it has no types
    """What a filesystem does that changes nothing."""

    protocol: ClassVar[str] = "abstract"

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, use_listings_cache=False)
        self._options = {name: value for name, value in options.items() if name not in _OF_FSSPEC}

    # Paths

    @classmethod
    @override
    def _strip_protocol(cls, path: str | os.PathLike[str] | list[str]) -> str | list[str]:
        if isinstance(path, list):
            return [cast("str", cls._strip_protocol(one)) for one in path]
        text = os.fspath(path)
        if text.startswith(f"{cls.protocol}://"):
            text = unquote(text.removeprefix(f"{cls.protocol}://"))
        return text.strip("/")

    @override
    def unstrip_protocol(self, name: str) -> str:
        """Return the URL of a path."""
        return f"{self.protocol}://{encode(self._path(name))}"

    def _path(self, path: str) -> str:
        """Return a path without a protocol."""
        return cast("str", self._strip_protocol(path))

    def _scheme(self) -> str:
        """Return what URLs begin with for the rest of kist."""
        return self.protocol

    def _at(self, path: str) -> Location:
        """Find the place of a path.

        Raises:
            InvalidInput: there can be none.
        """
        path = self._path(path)
        if path and {"", ".", ".."} & set(path.split("/")):
            raise InvalidInput(f"{path!r} is no path: a segment is empty, '.' or '..'")
        url = f"{self._scheme()}://{encode(path)}"
        if not self._options:
            return locate(url)
        real = resolve(url)[0]
        if scheme_of(real) == "file":
            raise InvalidInput(f"{url} is on this machine's disk, which takes no options; found {', '.join(sorted(self._options))}")
        return locate(url, translate(scheme_of(real), self._options))

    def _is_root(self, path: str) -> bool:
        """Say whether a path is that of a whole store, or of what stores are in."""
        return not self._path(path)

    def _check_root(self, path: str) -> None:
        """Refuse the path of a whole store that is not there.

        Raises:
            NotFound: it is not.
        """

    # Looking

    @override
    def info(self, path: str, **_: object) -> Details:
        """Return name, type and size, and of a file `mtime` and `created` (seconds since 1970 UTC) and `etag`.

        Raises:
            NotFound: there is nothing.
        """
        path = self._path(path)
        if self._is_root(path):
            self._check_root(path)
            return _folder(path)
        place = self._at(path)
        if meta := place.find():
            return _file(path, meta)
        if not is_folder(place):
            raise NotFound(f"there is nothing at {place.shown}")
        return _folder(path)

    @override
    def ls(self, path: str, detail: bool = True, **_: object) -> list[Details] | list[str]:
        """List a folder, or a file.

        Raises:
            NotFound: there is neither.
        """
        path = self._path(path)
        place = self._at(path)
        metas, folders = level(place)
        prefix = f"{path}/" if path else ""
        listed = [_file(prefix + meta.key.rpartition("/")[2], meta) for meta in metas] + [_folder(prefix + name) for name in folders]
        if not listed and (meta := place.find()):
            listed = [_file(path, meta)]
        if not listed and not is_folder(place):
            raise NotFound(f"there is nothing at {place.shown}")
        listed.sort(key=lambda one: str(one["name"]))
        return listed if detail else [str(one["name"]) for one in listed]

    @override
    def walk(
        self,
        path: str,
        maxdepth: int | None = None,
        topdown: bool = True,
        on_error: str | Callable[[OSError], object] = "omit",
        **kwargs: object,
    ) -> Iterator[tuple[str, object, object]]:
        """Walk through folders as `os.walk` does. Only a folder that is not there is left out: a failure is no empty folder."""
        yield from super().walk(path, maxdepth, topdown, _raise_failures if on_error == "omit" else on_error, **kwargs)

    @override
    def find(
        self,
        path: str,
        maxdepth: int | None = None,
        withdirs: bool = False,
        detail: bool = False,
        **kwargs: object,
    ) -> list[str] | dict[str, Details]:
        """List all that is below a folder: with one listing, where folders need no look of their own."""
        path = self._path(path)
        place = None if maxdepth is not None or self._is_root(path) else self._at(path)
        if place is None or (withdirs and isinstance(place.store, Folders)):
            return cast("list[str]", super().find(path, maxdepth, withdirs, detail, **kwargs))
        names: dict[str, Details] = {}
        with place.named():
            for meta in place.store.list(place.prefix):
                name = f"{path}/{meta.key[len(place.prefix) :]}"
                names[name] = _file(name, meta)
                above = name.rpartition("/")[0] if withdirs else ""
                while len(above) >= len(path) and above and above not in names:
                    names[above] = _folder(above)
                    above = above.rpartition("/")[0]
        if not names and (meta_here := place.find()):
            names[path] = _file(path, meta_here)
        return {name: names[name] for name in sorted(names)} if detail else sorted(names)

    @override
    def exists(self, path: str, **_: object) -> bool:
        """Say whether there is anything.

        Raises:
            StoreError: the store failed.
        """
        try:
            self.info(path)
        except NotFound:
            return False
        return True

    @override
    def isfile(self, path: str) -> bool:
        """Say whether there is a file; errors as of `exists`."""
        return not self._is_root(path) and self._at(path).find() is not None

    @override
    def isdir(self, path: str) -> bool:
        """Say whether there is a folder; errors as of `exists`."""
        if not self._is_root(path):
            return is_folder(self._at(path))
        return self.exists(path)

    @override
    def modified(self, path: str) -> datetime:
        """Return when a file was last written, in UTC.

        Raises:
            NotFound: there is no such file.
        """
        return self._meta(path).modified

    @override
    def created(self, path: str) -> datetime:
        """Return the same as `modified`: what is written is a new whole each time; errors as of `modified`."""
        return self._meta(path).modified

    @override
    def checksum(self, path: str) -> int:
        """Return a number that changes when the content does; errors as of `modified`."""
        return int(self.ukey(path)[:16], 16)

    @override
    def ukey(self, path: str) -> str:
        """Return a text that changes when the content does; errors as of `modified`."""
        meta = self._meta(path)
        seen = meta.etag or f"{meta.size_bytes} {meta.modified.isoformat()}"
        return sha256(seen.encode()).hexdigest()

    @override
    def sign(self, path: str, expiration: int = 100, **_: object) -> str:
        """Return a URL by which anybody may read a file for `expiration` seconds.

        Raises:
            NotFound: there is no such file.
            Unsupported: this kind of place has no such URLs.
        """
        place, meta = self._at(path), self._meta(path)
        if not isinstance(place.store, Sign):
            raise Unsupported(f"{place.shown} has no URL that others could read it by: this kind of place can't sign any")
        with place.named():
            return place.store.signed_url(meta.key, expires_in_seconds=expiration)

    def _meta(self, path: str) -> ObjectMeta:
        place = self._at(path)
        if self._is_root(path) or not place.key:
            raise NotFound(f"{place.shown} is a folder, not a file")
        with place.named():
            return place.store.head(place.key)

    # Reading

    @override
    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: object) -> bytes:
        """Return a file's bytes, or a part of them by one request; negative numbers count from the end.

        Raises:
            NotFound: there is no such file.
            StoreError: the store failed.
        """
        place = self._at(path)
        if self._is_root(path) or not place.key:
            raise NotFound(f"{place.shown} is a folder, not a file")
        with place.named():
            if not start and end is None:
                return place.store.get(place.key)
            if start is not None and end is not None and start >= 0 and end >= 0:
                return place.store.get_range(place.key, start=start, end=max(start, end))
            return _slice(place.store, place.store.head(place.key), slice(start, end))

    @override
    def cat_ranges(
        self,
        paths: list[str],
        starts: int | list[int] | None,
        ends: int | list[int] | None,
        max_gap: int | None = None,
        on_error: str = "return",
        **_: object,
    ) -> list[bytes | Exception]:
        """Return parts of files, read side by side; `max_gap` is a hint that is not needed.

        Raises:
            ValueError: there is not one beginning and one end for each path.
            KistError: with another `on_error` than ``"return"``, the first that went wrong.
        """
        del max_gap
        firsts = starts if isinstance(starts, list) else [starts] * len(paths)
        lasts = ends if isinstance(ends, list) else [ends] * len(paths)

        def read(one: tuple[str, int | None, int | None]) -> bytes | Exception:
            return self.cat_file(*one)

        wanted = zip(paths, firsts, lasts, strict=True)
        return list(budget.map_ordered(_returning(read) if on_error == "return" else read, wanted))

    @override
    def cat(
        self,
        path: str | list[str],
        recursive: bool = False,
        on_error: str = "raise",
        **kwargs: object,
    ) -> bytes | dict[str, bytes | Exception]:
        """Return a file's bytes, or those of many files, read side by side.

        Raises:
            NotFound: there is no such file.
        """
        part = cast("int | None", kwargs.get("start")), cast("int | None", kwargs.get("end"))
        paths = self.expand_path(path, recursive=recursive)
        if isinstance(path, str) and paths == [self._strip_protocol(path)]:
            return self.cat_file(paths[0], *part)
        files = [one for one in paths if not recursive or self.isfile(one)]

        def read(one: str) -> bytes:
            return self.cat_file(one, *part)

        contents = dict(zip(files, budget.map_ordered(_returning(read), files), strict=True))
        for content in contents.values():
            if on_error == "raise" and isinstance(content, Exception):
                raise content
        return {one: content for one, content in contents.items() if on_error != "omit" or isinstance(content, bytes)}

    @override
    def get_file(
        self,
        rpath: str,
        lpath: str | os.PathLike[str] | BinaryIO | None = None,
        callback: Callback = DEFAULT_CALLBACK,
        outfile: BinaryIO | None = None,
        **_: object,
    ) -> None:
        """Copy a file to this machine, where it appears whole; of a folder, make an empty one.

        Raises:
            NotFound: there is nothing.
            IntegrityError: what arrived is not what was sent.
        """
        source = self._at(rpath)
        meta = None if self._is_root(rpath) else source.find()
        file = outfile if outfile is not None else lpath if not isinstance(lpath, str | os.PathLike) else None
        if meta is None and not self.isdir(rpath):
            raise NotFound(f"there is nothing at {source.url}")
        if meta is None:
            os.makedirs(cast("str", lpath), exist_ok=True)
        elif file is not None:
            callback.set_size(meta.size_bytes)
            for part in parts_of(source.store, meta):
                file.write(part)
                callback.relative_update(len(part))
        else:
            path = os.path.abspath(cast("str", lpath))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            callback.set_size(meta.size_bytes)
            transfer(source, meta, locate(path), heard=telling(callback))


def _file(name: str, meta: ObjectMeta) -> Details:
    time = meta.modified.timestamp()
    size = meta.size_bytes if meta.size_bytes >= 0 else None
    return {"name": name, "size": size, "type": "file", "mtime": time, "created": time, "etag": meta.etag}


def _folder(name: str) -> Details:
    return {"name": name, "size": 0, "type": "directory"}


def _slice(store: ReadableStore, meta: ObjectMeta, wanted: slice) -> bytes:
    """Read a part that needs the length to be known."""
    if meta.size_bytes < 0:
        return b"".join(parts_of(store, meta))[wanted]
    start, end, _ = wanted.indices(meta.size_bytes)
    if isinstance(store, GetPart) and meta.etag:
        return store.get_part(meta, start=start, end=max(start, end))
    return store.get_range(meta.key, start=start, end=max(start, end))


def _raise_failures(error: OSError) -> None:
    if not isinstance(error, NotFound):
        raise error


def _returning[T](read: Callable[[T], bytes | Exception]) -> Callable[[T], bytes | Exception]:
    """Return what is read, or what went wrong."""

    def tried(one: T) -> bytes | Exception:
        try:
            return read(one)
        except Exception as error:  # noqa: BLE001 - it is for whoever asked
            return error

    return tried


def telling(callback: Callback) -> Callable[[int], None]:
    """Tell a callback, which may be shown to one thread at a time only."""
    lock = threading.Lock()

    def heard(size_bytes: int) -> None:
        with lock:
            callback.relative_update(size_bytes)

    return heard
