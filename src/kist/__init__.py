"""kist: save, version, share, move and publish files, folders, datasets, notebooks and arrays on any object store.

>>> import kist
>>> repo = kist.open_repository("memory://readme", create=True)
"""

from typing import TYPE_CHECKING

__all__ = [
    "AsyncClient",
    "AsyncRepository",
    "Client",
    "Collected",
    "Copied",
    "Difference",
    "Info",
    "Problem",
    "Report",
    "Repository",
    "RestoreReport",
    "Stat",
    "Stats",
    "Transaction",
    "Version",
    "errors",
    "open_repository",
    "storage",
]
__version__ = "0.1.0"

if TYPE_CHECKING:
    from kist import errors, storage
    from kist.client.async_client import AsyncClient
    from kist.client.async_repository import AsyncRepository
    from kist.client.client import Client
    from kist.engine.opening import open_repository
    from kist.engine.repository import Repository
    from kist.engine.restoring import RestoreReport
    from kist.engine.transactions import Transaction
    from kist.models import Collected, Copied, Difference, Info, Problem, Report, Stat, Stats, Version

_ROOMS = {
    "AsyncClient": "kist.client.async_client",
    "AsyncRepository": "kist.client.async_repository",
    "Client": "kist.client.client",
    "Collected": "kist.models",
    "Copied": "kist.models",
    "Difference": "kist.models",
    "Info": "kist.models",
    "Problem": "kist.models",
    "Report": "kist.models",
    "Repository": "kist.engine.repository",
    "RestoreReport": "kist.engine.restoring",
    "Stat": "kist.models",
    "Stats": "kist.models",
    "Transaction": "kist.engine.transactions",
    "Version": "kist.models",
    "open_repository": "kist.engine.opening",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used."""
    import importlib  # noqa: PLC0415 - so that `import kist` loads nothing

    if name in {"errors", "storage"}:
        return importlib.import_module(f"kist.{name}")
    if name not in _ROOMS:
        raise AttributeError(f"module 'kist' has no attribute {name!r}")
    return getattr(importlib.import_module(_ROOMS[name]), name)


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
