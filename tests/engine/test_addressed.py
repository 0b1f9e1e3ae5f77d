"""``kist://`` as a scheme: the suite that every store passes, and what only versions have."""

from collections.abc import Callable
from pathlib import Path
from typing import override

import pytest

from kist import open_repository
from kist.engine.addressed import RepositoryStore
from kist.engine.repository import Repository
from kist.errors import AlreadyExists, Conflict, NotFound, Unsupported
from kist.stores.protocols import ConditionalStore, Store
from kist.testing.store_suite import ConditionalStoreSuite
from kist.testing.transfer_suite import Copying, CopySuite, PutStreamSuite


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    monkeypatch.setenv("KIST_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KIST_AUTHOR", "ada")
    return open_repository("kist://lab/cube", create=True)


@pytest.fixture
def store(repository: Repository) -> RepositoryStore:
    return RepositoryStore(repository, url="kist://lab/cube")


class TestSuite(ConditionalStoreSuite, CopySuite, PutStreamSuite):
    @pytest.fixture
    def store(self, repository: Repository) -> ConditionalStore:
        return RepositoryStore(repository)

    @pytest.fixture
    def other(self, repository: Repository) -> ConditionalStore:
        return RepositoryStore(repository)

    @pytest.mark.parametrize("key", ["", "/", "/absolute", "trailing/", "double//slash", "..", "../up", "a/./b", "nul\0", "\ud800"])
    @override
    def test_what_is_no_key_is_refused(self, store: Store, key: str) -> None:  # a line break may be in a path
        super().test_what_is_no_key_is_refused(store, key)

    @override
    def test_a_copy_from_another_store(self, store: Copying, other: Store) -> None:
        """Of the same branch."""
        other.put("a/b", b"content")
        assert store.copy_from(other, "a/b", "c/d")
        assert {meta.key: store.get(meta.key) for meta in store.list()} == {"a/b": b"content", "c/d": b"content"}

    @override
    def test_a_long_listing(self, store: Store) -> None:
        """In one commit: a thousand would be a long history, too."""
        assert isinstance(store, RepositoryStore)
        with store.batch() as batch:
            for name in (names := [f"many/{number:05d}" for number in range(1100)]):
                batch.put(name, b"")
        assert [meta.key for meta in store.list()] == names


def test_a_write_is_a_commit(store: RepositoryStore, repository: Repository) -> None:
    store.put("data/a.txt", b"1")
    store.put("data/a.txt", b"2")
    assert [version.message for version in repository.log("data/a.txt")] == ["Write data/a.txt"] * 2


def test_the_same_bytes_again_are_no_commit(store: RepositoryStore, repository: Repository) -> None:
    store.put("a", b"1")
    store.put("a", b"1")
    assert len(repository.log()) == 1


def test_a_batch_is_one_commit(store: RepositoryStore, repository: Repository) -> None:
    store.put("old", b"0")
    with store.batch("many") as batch:
        batch.put("a", b"1")
        batch.put_stream("b/c", [b"2", b"3"])
        batch.delete("old")
        assert [meta.key for meta in store.list()] == ["old"]
    assert [meta.key for meta in store.list()] == ["a", "b/c"]
    assert [version.message for version in repository.log()] == ["many", "Write old"]


def test_a_batch_that_fails_changes_nothing(store: RepositoryStore, repository: Repository) -> None:
    def fail() -> None:
        with store.batch() as batch:
            batch.put("a", b"1")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert repository.log() == []


def test_a_version_is_read_as_it_was(store: RepositoryStore, repository: Repository) -> None:
    store.put("a", b"1")
    store.put("a", b"2")
    old = RepositoryStore(repository, "v1")
    assert (old.get("a"), store.get("a")) == (b"1", b"2")


def test_a_version_never_changes(store: RepositoryStore, repository: Repository) -> None:
    store.put("a", b"1")
    old = RepositoryStore(repository, "v1", url="kist://lab/cube@v1")
    changes: list[Callable[[], None]] = [lambda: old.put("a", b"2"), lambda: old.delete("a"), lambda: old.make_folder("b")]
    for change in changes:
        with pytest.raises(Unsupported, match="never changes: write to a branch, such as kist://lab/cube"):
            change()


def test_a_branch_is_written(store: RepositoryStore, repository: Repository) -> None:
    store.put("a", b"1")
    repository.branch("dev")
    RepositoryStore(repository, "dev").put("a", b"2")
    assert (store.get("a"), repository.read("a", ref="dev")) == (b"1", b"2")


def test_parts_of_what_was_listed_stay_readable(store: RepositoryStore) -> None:
    store.put("a", b"old bytes")
    (meta,) = store.list()
    store.put("a", b"new")
    assert store.get_part(meta, start=0, end=3) == b"old"


def test_parts_of_what_was_looked_at_by_another_are_not_mixed(store: RepositoryStore, repository: Repository) -> None:
    store.put("a", b"old bytes")
    meta = store.head("a")
    store.put("a", b"new")
    with pytest.raises(Conflict, match="changed"):
        RepositoryStore(repository).get_part(meta, start=0, end=3)


def test_empty_folders_are_there(store: RepositoryStore) -> None:
    store.make_folder("data/raw")
    assert store.is_folder("data/raw")
    assert store.list_folder("data/") == ([], ["raw"])
    store.remove_folder("data/raw")
    assert not store.is_folder("data/raw")


def test_a_folder_that_holds_something_is_not_removed(store: RepositoryStore) -> None:
    store.put("data/a", b"1")
    with pytest.raises(Conflict, match="not empty"):
        store.remove_folder("data")


def test_a_move_reads_nothing(store: RepositoryStore, repository: Repository) -> None:
    store.put("data/a", b"1")
    store.move("data", "old/data")
    assert [meta.key for meta in store.list()] == ["old/data/a"]
    assert repository.log()[0].stats.new_bytes == 0


def test_a_move_replaces_a_file_and_never_a_folder(store: RepositoryStore) -> None:
    for key in ("a", "b", "folder/c"):
        store.put(key, key.encode())
    store.move("a", "b")
    with pytest.raises(AlreadyExists):
        store.move("b", "folder")
    with pytest.raises(NotFound):
        store.move("missing", "b")
    assert [(meta.key, store.get(meta.key)) for meta in store.list()] == [("b", b"a"), ("folder/c", b"folder/c")]


@pytest.mark.parametrize("inner", ["folder/a", ""])
def test_a_file_never_takes_the_place_of_a_folder(store: RepositoryStore, inner: str) -> None:
    store.put("folder/a", b"1") if inner else store.make_folder("folder")
    with pytest.raises(Conflict, match="is a folder"):
        store.put("folder", b"2")
    assert store.is_folder("folder")


def test_what_was_looked_at_stays_readable_through_many_changes(store: RepositoryStore) -> None:
    store.put("a", b"0123")
    meta = store.head("a")
    for content in (b"first", b"second"):
        store.put("a", content)
        store.head("a")
    assert store.get_part(meta, start=1, end=3) == b"12"


def test_a_batch_in_a_batch_is_the_same_commit(store: RepositoryStore, repository: Repository) -> None:
    with store.batch("outer") as outer, outer.batch("inner") as inner:
        inner.put("a", b"1")
        outer.put("b", b"2")
    assert [version.message for version in repository.log()] == ["outer"]
