"""Writes the repositories of format 1 that every later kist must read: ``PYTHONPATH=src:. python -m tests.compat.write_format_1``.

It ran once, with kist 0.1.0, and is kept to show what is in them. It never overwrites: a fixture that can be made anew proves nothing.
``format-1`` is decided by put-if-absent and has been collected, so that some frames are not where their places say; ``format-1-fork`` has
two heads that nobody merged. What they hold is in the JSON file beside each.
"""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from tests.engine.parts import HOUR, Ticking, a_format, repository, rooms_on

from kist.engine.commits import Note, Session
from kist.engine.content import Ingester
from kist.engine.entries import Entry, sort_key
from kist.engine.index import locate_all, write_segments
from kist.engine.records import canonical_json, digest, encode_format
from kist.engine.repository import Repository
from kist.stores.memory import MemoryStore

FOLDER = Path(__file__).parent
TIME_NS = 1_763_632_800_123_456_789


class Every4Bytes:
    """Cuts so small that a few bytes have a recipe of two levels: readers never depend on the cuts."""

    def cuts(self, buffer: memoryview, *, final: bool) -> list[int]:
        """Cut at every fourth byte."""
        assert final
        return list(range(4, len(buffer) + 1, 4))


class Source:
    """A binary file."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def readinto(self, buffer: memoryview) -> int:
        """Give all at once."""
        count = len(self.data)
        buffer[:count], self.data = self.data, b""
        return count


def deep_content() -> bytes:
    """Return twelve chunks of four bytes, after every third of which a part of the recipe ends."""
    ends = (n.to_bytes(4, "big") for n in range(1_000_000) if int.from_bytes(digest(n.to_bytes(4, "big"))[:4], "little") % 1024 == 0)
    others = (n.to_bytes(4, "big") for n in range(1_000_000) if int.from_bytes(digest(n.to_bytes(4, "big"))[:4], "little") % 1024)
    return b"".join(next(ends) if number % 3 == 2 else next(others) for number in range(12))


def table(*, changed: bool) -> bytes:
    """Return a table of some chunks that compresses well."""
    rows = [f"{number},sensor {number % 7},{number * 37 % 1000}\n" for number in range(6000)]
    if changed:
        rows.insert(3000, "a new row\n")
    return "".join(rows).encode()


def fill(top: Path) -> None:
    """Make the folder that is saved first."""
    for name in ("data", "nothing", "ä 🐟"):
        (top / name).mkdir(parents=True, mode=0o755)
    (top / "data/table.csv").write_bytes(table(changed=False))
    (top / "data/empty").write_bytes(b"")
    (top / "README.md").write_bytes(b"# A small repository\n")
    (top / "run.sh").write_bytes(b"#!/bin/sh\n")
    (top / "ä 🐟/logo@2x.png").write_bytes(bytes(range(256)))
    (top / "data/latest").symlink_to("table.csv")
    for path in [*top.rglob("*"), top]:
        os.utime(path, ns=(TIME_NS, TIME_NS), follow_symlinks=False)
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.suffix == ".sh" else 0o644)


def save_deep(store: MemoryStore, clock: Ticking) -> None:
    """Save a file whose recipe has two levels."""
    with Session(rooms_on(store, clock=clock), "main") as session:
        content = Ingester(session.writer, Every4Bytes()).ingest(  # type: ignore[arg-type]  # it gets memory views
            Source(deep_content()), known={}, again=None, progress=lambda _: None
        )
        entry = Entry(
            path="deep",
            kind="file",
            mtime_ns=TIME_NS,
            size=content.size,
            hash=content.hash,
            crc32c=content.crc32c,
            recipe=content.recipe,
            place=content.place,
        )
        session.commit(session.made([(sort_key("deep"), entry)]), Note("a deep recipe", "ann"))


def write_main() -> MemoryStore:
    """Return the repository that put-if-absent decides."""
    clock = Ticking()
    store = MemoryStore(clock=clock.date)
    store.put("format", encode_format(a_format(id="c0ffee" * 5 + "00")))
    repo = repository(store, clock=clock)
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder) / "source")
        repo.save("lab", Path(folder) / "source", message="first", author="ann", labels={"raw", "2026"}, tags={"site": "A", "n": [1, None]})
    repo.save("temporary", b"this will be forgotten " * 20, message="second", author="ann")
    with repo.transaction("many files", author="bob") as change:
        change.delete("temporary")
        for number in range(180):  # with names that make a tree of two levels
            change.put(f"many/wo-{number // 20:02d}/{number:04d}.txt", b"%d" % (number % 5))
    repo.tag("good", "v3")
    repo.branch("dev")
    repo.save("lab/data/table.csv", table(changed=True), message="a new row", author="bob", branch="dev")
    repo.save("lab/README.md", b"# A small repository, changed\n", message="text", author="ann")
    save_deep(store, clock)
    repo.merge("dev", message="bring the row", author="ann")
    repo.forget(["v2"], imsure=True)
    for _ in range(3):
        clock.sleep(25 * HOUR)
        repo.collect()
    repo.save("last", b"after collecting", message="last", author="ann")
    write_segments(store, dict(list(locate_all(store).frames.items())[:2]))
    return store


def write_fork() -> MemoryStore:
    """Return the repository of forks: two heads above a checkpoint, and one merge below."""
    clock = Ticking()
    store = MemoryStore(clock=clock.date)
    store.put("format", encode_format(a_format(id="f0" * 16, authority="fork")))
    one, two = (repository(store, clock=clock, checkpoint_every=3) for _ in range(2))
    one.save("start", b"start", message="start", author="ann")
    for name in ("first", "second"):
        if name == "second":
            for number in (4, 5, 6):
                one.save("alone", b"%d" % number, message=f"alone {number}", author="ann")
        with one.transaction(f"left {name}", author="ann") as left, two.transaction(f"right {name}", author="bob") as right:
            left.put("both", f"left {name}".encode())
            left.put(f"left/{name}", b"left")
            right.put("both", f"right {name}".encode())
            right.put(f"right/{name}", b"right")
    merge = next(iter(store.list("refs/heads/main/"))).key
    store.delete(merge)
    return store


def described(repo: Repository, *, authority: str) -> dict[str, Any]:
    """Return what a repository holds, in JSON."""
    logs = {name: repo.log(branch=name) for name in repo.branches()}
    versions = {
        version.id: {
            "number": version.number,
            "message": version.message,
            "author": version.author,
            "time": version.time.isoformat(),
            "forgotten": version.forgotten,
            "tree": None if version.forgotten else digest(canonical_json(rows_of(repo, version.id))).hex(),
        }
        for log in logs.values()
        for version in log
    }
    return {
        "about": "`tree` is the BLAKE3-256 of the canonical JSON of all rows as in `main`; those of `main` show the first 40",
        "id": repo.id,
        "authority": authority,
        "branches": {name: [version.id for version in log] for name, log in logs.items()},
        "tags": {name: version.id for name, version in repo.tags().items()},
        "versions": versions,
        "state": digest(canonical_json(rows_of(repo, "main"))).hex(),
        "main": rows_of(repo, "main")[:40],
    }


def rows_of(repo: Repository, ref: str) -> list[list[Any]]:
    """Return all that a version has, one row for each path."""
    return [
        [one.path, one.kind, one.size, one.mode, one.mtime_ns, one.hash, one.crc32c or 0, one.target, sorted(one.labels), one.tags]
        for one in repo.walk(ref=ref)
    ]


def main() -> None:
    """Write both, where they are not there yet."""
    for name, make in (("format-1", write_main), ("format-1-fork", write_fork)):
        top = FOLDER / name
        if top.exists():
            raise SystemExit(f"{top} is there already, and must stay as it is")
        store = make()
        for meta in store.list():
            (top / meta.key).parent.mkdir(parents=True, exist_ok=True)
            (top / meta.key).write_bytes(store.get(meta.key))
        text = json.dumps(
            described(repository(store), authority="fork" if "fork" in name else "create"), indent=0, ensure_ascii=False, sort_keys=True
        )
        (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
