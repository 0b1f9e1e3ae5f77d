"""kist: save, version, share, move and publish files, folders, datasets, notebooks and arrays on any object store.

>>> import kist
>>> repo = kist.open_repository("memory://readme", create=True)
"""

from typing import TYPE_CHECKING

__all__ = [
    "Collected",
    "Difference",
    "Info",
    "Problem",
    "Report",
    "Repository",
    "RestoreReport",
    "Stats",
    "Transaction",
    "Version",
    "errors",
    "open_repository",
]
__version__ = "0.1.0"

if TYPE_CHECKING:
    from kist import errors
    from kist.engine.opening import open_repository
    from kist.engine.repository import Repository
    from kist.engine.restoring import RestoreReport
    from kist.engine.transactions import Transaction
    from kist.models import Collected, Difference, Info, Problem, Report, Stats, Version

_ROOMS = {
    "Collected": "kist.models",
    "Difference": "kist.models",
    "Info": "kist.models",
    "Problem": "kist.models",
    "Report": "kist.models",
    "Repository": "kist.engine.repository",
    "RestoreReport": "kist.engine.restoring",
    "Stats": "kist.models",
    "Transaction": "kist.engine.transactions",
    "Version": "kist.models",
    "open_repository": "kist.engine.opening",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used."""
    import importlib  # noqa: PLC0415 - so that `import kist` loads nothing

    if name == "errors":
        return importlib.import_module("kist.errors")
    if name not in _ROOMS:
        raise AttributeError(f"module 'kist' has no attribute {name!r}")
    return getattr(importlib.import_module(_ROOMS[name]), name)


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
