"""``kist repo`` and ``kist job``, alone, and commands on ``kist://`` URLs."""

import contextlib
from dataclasses import replace
from pathlib import Path

import pytest
from tests.cli.running import Kist, write

from kist.models.requests import MoveRepo
from kist.operations import MOVE_REPO
from kist.service.alone import open_alone


@pytest.fixture
def lab(kist: Kist, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kist:
    """The command line, with two folders for repositories in the organisation `lab`, which is the current one."""
    kist.ok("org", "create", "lab")
    monkeypatch.setenv("KIST_ORG", "lab")
    kist.ok("bucket", "create", "disk", str(tmp_path / "disk"))
    kist.ok("bucket", "create", "attic", str(tmp_path / "attic"))
    return kist


@pytest.fixture
def climate(lab: Kist, tmp_path: Path) -> Kist:
    """In it a repository, `lab/climate`, with one version."""
    lab.ok("repo", "create", "climate", "-d", "daily means", "-m", "site=A", "-m", "depth=12.5")
    lab.ok("save", str(write(tmp_path / "data", a__txt="one\n")), "-r", "kist://lab/climate", "-m", "first")
    return lab


def test_alone_there_is_a_repository_already(kist: Kist) -> None:
    assert [one["full_name"] for one in kist.ok("repo", "list", "--json").json] == ["local/default"]


def test_one_is_made_on_the_default_bucket_config(lab: Kist) -> None:
    made = lab.ok("repo", "create", "climate")
    assert made.out == "made lab/climate on disk\n"
    assert "kist save PATH -r kist://lab/climate" in made.err
    assert lab.ok("repo", "create", "lab/other", "--bucket", "attic", "--json").json["bucket_config"] == "attic"


def test_it_is_shown_with_what_opens_it(climate: Kist) -> None:
    lines = climate.ok("repo", "show", "kist://lab/climate").lines
    assert {"  kist ls kist://lab/climate", '  kist.Client().get_repo("lab/climate")'} <= set(lines)
    assert [line.split()[-1] for line in lines if line.startswith(("  depth:", "  site:"))] == ["12.5", "A"]
    shown = climate.ok("repo", "show", "climate", "--json").json
    assert (shown["url"], shown["metadata"], shown["status"]) == ("kist://lab/climate", {"site": "A", "depth": 12.5}, "online")


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ((), ["climate", "soil"]),
        (("--search", "MEANS"), ["climate"]),
        (("--bucket", "attic"), ["soil"]),
        (("--metadata", "site=A"), ["climate"]),
        (("--metadata", "site=B"), []),
        (("--kind", "arrays"), []),
        (("--deleted",), []),
        (("-n", "1"), ["climate"]),
        (("--org", "local"), ["default"]),
    ],
)
def test_repositories_are_found(climate: Kist, words: tuple[str, ...], names: list[str]) -> None:
    climate.ok("repo", "create", "soil", "--bucket", "attic")
    assert [one["name"] for one in climate.ok("repo", "list", "--json", *words).json] == names
    assert [line.split()[0] for line in climate.ok("repo", "list", *words).lines[1:]] == names


def test_facts_are_added_changed_and_forgotten(climate: Kist) -> None:
    words = ("--metadata", "site=B", "--metadata", "year=2026", "--remove-metadata", "depth", "-d", "", "--name", "weather")
    changed = climate.ok("repo", "update", "climate", *words, "--json").json
    assert (changed["full_name"], changed["metadata"], changed["description"]) == ("lab/weather", {"site": "B", "year": 2026}, "")
    assert climate.ok("cat", "kist://lab/weather/data/a.txt").out == "one\n"


def test_it_is_deleted_by_its_name_and_restored(climate: Kist) -> None:
    refused = climate("repo", "delete", "climate")
    assert (refused.code, "say --confirm climate" in refused.err) == (2, True)
    deleted = climate.ok("repo", "delete", "climate", "--confirm", "lab/climate")
    assert deleted.out.startswith("deleted lab/climate; until ")
    assert "kist repo restore lab/climate" in deleted.out
    assert climate("ls", "kist://lab/climate").code == 3
    assert "deleted, gone on " in climate.ok("repo", "list", "--deleted").lines[1]
    assert climate.ok("repo", "restore", "climate").out == "restored lab/climate on disk\n"
    assert climate.ok("cat", "kist://lab/climate/data/a.txt").out == "one\n"


def test_one_that_lies_there_already_is_taken_in(lab: Kist, tmp_path: Path) -> None:
    lab.ok("init", str(tmp_path / "disk" / "old"))
    lab.ok("save", str(write(tmp_path / "data", a__txt="one\n")), "-r", str(tmp_path / "disk" / "old"))
    assert lab.ok("repo", "import", "old", "old").out == "took in lab/old on disk\n"
    assert lab.ok("cat", "kist://lab/old/data/a.txt").out == "one\n"
    assert lab("repo", "import", "again", "old").code == 5
    assert lab("repo", "import", "nothing", "nowhere").code == 3


