"""One transfer over a network that fails, by a seed: what is moved where, what must be there afterwards, and what must not."""

import os
import random
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from tests.servers.proxy import Proxy, random_fault
from tests.servers.s3 import S3Server

from kist import storage
from kist.errors import KistError
from kist.stores.locations import locate
from kist.stores.protocols import ConditionalStore
from kist.stores.transfers import Sizes, transfer

SIZES: Final = (0, 1, 700, 30_000, 300_000, (1 << 20) + 1, 3 << 20, (4 << 20) + 1, 9 << 20)
WEIGHTS: Final = (2, 2, 4, 4, 4, 2, 2, 1, 1)
BIG_SIZES: Final = (1 << 20, 17 << 20, 33 << 20)
PARTS: Final = Sizes(small_bytes=64 << 10, part_bytes=1 << 20, journal_bytes=1 << 20)
"""So that objects of a MiB go in parts already."""

TREE: Final = ("a", "b/c", "b/d", "e")
LONGEST_SECONDS: Final = 120
BLOCK: Final = random.Random(0).randbytes(1 << 20)

type Files = dict[str, bytes]


def content(chance: random.Random, size_bytes: int) -> bytes:
    """Return random bytes; those of a big object are blocks, no two of them alike."""
    if size_bytes <= len(BLOCK):
        return chance.randbytes(size_bytes)
    start = chance.randbytes(8)
    blocks = (start + number.to_bytes(4) + BLOCK[12:] for number in range(-(-size_bytes >> 20)))
    return b"".join(blocks)[:size_bytes]


def bounded[T](work: Callable[[], T]) -> T:
    """Do something that must come to an end; wait for it no longer than `LONGEST_SECONDS`."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001  it belongs to whoever waits
            future.set_exception(error)

    threading.Thread(target=run, name="bounded", daemon=True).start()
    return future.result(LONGEST_SECONDS)


@dataclass(frozen=True, kw_only=True)
class Ways:
    """Two buckets of one server, each reached through the proxy and, as from another service, past it."""

    server: S3Server
    proxy: Proxy
    buckets: tuple[str, str]
    options: dict[str, dict[str, object]]
    """What each is mounted with, by its name."""

    def url(self, place: str, path: str) -> str:
        """Return the URL of a path in a ``bucket``, the ``other`` one, or in the first one by a way that never ``fails``."""
        return f"{list(self.options)[('bucket', 'other', 'direct').index(place)]}://{path}"

    def mount(self, *, patient: bool) -> None:
        """Mount them anew: so that a silence is borne as usual, or for less than a second, and nothing is tried often."""
        patience = {} if patient else {"timeout_seconds": 0.8, "connect_timeout_seconds": 2, "retry_seconds": 1, "max_retries": 1}
        for name, options in self.options.items():
            storage.mount(name, replace=True, **options, **patience)  # type: ignore[arg-type]  # whatever the store takes

    def store(self, place: str) -> ConditionalStore:
        """Return the store in which to look, past the proxy."""
        return self.server.store(self.buckets[place == "other"])


@contextmanager
def two_ways(server: S3Server, proxy: Proxy) -> Iterator[Ways]:
    """Mount them."""
    buckets = server.make_bucket(), server.make_bucket()
    known: dict[str, object] = {"provider": "s3", "region": server.region, "client_id": server.access_key, "secret_id": server.secret_key}
    places = [(buckets[0], proxy.endpoint), (buckets[1], proxy.endpoint), (buckets[0], server.endpoint)]
    options = {f"way{uuid.uuid4().hex[:8]}": {**known, "bucket": bucket, "endpoint_url": endpoint} for bucket, endpoint in places}
    ways = Ways(server=server, proxy=proxy, buckets=buckets, options=options)
    ways.mount(patient=True)
    try:
        yield ways
    finally:
        for name in options:
            storage.unmount(name)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of transfer: between which places, of a file or a folder, and how many requests it takes about."""

    act: Callable[[str, str], object]
    source: str = "disk"
    target: str = "bucket"
    tree: bool = False
    requests: int = 2
    sizes: tuple[int, ...] = SIZES
    moves: bool = False
    mirrors: bool = False
    in_parts: bool = False


