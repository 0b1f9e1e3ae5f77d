"""A repository in the words of its users: looking, getting back, naming, merging, forgetting, and two who write at once."""

import io
import tarfile
import zipfile
from pathlib import Path

import pytest
from tests.engine.parts import CountingStore, Ticking, a_store, keys, repository

from kist.engine.repository import Repository
from kist.errors import AlreadyExists, Conflict, InvalidInput, NotFound
from kist.stores.memory import MemoryStore
from kist.testing.faulty import Fault, FaultyStore

FILES = {"a.csv": b"1", "d/b.csv": b"22", "d/e/c": b"333", "z": b""}


@pytest.fixture
def store() -> MemoryStore:
    return a_store()


@pytest.fixture
def repo(store: MemoryStore) -> Repository:
    repo = repository(store, clock=Ticking())
    with repo.transaction("start") as change:
        for path, content in FILES.items():
            change.put(path, content)
    return repo


def held(repo: Repository, *, ref: str | None = None) -> dict[str, bytes]:
    return {one.path: repo.read(one.path, ref=ref) for one in repo.walk(ref=ref) if one.kind == "file"}


# Looking


def test_a_listing_shows_one_level(repo: Repository) -> None:
    assert [(one.path, one.kind, one.size, one.files) for one in repo.tree()] == [
        ("a.csv", "file", 1, 1),
        ("d", "folder", 5, 2),
        ("z", "file", 0, 1),
    ]
    assert [(one.path, one.name) for one in repo.tree("d")] == [("d/b.csv", "b.csv"), ("d/e", "e")]


def test_a_listing_comes_in_pages(repo: Repository) -> None:
    assert [one.path for one in repo.tree(limit=2)] == ["a.csv", "d"]
    assert [one.path for one in repo.tree(after="d", limit=2)] == ["z"]
    assert repo.tree(after="z") == repo.tree(limit=0) == []


def test_a_listing_of_a_file_is_that_file(repo: Repository) -> None:
    assert [one.path for one in repo.tree("a.csv")] == ["a.csv"]


def test_a_listing_of_an_empty_folder_is_empty(repo: Repository, tmp_path: Path) -> None:
    repo.save("empty", tmp_path)
    assert repo.tree("empty") == []


def test_a_walk_shows_everything_below(repo: Repository) -> None:
    assert [one.path for one in repo.walk()] == ["a.csv", "d/b.csv", "d/e/c", "z"]
    assert [one.path for one in repo.walk("d/e")] == ["d/e/c"]
    assert [one.path for one in repo.walk("z")] == ["z"]


def test_an_info_says_what_is_at_a_path(repo: Repository) -> None:
    folder, file = repo.stat("d"), repo.stat("d/b.csv")
    assert (folder.kind, folder.size, folder.files, folder.mtime_ns) == ("folder", 5, 2, None)
    assert (file.kind, file.size, file.files, len(file.hash)) == ("file", 2, 1, 64)
    assert repo.stat("").files == 4


@pytest.mark.parametrize("look", ["stat", "tree", "walk", "read", "open", "delete"])
def test_a_path_where_nothing_is_is_not_found(repo: Repository, look: str) -> None:
    with pytest.raises(NotFound, match="'d/nothing'"):
        list(getattr(repo, look)("d/nothing"))


@pytest.mark.parametrize("look", ["stat", "tree", "walk", "read", "open"])
def test_a_ref_that_means_nothing_is_not_found(repo: Repository, look: str) -> None:
    with pytest.raises(NotFound):
        list(getattr(repo, look)("a.csv", ref="nothing"))


def test_a_folder_can_not_be_read(repo: Repository) -> None:
    for look in (repo.read, repo.open):
        with pytest.raises(InvalidInput, match="is a folder"):
            look("d")


def test_a_file_can_be_opened(repo: Repository) -> None:
    with repo.open("d/e/c") as file:
        file.seek(1)
        assert (file.read(1), file.read(), file.seekable()) == (b"3", b"3", True)


def test_an_earlier_version_is_as_it_was(repo: Repository) -> None:
    repo.save("a.csv", b"changed")
    repo.delete("d")
    assert held(repo, ref="v1") == FILES
    assert repo.stat("d", ref="v2").files == 2


def test_an_empty_repository_is_empty() -> None:
    repo = repository()
    assert [*repo.tree(), *repo.walk(), *repo.log()] == []
    assert repo.branches() == repo.tags() == {}
    assert repo.stat("").files == 0
    with pytest.raises(NotFound):
        repo.version()
    with pytest.raises(NotFound):
        repo.read("a")


