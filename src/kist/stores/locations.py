"""From a URL to the store and the key that it names: mounts first, then the table of schemes. Opened stores are kept for a while.

``name://path`` of a mount means its URL and the path behind it, with its credentials. Nothing is sent before something is read or written.
"""

import contextlib
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import cast
from urllib.parse import unquote

from kist.errors import InvalidInput, KistError, NotFound
from kist.stores import mounts
from kist.stores.disk import Disk
from kist.stores.protocols import ObjectMeta, ReadableStore, Store
from kist.stores.urls import encode, find, load, open_store, scheme_of

__all__ = ["Location", "locate", "open_root", "resolve"]

_KEPT = 64
_DEEPEST = 8
_WEB = ("http://", "https://")
_SPEAKING = ("AWS_", "AZURE_", "GOOGLE_", "OS_", "ST_", "KIST_")
"""Variables that stores are opened by."""

type Options = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A place in a store. `url` is how it was named; `key` is empty for the root; `as_folder` says that the URL ended in ``/``."""

    url: str
    store: ReadableStore
    key: str
    as_folder: bool = False

    def below(self, name: str) -> "Location":
        """Return what lies below this as a folder; `name` may have several segments."""
        above = self.url if self.url.endswith("/") else f"{self.url}/"
        return replace(
            self, url=above + (encode(name) if "://" in above else name), key=f"{self.key}/{name}" if self.key else name, as_folder=False
        )

    def find(self) -> ObjectMeta | None:
        """Return what is known of the object here; None if there is none.

        Raises:
            StoreError: the store failed.
        """
        if not self.key or self.as_folder:
            return None
        try:
            with self.named():
                return self.store.head(self.key)
        except NotFound:
            return None

    @contextlib.contextmanager
    def named(self) -> Iterator[None]:
        """Let every error name this URL: a store knows its own name only, and not that of a mount."""
        try:
            yield
        except KistError as error:
            text = str(error)
            if self.shown in text or "://" not in self.url:  # of a path, the disk names all of it
                raise
            raise type(error)(f"{self.shown}: {text}") from error

    @property
    def shown(self) -> str:
        """Its URL as messages may say it: the query of a URL of the web may be a signature."""
        return f"{self.url.partition('?')[0]}?…" if self.url.lower().startswith(_WEB) and "?" in self.url else self.url

    @property
    def prefix(self) -> str:
        """What the keys below this as a folder start with."""
        return f"{self.key}/" if self.key else ""

    @property
    def name(self) -> str:
        """Its last segment."""
        return self.key.rpartition("/")[2]


def locate(url: str | os.PathLike[str], options: Options | None = None) -> Location:
    """Find the store and key of a URL or path; `options` go before those of a mount.

    Raises:
        InvalidInput: nobody knows the scheme, or an option, or the URL makes no sense.
    """
    named = os.fspath(url)
    if not named:
        raise InvalidInput("an empty text names no file and no folder")
    real, mounted = resolve(named)
    root, key = _split(real)
    store = _opened(root, {**mounted, **(options or {})})
    if root.startswith(_WEB):  # a URL of the web is sent as it is written, and knows no folders
        return Location(url=named, store=store, key=key)
    return Location(url=named, store=store, key=key.strip("/"), as_folder=key.endswith("/") or named.endswith("/"))


def open_root(url: str | os.PathLike[str], *, create: bool = False, **options: object) -> Store:
    """Open the store whose root is at a URL, of a mount too; see `kist.stores.urls.open_store`.

    Raises:
        InvalidInput: nobody knows the scheme, or an option.
        NotFound: there is no such folder, and `create` is not set.
    """
    real, mounted = resolve(os.fspath(url))
    return open_store(real, create=create, **{**mounted, **options})


def resolve(url: str) -> tuple[str, dict[str, object]]:
    """Return a URL without mounts in it, and the options that its store is opened with.

    Raises:
        InvalidInput: mounts lead in a circle, or the path leaves one.
    """
    options: dict[str, object] = {}
    for _ in range(_DEEPEST):
        mount = mounts.find(scheme_of(url)) if "://" in url else None
        if mount is None:
            return url, options
        if not mount.url:  # defaults of a scheme: never mixed with what a mount says, which may be of another account
            return url, options or dict(mount.options)
        options = {**mount.options, **options}
        path = url.partition("://")[2].strip("/") + ("/" if url.endswith("/") else "")
        if {".", ".."} & set(unquote(path).split("/")):
            raise InvalidInput(f"{url!r} leaves its mount: '.' and '..' have no place in a URL")
        url = mount.at(path)
    raise InvalidInput(f"the mounts of {url!r} lead in a circle")


def _split(url: str) -> tuple[str, str]:
    name = scheme_of(url)
    entry = find(name)
    if entry.split:
        split = load(entry.split)
        return cast("tuple[str, str]", split(url))  # type: ignore[operator]  # what a scheme registers as `split` is called like this
    _, _, rest = url.partition(":")
    place, slash, path = rest.removeprefix("//").partition("/")
    if "?" in rest or "#" in rest:
        raise InvalidInput(f"{url!r} has a '?' or '#': write them as %3F and %23, and options as options of a mount")
    return f"{name}://{place}", unquote(path) if slash else ""


_stores: OrderedDict[tuple[str, str], ReadableStore] = OrderedDict()
_lock = threading.Lock()


def _opened(root: str, options: Options) -> ReadableStore:
    """Return the store at a root: the one of before, if it was opened with the same options."""
    environment = "\0".join(sorted(f"{name}={value}" for name, value in os.environ.items() if name.startswith(_SPEAKING)))
    which = root, f"{sorted(options.items())!r}{environment}"
    with _lock:
        if which in _stores:
            _stores.move_to_end(which)
            return _stores[which]
    store: ReadableStore = Disk() if root == Disk.url else open_store(root, create=False, **options)
    with _lock:
        store = _stores.setdefault(which, store)  # another thread may have been faster: two places are in one store if theirs is the same
        while len(_stores) > _KEPT:
            _stores.popitem(last=False)
    return store
