"""Files of other servers and services: SSH, FTP, WebDAV, and every scheme that fsspec has a filesystem for.

What is written goes under a hidden name beside its own, is compared with what was sent (by size where the channel is SSH or TLS, byte by
byte where it is not), and only then gets its name. So nothing half is ever seen, and nothing wrong; hidden names are never listed.
Only SSH has a put-if-absent that holds. A key is a path below the root of the URL; nothing is sent before something is read or written.
"""

import builtins
import contextlib
import time
from collections.abc import Buffer, Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Final, cast, override
from urllib.parse import unquote

from kist.errors import AlreadyExists, Conflict, InvalidInput, KistError, NotFound, StoreError
from kist.stores.keys import check_folder, check_key, check_prefix, check_range
from kist.stores.other.channels import (
    Channel,
    Entry,
    Feed,
    LinkingChannel,
    Pool,
    is_temporary,
    make_folders,
    new_temporary,
    replace,
    unknown_time,
)
from kist.stores.other.options import WITH_FOLDERS, Address, parse
from kist.stores.protocols import ObjectMeta

__all__ = ["FolderStore", "OtherStore", "SftpStore", "open_other", "split"]

_DEBRIS_AGE: Final = timedelta(days=7)
"""From this age on a hidden file is what a dead writer left."""

_LATE_SECONDS: Final = (0.05, 0.2, 0.5)
_GONE = (FileNotFoundError, NotADirectoryError)


class OtherStore:
    """Objects as files below a root; see the module for how they are written."""

    def __init__(self, address: Address, options: Mapping[str, object]) -> None:
        self.url = address.url
        self._address, self._options = address, options
        self._pool = Pool(address.connect, address.url)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}>"

    def __reduce__(self) -> tuple[object, ...]:
        if self._address.secret:
            raise InvalidInput(f"{self.url} was opened with secrets, which are not pickled; open it where it is used")
        return _reopen, (self.url, dict(self._options))

    def close(self) -> None:
        """End all connections that are idle; the next call opens new ones."""
        self._pool.close()

    def get(self, key: str) -> bytes:
        """See `kist.stores.protocols.Get`."""
        path = self._path(key)
        return self._read(key, lambda channel: channel.read(path, 0, None))

    def get_range(self, key: str, *, start: int, end: int) -> bytes:
        """See `kist.stores.protocols.GetRange`."""
        check_range(start, end)
        path = self._path(key)
        if start == end:
            self.head(key)
            return b""
        return self._read(key, lambda channel: channel.read(path, start, end))

    def head(self, key: str) -> ObjectMeta:
        """See `kist.stores.protocols.Head`."""
        path = self._path(key)
        entry = self._read(key, lambda channel: channel.stat(path))
        if entry.folder:
            raise NotFound(f"no object {key!r} in {self.url}: there is a folder")
        return _meta(key, entry)

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectMeta]:
        """See `kist.stores.protocols.List`; a request for each folder, and none for those that can't hold a wanted key."""
        check_prefix(prefix)
        above = prefix.rpartition("/")[0]
        return self._walk(f"{above}/" if above else "", prefix.encode(), start_after.encode())

    def list_folders(self, prefix: str) -> builtins.list[str]:
        """See `kist.stores.protocols.List`; looks into each folder for a first key."""
        check_folder(prefix)
        names = sorted((entry.name for entry in self._entries(prefix) if entry.folder), key=str.encode)
        return [name for name in names if next(self._walk(f"{prefix}{name}/", b"", b""), None) is not None]

    def list_folder(self, prefix: str) -> tuple[builtins.list[ObjectMeta], builtins.list[str]]:
        """See `kist.stores.protocols.ListFolder`; empty folders count here."""
        entries = sorted(self._entries(check_folder(prefix)), key=lambda entry: entry.name.encode())
        metas = [_meta(prefix + entry.name, entry) for entry in entries if not entry.folder]
        return metas, [entry.name for entry in entries if entry.folder]

    def put(self, key: str, data: Buffer) -> None:
        """See `kist.stores.protocols.Put`; missing folders are made."""
        view = memoryview(data).cast("B")
        self._put(key, lambda: Feed((view,), len(view)), replace)

    def put_stream(self, key: str, parts: Iterable[Buffer], *, size_bytes: int | None = None) -> None:
        """See `kist.stores.protocols.PutStream`; missing folders are made first."""
        above = self._path(key).rpartition("/")[0]
        feed = Feed(parts, size_bytes)
        if above:
            self._do(f"make the folder of {key!r} in {self.url}", lambda channel: _ensure_folder(channel, above))
        self._put(key, lambda: feed, replace, feed=feed)

    def where(self, key: str) -> str:
        """See `kist.stores.protocols.Where`; links and ``~`` are as the server resolves them, and not seen through."""
        return f"{self.url.rstrip('/')}/{key}"

    def delete(self, key: str) -> None:
        """See `kist.stores.protocols.Delete`; folders stay."""
        path = self._path(key)
        self._do(f"delete {key!r} from {self.url}", lambda channel: _remove(channel, path))

    def _put(self, key: str, new_feed: Callable[[], Feed], publish: Callable[[Channel, str, str], None], feed: Feed | None = None) -> None:
        """Write under a hidden name, compare, and give it its own; whatever happens, no hidden name stays."""
        path, hidden = self._path(key), list[str]()

        def write(channel: Channel) -> None:
            try:
                _write(channel, path, new_feed(), publish, hidden)
            except FileNotFoundError:
                above = path.rpartition("/")[0]
                if feed is not None or not above:
                    raise
                make_folders(channel, above)
                _write(channel, path, new_feed(), publish, hidden)

        try:
            self._do(f"write {key!r} to {self.url}", write, feed=feed)
        except NotFound as error:
            if feed and feed.error:
                raise
            raise StoreError(f"can't write {key!r} to {self.url}: its folder is removed by somebody, or can't be made ({error})") from error
        finally:
            for name in hidden:
                self._clear_away(name)

    def _clear_away(self, path: str) -> None:
        """Remove a hidden file; one that is missing is looked for again, for a server that was cut off may be late in making it."""
        for seconds in (0, *_LATE_SECONDS):
            time.sleep(seconds)
            try:
                self._do(f"remove a hidden file from {self.url}", lambda channel: channel.remove(path))
            except NotFound:
                continue
            except KistError:
                return  # the error that led here is the one to be told
            return

    def _read[T](self, key: str, work: Callable[[Channel], T]) -> T:
        try:
            return self._do(f"read {key!r} from {self.url}", _found(work))
        except NotFound as error:
            raise NotFound(f"no object {key!r} in {self.url}") from error

    def _do[T](self, action: str, work: Callable[[Channel], T], *, feed: Feed | None = None) -> T:
        return self._pool.do(action, work, feed=feed)

    def _walk(self, above: str, prefix: bytes, after: bytes) -> Iterator[ObjectMeta]:
        base = above.encode()
        wanted: builtins.list[tuple[bytes, Entry]] = []
        for entry in self._entries(above):
            key = base + entry.name.encode() + (b"/" if entry.folder else b"")
            if _matters(key, prefix, after):
                wanted.append((key, entry))
        for key, entry in sorted(wanted, key=lambda item: item[0]):
            if entry.folder:
                yield from self._walk(key.decode(), prefix, after)
            else:
                yield _meta(key.decode(), entry)

    def _entries(self, above: str) -> builtins.list[Entry]:
        """Return what is in a folder, given as a prefix, and can have a key; nothing if there is no such folder."""
        path = self._join(above.rstrip("/"))
        try:
            entries = self._do(f"list {above!r} in {self.url}", _found(lambda channel: channel.entries(path)))
        except NotFound:
            return []
        return [entry for entry in entries if not is_temporary(entry.name) and _is_segment(entry.name)]

    def _path(self, key: str) -> str:
        if any(map(is_temporary, check_key(key).split("/"))):
            raise InvalidInput(f"{key!r} is reserved for files on their way: choose another key")
        return self._join(key)

    def _join(self, key: str) -> str:
        root = self._address.root
        return f"{root}/{key}" if key and root not in {"", "/"} else f"{root}{key}"


