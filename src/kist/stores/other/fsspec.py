"""Files of any place that fsspec has a filesystem for: ``hf``, ``github``, ``zip``, ``hdfs``, ``smb``, ….

Nothing is listed from a cache, and no filesystem object is shared. What filesystems call their facts differs; what is missing is not
guessed. Where files can be renamed, a whole file gets its name in the end; elsewhere an upload is one call, from memory or from a spool.
"""

import contextlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol, cast

import fsspec.core  # type: ignore[import-untyped]  # it has no types
from fsspec import AbstractFileSystem

from kist.errors import InvalidInput, Unsupported
from kist.stores.other.channels import PIECE_BYTES, Entry, Feed, unknown_time

__all__ = ["READ_ONLY", "FsspecChannel", "FsspecLogin"]

READ_ONLY: Final = frozenset({"data", "git", "github", "gist", "http", "https", "libarchive", "reference", "tar", "zip"})

_MEMORY_BYTES = 32 << 20
_TIMES = ("mtime", "modified", "last_modified", "LastModified", "updated", "modify", "date_time", "timeModified", "created")
_ETAGS = ("etag", "ETag", "blob_id", "oid", "sha", "checksum", "md5")
_MILLISECONDS = 1e11  # as seconds, that would be the year 5138

type _Info = Mapping[str, object]


class _Filesystem(Protocol):
    """What is used of a filesystem of fsspec, which has no types."""

    def invalidate_cache(self) -> None: ...
    def info(self, path: str) -> _Info: ...
    def ls(self, path: str, *, detail: bool) -> list[_Info]: ...
    def cat_file(self, path: str, *, start: int, end: int) -> bytes: ...
    def pipe_file(self, path: str, value: bytes) -> None: ...
    def put_file(self, lpath: str, rpath: str) -> None: ...
    def mv(self, path1: str, path2: str) -> None: ...
    def cp_file(self, path1: str, path2: str) -> None: ...
    def rm_file(self, path: str) -> None: ...
    def mkdir(self, path: str, *, create_parents: bool) -> None: ...
    def rmdir(self, path: str) -> None: ...
    def modified(self, path: str) -> object: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FsspecLogin:
    """Which filesystem, with which options; `renames` says whether it can rename a file over another."""

    url: str
    renames: bool
    options: Mapping[str, object] = field(repr=False)

    def connect(self) -> "FsspecChannel":
        """Make a filesystem of our own.

        Raises:
            Unsupported: a library is missing.
            InvalidInput: the filesystem does not take these options.
        """
        scheme = self.url.partition("://")[0].lower()
        fixed = {"skip_instance_cache": True, "use_listings_cache": False}
        try:
            filesystem, root = fsspec.core.url_to_fs(self.url, **{**fixed, **self.options})
        except ImportError as error:
            raise Unsupported(f"{scheme!r} URLs need a library that is not installed: {error}") from error
        except (TypeError, ValueError) as error:
            raise InvalidInput(f"the filesystem for {scheme!r} URLs does not take these options: {error}") from error
        return FsspecChannel(filesystem, root, scheme, renames=self.renames)


