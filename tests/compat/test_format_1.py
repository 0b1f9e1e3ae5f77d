"""What kist 0.1.0 wrote, every later kist reads; and so does a reader that knows the specification alone."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.compat.reader import Reader

from kist.engine.opening import open_repository
from kist.engine.records import canonical_json, digest
from kist.engine.repository import Repository
from kist.errors import InvalidInput, NotFound

FOLDER = Path(__file__).parent
NAMES = ("format-1", "format-1-fork")
each = pytest.mark.parametrize("name", NAMES)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KIST_HOME", str(tmp_path / "home"))
    return tmp_path


def described(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return found


def opened(name: str, home: Path) -> Repository:
    """Open a copy, so that nothing can happen to the original."""
    shutil.copytree(FOLDER / name, home / name)
    return open_repository(home / name)


def rows_of(repo: Repository, ref: str) -> list[list[Any]]:
    return [
        [one.path, one.kind, one.size, one.mode, one.mtime_ns, one.hash, one.crc32c or 0, one.target, sorted(one.labels), one.tags]
        for one in repo.walk(ref=ref)
    ]


def summary(rows: list[list[Any]]) -> str:
    return digest(canonical_json(rows)).hex()


@each
def test_it_is_as_small_as_a_fixture_should_be(name: str) -> None:
    assert sum(file.stat().st_size for file in (FOLDER / name).rglob("*") if file.is_file()) < 100_000


@each
def test_every_version_is_in_its_log(name: str, home: Path) -> None:
    repo, expected = opened(name, home), described(name)
    assert (repo.id, repo.authority, set(repo.branches())) == (expected["id"], expected["authority"], set(expected["branches"]))
    for branch, ids in expected["branches"].items():
        log = repo.log(branch=branch)
        assert [version.id for version in log] == ids
        for version in log:
            told = expected["versions"][version.id]
            shown = (version.number, version.message, version.author, version.time.isoformat(), version.forgotten)
            assert shown == (told["number"], told["message"], told["author"], told["time"], told["forgotten"])


@each
def test_every_version_holds_what_it_held(name: str, home: Path) -> None:
    repo, expected = opened(name, home), described(name)
    for version, told in expected["versions"].items():
        if told["forgotten"]:
            with pytest.raises(NotFound, match="forgotten"):
                repo.tree(ref=version)
        else:
            assert summary(rows_of(repo, version)) == told["tree"]
    assert rows_of(repo, "main")[:40] == expected["main"]
    assert summary(rows_of(repo, "main")) == expected["state"]


@each
def test_every_byte_of_every_version_is_readable(name: str, home: Path) -> None:
    repo, expected = opened(name, home), described(name)
    for version, told in expected["versions"].items():
        for info in repo.walk(ref=version) if not told["forgotten"] else ():
            if info.kind == "file":
                assert digest(repo.read(info.path, ref=version)).hex() == info.hash
    assert repo.verify("data").problems == ()


@each
def test_tags_name_what_they_named(name: str, home: Path) -> None:
    repo = opened(name, home)
    assert {tag: version.id for tag, version in repo.tags().items()} == described(name)["tags"]


@each
def test_it_can_be_written_to(name: str, home: Path) -> None:
    repo, expected = opened(name, home), described(name)
    version = repo.save("new", b"new")
    assert version.number == max(told["number"] for told in expected["versions"].values()) + 1
    again = open_repository(home / name)
    assert again.read("new") == b"new"
    assert summary([row for row in rows_of(again, "main") if row[0] != "new"]) == expected["state"]


def test_all_that_a_folder_had_comes_back(home: Path) -> None:
    repo = opened("format-1", home)
    repo.restore("lab", home / "out", ref="v1")
    out = home / "out"
    assert (out / "data/latest").readlink() == Path("table.csv")
    assert (out / "run.sh").stat().st_mode & 0o777 == 0o755
    assert (out / "nothing").is_dir()
    assert (out / "ä 🐟/logo@2x.png").read_bytes() == bytes(range(256))
    assert (out / "data/table.csv").stat().st_mtime_ns == 1_763_632_800_123_456_789
    assert len((out / "data/table.csv").read_bytes().splitlines()) == 6000
    assert repo.stat("lab").labels == {"raw", "2026"}
    assert repo.stat("lab").tags == {"site": "A", "n": [1, None]}


def test_refs_mean_what_they_meant(home: Path) -> None:
    repo = opened("format-1", home)
    assert repo.version("good").message == "many files"
    assert repo.version("dev").message == "a new row"
    assert repo.version("dev:v4").id == repo.version("dev").id != repo.version("v4").id
    assert [version.message for version in repo.log("lab/data/table.csv")] == ["bring the row", "first"]
    assert [version.message for version in repo.log("many")] == ["many files"]
    assert len(repo.diff("v1", "main", "lab")) == 2


def test_forks_are_as_they_were(home: Path) -> None:
    repo = opened("format-1-fork", home)
    doubled = [version for version in repo.log() if version.forked]
    assert len(doubled) == 4
    with pytest.raises(InvalidInput, match="forked"):
        repo.version("v7")
    assert {repo.version(version.name).id for version in doubled} == {version.id for version in doubled}


# The specification is enough


@each
def test_the_specification_is_enough_to_read_all_versions(name: str) -> None:
    reader, expected = Reader(FOLDER / name), described(name)
    for branch in expected["branches"]:
        for entry in reader.refs(f"heads/{branch}"):
            told, record = expected["versions"][entry["version"].hex()], entry["record"]
            assert (record["number"], record["message"], record["author"]) == (told["number"], told["message"], told["author"])
            if not told["forgotten"]:
                rows = reader.tree(record["tree"], record["place"])
                assert summary([shown(row) for row in rows]) == told["tree"]
                assert all(reader.content(row) is not None for row in rows if row["kind"] == "file")


@each
def test_the_specification_is_enough_to_know_what_a_branch_holds(name: str) -> None:
    state = Reader(FOLDER / name).state("main")
    assert summary([shown(row) for row in state.values()]) == described(name)["state"]


def test_the_specification_is_enough_to_find_what_was_moved() -> None:
    reader = Reader(FOLDER / "format-1")
    packs = {file.name for file in reader.top.glob("packs/*/*")}
    parents = [parent for entry in reader.refs("heads/main") for parent in entry["record"]["parents"]]
    moved = [(version, place) for version, place in parents if place[0].hex() not in packs]
    assert [reader.version(reader.frame(*one))["message"] for one in moved] == ["second"]


def test_the_specification_is_enough_to_see_what_was_forgotten() -> None:
    reader, expected = Reader(FOLDER / "format-1"), described("format-1")
    names = [file.name for file in (reader.top / "refs/forgotten").iterdir()]
    assert names == [version for version, told in expected["versions"].items() if told["forgotten"]]


def shown(row: dict[str, Any]) -> list[Any]:
    """Return a row of the independent reader as the description has it."""
    tags = json.loads(row["tags"]) if row.get("tags") else {}
    hashed = row["hash"].hex() if row["kind"] == "file" else ""
    return [
        row["path"], row["kind"], row["size"], row["mode"], row["mtime"], hashed, row["crc"],
        row.get("target", ""), sorted(row.get("labels", ())), tags,
    ]  # fmt: skip
