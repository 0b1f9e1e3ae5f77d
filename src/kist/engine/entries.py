"""One line of a tree: what a repository knows about a path, and the rules that a path obeys."""

from collections.abc import Collection, Iterable
from typing import Literal, NamedTuple

import msgspec

from kist.errors import InvalidInput

__all__ = ["Entry", "Kind", "Place", "are_places", "check_path", "same_entry", "sort_key"]

Kind = Literal["file", "folder", "link"]
MAX_PATH_BYTES = 4096
PACK_ID_BYTES = 16
MAX_OFFSET = 2**32 - 1


class Place(NamedTuple):
    """Where a frame lies: a hint, for packs may be rewritten; the index knows better.

    `pack` is 16 bytes, `offset` and `stored` (length of the payload, without the frame's header) are in bytes, `raw` is the length once
    decoded.
    """

    pack: bytes
    offset: int
    stored: int
    raw: int


def are_places(packs: Iterable[bytes], *columns: Collection[int]) -> bool:
    """Say whether packs and columns of offsets and lengths, none of them empty, are such as a pack can have (§4)."""
    return all(len(pack) == PACK_ID_BYTES for pack in packs) and min(map(min, columns)) >= 0 and max(map(max, columns)) <= MAX_OFFSET


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A path and what is there.

    `path` is relative, ``/``-separated; `size` is in bytes, `mtime_ns` counts from 1970 UTC, `mode` are the permission bits.

    A file's `hash` is the BLAKE3-256 of its content. Its bytes are one chunk (`recipe` empty; the chunk's id is `hash`) or what the recipe
    frame with id `recipe` lists. `place` says where that chunk or recipe was last seen; an empty file has none. A link's `target` is
    literal.
    """

    path: str
    kind: Kind
    size: int = 0
    mtime_ns: int = 0
    mode: int = 0o644
    hash: bytes = b""
    crc32c: int = 0
    recipe: bytes = b""
    place: Place | None = None
    target: str = ""
    sha256: bytes = b""
    id: str = ""
    timestamp: str = ""
    labels: tuple[str, ...] = ()
    tags: dict[str, object] | None = None


def sort_key(path: str) -> bytes:
    """Return what trees sort by: the UTF-8 bytes with ``/`` before all other characters, so that a folder's content follows it directly."""
    return path.encode().replace(b"/", b"\0")


def check_path(path: str, *, root: bool = False) -> str:
    """Return `path` if a repository may keep it: relative, no empty, ``.`` or ``..`` segment, no NUL, valid Unicode, at most 4096 bytes.

    Args:
        path: the path to check.
        root: whether the empty path, which names the whole tree, is welcome.

    Raises:
        InvalidInput: it may not; the message says why.
    """
    if not path and root:
        return path
    try:
        size_bytes = len(path.encode())
    except UnicodeEncodeError:
        raise InvalidInput(f"path {path!r} is not valid Unicode: rename the file") from None
    if not path or size_bytes > MAX_PATH_BYTES:
        raise InvalidInput(f"a path has 1 to {MAX_PATH_BYTES} bytes, this one has {size_bytes}: {path[:80]!r}")
    if "\0" in path:
        raise InvalidInput(f"path {path!r} contains a NUL character")
    if any(segment in ("", ".", "..") for segment in path.split("/")):
        raise InvalidInput(f"path {path!r} has an empty, '.' or '..' segment: paths are relative and literal, such as 'data/a.csv'")
    return path


def same_entry(one: Entry, two: Entry, *, times: bool = True) -> bool:
    """Say whether two entries of one path mean the same: all but where the bytes lie and, if `times` is false, when they were changed."""
    if one == two:
        return True
    return all(getattr(one, name) == getattr(two, name) for name in _MEANING) and (not times or one.mtime_ns == two.mtime_ns)


_MEANING = tuple(name for name in Entry.__struct_fields__ if name not in ("place", "recipe", "mtime_ns"))