def test_it_moves_with_all_its_versions(climate: Kist, tmp_path: Path) -> None:
    write(tmp_path / "data", a__txt="two\n")
    climate.ok("save", str(tmp_path / "data"), "-r", "kist://lab/climate", "-m", "second")
    assert climate.ok("repo", "move", "climate", "attic").out == "moved lab/climate to attic\n"
    assert climate.ok("repo", "show", "climate", "--json").json["bucket_config"] == "attic"
    assert [climate.ok("cat", f"kist://lab/climate@{ref}/data/a.txt").out for ref in ("v1", "v2")] == ["one\n", "two\n"]
    (job,) = (one for one in climate.ok("job", "list", "--json").json if one["operation"] == "move_repo")
    assert (job["target"], job["state"]) == ("lab/climate", "done")
    assert climate.ok("job", "show", job["id"]).lines[3].split() == ["state:", "done"]
    assert [job["id"], "move_repo"] in [line.split()[:2] for line in climate.ok("job", "list").lines]


def test_a_move_that_was_interrupted_goes_on_where_somebody_runs_it(climate: Kist) -> None:
    assert climate.ok("job", "run").out == "nothing waits\n"
    service, caller = open_alone()
    with contextlib.closing(service.rooms.database):
        service.call(MOVE_REPO, MoveRepo(org="lab", repo="climate", bucket_config_nickname="attic"), replace(caller, inside=False))
    assert climate("repo", "move", "climate", "attic").code == 12
    assert climate.ok("job", "run", "--json").json["last"]["state"] == "done"
    assert climate.ok("repo", "show", "climate", "--json").json["bucket_config"] == "attic"
    assert climate.ok("cat", "kist://lab/climate/data/a.txt").out == "one\n"


def test_on_this_machine_a_move_is_waited_for(climate: Kist) -> None:
    refused = climate("repo", "move", "climate", "attic", "--no-wait")
    assert (refused.code, climate.ok("job", "list", "--json").json) == (2, [])


def test_roles_are_given_listed_and_taken_away(climate: Kist) -> None:
    climate.ok("user", "create", "grace")
    climate.ok("account", "create", "robot")
    assert climate.ok("repo", "grant", "climate", "grace", "reader").out == "grace is reader of lab/climate\n"
    climate.ok("repo", "grant", "climate", "lab/robot", "writer")
    assert sorted(line.split()[:2] for line in climate.ok("repo", "roles", "climate").lines[1:]) == [
        ["grace", "reader"],
        ["lab/robot", "writer"],
    ]
    climate.ok("repo", "revoke", "climate", "grace")
    assert [one["principal"] for one in climate.ok("repo", "roles", "lab/climate", "--json").json] == ["lab/robot"]
    assert climate("repo", "revoke", "climate", "grace").code == 3


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("create", "climate"), 4),
        (("create", "in valid"), 2),
        (("create", "a/b/c"), 2),
        (("create", "lab/x", "--org", "other"), 2),
        (("create", "other", "--bucket", "nothing"), 3),
        (("create", "other", "-m", "site"), 2),
        (("show", "nothing"), 3),
        (("show", "elsewhere/climate"), 3),
        (("update", "climate"), 2),
        (("delete", "climate", "--confirm", "other"), 2),
        (("restore", "climate"), 5),
        (("move", "climate", "nothing"), 3),
        (("grant", "climate", "nobody", "reader"), 3),
        (("list", "-n", "-1"), 2),
    ],
)
def test_what_makes_no_sense_is_refused(climate: Kist, words: tuple[str, ...], code: int) -> None:
    result = climate("repo", *words)
    assert (result.code, result.out) == (code, "")


def test_names_are_completed(climate: Kist) -> None:
    assert {"climate"} <= set(climate("__complete", "repo", "show", "cl").lines)
    assert "lab/climate" in climate("__complete", "repo", "show", "lab/").lines
    assert "lab/" in climate("__complete", "repo", "show", "l").lines
    assert "attic" in climate("__complete", "repo", "move", "climate", "at").lines


def test_commands_for_repositories_take_its_url(climate: Kist, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIST_REPOSITORY", "kist://lab/climate")
    assert climate.ok("log", "--json").json[0]["message"] == "first"
    assert climate.ok("ls", "data").out == "a.txt\n"
    climate.ok("tag", "release", "v1")
    climate.ok("branch", "dev")
    climate.ok("save", str(write(tmp_path / "data", b__txt="b")), "--branch", "dev")
    assert climate.ok("merge", "dev", "--json").json["number"] == 2
    assert climate.ok("diff", "v1", "v2", "--json").json[0]["path"] == "data/b.txt"
    climate.ok("mv", "data/b.txt", "data/c.txt")
    climate.ok("restore", "data@release", str(tmp_path / "back"))
    assert sorted(path.name for path in (tmp_path / "back").iterdir()) == ["a.txt"]
    assert climate.ok("forget", "v2", "--imsure", "--json").json[0]["forgotten"] is True
    assert climate.ok("verify", "--data", "--json").json["ok"] is True
    assert climate.ok("gc", "--dry-run", "--json").json["deleted"] == 0
    stored = sum(path.stat().st_size for path in (tmp_path / "disk").rglob("*") if path.is_file())
    status = climate.ok("status", "--json").json
    assert (status["repository"], status["files"], status["stored_bytes"]) == ("kist://lab/climate", 2, stored)


def test_init_makes_one_by_its_url(lab: Kist) -> None:
    assert lab.ok("init", "kist://lab/fresh", "--json").json["created"] is True
    assert lab.ok("init", "kist://lab/fresh", "--json").json["created"] is False
    assert lab.ok("repo", "show", "fresh", "--json").json["bucket_config"] == "disk"
    refused = lab("log", "-r", "kist://lab/nothing")
    assert (refused.code, refused.err.count("\n")) == (3, 1)
