"""Which version a ref means, and which versions a branch or a path has; the same with a cache, without one, and after it was lost."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.parts import CountingStore, Ticking, a_store, examples, keys, repository, rooms_on

from kist.engine.cache import Cache
from kist.engine.packs import FrameKind
from kist.engine.records import RefEntry, VersionRecord, encode
from kist.engine.refs import ref_prefix
from kist.engine.repository import Repository
from kist.errors import InvalidInput, NotFound
from kist.models import Version
from kist.stores.memory import MemoryStore


def messages(versions: list[Version]) -> list[str]:
    return [version.message for version in versions]


def a_history(store: MemoryStore, *, cache: Cache | None = None) -> Repository:
    """Return a repository with three versions on main, a branch from the second one with two more, and a tag."""
    repo = repository(store, clock=Ticking(), cache=cache)
    repo.save("a", b"1", message="one")
    repo.save("d/x", b"1", message="two")
    repo.branch("dev")
    repo.tag("first", "v1")
    repo.save("a", b"2", message="three")
    repo.save("d/y", b"1", message="dev three", branch="dev")
    repo.save("d/x", b"2", message="dev four", branch="dev")
    return repo


@pytest.fixture(params=["no cache", "cache"])
def repo(request: pytest.FixtureRequest, tmp_path: Path) -> Repository:
    cache = Cache(str(tmp_path / "cache.sqlite")) if request.param == "cache" else None
    return a_history(a_store(), cache=cache)


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        (None, "three"),
        ("main", "three"),
        ("dev", "dev four"),
        ("first", "one"),
        ("v1", "one"),
        ("v3", "three"),
        ("dev:v4", "dev four"),
        ("dev:v3", "dev three"),
        ("dev:v2", "two"),
        ("dev:v1", "one"),
    ],
)
def test_a_ref_means_a_version(repo: Repository, ref: str | None, message: str) -> None:
    assert repo.version(ref).message == message


@pytest.mark.parametrize("ref", ["nothing", "v4", "v0", "dev:v5", "nothing:v1", "deadbeef", "f" * 64, "as-of:2020-01-01T00:00Z"])
def test_a_ref_that_means_nothing_is_not_found(repo: Repository, ref: str) -> None:
    with pytest.raises(NotFound):
        repo.version(ref)


def test_an_id_means_its_version_whatever_branch_it_is_on(repo: Repository) -> None:
    for version in repo.log() + repo.log(branch="dev"):
        assert repo.version(version.id).id == repo.version(version.id[:8]).id == repo.version(version.id[:30]).id == version.id


def test_a_prefix_of_several_ids_is_refused() -> None:
    rooms = rooms_on(a_store())
    found = []
    for seq, message in enumerate(("29779", "79743"), 1):  # two of 80,000 of which the ids start alike
        record = VersionRecord(
            parents=(), tree=bytes(32), place=None, number=1, time=1, author="", message=message, tool="",
            files=0, size=0, new_bytes=0, reused_bytes=0, changed=(), filter=b"", notes={},
        )  # fmt: skip
        version, place = rooms.writer().add_metadata(FrameKind.VERSION, encode(record))
        entry = RefEntry(
            repo=rooms.format.id,
            ref="heads/main",
            seq=seq,
            txn=bytes(16),
            previous=(),
            version=version,
            place=place,
            record=encode(record),
            time=1,
        )
        rooms.authority.commit(entry)
        found.append(version.hex())
    repo = Repository(rooms, "test")
    with pytest.raises(InvalidInput, match="ids of 2 versions"):
        repo.version("cd972a47")
    assert [repo.version(one[:9]).id for one in found] == found


def test_a_tag_never_moves(repo: Repository) -> None:
    before = repo.version("first").id
    repo.save("a", b"9")
    assert repo.version("first").id == before
    assert (repo.version("first").name, repo.version("first").branch) == ("v1", "main")


def test_a_branch_comes_before_a_tag_of_its_name_if_two_writers_made_both() -> None:
    store = a_store()
    repo = a_history(store)
    repo.tag("dev2", "v1")
    [key] = keys(store, ref_prefix("tags/dev2"))
    assert repo.version("dev2").message == "one"
    store.delete(key)
    repo.branch("dev2", "v3")
    assert repo.version("dev2").message == "three"


def at(version: Version, *, plus: int = 0) -> str:
    return "as-of:" + datetime.fromtimestamp(version.time.timestamp() + plus, UTC).isoformat()


def test_as_of_means_the_newest_version_that_is_not_younger(repo: Repository) -> None:
    versions = repo.log()
    for number, version in enumerate(versions):
        assert repo.version(at(version)).id == version.id
        older = versions[number + 1].id if number + 1 < len(versions) else None
        if older:
            assert repo.version(at(version, plus=-1)).id in {older, version.id}
    assert repo.version("as-of:2999-01-01").id == versions[0].id
    with pytest.raises(NotFound):
        repo.version(at(versions[-1], plus=-1000))


def test_as_of_bisects_a_long_branch() -> None:
    store = CountingStore(a_store())
    repo = repository(store, clock=Ticking())
    versions = [repo.save("a", b"%d" % number) for number in range(60)]
    store.reset()
    for number in (0, 1, 17, 58, 59):
        assert repo.version(at(versions[number])).number == number + 1
    assert store.requests["get"] < 60


def test_a_log_is_newest_first(repo: Repository) -> None:
    assert messages(repo.log()) == ["three", "two", "one"]
    assert [version.number for version in repo.log()] == [3, 2, 1]


def test_a_log_of_a_branch_goes_on_where_it_started(repo: Repository) -> None:
    assert messages(repo.log(branch="dev")) == ["dev four", "dev three", "two", "one"]
    assert messages(repo.log(ref="dev")) == ["dev four", "dev three", "two", "one"]


def test_a_log_up_to_a_ref(repo: Repository) -> None:
    assert messages(repo.log(ref="v2")) == ["two", "one"]
    assert messages(repo.log(ref="first")) == ["one"]
    assert messages(repo.log(ref="dev:v3")) == ["dev three", "two", "one"]


@pytest.mark.parametrize(("limit", "count"), [(0, 0), (1, 1), (2, 2), (99, 3), (None, 3)])
def test_a_log_has_a_limit(repo: Repository, limit: int | None, count: int) -> None:
    assert len(repo.log(limit=limit)) == count


def test_a_negative_limit_is_refused(repo: Repository) -> None:
    with pytest.raises(InvalidInput):
        repo.log(limit=-1)


@pytest.mark.parametrize(
    ("path", "branch", "expected"),
    [
        ("a", "main", ["three", "one"]),
        ("d", "main", ["two"]),
        ("d/x", "main", ["two"]),
        ("d/y", "main", []),
        ("nothing", "main", []),
        ("d", "dev", ["dev four", "dev three", "two"]),
        ("d/x", "dev", ["dev four", "two"]),
        ("d/y", "dev", ["dev three"]),
        ("a", "dev", ["one"]),
    ],
)
def test_a_log_of_a_path_has_the_versions_that_changed_it_or_what_is_below(
    repo: Repository, path: str, branch: str, expected: list[str]
) -> None:
    for _ in range(2):
        assert messages(repo.log(path, branch=branch)) == expected


def test_a_log_of_a_path_up_to_a_ref(repo: Repository) -> None:
    assert messages(repo.log("a", ref="v2")) == ["one"]
    assert messages(repo.log("d", ref="dev:v3")) == ["dev three", "two"]
    assert messages(repo.log("d/x", ref="dev")) == ["dev four", "two"]


def test_a_log_of_a_path_has_a_limit(repo: Repository) -> None:
    assert messages(repo.log("a", limit=1)) == ["three"]


def test_a_log_of_a_path_tells_when_it_was_removed(repo: Repository) -> None:
    repo.delete("d", message="gone")
    assert messages(repo.log("d/x")) == messages(repo.log("d")) == ["gone", "two"]


def test_a_log_of_a_path_does_not_tell_of_times_alone(repo: Repository, tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "g").write_bytes(b"1")
    repo.save("f", tmp_path / "f", message="f")
    (tmp_path / "f" / "h").write_bytes(b"2")
    repo.save("f", tmp_path / "f", message="h")
    assert messages(repo.log("f/g")) == ["f"]
    assert messages(repo.log("f")) == ["h", "f"]


def test_a_branch_that_does_not_exist_has_no_log(repo: Repository) -> None:
    with pytest.raises(NotFound):
        repo.log(branch="nothing")
    with pytest.raises(NotFound):
        repo.log("a", branch="nothing")


def test_an_empty_repository_has_an_empty_log() -> None:
    assert repository().log() == repository().log("a") == []


def many(store: MemoryStore, *, count: int, cache: Cache | None = None) -> Repository:
    repo = repository(store, cache=cache)
    repo.save("other", b"1", message="before")
    with repo.transaction("many") as change:
        for number in range(count):
            change.put(f"many/{number % 10}/f{number}", b"")
    repo.save("many/3/f3", b"x", message="one of them")
    repo.save("other", b"2", message="after")
    return repo


@pytest.mark.parametrize("count", [1001, 10_001])
def test_versions_that_changed_very_many_paths_are_found_by_their_filters(tmp_path: Path, count: int) -> None:
    store = a_store()
    for repo in (many(store, count=count), repository(store, cache=Cache(str(tmp_path / "cache.sqlite")))):
        for _ in range(2):
            assert messages(repo.log("many/3/f3")) == ["one of them", "many"]
            assert messages(repo.log("many/4/f4")) == ["many"]
            assert messages(repo.log("many")) == ["one of them", "many"]
            assert messages(repo.log("other")) == ["after", "before"]
            assert messages(repo.log("many/3/nothing")) == []


def test_the_log_of_a_path_reads_nothing_that_the_cache_knows(tmp_path: Path) -> None:
    store = CountingStore(a_store())
    repo = repository(store, cache=Cache(str(tmp_path / "cache.sqlite")))
    for number in range(40):
        repo.save(f"f{number % 4}", b"%d" % number)
    assert len(repo.log("f1")) == 10
    store.reset()
    assert len(repo.log("f1")) == 10
    assert store.reads <= 1


def lost(tmp_path: Path, store: MemoryStore) -> list[Callable[[], Repository]]:
    """Return ways to open a repository whose cache is new, gone, or not what it was."""
    path = tmp_path / "cache.sqlite"

    def damaged() -> Repository:
        path.write_bytes(b"no database")
        return repository(store, cache=Cache(str(path)))

    return [
        lambda: repository(store, cache=Cache(str(tmp_path / "new.sqlite"))),
        lambda: repository(store, cache=Cache(str(path))),
        damaged,
        lambda: repository(store),
    ]


def test_whatever_becomes_of_the_cache_logs_and_refs_are_the_same(tmp_path: Path) -> None:
    store = a_store()
    repo = a_history(store, cache=Cache(str(tmp_path / "cache.sqlite")))

    def shown(one: Repository) -> list[object]:
        logs = [one.log(path, branch=branch) for path in (None, "a", "d", "d/x", "d/y") for branch in ("main", "dev")]
        return [*logs, one.branches(), one.tags(), one.version(repo.log()[1].id[:10])]

    expected = shown(repo)
    for way in lost(tmp_path, store):
        assert shown(way()) == expected


PATHS = ("a", "d/x", "d/y", "e/f/g")


@settings(max_examples=examples(15), deadline=None)
@given(data=st.data())
def test_the_log_of_any_path_is_what_the_differences_say(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    cache = Cache(str(tmp_path_factory.mktemp("history") / "cache.sqlite"))
    store = a_store()
    repo = repository(store, cache=cache)
    held: dict[str, bytes] = {}
    changed: list[set[str]] = []
    for _ in range(data.draw(st.integers(1, 8))):
        before = dict(held)
        with repo.transaction(always=True) as change:
            for path in data.draw(st.sets(st.sampled_from(PATHS), max_size=3)):
                if path in held and data.draw(st.booleans()):
                    change.delete(path)
                    del held[path]
                else:
                    held[path] = data.draw(st.binary(min_size=1, max_size=1))
                    change.put(path, held[path])
        changed.append({path for path in {*before, *held} if before.get(path) != held.get(path)})
        if data.draw(st.booleans()):
            repo.log("a")
    for path in (*PATHS, "d", "e", "e/f", "nothing"):
        expected = [n + 1 for n, paths in enumerate(changed) if any(one == path or one.startswith(f"{path}/") for one in paths)]
        for one in (repo, repository(store)):
            assert [version.number for version in one.log(path)] == expected[::-1]


# Forks


def forked(cache: Cache | None = None) -> tuple[Repository, Repository]:
    """Return two writers of one branch, each of which saved without seeing the other's version."""
    store = a_store(authority="fork")
    one, two = repository(store, clock=Ticking(), cache=cache), repository(store, clock=Ticking())
    one.save("start", b"0", message="start")
    with one.transaction("left") as left, two.transaction("right") as right:
        left.put("a", b"1")
        right.put("b", b"2")
    return one, two


@pytest.mark.parametrize("cached", [False, True])
def test_a_fork_is_in_the_log_with_its_merge(tmp_path: Path, *, cached: bool) -> None:
    repo, _ = forked(Cache(str(tmp_path / "cache.sqlite")) if cached else None)
    log = repo.log()
    assert [version.number for version in log] == [3, 2, 2, 1]
    assert {version.message for version in log[1:3]} == {"left", "right"}
    assert [version.forked for version in log] == [False, True, True, False]
    assert len({version.name for version in log}) == 4
    assert messages(repo.log("a")) == ["left"]
    assert messages(repo.log("b")) == ["right"]


def test_a_doubled_number_is_shown_with_its_transaction_even_alone() -> None:
    repo, _ = forked()
    assert repo.log(limit=2)[1].forked


def test_a_doubled_number_alone_is_an_error_that_names_both() -> None:
    repo, _ = forked()
    with pytest.raises(InvalidInput) as caught:
        repo.version("v2")
    for version in repo.log()[1:3]:
        assert version.name in str(caught.value)
        assert repo.version(version.name).id == version.id


def test_after_a_fork_everybody_reads_both_changes() -> None:
    for repo in forked():
        assert {one.path for one in repo.tree()} == {"start", "a", "b"}
