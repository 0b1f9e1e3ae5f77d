"""Several changes in one version, or none: against a dictionary."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.parts import CountingStore, a_store, examples, repository, rooms_on

from kist.engine.history import History
from kist.engine.repository import Repository
from kist.engine.transactions import Transaction
from kist.errors import AlreadyExists, Conflict, InvalidInput, KistError, NotFound

Files = dict[str, bytes]


@pytest.fixture
def repo() -> Repository:
    repo = repository()
    with repo.transaction("start") as change:
        for path, content in {"a": b"1", "d/x": b"2", "d/y/z": b"3", "e": b"4"}.items():
            change.put(path, content)
    return repo


def held(repo: Repository, *, ref: str | None = None) -> Files:
    return {one.path: repo.read(one.path, ref=ref) for one in repo.walk(ref=ref) if one.kind == "file"}


def test_several_changes_are_one_version(repo: Repository) -> None:
    with repo.transaction("several", author="ann") as change:
        change.put("new", b"5")
        change.delete("e")
        change.move("d", "f")
    assert held(repo) == {"a": b"1", "f/x": b"2", "f/y/z": b"3", "new": b"5"}
    assert [(one.number, one.message) for one in repo.log()] == [(2, "several"), (1, "start")]
    assert (change.version.number, change.version.author) == (2, "ann")


def test_nothing_is_seen_before_the_end(repo: Repository) -> None:
    with repo.transaction() as change:
        change.put("new", b"5")
        assert "new" not in held(repo)


def test_an_exception_undoes_everything(repo: Repository) -> None:
    def give_up() -> None:
        with repo.transaction() as change:
            change.put("new", b"5")
            change.delete("a")
            raise ZeroDivisionError

    before = held(repo)
    with pytest.raises(ZeroDivisionError):
        give_up()
    assert held(repo) == before
    assert len(repo.log()) == 1


def test_a_refused_change_leaves_those_before_it(repo: Repository) -> None:
    with repo.transaction() as change:
        change.put("new", b"5")
        with pytest.raises(NotFound):
            change.delete("nothing")
        with pytest.raises(NotFound):
            change.move("nothing", "x")
    assert set(held(repo)) == {"a", "d/x", "d/y/z", "e", "new"}


def test_no_change_is_no_version(repo: Repository) -> None:
    with repo.transaction() as change:
        change.put("a", b"1")
        change.put("new", b"5")
        change.delete("new")
    assert (change.version.number, len(repo.log())) == (1, 1)


def test_no_change_is_a_version_if_that_is_wanted(repo: Repository) -> None:
    with repo.transaction(always=True) as change:
        pass
    assert change.version.number == 2


def test_later_changes_see_earlier_ones(repo: Repository) -> None:
    with repo.transaction() as change:
        change.put("p/q", b"5")
        change.move("p", "r")
        change.move("r/q", "s")
        change.delete("d")
        change.put("d", b"a file now")
    assert held(repo) == {"a": b"1", "d": b"a file now", "e": b"4", "s": b"5"}


def test_two_folders_of_this_machine_in_one_version(repo: Repository, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").write_text(name)
    with repo.transaction() as change:
        change.put("x", tmp_path / "one")
        change.put("y", str(tmp_path / "two"))
        change.put("z", tmp_path / "one" / "f")
    assert {path: content for path, content in held(repo).items() if path[0] in "xyz"} == {"x/f": b"one", "y/f": b"two", "z": b"one"}


def test_a_folder_takes_the_place_of_what_the_same_transaction_put(repo: Repository, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"5")
    with repo.transaction() as change:
        change.put("x/g", b"6")
        change.put("x", tmp_path)
    assert {path for path in held(repo) if path.startswith("x")} == {"x/f"}


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (lambda change: change.put("a/b", b""), Conflict),
        (lambda change: change.put("", b""), InvalidInput),
        (lambda change: change.put("../a", b""), InvalidInput),
        (lambda change: change.put("x", "/nothing/there"), NotFound),
        (lambda change: change.delete("nothing"), NotFound),
        (lambda change: change.delete(""), InvalidInput),
        (lambda change: change.move("nothing", "x"), NotFound),
        (lambda change: change.move("a", "e"), AlreadyExists),
        (lambda change: change.move("a", "d"), AlreadyExists),
        (lambda change: change.move("a", "d/y"), AlreadyExists),
        (lambda change: change.move("a", "e/f"), Conflict),
        (lambda change: change.move("d", "d"), InvalidInput),
        (lambda change: change.move("d", "d/y/deeper"), InvalidInput),
        (lambda change: change.move("d/y", "d"), AlreadyExists),
        (lambda change: change.move("", "x"), InvalidInput),
        (lambda change: change.move("a", ""), InvalidInput),
        (lambda change: change.move("d", "x" * 4095), InvalidInput),
    ],
    ids=range(17),
)
def test_what_can_not_be_is_refused(repo: Repository, act: object, error: type[KistError]) -> None:
    before = held(repo)
    with pytest.raises(error), repo.transaction() as change:
        act(change)  # type: ignore[operator]  # one of the lambdas above
    assert held(repo) == before


def test_a_move_reads_and_writes_no_content() -> None:
    store = CountingStore(a_store())
    repo = repository(store)
    repo.save("big", bytes(range(256)) * 4000)
    before = sum(meta.size_bytes for meta in store.list("packs/"))
    version = repo.move("big", "far/away")
    assert version.stats.new_bytes == 0
    assert sum(meta.size_bytes for meta in store.list("packs/")) - before < 2000
    assert repo.read("far/away") == bytes(range(256)) * 4000


def test_a_move_keeps_all_that_is_known_of_a_path(repo: Repository) -> None:
    repo.save("a", b"1", labels={"raw"}, tags={"n": 1})
    before = repo.stat("a")
    repo.move("a", "b/c")
    after = repo.stat("b/c")
    assert (after.labels, after.tags, after.mtime_ns, after.hash) == (before.labels, before.tags, before.mtime_ns, before.hash)


def test_entries_of_an_earlier_version_can_be_copied() -> None:
    rooms = rooms_on(a_store())
    repo = Repository(rooms, "test")
    repo.save("d/x", b"2")
    repo.delete("d")
    with repo.transaction("bring back") as change:
        change.copy(rooms.trees.below(History(rooms).root("v1"), "d"), "d", "back")
    assert held(repo) == {"back/x": b"2"}


PATHS = st.sampled_from(["a", "a/b", "a/b/c", "a.b", "d", "d/e", "f"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), PATHS, st.binary(max_size=2)),
        st.tuples(st.just("delete"), PATHS, st.just(b"")),
        st.tuples(st.just("move"), PATHS, PATHS),
    ),
    max_size=10,
)


def under(path: str, files: Files) -> list[str]:
    return [one for one in files if one == path or one.startswith(f"{path}/")]


def above(path: str) -> list[str]:
    return [path[:at] for at, sign in enumerate(path) if sign == "/"]


def put_in(files: Files, path: str, content: bytes) -> None:
    if any(one in files for one in above(path)):
        raise Conflict("below a file")
    for one in under(path, files):
        del files[one]
    files[path] = content


def delete_in(files: Files, path: str) -> None:
    if not under(path, files):
        raise NotFound("nothing")
    for one in under(path, files):
        del files[one]


def move_in(files: Files, source: str, destination: str) -> None:
    if f"{destination}/".startswith(f"{source}/"):
        raise InvalidInput("into itself")
    if under(destination, files):
        raise AlreadyExists("taken")
    if any(one in files for one in above(destination)):
        raise Conflict("below a file")
    if not under(source, files):
        raise NotFound("nothing")
    files |= {destination + one[len(source) :]: files.pop(one) for one in under(source, files)}


def act(change: Transaction, files: Files, step: tuple[str, str, str | bytes]) -> tuple[type | None, type | None]:
    """Do a step to both, and return what each of them said of it."""
    said: list[type | None] = []
    verb, path, what = step
    for target in (change, files):
        try:
            if isinstance(target, dict):
                put_in(target, path, what) if isinstance(what, bytes) and verb == "put" else move_in(
                    target, path, str(what)
                ) if verb == "move" else delete_in(target, path)
            elif verb == "put" and isinstance(what, bytes):
                target.put(path, what)
            elif verb == "move":
                target.move(path, str(what))
            else:
                target.delete(path)
            said.append(None)
        except KistError as error:
            said.append(type(error))
    return said[0], said[1]


@settings(max_examples=examples(60), deadline=None)
@given(STEPS, STEPS)
def test_transactions_do_what_a_dictionary_does(
    first: list[tuple[str, str, str | bytes]], second: list[tuple[str, str, str | bytes]]
) -> None:
    repo, files = repository(a_store()), dict[str, bytes]()
    for steps in (first, second):
        with repo.transaction(always=True) as change:
            for step in steps:
                ours, theirs = act(change, files, step)
                assert ours is theirs
        assert held(repo) == files