class FolderStore(OtherStore):
    """A store whose folders exist though nothing is in them."""

    def is_folder(self, key: str) -> bool:
        """See `kist.stores.protocols.Folders`."""
        path = self._path(key) if key else self._join("")
        try:
            return self._do(f"look at {key!r} in {self.url}", _found(lambda channel: channel.stat(path))).folder
        except NotFound:
            return False

    def make_folder(self, key: str) -> None:
        """See `kist.stores.protocols.Folders`."""
        path = self._path(key)
        try:
            self._do(f"make the folder {key!r} in {self.url}", lambda channel: make_folders(channel, path))
        except Conflict as error:
            raise AlreadyExists(f"can't make the folder {key!r} in {self.url}: something else has the name") from error

    def remove_folder(self, key: str) -> None:
        """See `kist.stores.protocols.Folders`; what dead writers left there is no hindrance."""
        path = self._path(key)
        try:
            self._do(f"remove the folder {key!r} from {self.url}", lambda channel: _remove_empty(channel, path))
        except NotFound:
            return


class SftpStore(FolderStore):
    """A store that can also be the first to take a name, by a hard link."""

    def create(self, key: str, data: Buffer) -> None:
        """See `kist.stores.protocols.Create`.

        Raises:
            Unsupported: this server has no hard links.
        """
        view = memoryview(data).cast("B")
        try:
            self._put(key, lambda: Feed((view,), len(view)), _link)
        except AlreadyExists as error:
            if self.is_folder(key):
                raise Conflict(f"can't create {key!r} in {self.url}: a folder has this name") from error
            raise AlreadyExists(f"{key!r} exists already in {self.url}") from error

    @override
    def _join(self, key: str) -> str:
        """Return the path of a key; below ``~`` it is one that begins at the user's home."""
        path = super()._join(key)
        return path[3:] or "." if f"{path}/".startswith("/~/") else path


