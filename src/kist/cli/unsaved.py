"""What a save would change: a folder of this machine against the newest version, side by side in one order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from blake3 import blake3

from kist.engine.entries import sort_key
from kist.engine.folders import Item, scan
from kist.errors import NotFound
from kist.models import Info

if TYPE_CHECKING:
    from kist.engine.repository import Repository

__all__ = ["Unsaved", "unsaved"]

PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsaved:
    """The paths, relative to NAME, that a save would add, remove, or change in content, mode or target; and the bytes of what is new."""

    name: str
    added: tuple[str, ...]
    removed: tuple[str, ...]
    modified: tuple[str, ...]
    size_bytes: int
    differs: bool


def unsaved(repository: "Repository", name: str, path: str, *, ignore: Sequence[str]) -> Unsaved:
    """Compare. A file whose size and time are those that were saved is taken for unchanged, as other tools do; else its content decides.

    Args:
        repository: where it is saved, on main.
        name: what it is called there; if it is not there, all is new.
        path: the file or folder on this machine.
        ignore: gitignore patterns of what is left out.

    Raises:
        KistError: something can't be read.
    """
    added, removed, modified, size_bytes = [], [], [], 0
    for where, item, info in _side_by_side(scan(path, ignore=ignore, skipped=lambda _where, _why: None), _saved(repository, name), name):
        if info is None and item is not None:
            added.append(where)
            size_bytes += item.size
        elif item is None:
            removed.append(where)
        elif info is not None and _differs(item, info):
            modified.append(where)
            size_bytes += item.size
    differs = bool(added or removed or modified)
    return Unsaved(name=name, added=tuple(added), removed=tuple(removed), modified=tuple(modified), size_bytes=size_bytes, differs=differs)


def _saved(repository: "Repository", name: str) -> Iterator[Info]:
    try:
        yield from repository.walk(name)
    except NotFound:
        return


def _side_by_side(items: Iterator[Item], infos: Iterator[Info], name: str) -> Iterator[tuple[str, Item | None, Info | None]]:
    """Yield what is at each path here and there."""
    item, info = next(items, None), next(infos, None)
    while item is not None or info is not None:
        here = None if item is None else item.path
        there = None if info is None else info.path[len(name) :].lstrip("/")
        if there is None or (here is not None and sort_key(here) < sort_key(there)):
            yield here or ".", item, None
            item = next(items, None)
        elif here is None or sort_key(there) < sort_key(here):
            yield there or ".", None, info
            info = next(infos, None)
        else:
            yield here or ".", item, info
            item, info = next(items, None), next(infos, None)


def _differs(item: Item, info: Info) -> bool:
    if (item.kind, item.size, item.target) != (info.kind, info.size if info.kind == "file" else 0, info.target) or item.mode != info.mode:
        return True
    if item.kind != "file" or item.mtime_ns == info.mtime_ns:
        return False
    digest = blake3()
    with item.open() as file:
        while piece := file.read(PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest() != info.hash
