"""The table of schemes: which factory opens a URL.

Open for extension: a scheme names its factories as ``"module:function"``, imported on first use. So importing this module loads no client
of any store, and a layer above can register a scheme of its own.
No scheme means a folder of this machine. URLs never carry secrets: credentials come from the environment or as options.
"""

import importlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast
from urllib.parse import quote

from kist.errors import InvalidInput
from kist.stores.announcing import is_announced
from kist.stores.protocols import Store

__all__ = ["Scheme", "encode", "find", "open_store", "register", "scheme_of", "schemes"]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+._-]*):(?://)?")
_MARKS = "?#%"
_MISREAD = re.compile(f"[{_MARKS}\x00-\x1f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """What opens the URLs of one scheme, each as ``"module:function"``.

    `store` takes ``(url, *, create, **options)`` and returns a store. `split` takes ``(url)`` and returns the URL of the store that an
    object is in, and its key; without it, the store is what stands before the first ``/`` behind ``//``. `repository`, where the scheme has
    versions, takes ``(url)`` and returns a repository, a ref and a path.
    """

    store: str
    split: str | None = None
    repository: str | None = None


_table: dict[str, Scheme] = {
    "file": Scheme(store="kist.stores.local:open_local", split="kist.stores.disk:split"),
    "memory": Scheme(store="kist.stores.memory:open_memory"),
    "kist": Scheme(
        store="kist.client.addressed:open_addressed",
        split="kist.client.addressed:split",
        repository="kist.client.addressed:repository_at",
    ),
    **{name: Scheme(store="kist.stores.cloud:open_cloud") for name in ("s3", "s3a", "gs", "az", "azure", "abfs", "abfss")},
    **{name: Scheme(store="kist.stores.web:open_web", split="kist.stores.web:split") for name in ("http", "https")},
    **{name: Scheme(store="kist.stores.swift:open_swift") for name in ("swift", "ovh")},
    **{name: Scheme(store="kist.stores.other:open_other") for name in ("sftp", "ftp", "ftps", "webdav", "webdavs")},
}


def register(scheme: str, *, store: str, split: str | None = None, repository: str | None = None) -> None:
    """Teach `open_store` a scheme; a later registration replaces an earlier one.

    Raises:
        InvalidInput: the scheme is no word, or a factory is not ``"module:function"``.
    """
    if not _SCHEME.fullmatch(f"{scheme}:"):
        raise InvalidInput(f"{scheme!r} is no scheme: use letters, digits and '+._-', a letter first")
    for factory in (store, split, repository):
        if factory is not None and factory.count(":") != 1:
            raise InvalidInput(f"{factory!r} names no factory: write 'module:function'")
    _table[scheme.lower()] = Scheme(store=store, split=split, repository=repository)


def schemes() -> dict[str, Scheme]:
    """Return the table as it is now, sorted by scheme."""
    return dict(sorted(_table.items()))


def find(scheme: str) -> Scheme:
    """Return what opens the URLs of a scheme: what the table says, else fsspec if it has a filesystem for it.

    Raises:
        InvalidInput: nobody knows the scheme.
    """
    entry = _table.get(scheme)
    if entry is not None:
        return entry
    if scheme == "host":
        raise InvalidInput("'host' URLs are read and written by code that runs on that host, and by nothing else")
    try:
        fsspec = importlib.import_module("fsspec")  # only now: it takes longer to import than most commands to run
    except Exception as error:  # it reads its configuration when it is imported, and raises what it likes
        raise InvalidInput(f"nothing is known about {scheme!r} URLs, and fsspec can't be loaded: {error}") from error
    if scheme in fsspec.available_protocols() and not is_announced(scheme):  # what it knows from us alone, we do not learn from it
        return Scheme(store="kist.stores.other:open_other", split="kist.stores.other:split")
    known = ", ".join(sorted(_table))
    raise InvalidInput(f"nothing is known about {scheme!r} URLs; known are {known}, and whatever fsspec has a filesystem for")


def scheme_of(url: str | os.PathLike[str]) -> str:
    """Return the scheme of a URL in lower case; ``"file"`` for a path, also one with a colon behind its first ``/``."""
    match = _SCHEME.match(url) if isinstance(url, str) else None
    if match is None or (not match[0].endswith("//") and match[1].lower() not in _table):
        return "file"
    return match[1].lower()


def open_store(url: str | os.PathLike[str], *, create: bool = False, **options: object) -> Store:
    """Open the store at a URL: ``/data/lab``, ``file:///data/lab``, ``s3://bucket/prefix``, ``gs://…``, ``az://…``, ``memory://name``.

    Args:
        url: where; never with credentials in it.
        create: make the folder if there is none. Buckets are never made.
        options: what the store takes beside its URL, such as ``endpoint`` or ``region`` of an ``s3`` store.

    Raises:
        InvalidInput: nobody knows the scheme, or an option.
        NotFound: there is no such folder, and `create` is not set.
    """
    name = scheme_of(url)
    factory = cast("Callable[..., Store]", load(find(name).store))
    try:
        return factory(os.fspath(url), create=create, **options)
    except TypeError as error:
        if options and "unexpected keyword argument" in str(error):
            raise InvalidInput(f"a {name!r} store does not take all of {', '.join(sorted(options))}") from error
        raise


def load(factory: str) -> object:
    """Import what ``"module:function"`` names.

    Raises:
        InvalidInput: it can't be imported.
    """
    module, _, function = factory.partition(":")
    try:
        return getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise InvalidInput(f"the factory {factory!r} of this scheme can't be loaded: {error}") from error


def encode(key: str) -> str:
    """Return a key as part of a URL: only what would be misread is percent-encoded."""
    if not _MISREAD.search(key):
        return key
    return "".join(quote(sign, safe="") if sign in _MARKS or ord(sign) < ord(" ") else sign for sign in key)