def _copied(source: str, target: str) -> None:
    """Copy, and compare what was told on the way with what was done in the end."""
    told: list[tuple[int, int]] = []
    done = storage.copy(source, target, progress=lambda files, size_bytes: told.append((files, size_bytes)))
    assert (sum(files for files, _ in told), sum(size_bytes for _, size_bytes in told)) == (done.files, done.bytes)


def _in_parts(source: str, target: str) -> None:
    place, told = locate(source), list[int]()
    meta = place.find()
    assert meta is not None
    done = transfer(place, meta, locate(target), heard=told.append, sizes=PARTS)
    assert sum(told) == done.size_bytes


def _fetched(source: str, target: str) -> None:
    _copied(storage.shareable_url(source), target)


def _mirrored(source: str, target: str) -> None:
    storage.sync(source, target, delete=True)


def _written(source: str, target: str) -> None:
    data = Path(source).read_bytes()
    with storage.open(target, "wb") as file:
        file.write(data)


def _read(source: str, target: str) -> None:
    with storage.open(source, "rb") as file:
        data = file.read()
    Path(target).write_bytes(data)


def _tree(source: str, target: str) -> None:
    storage.copy(f"{source}/", target, recursive=True)


KINDS: Final = {
    "upload": Kind(act=_copied),
    "download": Kind(act=_copied, source="bucket", target="disk", requests=2),
    "download from the web": Kind(act=_fetched, source="bucket", target="disk", requests=4),
    "copy to another service": Kind(act=_copied, source="bucket", target="direct", requests=2),
    "copy from another service": Kind(act=_copied, source="direct", requests=2),
    "copy in a bucket": Kind(act=_copied, source="bucket", requests=5),
    "copy to another bucket": Kind(act=_copied, source="bucket", target="other", requests=5),
    "move up": Kind(act=storage.move, moves=True, requests=3),
    "move down": Kind(act=storage.move, source="bucket", target="disk", moves=True, requests=5),
    "write": Kind(act=_written, requests=2),
    "read": Kind(act=_read, source="bucket", target="disk", requests=3),
    "copy a folder up": Kind(act=_tree, tree=True, requests=6),
    "copy a folder down": Kind(act=_tree, source="bucket", target="disk", tree=True, requests=6),
    "sync up": Kind(act=storage.sync, tree=True, requests=6),
    "sync down": Kind(act=storage.sync, source="bucket", target="disk", tree=True, requests=6),
    "mirror up": Kind(act=_mirrored, tree=True, mirrors=True, requests=7),
    "mirror down": Kind(act=_mirrored, source="bucket", target="disk", tree=True, mirrors=True, requests=6),
    "upload in parts": Kind(act=_in_parts, sizes=BIG_SIZES, requests=7, in_parts=True),
    "download in parts": Kind(act=_in_parts, source="bucket", target="disk", sizes=BIG_SIZES, requests=4, in_parts=True),
    "copy in parts": Kind(act=_in_parts, source="direct", sizes=BIG_SIZES, requests=7, in_parts=True),
}


