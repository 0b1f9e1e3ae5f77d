"""What is at a URL: the family of `os` and `os.path`."""

import builtins
import fnmatch
import os
import re
import shutil
from collections.abc import Iterator
from itertools import islice

from kist.errors import AlreadyExists, InvalidInput, NotFound, Unsupported
from kist.models import Stat
from kist.stores import budget
from kist.stores.disk import Disk
from kist.stores.local.errors import translated
from kist.stores.locations import Location, locate
from kist.stores.protocols import Batch, Delete, Folders, ListFolder, ObjectMeta, ReadableStore, Sign

__all__ = [
    "Url",
    "exists",
    "glob",
    "is_folder",
    "isdir",
    "isfile",
    "level",
    "listdir",
    "makedirs",
    "remove",
    "remove_place",
    "shareable_url",
    "stat",
    "walk",
]

type Url = str | os.PathLike[str]

_LAST = "\U0010ffff"
_PAGE = 1000
_MAGIC = re.compile(r"[*?\[]")


def stat(url: Url) -> Stat:
    """Return what is at a URL.

    Raises:
        NotFound: nothing is.
        StoreError: the store failed.
    """
    place = locate(url)
    meta = place.find()
    if meta is not None:
        return Stat(url=place.url, kind="file", size_bytes=meta.size_bytes, modified=meta.modified, etag=meta.etag)
    if is_folder(place):
        return Stat(url=place.url, kind="folder")
    raise NotFound(f"there is nothing at {place.shown}")


def exists(url: Url) -> bool:
    """Say whether there is a file or folder at a URL.

    Raises:
        StoreError: the store failed.
    """
    try:
        stat(url)
    except NotFound:
        return False
    return True


def isfile(url: Url) -> bool:
    """Say whether there is a file at a URL.

    Raises:
        StoreError: the store failed.
    """
    return locate(url).find() is not None


def isdir(url: Url) -> bool:
    """Say whether there is a folder at a URL; where folders are but the beginning of names, whether any name begins so.

    Raises:
        StoreError: the store failed.
    """
    return is_folder(locate(url))


def listdir(url: Url) -> builtins.list[str]:
    """Return the sorted names of the files and folders in a folder.

    Raises:
        NotFound: there is no such folder.
        Unsupported: this place can't be listed.
        StoreError: the store failed.
    """
    place = locate(url)
    metas, folders = level(place)
    if not metas and not folders and not is_folder(place):
        raise NotFound(f"there is no folder {place.shown}")
    return sorted({*(meta.key.rpartition("/")[2] for meta in metas), *folders}, key=os.fsencode)


def walk(url: Url) -> Iterator[tuple[str, builtins.list[str], builtins.list[str]]]:
    """Yield the URL of each folder from here down, the names of its folders, and those of its files, as `os.walk` does.

    Names may be removed from the list of folders, and these are then left out.

    Raises:
        NotFound: there is no such folder.
        StoreError: the store failed.
    """
    place = locate(url)
    if not is_folder(place):
        raise NotFound(f"there is no folder {place.shown}")
    yield from _walk(place)


def glob(pattern: Url) -> builtins.list[str]:
    """Return the sorted URLs of all files and folders that a pattern matches: ``*``, ``?``, ``[abc]``, and ``**`` across folders.

    Raises:
        StoreError: the store failed.
    """
    text = os.fspath(pattern)
    scheme, mark, rest = text.partition("://") if "://" in text else ("", "", text)
    segments = rest.split("/")
    first = next((at for at, segment in enumerate(segments) if _MAGIC.search(segment)), len(segments))
    if first == len(segments):
        return [text] if exists(text) else []
    above = "/".join(segments[:first]) + "/" if first else ""
    base = scheme + mark + above or "./"
    found = {place.url.removeprefix("./") for place in _matching(locate(base), segments[first:])}
    return sorted(found, key=os.fsencode)


def makedirs(url: Url, exist_ok: bool = False) -> None:  # noqa: FBT001, FBT002 - as in `os`
    """Make a folder and those above it. Where folders are but the beginning of names, there is nothing to make.

    Raises:
        AlreadyExists: it is there and `exist_ok` is not set, or a file has this name.
        StoreError: the store failed.
    """
    place = locate(url)
    if place.find() is not None or (not exist_ok and place.key and is_folder(place)):
        raise AlreadyExists(f"{place.shown} exists already")
    if isinstance(place.store, Folders):
        with place.named():
            place.store.make_folder(place.key)


def remove(url: Url, recursive: bool = False) -> int:  # noqa: FBT001, FBT002 - as in `shutil`
    """Remove a file, or with `recursive` a folder and all that is in it; links on this machine go, not what they lead to.

    Returns:
        How many files are gone.

    Raises:
        NotFound: there is nothing.
        InvalidInput: it is a folder that is not empty, and `recursive` is not set.
        Unsupported: this place is read-only.
        StoreError: the store failed.
    """
    return remove_place(locate(url), recursive=recursive)


