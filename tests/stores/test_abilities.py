"""Measuring what places can do: what the reference says of each kind of store is what is measured on a real one."""

import importlib.util
import time
from collections.abc import Buffer, Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import override

import pytest
from tests.servers import rclone
from tests.servers.web import plain_server, rclone_server

from kist.errors import Denied, StoreError
from kist.stores.abilities import NAMES, Ability, measure
from kist.stores.local import LocalStore
from kist.stores.memory import MemoryStore
from kist.stores.protocols import ObjectMeta
from kist.stores.web import open_web


def load_matrix() -> ModuleType:
    """Import the script that writes the page."""
    script = Path(__file__).parents[2] / "docs" / "store_matrix.py"
    spec = importlib.util.spec_from_file_location("store_matrix", script)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MATRIX = load_matrix()


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / MATRIX.FILE).write_bytes(bytes(range(256)))
    return folder


@pytest.fixture
def plain_web(site: Path) -> Iterator[str]:
    with plain_server(site) as url:
        yield url


@pytest.fixture
def rclone_web(site: Path, tmp_path: Path) -> Iterator[str]:
    if rclone.program() is None:
        pytest.skip(rclone.MISSING)
    with rclone_server(site, tmp_path / "rclone.log") as url:
        yield url


def case(title: str, fixture: str) -> object:
    return pytest.param(title, fixture, id=title, marks=[pytest.mark.peer(title)] if fixture else [])


@pytest.mark.parametrize(("title", "fixture"), [case(column.title, column.fixture) for column in MATRIX.COLUMNS])
def test_the_page_says_what_is_measured(title: str, fixture: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    server = request.getfixturevalue(fixture) if fixture else tmp_path
    [column] = [one for one in MATRIX.COLUMNS if one.title == title]
    told = dict(zip(NAMES, MATRIX.read_page()[title], strict=True))
    found: dict[str, str] = {}
    for _ in range(4):  # what a store lacks in a race does not show each time; what shows once is so
        measured = dict(zip(NAMES, MATRIX.marks(measure(*column.open(server))), strict=True))
        found = measured | {name: "no" for name in found if found[name] == "no"}
        if found == told:
            break
    assert found == told


def test_the_page_has_every_store_and_every_ability() -> None:
    columns = MATRIX.read_page()
    assert list(columns) == [column.title for column in MATRIX.COLUMNS]
    assert {len(column) for column in columns.values()} == {len(NAMES)}
    assert MATRIX.render(columns) in MATRIX.PAGE.read_text()


def has(found: list[Ability], name: str) -> bool | None:
    return next(one.has for one in found if one.name == name)


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    for store in (MemoryStore(), LocalStore(tmp_path)):
        store.put("mine", b"1")
        measure(store, "below/")
        assert [meta.key for meta in store.list()] == ["mine"]


class _ReadOnly:
    """A store that forbids to write, and says nothing of it before."""

    def __init__(self) -> None:
        self._inner = MemoryStore()
        self._inner.put("there", b"0123456789")
        self.get, self.get_range, self.head = self._inner.get, self._inner.get_range, self._inner.head
        self.list, self.list_folders, self.get_part = self._inner.list, self._inner.list_folders, self._inner.get_part

    def put(self, key: str, data: Buffer) -> None:  # noqa: ARG002  the verb of all stores
        raise Denied(f"can't write {key!r}")

    def delete(self, key: str) -> None:
        raise Denied(f"can't delete {key!r}")


def test_where_writing_is_forbidden_nobody_knows_but_reading_is_tried() -> None:
    found = measure(_ReadOnly())
    assert (has(found, "read"), has(found, "ranges"), has(found, "write"), has(found, "repositories")) == (True, True, None, None)


def test_what_can_only_be_read_is_not_written(plain_web: str) -> None:
    found = measure(open_web(plain_web), MATRIX.FILE)
    assert [one.name for one in found if one.has] == ["read", "ranges"]
    assert {one.note for one in found if one.name in {"write", "repositories"}} == {"read-only"}


def test_without_a_file_nobody_knows_whether_it_can_be_read(plain_web: str) -> None:
    assert has(measure(open_web(plain_web), "missing"), "ranges") is None


def test_a_place_where_nobody_answers_is_an_error() -> None:
    with pytest.raises(StoreError, match="no connection"):
        measure(open_web("http://127.0.0.1:1", max_retries=0), "a")


class _Faulty(MemoryStore):
    """A store that lacks one guarantee."""

    @override
    def put(self, key: str, data: Buffer) -> None:
        super().delete(key)
        time.sleep(0.005)  # long enough for a reader to come by
        super().put(key, data)


class _Unsorted(MemoryStore):
    @override
    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectMeta]:
        return reversed([*super().list(prefix, start_after=start_after)])


class _Ignoring(MemoryStore):
    @override
    def create(self, key: str, data: Buffer) -> None:
        self.put(key, data)


class _Stale(MemoryStore):
    @override
    def get_part(self, meta: ObjectMeta, *, start: int, end: int) -> bytes:
        return self.get_range(meta.key, start=start, end=end)


@pytest.mark.parametrize(
    ("kind", "name"),
    [(_Faulty, "atomic replace"), (_Unsorted, "listing in order"), (_Ignoring, "put-if-absent"), (_Stale, "pinned ranges")],
)
def test_a_guarantee_that_is_broken_is_noticed(kind: Callable[[], MemoryStore], name: str) -> None:
    found = measure(kind())
    assert has(found, name) is False
    assert has(found, "read")


def test_the_rule_of_commits_follows() -> None:
    rules = {kind: measure(kind())[-1] for kind in (MemoryStore, _Ignoring, _Unsorted)}
    assert [(one.has, one.note) for one in rules.values()][:2] == [(True, "create"), (True, "fork")]
    assert rules[_Unsorted].has is False