def open_other(url: str, *, create: bool = False, **options: object) -> OtherStore:
    """Open a place on a server of files, such as ``sftp://user@host/path`` or ``webdavs://host/path``, or anything that fsspec knows.

    Args:
        url: where; a user and a port may stand in it, a password may not.
        create: accepted and not needed; folders are made when something is put into them.
        options: ``username``, ``password``, ``port``, ``timeout_seconds`` (60), ``connect_timeout_seconds`` (10). SSH: ``key_filename``,
            ``passphrase``, ``agent``, ``known_hosts``, ``host_key_policy`` (``reject`` or ``auto_add``). FTP: ``tls`` (``explicit`` or
            ``implicit``), ``ca_file``. WebDAV: ``auth`` (``basic`` or ``digest``), ``token``, ``ca_file``. Any other scheme: what its
            filesystem takes.

    Raises:
        InvalidInput: the URL or an option makes no sense.
        Unsupported: a library is missing; the message says how to install it.
    """
    del create
    address = parse(url, options)
    kinds: dict[str, type[OtherStore]] = {"sftp": SftpStore, "ftp": FolderStore, "webdav": FolderStore}
    kind = kinds.get(address.kind, FolderStore if address.scheme in WITH_FOLDERS else OtherStore)
    return kind(address, options)


def _reopen(url: str, options: dict[str, object]) -> OtherStore:
    return open_other(url, create=False, **options)


def split(url: str) -> tuple[str, str]:
    """Return the store that the object of a URL is in, and its key: of ``zip://inner/key::https://…``, the archive is the store."""
    scheme, _, rest = url.partition("://")
    inner, chained, outer = rest.partition("::")
    if chained:
        return f"{scheme}://::{outer}", unquote(inner).strip("/")
    host, _, path = rest.partition("/")
    return f"{scheme}://{host}", unquote(path)


def _write(channel: Channel, path: str, feed: Feed, publish: Callable[[Channel, str, str], None], hidden: builtins.list[str]) -> None:
    """Write one file; `hidden` gets the names that must be removed in the end."""
    if not channel.renames:
        channel.write(path, feed)
        feed.check(channel, path)
        return
    name = new_temporary(path)
    hidden.append(name)
    try:
        channel.write(name, feed)
    except FileNotFoundError:
        if feed.error is None:
            hidden.remove(name)  # there is no folder, so there is no file
        raise
    feed.check(channel, name)
    publish(channel, name, path)
    if publish is replace:
        hidden.remove(name)


def _link(channel: Channel, name: str, target: str) -> None:
    cast("LinkingChannel", channel).link(name, target)  # no other comes here


def _ensure_folder(channel: Channel, path: str) -> None:
    try:
        there = channel.stat(path)
    except FileNotFoundError:
        make_folders(channel, path)
    else:
        if not there.folder:
            raise NotADirectoryError(path)


def _remove(channel: Channel, path: str) -> None:
    """Remove a file; one that is not there, and a folder, is no error."""
    with contextlib.suppress(*_GONE, IsADirectoryError):
        channel.remove(path)


def _remove_empty(channel: Channel, path: str) -> None:
    """Remove a folder that holds nothing but debris.

    Raises:
        Conflict: it holds something.
    """
    if not channel.stat(path).folder:
        raise Conflict(f"{path!r} is no folder")
    entries = channel.entries(path)
    young = unknown_time() - _DEBRIS_AGE
    held = [entry.name for entry in entries if not is_temporary(entry.name) or entry.modified > young]
    if held:
        raise Conflict(f"the folder {path!r} is not empty: there is {held[0]!r}")
    for entry in entries:
        channel.remove(f"{path}/{entry.name}")
    channel.remove_folder(path)


def _found[T](work: Callable[[Channel], T]) -> Callable[[Channel], T]:
    """Let everything that means "no such object" be one error."""

    def look(channel: Channel) -> T:
        try:
            return work(channel)
        except (IsADirectoryError, NotADirectoryError) as error:
            raise FileNotFoundError(str(error)) from error

    return look


def _matters(key: bytes, prefix: bytes, after: bytes) -> bool:
    """Say whether a key is wanted, or may have wanted ones below it if it is a folder's."""
    folder = key.endswith(b"/")
    if not key.startswith(prefix) and not (folder and prefix.startswith(key)):
        return False
    return key > after or (folder and after.startswith(key))


def _is_segment(name: str) -> bool:
    try:
        return bool(check_key(name)) and "/" not in name
    except InvalidInput:
        return False


def _meta(key: str, entry: Entry) -> ObjectMeta:
    return ObjectMeta(key=key, size_bytes=entry.size_bytes, modified=entry.modified, etag=entry.etag)
