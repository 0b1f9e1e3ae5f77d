"""Repositories that are reached by name: the store over operations, commits by operation, and what happens when answers get lost."""

import builtins
from collections.abc import Buffer, Callable, Iterator
from pathlib import Path

import pytest
from tests.engine.parts import a_format, a_store, an_entry, rooms_on
from tests.service.houses import House

from kist.catalog.database import open_database
from kist.client.inside import InsideTransport
from kist.client.objects import ServerStore
from kist.client.served import ServedAuthority
from kist.engine.records import encode_format
from kist.engine.refs import NumberedRefs, encode_entry
from kist.engine.rooms import Rooms
from kist.errors import Busy, Denied, InvalidInput, KistError, NotFound, StoreError, Unsupported
from kist.models.requests import DeleteRepo, ImportRepo, MoveRepo
from kist.operations import DELETE_REPO, IMPORT_REPO, MOVE_REPO
from kist.service import jobs
from kist.stores.local import LocalStore
from kist.stores.protocols import ConditionalStore, ObjectMeta, Store
from kist.testing.store_suite import StoreSuite


@pytest.fixture
def house(tmp_path: Path, migrated_file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """On one database: which it is does not matter to clients."""
    monkeypatch.setenv("KIST_HOME", str(tmp_path / "home"))
    (tmp_path / "catalog.db").write_bytes(migrated_file.read_bytes())
    database = open_database(str(tmp_path / "catalog.db"))
    (tmp_path / "house").mkdir()
    yield House(database, tmp_path / "house")
    database.close()


# The store


class BelowPacks:
    """Sessions of a repository as a store of its own, from which, beside the server, the test may delete."""

    def __init__(self, served: ServerStore, disk: LocalStore) -> None:
        self.served, self.disk = served, disk

    def get(self, key: str) -> bytes:
        return self.served.get(f"sessions/{key}")

    def get_range(self, key: str, *, start: int, end: int) -> bytes:
        return self.served.get_range(f"sessions/{key}", start=start, end=end)

    def head(self, key: str) -> ObjectMeta:
        return self._renamed(self.served.head(f"sessions/{key}"))

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectMeta]:
        after = f"sessions/{start_after}" if start_after else ""
        return map(self._renamed, self.served.list(f"sessions/{prefix}", start_after=after))

    def list_folders(self, prefix: str) -> builtins.list[str]:
        return self.served.list_folders(f"sessions/{prefix}")

    def put(self, key: str, data: Buffer) -> None:
        self.served.put(f"sessions/{key}", data)

    def delete(self, key: str) -> None:
        self.disk.delete(f"sessions/{key}")

    @staticmethod
    def _renamed(meta: ObjectMeta) -> ObjectMeta:
        return ObjectMeta(key=meta.key.removeprefix("sessions/"), size_bytes=meta.size_bytes, modified=meta.modified, etag=meta.etag)


class TestServerStore(StoreSuite):
    """All that a store does, over operations."""

    @pytest.fixture
    def store(self, house: House) -> Store:
        repo = house.repo("cube")
        served = ServerStore(InsideTransport(house.service, house.ben), "lab", "cube")
        return BelowPacks(served, LocalStore(house.folder / "shelf" / repo.prefix))


def served(house: House) -> ServerStore:
    house.repo("cube")
    return ServerStore(InsideTransport(house.service, house.ben), "lab", "cube")


@pytest.mark.parametrize("key", ["refs/heads/main/ffff", "gc/tomb/00", "format", "packs", "Packs/x", "other/x", "index"])
def test_through_a_server_only_three_folders_are_written(house: House, key: str) -> None:
    with pytest.raises(Denied):
        served(house).put(key, b"mine")


@pytest.mark.parametrize("key", ["packs/../refs/x", "packs//x", "/packs/x", "packs/./x", "packs/x\n", "packs/" + "x" * 1000])
def test_what_is_no_key_is_refused(house: House, key: str) -> None:
    with pytest.raises(InvalidInput):
        served(house).put(key, b"mine")


def test_through_a_server_nothing_is_deleted(house: House) -> None:
    with pytest.raises(Denied):
        served(house).delete("packs/00/x")


def test_a_server_store_offers_no_put_if_absent(house: House) -> None:
    assert not isinstance(served(house), ConditionalStore)


# Repositories


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("authority", ["create", "catalog"])
def test_a_repository_does_by_name_what_any_does(house: House, authority: str, *, inside: bool) -> None:
    house.repo("cube", authority=authority)
    repo = house.opened("cube", house.anna, inside=inside)
    assert (repo.authority, repo.save("a", b"1").number, repo.save("b/c", b"2").number) == (authority, 1, 2)
    repo.tag("first", "v1")
    repo.branch("dev", "v1")
    repo.save("d", b"3", branch="dev")
    repo.merge("dev")
    assert [info.path for info in repo.walk() if info.kind == "file"] == ["a", "b/c", "d"]
    assert (set(repo.tags()), set(repo.branches()), repo.verify("data").ok) == ({"first"}, {"main", "dev"}, True)
    assert repo.forget(["v2"], imsure=True)[0].forgotten
    assert repo.collect(dry_run=True).deleted == 0