def test_the_second_look_costs_little(store: MemoryStore) -> None:
    counting = CountingStore(store)
    repo = repository(counting)
    repo.save("a", b"1")
    repo.stat("a")
    counting.reset()
    repo.stat("a")
    assert sum(counting.requests.values()) <= 3


# Comparing


def test_a_difference_says_what_came_went_and_changed(repo: Repository) -> None:
    with repo.transaction() as change:
        change.put("new", b"4444")
        change.put("a.csv", b"11")
        change.delete("d/e/c")
    found = [(one.path, one.change, one.kind, one.old_size, one.new_size) for one in repo.diff("v1", "main")]
    assert found == [("a.csv", "modified", "file", 1, 2), ("d/e/c", "removed", "file", 3, None), ("new", "added", "file", None, 4)]


def test_a_difference_the_other_way_round(repo: Repository) -> None:
    repo.save("new", b"4")
    assert [(one.path, one.change) for one in repo.diff("v2", "v1")] == [("new", "removed")]


def test_a_difference_below_a_path(repo: Repository) -> None:
    with repo.transaction() as change:
        change.put("d/new", b"4")
        change.put("d.new", b"4")
        change.put("a.csv", b"4")
    assert [one.path for one in repo.diff("v1", "v2", "d")] == ["d/new"]
    assert [one.path for one in repo.diff("v1", "v2", "a.csv")] == ["a.csv"]


def test_a_version_does_not_differ_from_itself(repo: Repository) -> None:
    assert repo.diff("v1", "v1") == []


def test_a_file_that_became_a_folder_differs(repo: Repository, tmp_path: Path) -> None:
    (tmp_path / "inner").write_bytes(b"1")
    repo.save("z", tmp_path)
    assert [(one.path, one.change, one.kind) for one in repo.diff("v1", "v2")] == [
        ("z", "modified", "folder"),
        ("z/inner", "added", "file"),
    ]


# Getting back


def test_a_folder_is_restored_as_it_was(repo: Repository, tmp_path: Path) -> None:
    report = repo.restore("d", tmp_path / "out")
    assert {str(one.relative_to(tmp_path / "out")): one.read_bytes() for one in (tmp_path / "out").rglob("*") if one.is_file()} == {
        "b.csv": b"22",
        "e/c": b"333",
    }
    assert (report.files, report.size_bytes) == (2, 5)


def test_a_file_is_restored_as_a_file_or_into_a_folder(repo: Repository, tmp_path: Path) -> None:
    repo.restore("d/e/c", tmp_path / "file")
    repo.restore("d/e/c", tmp_path)
    assert (tmp_path / "file").read_bytes() == (tmp_path / "c").read_bytes() == b"333"


def test_a_whole_version_is_restored(repo: Repository, tmp_path: Path) -> None:
    repo.save("a.csv", b"changed")
    repo.restore("", tmp_path / "out", ref="v1")
    assert (tmp_path / "out" / "a.csv").read_bytes() == b"1"


