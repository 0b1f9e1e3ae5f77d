"""Making and opening: what is there, what is not, what a newer kist wrote, and stores that do not keep their word."""

from collections.abc import Buffer, Callable
from pathlib import Path

import pytest
from tests.engine.parts import IgnoringStore, PlainStore, Ticking, a_format, a_store, damage, keys

from kist.engine.opening import create_repository, open_repository, repository_on
from kist.engine.records import canonical_json, digest, encode_format
from kist.engine.refs import CreateAuthority
from kist.engine.repository import Repository
from kist.errors import AlreadyExists, IntegrityError, NotFound, StoreError, Unsupported
from kist.stores.memory import MemoryStore
from kist.testing.faulty import Fault, FaultyStore


def test_a_repository_is_made_and_opened_again(tmp_path: Path) -> None:
    url = f"file://{tmp_path}/lab"
    made = open_repository(url, create=True)
    made.save("a", b"1")
    again = open_repository(url)
    assert (again.id, again.read("a"), again.name) == (made.id, b"1", url)


def test_a_repository_that_is_there_is_opened_and_not_made(tmp_path: Path) -> None:
    assert open_repository(tmp_path / "lab", create=True).id == open_repository(tmp_path / "lab", create=True).id


def test_in_memory_everybody_who_says_the_same_name_has_the_same() -> None:
    open_repository("memory://opening", create=True).save("a", b"1")
    assert open_repository("memory://opening").read("a") == b"1"


@pytest.mark.parametrize("name", ["nothing", ""])
def test_where_nothing_is_nothing_is_opened(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotFound):
        open_repository(tmp_path / name)
    assert not (tmp_path / "nothing").exists()


def test_a_repository_is_not_made_twice() -> None:
    store = MemoryStore()
    first = create_repository(store, name="x")
    with pytest.raises(AlreadyExists):
        create_repository(store, name="x")
    assert repository_on(store, name="x").id == first.id


def test_a_new_repository_has_nothing_but_its_format() -> None:
    store = MemoryStore()
    create_repository(store, name="x")
    assert keys(store) == ["format"]


def test_ids_are_never_the_same() -> None:
    assert len({create_repository(MemoryStore(), name="x").id for _ in range(5)}) == 5


def test_the_time_of_making_is_written_down() -> None:
    store, clock = MemoryStore(), Ticking()
    create_repository(store, name="x", clock=clock)
    assert b'"created":"2027-01-15T08:00:01.000000Z"' in store.get("format")


@pytest.mark.parametrize(
    ("store", "authority"), [(MemoryStore(), "create"), (PlainStore(MemoryStore()), "fork"), (IgnoringStore(MemoryStore()), "fork")]
)
def test_commits_are_decided_by_what_the_store_honours(store: MemoryStore, authority: str) -> None:
    repo = create_repository(store, name="x")
    assert repo.authority == authority
    assert repo.save("a", b"1").number == 1
    assert repo.save("a", b"2").number == 2
    assert repo.read("a", ref="v1") == b"1"


def sealed(**members: object) -> bytes:
    import msgspec  # noqa: PLC0415 - only here

    body = {**msgspec.to_builtins(a_format()), **members}
    return canonical_json({**body, "seal": digest(canonical_json(body)).hex()})


@pytest.mark.parametrize(
    "members",
    [
        {"version": 2},
        {"features": {"collect": [], "read": ["colour"], "write": []}},
        {"encryption": {"name": "aes"}},
        {"authority": "somebody"},
    ],
    ids=str,
)
def test_what_this_kist_does_not_understand_is_refused(members: dict[str, object]) -> None:
    store = MemoryStore()
    store.put("format", sealed(**members))
    with pytest.raises(Unsupported):
        repository_on(store, name="x")


def catalogued(versions: int) -> MemoryStore:
    """Return a store with a repository whose commits a catalog decides, in which it has decided on some."""
    store = MemoryStore()
    create_repository(store, name="x", authority="catalog")
    # the keys of its entries are those of `create`, so that authority may play the catalog's part
    repo = repository_on(store, name="x", cached=False, authority=lambda record, cache: CreateAuthority(store, record.id, cache))
    for number in range(versions):
        repo.save("a", str(number).encode())
    return store


def test_a_repository_may_be_made_for_a_catalog_on_any_store() -> None:
    store = PlainStore(MemoryStore())
    assert create_repository(store, name="x", authority="catalog").authority == "catalog"
    assert b'"authority":"catalog"' in store.get("format")