class FsspecChannel:
    """One filesystem object; paths are relative to its root."""

    trusted = False
    broken = False

    def __init__(self, filesystem: _Filesystem, root: str, scheme: str, *, renames: bool) -> None:
        self._fs, self._root, self._scheme = filesystem, root.rstrip("/"), scheme
        self.renames = renames

    def stat(self, path: str) -> Entry:
        """See `kist.stores.other.channels.Channel`."""
        self._fs.invalidate_cache()
        return self._entry(self._fs.info(self._at(path)))

    def entries(self, path: str) -> list[Entry]:
        """See `kist.stores.other.channels.Channel`."""
        self._fs.invalidate_cache()
        at = self._at(path)
        found = self._fs.ls(at, detail=True)
        own = at.strip("/")
        if any(str(info["name"]).strip("/") == own and info["type"] != "directory" for info in found):
            raise NotADirectoryError(path)
        entries = [self._entry(info) for info in found if str(info["name"]).strip("/") != own and info["type"] in {"file", "directory"}]
        return list({entry.name: entry for entry in entries}.values())

    def read(self, path: str, start: int, end: int | None) -> bytes:
        """See `kist.stores.other.channels.Channel`."""
        entry = self.stat(path)
        if entry.folder:
            raise FileNotFoundError(path)
        end = entry.size_bytes if end is None else min(end, entry.size_bytes)
        if end <= start:
            return b""
        content = bytes(self._fs.cat_file(self._at(path), start=start, end=end))
        if len(content) != end - start:
            raise OSError(f"{end - start} bytes were announced and {len(content)} came")
        return content

    def write(self, path: str, feed: Feed) -> None:
        """See `kist.stores.other.channels.Channel`."""
        self._refuse_to_write()
        with tempfile.SpooledTemporaryFile(_MEMORY_BYTES) as spool:
            for piece in feed:
                spool.write(piece)
            spool.seek(0)
            if feed.sent <= _MEMORY_BYTES:
                self._fs.pipe_file(self._at(path), spool.read())
                return
            with tempfile.NamedTemporaryFile() as file:
                while block := spool.read(PIECE_BYTES):
                    file.write(block)
                file.flush()
                self._fs.put_file(file.name, self._at(path))

    def rename(self, path: str, target: str) -> None:
        """See `kist.stores.other.channels.Channel`."""
        with contextlib.suppress(FileNotFoundError):
            if self.stat(target).folder:
                raise IsADirectoryError(target)
        if getattr(type(self._fs), "mv", None) is not AbstractFileSystem.mv:
            self._fs.mv(self._at(path), self._at(target))
            return
        self._fs.cp_file(self._at(path), self._at(target))  # the inherited `mv` takes stars and brackets in names for patterns
        self._fs.rm_file(self._at(path))

    def remove(self, path: str) -> None:
        """See `kist.stores.other.channels.Channel`."""
        self._refuse_to_write()
        if self.stat(path).folder:
            raise IsADirectoryError(path)
        self._fs.rm_file(self._at(path))

    def make_folder(self, path: str) -> None:
        """See `kist.stores.other.channels.Channel`."""
        self._refuse_to_write()
        with contextlib.suppress(FileNotFoundError):
            self.stat(path)
            raise FileExistsError(path)
        above = path.rpartition("/")[0]
        if above and not self.stat(above).folder:
            raise NotADirectoryError(above)
        self._fs.mkdir(self._at(path), create_parents=not above)

    def remove_folder(self, path: str) -> None:
        """See `kist.stores.other.channels.Channel`."""
        self._refuse_to_write()
        self._fs.rmdir(self._at(path))

    def close(self) -> None:
        """See `kist.stores.other.channels.Channel`."""

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}".rstrip("/") if self._root and path else self._root or path

    def _refuse_to_write(self) -> None:
        if self._scheme in READ_ONLY:
            raise Unsupported(f"{self._scheme!r} URLs can only be read")

    def _entry(self, info: _Info) -> Entry:
        folder = info["type"] == "directory"
        size = info.get("size")
        return Entry(
            name=str(info["name"]).rstrip("/").rpartition("/")[2],
            folder=folder,
            size_bytes=int(size) if isinstance(size, int | float) else 0,
            modified=unknown_time() if folder else self._modified(info),
            etag=next((found.strip('"') for name in _ETAGS if isinstance(found := info.get(name), str)), ""),
        )

    def _modified(self, info: _Info) -> datetime:
        for name in _TIMES:
            if (found := _time(info.get(name))) is not None:
                return found
        with contextlib.suppress(NotImplementedError, AttributeError, KeyError, OSError):
            if (found := _time(self._fs.modified(str(info["name"])))) is not None:
                return found
        return unknown_time()


def _time(value: object) -> datetime | None:
    """Return a time from what a filesystem calls one."""
    with contextlib.suppress(ValueError, OverflowError, OSError, TypeError):
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        if isinstance(value, tuple):
            value = datetime(*cast("tuple[int, int, int]", value[:6]), tzinfo=UTC)
        if isinstance(value, datetime):
            return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / 1000 if value > _MILLISECONDS else value, UTC)
    return None