@dataclass(kw_only=True)
class Trial:
    """One transfer of a kind, by a seed."""

    kind: Kind
    seed: str
    ways: Ways
    folder: Path
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.name = f"t{uuid.uuid4().hex[:12]}"
        self.new = self._files()
        self.old = self._files() if self.chance.random() < 0.5 else {}
        for path, data in self.old.items():
            if len(data) == len(self.new.get(path, b"")):
                self.old[path] = data + b"+"  # what is as long, and newer, a sync leaves alone
        most = max([1, *map(len, self.new.values())])
        self.faults = [
            random_fault(self.chance, most_at=self.kind.requests - 1, most_bytes=most) for _ in range(self.chance.choice((1, 1, 2)))
        ]
        self.told.append(
            f"{self.seed}: {[len(data) for data in self.new.values()]} bytes, {'replacing, ' if self.old else ''}{self.faults}"
        )

    @cached_property
    def source(self) -> str:
        """What is moved."""
        return self._url(self.kind.source, "from")

    @cached_property
    def target(self) -> str:
        """Where it goes."""
        return self._url(self.kind.target, "to")

    def run(self) -> None:
        """Do it while the network fails, look, do it again, and look again."""
        (self.folder / self.name).mkdir()
        self._write(self.kind.source, "from", self.new)
        self._write(self.kind.target, "to", self.old)
        self.ways.mount(patient=False)
        self.ways.proxy.arm(*self.faults, only=self.name)
        failure = self._failure()
        self.told += [f"  {seen}" for seen in self.ways.proxy.seen]
        self.told.append(f"  {type(failure).__name__}: {failure}")
        self.ways.proxy.arm(only=self.name)
        self.ways.mount(patient=True)
        self._look(failure)
        if failure or not self.kind.moves:
            self._again(failure)

    def _again(self, failure: KistError | None) -> None:
        there = self._there("to")
        if self.kind.moves and not self._there("from"):
            assert there == self.new, "the source is gone, and the target is not complete"
            return
        bounded(lambda: self.kind.act(self.source, self.target))
        kept = self.old if self.kind.tree and not self.kind.mirrors else {}
        assert self._there("to") == {**kept, **self.new}
        if self.kind.moves:
            assert self._there("from") == {}
        assert self._strays() == [], f"left behind by a second try, the first one ended with {failure!r}"

    def _failure(self) -> KistError | None:
        try:
            bounded(lambda: self.kind.act(self.source, self.target))
        except KistError as error:
            return error
        return None

    def _look(self, failure: KistError | None) -> None:
        there = self._there("to")
        for path in self.new.keys() | self.old.keys() | there.keys():
            allowed = {self.old.get(path)} if failure or path not in self.new else set()
            if path in self.new:
                allowed.add(self.new[path])
            elif self.kind.mirrors and self.new.items() <= there.items():
                allowed.add(None)
            assert there.get(path) in allowed, f"{path!r} is half done, or gone too early: {len(there.get(path, b''))} bytes"
        if self.kind.moves and there != self.new:
            assert self._there("from") == self.new
        strays = self._strays()
        if self.kind.in_parts and failure is not None:
            strays = [name for name in strays if not name.startswith(".kist-partial-")]
        assert strays == []
        if failure is not None:
            signed = f"{self.ways.proxy.endpoint}/{self.ways.buckets[0]}/{self.name}/from?…"
            assert any(url in str(failure) for url in (self.source, self.target, signed)), f"it names no URL: {failure!r}"
            assert "Signature" not in str(failure), f"it tells how to read the source: {failure!r}"

    def _files(self) -> Files:
        if not self.kind.tree:
            weights = WEIGHTS if self.kind.sizes is SIZES else None
            return {"": content(self.chance, self.chance.choices(self.kind.sizes, weights)[0])}
        return {path: content(self.chance, self.chance.choice(SIZES[:6])) for path in self.chance.sample(TREE, 3)}

    def _url(self, place: str, what: str) -> str:
        return str(self.folder / self.name / what) if place == "disk" else self.ways.url(place, f"{self.name}/{what}")

    def _write(self, place: str, what: str, files: Files) -> None:
        for path, data in files.items():
            name = f"{what}/{path}".rstrip("/")
            if place == "disk":
                file = self.folder / self.name / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data)
            else:
                self.ways.store(place).put(f"{self.name}/{name}", data)

    def _there(self, what: str) -> Files:
        """Return what is at the source or target, looked at past the proxy."""
        place = self.kind.source if what == "from" else self.kind.target
        if place == "disk":
            folder = self.folder / self.name
            found = {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
            files = {path: data for path, data in found.items() if not path.rpartition("/")[2].startswith(".kist-")}
        else:
            store = self.ways.store(place)
            files = {meta.key.partition("/")[2]: store.get(meta.key) for meta in store.list(f"{self.name}/{what}")}
        return {path.removeprefix(what).lstrip("/"): data for path, data in files.items() if path.partition("/")[0] == what}

    def _strays(self) -> list[str]:
        return [name for _, _, names in os.walk(self.folder / self.name) for name in names if name.startswith(".kist-")]
