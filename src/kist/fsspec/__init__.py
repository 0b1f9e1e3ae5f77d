"""Repositories and mounts for everything that reads and writes through fsspec: pandas, DuckDB, Dask, xarray, zarr, ….

``kist://org/repo@ref/path`` is known to fsspec wherever kist is installed. The name of a mount is, once `kist.storage.mount` was called in
this process; those of configuration are once this module was imported, or `register` called. A name that fsspec knows already stays what
it is. pandas takes no ``_`` for a part of a scheme: there, ``my_storage`` is ``my-storage``.

>>> import kist.fsspec
>>> import fsspec
>>> sorted({"kist"} & set(fsspec.available_protocols()))
['kist']
"""

from typing import Final, cast

from fsspec.registry import known_implementations, register_implementation, registry  # type: ignore[import-untyped]  # it has no types

from kist.fsspec.filesystem import KistFileSystem, MountFileSystem, StorageFileSystem
from kist.storage import mounts
from kist.stores.announcing import announce, mount_name

__all__ = ["KistFileSystem", "MountFileSystem", "StorageFileSystem", "register"]

_KIST: Final = "kist.fsspec.KistFileSystem"


def register() -> list[str]:
    """Make ``kist`` and all mounts known to fsspec.

    Returns:
        The names that are ours now; a mount that fsspec knows as something else, or that only gives options to a scheme, is not there.
    """
    if "kist" not in known_implementations and "kist" not in registry:
        register_implementation("kist", _KIST)
    return ["kist", *(name for name, mount in mounts().items() if mount.url and announce(name))]


def __getattr__(name: str) -> type[MountFileSystem]:
    """Make the class of a mount's filesystem, when it is first used."""
    mount = mount_name(name)
    if mount is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    made = type(name, (MountFileSystem,), {"__module__": __name__, "protocol": mount})
    return cast("type[MountFileSystem]", globals().setdefault(name, made))


register()