def test_what_is_there_is_not_overwritten_unless_that_is_wanted(repo: Repository, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"mine")
    with pytest.raises(AlreadyExists):
        repo.restore("", tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == ["a.csv"]
    repo.restore("", tmp_path, overwrite=True)
    assert (tmp_path / "a.csv").read_bytes() == b"1"


def test_a_round_trip_changes_nothing(repo: Repository, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/large").write_bytes(bytes(range(256)) * 5000)
    (tmp_path / "in/link").symlink_to("nowhere")
    (tmp_path / "in/empty").mkdir()
    first = repo.save("x", tmp_path / "in")
    repo.restore("x", tmp_path / "out")
    assert repo.save("x", tmp_path / "out").id == first.id


def test_what_does_not_exist_is_not_restored(repo: Repository, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        repo.restore("nothing", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["t.tar.gz", "t.tgz", "t.tar"])
def test_a_folder_is_exported_as_a_tar(repo: Repository, tmp_path: Path, name: str) -> None:
    repo.export("d", tmp_path / name)
    with tarfile.open(tmp_path / name) as archive:
        assert {one.name for one in archive if one.isfile()} == {"d/b.csv", "d/e/c"}
        assert (archive.extractfile("d/e/c") or io.BytesIO()).read() == b"333"


def test_a_version_is_exported_as_a_zip(repo: Repository, tmp_path: Path) -> None:
    repo.export("", tmp_path / "t.zip", ref="v1")
    with zipfile.ZipFile(tmp_path / "t.zip") as archive:
        assert {one for one in archive.namelist() if not one.endswith("/")} == {f"kist/{path}" for path in FILES}


def test_the_same_version_gives_the_same_archive(repo: Repository, tmp_path: Path) -> None:
    for name in ("one.tar.gz", "two.tar.gz"):
        repo.export("d", tmp_path / name)
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()


def test_an_archive_can_go_to_a_file_that_is_open(repo: Repository) -> None:
    sink = io.BytesIO()
    repo.export("d", sink)
    with tarfile.open(fileobj=io.BytesIO(sink.getvalue())) as archive:
        assert "d/b.csv" in archive.getnames()


def test_an_archive_is_not_overwritten_and_its_name_says_its_kind(repo: Repository, tmp_path: Path) -> None:
    repo.export("d", tmp_path / "t.zip")
    with pytest.raises(AlreadyExists):
        repo.export("d", tmp_path / "t.zip")
    repo.export("d", tmp_path / "t.zip", overwrite=True)
    with pytest.raises(InvalidInput):
        repo.export("d", tmp_path / "t.rar")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["t.zip"]


# Names


def test_a_tag_names_a_version(repo: Repository) -> None:
    tagged = repo.tag("good", "v1")
    repo.save("a.csv", b"2")
    assert (tagged.number, repo.tags()["good"].id, repo.version("good").id) == (1, tagged.id, tagged.id)
    assert held(repo, ref="good") == FILES


def test_a_tag_is_of_the_newest_version_if_nothing_is_said(repo: Repository) -> None:
    assert repo.tag("good").id == repo.version().id


@pytest.mark.parametrize(("first", "second"), [("tag", "tag"), ("tag", "branch"), ("branch", "tag"), ("branch", "branch")])
def test_a_name_is_given_once(repo: Repository, first: str, second: str) -> None:
    getattr(repo, first)("name", "v1")
    repo.save("a.csv", b"2")
    with pytest.raises(AlreadyExists, match="'name' is taken"):
        getattr(repo, second)("name")
    assert repo.version("name").number == 1


@pytest.mark.parametrize("name", ["v1", "deadbeef", "", "-x", "a/b"])
def test_a_name_that_could_mean_something_else_is_refused(repo: Repository, name: str) -> None:
    for give in (repo.tag, repo.branch):
        with pytest.raises(InvalidInput):
            give(name)


@pytest.mark.parametrize("kind", ["tag", "branch"])
@pytest.mark.parametrize("ref", ["nothing", "v9", "deadbeef"])
def test_what_does_not_exist_gets_no_name(repo: Repository, kind: str, ref: str) -> None:
    with pytest.raises(NotFound):
        getattr(repo, kind)("name", ref)
    assert repo.tags() == {}
    assert set(repo.branches()) == {"main"}


def test_a_branch_goes_its_own_way(repo: Repository) -> None:
    started = repo.branch("dev", "v1")
    repo.save("a.csv", b"main")
    repo.save("a.csv", b"dev", branch="dev")
    assert (started.id, started.branch) == (repo.version("v1").id, "dev")
    assert (repo.read("a.csv"), repo.read("a.csv", ref="dev")) == (b"main", b"dev")
    assert {name: version.name for name, version in repo.branches().items()} == {"main": "v2", "dev": "dev:v2"}


def test_a_branch_that_does_not_exist_is_not_written_to(repo: Repository) -> None:
    with pytest.raises(NotFound, match="kist branch dev"):
        repo.save("a", b"1", branch="dev")
    with pytest.raises(InvalidInput):
        repo.save("a", b"1", branch="v1")


# Merging


def test_a_merge_brings_what_another_branch_changed(repo: Repository) -> None:
    repo.branch("dev")
    repo.save("a.csv", b"dev", branch="dev")
    repo.delete("z", branch="dev")
    repo.save("d/b.csv", b"main")
    merged = repo.merge("dev", message="bring it")
    assert held(repo) == {"a.csv": b"dev", "d/b.csv": b"main", "d/e/c": b"333"}
    assert (merged.message, len(merged.parents)) == ("bring it", 2)
    assert held(repo, ref="dev")["d/b.csv"] == b"22"


def test_a_merge_is_in_the_log_of_the_paths_that_it_changed(repo: Repository) -> None:
    repo.branch("dev")
    repo.save("a.csv", b"dev", branch="dev", message="on dev")
    repo.save("z", b"main", message="on main")
    repo.merge("dev", message="merge")
    assert [one.message for one in repo.log("a.csv")] == ["merge", "start"]
    assert [one.message for one in repo.log("z")] == ["on main", "start"]


def test_a_path_that_both_changed_is_a_conflict(repo: Repository) -> None:
    repo.branch("dev")
    repo.save("a.csv", b"dev", branch="dev")
    repo.save("a.csv", b"main")
    with pytest.raises(Conflict, match=r"'a\.csv'"):
        repo.merge("dev")
    assert repo.read("a.csv") == b"main"


def test_a_conflict_can_be_decided_for_what_is_merged(repo: Repository) -> None:
    repo.branch("dev")
    repo.save("a.csv", b"dev", branch="dev")
    repo.save("a.csv", b"main")
    repo.merge("dev", concurrent="order")
    assert repo.read("a.csv") == b"dev"
    assert repo.read("a.csv", ref="v2") == b"main"


def test_a_second_merge_brings_only_what_came_since(repo: Repository) -> None:
    repo.branch("dev")
    repo.save("a.csv", b"dev", branch="dev")
    repo.merge("dev")
    repo.save("a.csv", b"main again")
    repo.save("z", b"dev too", branch="dev")
    repo.merge("dev")
    assert (repo.read("a.csv"), repo.read("z")) == (b"main again", b"dev too")


def test_a_merge_of_what_is_merged_makes_no_version(repo: Repository) -> None:
    repo.branch("dev")
    repo.save("a.csv", b"dev", branch="dev")
    first = repo.merge("dev")
    assert repo.merge("dev").id == first.id
    later = repo.save("z", b"later")
    assert repo.merge("dev").id == repo.merge("v1").id == later.id
    assert repo.merge("main").id == later.id


def test_branches_can_be_merged_into_each_other_for_ever(repo: Repository) -> None:
    repo.branch("dev")
    expected = dict(FILES)
    for number in range(4):
        for branch in ("main", "dev"):
            repo.save(f"{branch}{number}", b"x", branch=branch)
            expected[f"{branch}{number}"] = b"x"
        repo.merge("dev")
        repo.merge("main", branch="dev")
    assert held(repo) == held(repo, ref="dev") == expected


def test_a_tag_or_a_version_can_be_merged(repo: Repository) -> None:
    repo.branch("dev")
    repo.save("a.csv", b"dev", branch="dev")
    repo.tag("good", "dev")
    repo.save("z", b"more", branch="dev")
    repo.merge("good")
    assert (repo.read("a.csv"), repo.read("z")) == (b"dev", b"")


def test_what_does_not_exist_is_not_merged(repo: Repository) -> None:
    with pytest.raises(NotFound):
        repo.merge("nothing")
    with pytest.raises(NotFound):
        repo.merge("main", branch="nothing")


# Forgetting


def test_a_forgotten_version_stays_in_the_log_without_its_content(repo: Repository) -> None:
    repo.save("a.csv", b"2")
    [gone] = repo.forget(["v1"], imsure=True)
    assert (gone.number, gone.forgotten) == (1, True)
    assert [(one.number, one.forgotten) for one in repo.log()] == [(2, False), (1, True)]
    for look in (repo.stat, repo.read):
        with pytest.raises(NotFound, match="forgotten"):
            look("a.csv", ref="v1")
    assert repo.read("a.csv") == b"2"


def test_a_forgotten_version_gets_no_name_and_is_compared_with_nothing(repo: Repository) -> None:
    first = repo.version()
    repo.tag("early")
    repo.save("a.csv", b"2")
    repo.forget([first.id], imsure=True)
    for look in (
        lambda: repo.tag("x", "v1"),
        lambda: repo.branch("x", first.id),
        lambda: repo.diff("v1", "v2"),
        lambda: repo.read("z", ref="early"),
    ):
        with pytest.raises(NotFound, match="forgotten"):
            look()
    assert repo.tags()["early"].forgotten


def test_forgetting_asks_whether_one_is_sure(repo: Repository) -> None:
    repo.save("a.csv", b"2")
    with pytest.raises(InvalidInput, match="imsure"):
        repo.forget(["v1"])
    assert not repo.log()[1].forgotten


def test_the_head_of_a_branch_is_not_forgotten(repo: Repository) -> None:
    repo.branch("dev")
    repo.save("a.csv", b"2")
    for ref in ("v1", "v2", "main", "dev"):
        with pytest.raises(Conflict, match="head"):
            repo.forget([ref], imsure=True)
    assert not any(one.forgotten for one in repo.log())


def test_all_are_forgotten_or_none(repo: Repository) -> None:
    repo.save("a.csv", b"2")
    for refs, error in ((["v1", "nothing"], NotFound), (["v1", "main"], Conflict)):
        with pytest.raises(error):
            repo.forget(refs, imsure=True)
    assert not any(one.forgotten for one in repo.log())


def test_forget_takes_a_list(repo: Repository) -> None:
    with pytest.raises(InvalidInput, match="list"):
        repo.forget("v1", imsure=True)


# Two who write


def interrupted(store: MemoryStore, act: object) -> Repository:
    """Return a repository in whose first commit something else comes first."""
    faulty = FaultyStore(store)

    def stall(*_: object) -> None:
        act()  # type: ignore[operator]  # what a test says

    faulty.on_stall = stall
    faulty.fail_next(Fault.STALL, verb="create", key="refs/heads/")
    return repository(faulty)


def test_who_comes_second_goes_on_top(repo: Repository, store: MemoryStore) -> None:
    late = interrupted(store, lambda: repo.save("one", b"1"))
    version = late.save("two", b"2")
    assert (version.number, version.parents) == (3, (repo.version("v2").id,))
    assert {"one", "two"} <= set(held(repo))


def test_who_comes_second_on_the_same_path_is_told(repo: Repository, store: MemoryStore) -> None:
    late = interrupted(store, lambda: repo.save("one", b"1"))
    with pytest.raises(Conflict, match="'one'"):
        late.save("one", b"2")
    assert repo.read("one") == b"1"
    assert late.save("one", b"2").number == 3


def test_who_comes_second_with_the_same_has_no_conflict(repo: Repository, store: MemoryStore) -> None:
    late = interrupted(store, lambda: repo.save("one", b"1"))
    late.save("one", b"1")
    assert held(repo)["one"] == b"1"


def test_who_comes_second_may_insist(repo: Repository, store: MemoryStore) -> None:
    late = interrupted(store, lambda: repo.save("one", b"1"))
    assert late.save("one", b"2", concurrent="order").number == 3
    assert (repo.read("one"), repo.read("one", ref="v2")) == (b"2", b"1")


def test_a_file_that_came_where_a_folder_must_be_is_a_conflict(repo: Repository, store: MemoryStore) -> None:
    late = interrupted(store, lambda: repo.save("new", b"file"))
    with pytest.raises(Conflict):
        late.save("new/inner", b"1")
    assert held(repo) == {**FILES, "new": b"file"}


def test_a_deletion_meets_a_change(repo: Repository, store: MemoryStore) -> None:
    late = interrupted(store, lambda: repo.save("a.csv", b"2"))
    with pytest.raises(Conflict):
        late.delete("a.csv")
    assert repo.read("a.csv") == b"2"


def test_a_tag_that_another_was_faster_with_is_taken(repo: Repository, store: MemoryStore) -> None:
    repo.save("a.csv", b"2")

    def faster(*_: object) -> None:
        repo.tag("good", "v1")

    faulty = FaultyStore(store, on_stall=faster)
    faulty.fail_next(Fault.STALL, verb="create", key="refs/tags/good")
    with pytest.raises(AlreadyExists):
        repository(faulty).tag("good", "v2")
    assert repo.version("good").number == 1


@pytest.mark.parametrize("fault", [Fault.LOST_RESPONSE, Fault.OWN_WRITE_412, Fault.ERROR_BEFORE])
def test_a_lost_answer_makes_no_second_version(repo: Repository, store: MemoryStore, fault: Fault) -> None:
    faulty = FaultyStore(store)
    faulty.fail_next(fault, verb="create", key="refs/heads/")
    assert repository(faulty).save("one", b"1").number == 2
    assert len(repo.log()) == len(keys(store, "refs/heads/")) == 2


def test_versions_are_never_older_than_their_parents() -> None:
    clock = Ticking()
    repo = repository(clock=clock)
    first = repo.save("a", b"1")
    clock.seconds -= 10_000
    assert repo.save("a", b"2").time > first.time


# Forks


def test_on_a_store_without_conditions_nothing_is_refused() -> None:
    store = a_store(authority="fork")
    one, two = repository(store), repository(store)
    one.save("start", b"0")
    with one.transaction() as left, two.transaction() as right:
        left.put("same", b"left")
        left.put("one", b"1")
        right.put("same", b"right")
        right.put("two", b"2")
    assert held(one) == held(two)
    assert {"start", "one", "two", "same"} == set(held(one))
    assert {one.read("same", ref=version.name) for version in one.log("same")} >= {b"left", b"right"}


def test_a_tag_on_a_fork_is_the_one_that_everybody_sees() -> None:
    store = a_store(authority="fork")
    one, two = repository(store), repository(store)
    one.save("a", b"1")
    one.tag("good")
    with pytest.raises(AlreadyExists):
        two.tag("good")
    assert one.version("good").id == two.version("good").id