def remove_place(place: Location, *, recursive: bool) -> int:
    """Do what `remove` does, to a place that was located.

    Raises:
        KistError: as `remove`.
    """
    if not isinstance(place.store, Delete):
        raise Unsupported(f"{place.shown} can't be removed: this kind of place is read-only")
    if _is_link(place) or place.find() is not None:
        with place.named():
            place.store.delete(place.key)
        return 1
    if not is_folder(place):
        raise NotFound(f"there is nothing at {place.shown}")
    if not recursive:
        _remove_empty(place)
        return 0
    if not place.key:
        raise InvalidInput(f"{place.shown} is a whole store, which is not removed at once: remove what is in it")
    with place.named():
        if isinstance(place.store, Batch):
            with place.store.batch(f"Remove {place.key}") as store:
                return _remove_below(store, place)
        return _remove_below(place.store, place)


def shareable_url(url: Url, expires_in: int = 3600) -> str:
    """Return a URL by which anybody may read a file for `expires_in` seconds, without credentials; of an ``http`` URL, itself.

    Raises:
        NotFound: there is no such file.
        Unsupported: this place has no such URLs.
        StoreError: the store failed.
    """
    place = locate(url)
    if place.url.lower().startswith(("http://", "https://")):
        return place.url
    if not isinstance(place.store, Sign):
        raise Unsupported(f"{place.shown} has no URL that others could read it by: this kind of place can't sign any")
    if place.find() is None:
        raise NotFound(f"there is no file {place.shown}")
    return place.store.signed_url(place.key, expires_in_seconds=expires_in)


def is_folder(place: Location) -> bool:
    """Say whether there is a folder."""
    if not place.key:
        return True
    with place.named():
        if isinstance(place.store, Folders):
            return place.store.is_folder(place.key)
        try:
            return next(place.store.list(place.prefix), None) is not None
        except Unsupported:
            return False


def level(place: Location) -> tuple[builtins.list[ObjectMeta], builtins.list[str]]:
    """Return the objects and the names of the folders right below a place."""
    with place.named():
        if isinstance(place.store, ListFolder):
            return place.store.list_folder(place.prefix)
        return _skipping(place.store, place.prefix)


def _skipping(store: ReadableStore, prefix: str) -> tuple[builtins.list[ObjectMeta], builtins.list[str]]:
    """List one level by skipping over what is below each folder."""
    metas: builtins.list[ObjectMeta] = []
    folders: builtins.list[str] = []
    after = ""
    while True:
        for meta in store.list(prefix, start_after=after):
            name, slash, _ = meta.key[len(prefix) :].partition("/")
            if slash:
                folders.append(name)
                after = f"{prefix}{name}/{_LAST}"
                break
            metas.append(meta)
        else:
            return metas, folders


def _walk(place: Location) -> Iterator[tuple[str, builtins.list[str], builtins.list[str]]]:
    metas, folders = level(place)
    yield place.url, folders, [meta.key.rpartition("/")[2] for meta in metas]
    for name in folders:
        yield from _walk(place.below(name))


def _matching(place: Location, pattern: builtins.list[str]) -> Iterator[Location]:
    """Yield what lies below a folder and matches; ``*`` and the like leave names out that begin with a dot."""
    segment, *rest = pattern
    if segment == "**":
        yield from _matching(place, rest or ["*"])
        for name in level(place)[1]:
            if not name.startswith("."):
                yield from _matching(place.below(name), pattern)
        return
    if not _MAGIC.search(segment):
        found = place.below(segment)
        if is_folder(found) if rest else found.find() is not None or is_folder(found):
            yield from _matching(found, rest) if rest else [found]
        return
    metas, folders = level(place)
    names = folders if rest else {*folders, *(meta.key.rpartition("/")[2] for meta in metas)}
    for name in names:
        if fnmatch.fnmatchcase(name, segment) and (segment.startswith(".") or not name.startswith(".")):
            yield from _matching(place.below(name), rest) if rest else [place.below(name)]


def _is_link(place: Location) -> bool:
    return isinstance(place.store, Disk) and os.path.islink(f"/{place.key}")


def _remove_empty(place: Location) -> None:
    if not isinstance(place.store, Folders) or any(level(place)):
        raise InvalidInput(
            f"{place.shown} is a folder that is not empty: to remove it and all that is in it, say so (recursive=True, kist rm --recursive)"
        )
    place.store.remove_folder(place.key)


def _remove_below(store: Delete, place: Location) -> int:
    if isinstance(place.store, Disk):
        return _remove_tree(f"/{place.key}")
    count, after = 0, ""
    while keys := [meta.key for meta in islice(place.store.list(place.prefix, start_after=after), _PAGE)]:
        count += sum(1 for _ in budget.map_ordered(store.delete, keys))
        after = keys[-1]
    if isinstance(store, Folders):
        _remove_folders(store, place)
    return count


def _remove_folders(store: Folders, place: Location) -> None:
    for name in level(place)[1]:
        _remove_folders(store, place.below(name))
    store.remove_folder(place.key)


def _remove_tree(path: str) -> int:
    """Remove a folder of this machine; links in it are never followed."""
    count = sum(len(files) for _, _, files in os.walk(path))
    with translated(f"remove {path}"):
        shutil.rmtree(path)
    return count