def test_two_people_who_save_at_the_same_time_both_find_their_files(house: House) -> None:
    house.repo("cube")
    one, other = house.opened("cube", house.anna), house.opened("cube", house.ben)
    with one.transaction() as change:
        change.put("a", b"1")
        other.save("b", b"2")
    assert {info.path for info in one.tree()} == {"a", "b"}


def test_a_fork_that_was_taken_in_is_committed_to_through_the_server(house: House) -> None:
    folder = house.folder / "shelf" / "old"
    folder.mkdir()
    LocalStore(folder).put("format", encode_format(a_format(authority="fork")))
    house.do(IMPORT_REPO, ImportRepo(org="lab", name="old", prefix="old"), house.anna)
    repo = house.opened("old", house.ben)
    assert [repo.save("a", str(number).encode()).number for number in range(3)] == [1, 2, 3]
    assert (repo.authority, repo.read("a", ref="v1")) == ("fork", b"0")


def test_a_reader_changes_nothing(house: House) -> None:
    house.repo("cube")
    house.opened("cube", house.ben).save("a", b"1")
    repo = house.opened("cube", house.cleo, access="read")
    for change in (lambda: repo.save("a", b"2"), lambda: repo.tag("t"), lambda: repo.forget(["v1"], imsure=True), repo.collect):
        with pytest.raises(Denied):
            change()
    assert [version.number for version in repo.log()] == [1]


def test_forgetting_is_for_admins_and_for_those_who_are_sure(house: House) -> None:
    house.repo("cube")
    repo = house.opened("cube", house.ben)
    repo.save("a", b"1")
    repo.save("a", b"2")
    with pytest.raises(Denied):
        repo.forget(["v1"], imsure=True)
    with pytest.raises(InvalidInput):
        house.opened("cube", house.anna).forget(["v1"])


def test_a_repository_goes_on_where_it_was_moved(house: House) -> None:
    house.repo("cube")
    repos = [house.opened("cube", house.ben, inside=inside) for inside in (False, True)]
    repos[0].save("a", b"1")
    job = house.do(MOVE_REPO, MoveRepo(org="lab", repo="cube", bucket_config_nickname="attic"), house.anna)
    moved = jobs.run_now(house.rooms, job.id)
    assert moved is not None
    assert moved.state == "done"
    for number, repo in enumerate(repos, 2):
        assert repo.save(f"b{number}", b"2").number == number
        assert repo.read("a", ref="v1") == b"1"
    assert [version.number for version in repos[1].log()] == [3, 2, 1]


def test_what_is_deleted_is_not_found(house: House) -> None:
    house.repo("cube")
    repo = house.opened("cube", house.ben)
    house.do(DELETE_REPO, DeleteRepo(org="lab", repo="cube", imsure=True, imreallysure=True), house.anna)
    with pytest.raises(NotFound):
        repo.log()


# Commits whose answers get lost


@pytest.fixture
def rooms() -> Rooms:
    return rooms_on(a_store())


def authority(rooms: Rooms, put: Callable[[bytes], object]) -> ServedAuthority:
    reads = NumberedRefs(rooms.store, rooms.format.id)
    return ServedAuthority(reads, "create", put, sleep=lambda _: None)  # type: ignore[arg-type]  # it answers states


def answers(*said: str | KistError) -> Callable[[bytes], object]:
    """Return what answers so, one after the other."""
    left = list(said)

    def put(_content: bytes) -> object:
        answer = left.pop(0)
        if isinstance(answer, KistError):
            raise answer
        return answer

    return put


def test_an_entry_whose_answer_got_lost_is_handed_over_again(rooms: Rooms) -> None:
    asked: list[bytes] = []
    lost = answers(StoreError("lost"), StoreError("lost"), "stands")

    def put(content: bytes) -> object:
        asked.append(content)
        return lost(content)

    entry = an_entry(rooms)
    assert authority(rooms, put).commit(entry)
    assert asked == [encode_entry(entry)] * 3


def test_a_number_that_went_to_another_writer_is_no_error(rooms: Rooms) -> None:
    assert not authority(rooms, answers("taken")).commit(an_entry(rooms))


def test_after_too_many_lost_answers_nobody_knows(rooms: Rooms) -> None:
    with pytest.raises(StoreError, match="nobody knows"):
        authority(rooms, answers(*[StoreError("lost")] * 9)).commit(an_entry(rooms))


@pytest.mark.parametrize("error", [Busy("moving"), Denied("no more"), Unsupported("never")], ids=lambda one: one.code)
def test_a_refusal_is_one_only_if_no_answer_got_lost_before(rooms: Rooms, error: KistError) -> None:
    with pytest.raises(type(error)):
        authority(rooms, answers(error)).commit(an_entry(rooms))
    with pytest.raises(StoreError, match="nobody knows"):
        authority(rooms, answers(StoreError("lost"), error)).commit(an_entry(rooms))


def test_what_the_server_dropped_is_not_settled(rooms: Rooms) -> None:
    served, entry = authority(rooms, answers("dropped", "stands")), an_entry(rooms)
    assert served.commit(entry)
    assert served.settled(entry) is None
    assert served.commit(entry)
    assert served.settled(entry) is not None
