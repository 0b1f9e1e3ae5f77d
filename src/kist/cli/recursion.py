"""All that lies below a folder, however much: folders too that were never saved by themselves, each with the sums of what is below it."""

import dataclasses
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from kist.engine.entries import sort_key
from kist.models import Info

if TYPE_CHECKING:
    from kist.engine.repository import Repository

__all__ = ["below"]


def below(repository: "Repository", path: str, *, ref: str | None, after: str = "") -> Iterator[Info]:
    """Yield everything below a folder in the order of the tree; a file alone is itself.

    Goes through the tree twice, once for the sums: memory grows with the folders, not with the files.

    Args:
        repository: where.
        path: the folder, empty for the whole tree.
        ref: of which version.
        after: a path in the folder; only what comes behind it.

    Raises:
        KistError: there is no such path or ref, or it can't be read.
    """
    sizes, files = Counter[str](), Counter[str]()
    for info in repository.walk(path, ref=ref):
        if info.kind != "folder":
            for folder in _above(info.path, path):
                sizes[folder] += info.size
                files[folder] += info.kind == "file"
    start = sort_key(f"{path}/{after}" if path else after) if after else b""
    seen: list[str] = []
    for info in repository.walk(path, ref=ref):
        if info.path == path and info.kind == "folder":
            continue
        above = _above(info.path, path)
        missing = above[_shared(seen, above) :]
        here = [Info(path=folder, kind="folder", size=0) for folder in missing] + [info]
        seen = [*above, info.path] if info.kind == "folder" else above
        for one in here:
            if sort_key(one.path) > start:
                yield dataclasses.replace(one, size=sizes[one.path], files=files[one.path]) if one.kind == "folder" else one


def _above(path: str, top: str) -> list[str]:
    """Return the folders above a path, from the outermost, those below `top` only."""
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(top.count("/") + 2 if top else 1, len(parts))]


def _shared(one: list[str], two: list[str]) -> int:
    """Return how many folders two places have in common."""
    number = 0
    for mine, theirs in zip(one, two, strict=False):
        if mine != theirs:
            break
        number += 1
    return number
