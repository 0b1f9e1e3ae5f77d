"""Everything that changes a repository or a folder, small enough to be killed at each of its changes."""

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from kist.engine.opening import open_repository, repository_on
from kist.engine.repository import Repository
from kist.stores.local import LocalStore

BIG_BYTES = 400_000
"""Enough for several chunks, thus for a recipe."""

LATER = 2_000_000_000_000_000_000
"""A modification time (ns) that the first one is not."""


@lru_cache(maxsize=64)
def noise(seed: str, size_bytes: int) -> bytes:
    """Return bytes that do not compress, the same for the same seed."""
    return hashlib.shake_256(seed.encode()).digest(size_bytes)


@dataclass(frozen=True)
class Desk:
    """A folder with a repository, a source to save, a place to restore to, and the cache of this machine."""

    base: Path

    @property
    def repo(self) -> Path:
        return self.base / "repo"

    @property
    def source(self) -> Path:
        return self.base / "source"

    @property
    def out(self) -> Path:
        return self.base / "out"

    def open(self) -> Repository:
        """Open the repository as a new process does."""
        return open_repository(self.repo)

    def collector(self) -> Repository:
        """Open it to collect at once what may be collected after a grace."""
        return repository_on(LocalStore(self.repo), name=str(self.repo), grace=0)

    def copy_to(self, base: Path) -> "Desk":
        """Copy everything; objects never change, so they are linked."""
        if base.exists():
            shutil.rmtree(base)
        for folder, _, names in os.walk(self.base):
            there = base / Path(folder).relative_to(self.base)
            there.mkdir(parents=True)
            for name in names:
                old = Path(folder, name)
                if old.is_relative_to(self.repo):
                    os.link(old, there / name, follow_symlinks=False)
                else:
                    shutil.copy2(old, there / name, follow_symlinks=False)
        return Desk(base)


def furnish(base: Path) -> Desk:
    """Make a desk: a repository with a history, branches, a tag and something forgotten, and a source that was changed since."""
    desk = Desk(base)
    source = desk.source
    (source / "docs/deep").mkdir(parents=True)
    (source / "empty").mkdir()
    (source / "a.txt").write_bytes(b"a")
    (source / "docs/b.txt").write_bytes(b"b" * 3000)
    (source / "docs/deep/c.bin").write_bytes(noise("c", BIG_BYTES))
    (source / "link").symlink_to("docs/b.txt")
    desk.repo.mkdir()
    desk.out.mkdir()
    repo = open_repository(desk.repo, create=True)
    repo.save("", source)
    repo.tag("first")
    repo.branch("dev")
    repo.save("docs/dev.txt", b"dev", branch="dev")
    repo.save("junk", noise("junk", 30_000))
    repo.delete("junk")
    repo.save("notes.txt", b"notes")
    repo.forget(["v2", "v3"], imsure=True)
    (source / "a.txt").write_bytes(b"A")
    os.utime(source / "a.txt", ns=(LATER, LATER))
    (source / "docs/b.txt").unlink()
    (source / "new").mkdir()
    (source / "new/d.txt").write_bytes(noise("d", 5000))
    (desk.out / "a.txt").write_bytes(b"in the way")
    return desk


def _transaction(desk: Desk) -> None:
    with desk.open().transaction("three at once") as change:
        change.put("x/y.txt", b"new")
        change.delete("a.txt")
        change.move("docs", "papers")


def _collect_twice(desk: Desk) -> None:
    for _ in range(2):
        desk.collector().collect()


ACTIONS: dict[str, Callable[[Desk], object]] = {
    "create": lambda desk: open_repository(desk.base / "another", create=True),
    "save a folder": lambda desk: desk.open().save("", desk.source),
    "save bytes": lambda desk: desk.open().save("bytes.txt", b"x" * 1000, labels=["raw"]),
    "save a big file": lambda desk: desk.open().save("big.bin", noise("big", BIG_BYTES)),
    "save on a branch": lambda desk: desk.open().save("docs/b.txt", b"other", branch="dev"),
    "transaction": _transaction,
    "delete": lambda desk: desk.open().delete("docs"),
    "move": lambda desk: desk.open().move("docs", "papers/2026"),
    "tag": lambda desk: desk.open().tag("second"),
    "branch": lambda desk: desk.open().branch("side", "v1"),
    "merge": lambda desk: desk.open().merge("dev"),
    "forget": lambda desk: desk.open().forget(["v1"], imsure=True),
    "repair": lambda desk: desk.open().repair(),
    "collect": lambda desk: desk.collector().collect(),
    "collect twice": _collect_twice,
    "restore": lambda desk: desk.open().restore("docs", desk.out / "docs", ref="v1"),
    "restore over": lambda desk: desk.open().restore("", desk.out, ref="v1", overwrite=True),
    "export a tar": lambda desk: desk.open().export("", desk.out / "all.tar.gz"),
    "export a zip": lambda desk: desk.open().export("", desk.out / "all.zip", overwrite=True),
}
