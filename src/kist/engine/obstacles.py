"""What would stop a restore, found before its first byte is written: so that nothing is half done for a reason that could be known."""

import os
import stat
import tempfile
import unicodedata
from collections.abc import Callable, Iterable

from kist.engine.destination import OPEN_GIVEN_FOLDER, Content, checked, explain, in_the_way
from kist.engine.entries import Entry
from kist.errors import AlreadyExists, InvalidInput

__all__ = ["refuse_obstacles"]


def refuse_obstacles(
    entries: Iterable[tuple[Entry, Content]], local: str, *, overwrite: bool, folds_case: Callable[[str], bool] | None = None
) -> None:
    """Go through all entries, and look at what is there already.

    `folds_case` tells whether a disk takes names that differ in case for one; by default it is tried out there, and only if there are such.

    Raises:
        InvalidInput: the tree holds what may not leave it, or names that this file system takes for one.
        AlreadyExists: something is in the way.
        Denied: this user may not look there.
        StoreError: the disk failed.
    """
    twins = _Twins()
    root = _open_filled(local)
    missing = "/"
    try:
        for entry, _ in checked(entries):
            path, folder = entry.path, entry.kind == "folder"
            twins.add(path)
            if root is None or not path or path.startswith(missing):
                continue
            found = _form(root, path)
            if _is_obstacle(found, folder=folder, overwrite=overwrite):
                raise AlreadyExists(in_the_way(f"{local}/{path}", found))
            if folder and found != stat.S_IFDIR:
                missing = f"{path}/"
    finally:
        if root is not None:
            os.close(root)
    if twins.found and (folds_case or _folds_case)(local):
        raise InvalidInput(f"{twins.found!r} and its neighbour differ in case alone, and {local} can't hold both: restore to another disk")


def _open_filled(local: str) -> int | None:
    """Open a folder that has something in it; None if there is nothing that could be in the way."""
    try:
        with os.scandir(local) as found:
            return os.open(local, OPEN_GIVEN_FOLDER) if next(found, None) else None
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise explain(error, "", local) from error


def _form(root: int, path: str) -> int:
    """Return what kind of thing `path` is, 0 if it is not there. What can't be told now is found out when it is written."""
    try:
        return stat.S_IFMT(os.lstat(path, dir_fd=root).st_mode)
    except OSError:
        return 0


def _is_obstacle(found: int, *, folder: bool, overwrite: bool) -> bool:
    """Tell whether what was found may not be replaced: folders merge with folders, and are never removed."""
    if not found:
        return False
    if folder:
        return found != stat.S_IFDIR and not overwrite
    return found == stat.S_IFDIR or not overwrite


class _Twins:
    """Finds a path with a neighbour that only differs in case or Unicode form. Keeps little: of most names, nothing."""

    def __init__(self) -> None:
        self.found = ""
        self._seen: list[tuple[str, set[str]]] = [("", set())]

    def add(self, path: str) -> None:
        parent, _, name = path.rpartition("/")
        while parent != self._seen[-1][0] and self._seen[-1][0] and not parent.startswith(self._seen[-1][0] + "/"):
            self._seen.pop()
        if parent != self._seen[-1][0]:
            self._seen.append((parent, set()))
        seen = self._seen[-1][1]
        folded = name.lower() if name.isascii() else unicodedata.normalize("NFC", name).lower()
        if folded in seen:
            self.found = path
        elif folded != name or not name.isascii():
            # A plain lower-case name sorts behind its upper-case twin, so it only needs to look.
            seen.add(folded)


def _folds_case(local: str) -> bool:
    """Return whether the disk below `local` takes ``a`` and ``A`` for one name: asked only when it matters."""
    while not os.path.isdir(local):
        local = os.path.dirname(os.path.abspath(local))
    try:
        with tempfile.NamedTemporaryFile(prefix=".kist-Case-", dir=local) as probe:
            folder, name = os.path.split(probe.name)
            return os.path.lexists(os.path.join(folder, name.swapcase()))
    except OSError as error:
        raise explain(error, "", local) from error