def test_whoever_makes_a_repository_may_say_that_the_store_decides() -> None:
    assert create_repository(MemoryStore(), name="x", authority="create").authority == "create"


def test_what_a_catalog_decides_is_read_from_the_store_alone() -> None:
    repo = repository_on(catalogued(3), name="x", cached=False)
    assert [version.number for version in repo.log()] == [3, 2, 1]
    assert (repo.read("a"), repo.read("a", ref="v1"), repo.verify("data").ok) == (b"2", b"0", True)


@pytest.mark.parametrize(
    "change",
    [
        lambda repo: repo.save("a", b"new"),
        lambda repo: repo.tag("first", "v1"),
        lambda repo: repo.branch("dev"),
        lambda repo: repo.delete("a"),
        lambda repo: repo.forget(["v1"], imsure=True),
        lambda repo: repo.collect(),
    ],
    ids=["save", "tag", "branch", "delete", "forget", "collect"],
)
def test_what_a_catalog_decides_is_changed_by_nobody_else(change: Callable[[Repository], object]) -> None:
    store = catalogued(2)
    before = keys(store, "refs/"), keys(store, "gc/")
    with pytest.raises(Unsupported, match="open it by its name"):
        change(repository_on(store, name="x", cached=False))
    assert (keys(store, "refs/"), keys(store, "gc/")) == before


def test_a_damaged_format_is_refused() -> None:
    store = a_store()
    damage(store, "format")
    with pytest.raises(IntegrityError, match="format"):
        repository_on(store, name="x")


def test_a_format_that_can_not_be_read_is_not_taken_for_none() -> None:
    store = FaultyStore(a_store(), rates={Fault.ERROR_BEFORE: 1})
    with pytest.raises(StoreError):
        repository_on(store, name="x")


def test_a_store_that_lost_its_put_if_absent_can_not_be_opened() -> None:
    with pytest.raises(Unsupported, match="put-if-absent"):
        repository_on(PlainStore(a_store()), name="x")


def test_a_store_that_no_longer_honours_put_if_absent_commits_nothing() -> None:
    inner = a_store()
    repository_on(inner, name="x", cached=False).save("a", b"1")
    repo = repository_on(IgnoringStore(inner), name="x", cached=False)
    with pytest.raises(Unsupported, match="nothing was committed"):
        repo.save("a", b"2")
    assert len(keys(inner, "refs/")) == 1
    assert repo.read("a") == b"1"


def test_every_process_tries_the_store_before_its_first_commit_and_no_more() -> None:
    class Noting(MemoryStore):
        def create(self, key: str, data: Buffer) -> None:
            noted.append(key)
            super().create(key, data)

    noted: list[str] = []
    store = Noting()
    store.put("format", a_store().get("format"))
    repo = repository_on(store, name="x", cached=False)
    repo.save("a", b"1")
    tried = len(noted)
    repo.save("a", b"2")
    assert (tried > 1, len(noted)) == (True, tried + 1)
    assert [key for key in keys(store) if "probe" in key] == []


def test_what_opening_needs_is_one_request() -> None:
    asked: list[str] = []

    class Noting(MemoryStore):
        def get(self, key: str) -> bytes:
            asked.append(key)
            return super().get(key)

    store = Noting()
    store.put("format", encode_format(a_format()))
    repository_on(store, name="x")
    assert asked == ["format"]


def test_a_copy_of_a_repository_has_a_cache_of_its_own(tmp_path: Path) -> None:
    store = a_store()
    repo = repository_on(store, name=str(tmp_path / "one"))
    repo.save("a", b"1")
    copy = MemoryStore()
    copy.put("format", store.get("format"))
    other = repository_on(copy, name=str(tmp_path / "two"))
    assert other.save("a", b"1").stats.new_bytes == 1
    assert repository_on(copy, name="fresh", cached=False).read("a") == b"1"


def test_a_repository_that_was_made_anew_in_the_same_place_does_not_believe_the_old_cache(tmp_path: Path) -> None:
    first = MemoryStore()
    create_repository(first, name=str(tmp_path)).save("a", b"1")
    second = MemoryStore()
    create_repository(second, name=str(tmp_path)).save("a", b"1")
    assert repository_on(second, name="fresh", cached=False).read("a") == b"1"


def test_a_repository_says_where_it_is() -> None:
    assert repr(repository_on(a_store(), name="s3://bucket/lab", cached=False)) == "Repository('s3://bucket/lab')"
