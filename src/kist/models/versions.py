"""Versions and what lies in them, and what work on them did."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

__all__ = ["Collected", "Copied", "Difference", "Info", "Problem", "Report", "Stat", "Stats", "Version"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """What a version holds, and what saving it took; bytes are of content, before compression.

    `files` and `bytes` count the whole tree; `new_bytes` had to be stored, `reused_bytes` of what was saved were stored already.
    """

    files: int
    bytes: int
    new_bytes: int
    reused_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """An immutable state of a repository.

    The `id` names it for ever. The `number` is its position on its branch; where writers forked, several versions share one, and `txn`
    tells them apart. `parents` are ids. A `forgotten` version still is in the log, but its content is not kept.
    """

    id: str
    number: int
    time: datetime
    author: str
    message: str
    stats: Stats
    parents: tuple[str, ...] = ()
    branch: str = "main"
    txn: str = ""
    forked: bool = False
    forgotten: bool = False

    @property
    def name(self) -> str:
        """How to name it in short: ``v42`` on main, ``dev:v42`` elsewhere, ``v42-0123abcd`` where the number is shared."""
        number = f"v{self.number}" + (f"-{self.txn[:8]}" if self.forked else "")
        return number if self.branch == "main" else f"{self.branch}:{number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """What a version has at a path. `path` is relative, `size` counts bytes (of all that is below a folder), `files` the files below it.

    `hash` is the BLAKE3-256 of a file's content in hexadecimal, `crc32c` its CRC-32C; `mtime_ns` counts nanoseconds since 1970 UTC, None
    for a folder that was never saved by itself.
    """

    path: str
    kind: Literal["file", "folder", "link"]
    size: int
    files: int = 1
    mtime_ns: int | None = None
    mode: int | None = None
    hash: str = ""
    crc32c: int | None = None
    sha256: str = ""
    target: str = ""
    id: str = ""
    timestamp: str = ""
    labels: frozenset[str] = frozenset()
    tags: dict[str, object] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The last segment of the path."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How one path differs between two versions; sizes in bytes, None where it does not exist."""

    path: str
    change: Literal["added", "removed", "modified"]
    kind: Literal["file", "folder", "link"]
    old_size: int | None = None
    new_size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What `collect` did: packs that got a tombstone, were packed anew or deleted; bytes as stored.

    `waiting` packs have a tombstone and are deleted by a later run, once their grace is over.
    """

    marked: int
    repacked: int
    deleted: int
    waiting: int
    freed_bytes: int
    live_bytes: int
    dead_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stat:
    """What is at a URL. A folder has neither size nor time; `modified` is in UTC, by its store's clock; `etag` changes with the content."""

    url: str
    kind: Literal["file", "folder"]
    size_bytes: int = 0
    modified: datetime | None = None
    etag: str = ""

    @property
    def name(self) -> str:
        """The last segment of the URL."""
        return self.url.rstrip("/").rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What copying did: files and bytes that are now at the target, `server_side` of these files without passing through this machine.

    `skipped` files were there already, `deleted` ones were not at the source.
    """

    files: int
    bytes: int
    server_side: int = 0
    skipped: int = 0
    deleted: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that is not as it was saved: where, what, and the paths (as ``data/a.csv@v3``) that it hits."""

    key: str
    what: str
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What `verify` found: counts of what it looked at, and the problems."""

    level: Literal["metadata", "data"]
    versions: int
    packs: int
    frames: int
    bytes_read: int
    problems: tuple[Problem, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    @property
    def paths(self) -> tuple[str, ...]:
        """All paths that are hit, each once, sorted."""
        return tuple(sorted({path for problem in self.problems for path in problem.paths}))
