"""``kist init`` and ``kist status``; ``kist up`` is tested with the server."""

from pathlib import Path

from tests.cli.running import Kist, write


def test_a_repository_is_made_once(kist: Kist, tmp_path: Path) -> None:
    assert kist.ok("init", "lab").out.startswith("made a repository at lab (")
    assert kist.ok("init", "lab").out.startswith("there already is a repository at lab (")
    assert (tmp_path / "lab" / "format").is_file()


def test_it_says_what_it_made(kist: Kist) -> None:
    made, found = kist.ok("init", "lab", "--json").json, kist.ok("-r", "lab", "init", "--json").json
    assert (made["created"], found["created"], made["id"], made["authority"]) == (True, False, found["id"], "create")


def test_two_places_are_one_too_many(kist: Kist) -> None:
    assert kist("-r", "lab", "init", "other").code == 2


def test_status_tells_what_there_is(saved: Kist) -> None:
    saved.ok("tag", "one", "v1")
    facts = dict(line.split(":", 1) for line in saved.ok("status").lines)
    assert (facts["authority"].strip(), facts["versions"].strip(), facts["tags"].strip()) == ("create", "2 on main", "one")
    assert facts["tree"].strip() == "2 files, 264 B"
    assert facts["branch main"].strip().startswith("v2 (")


def test_status_as_json_counts_what_is_stored(saved: Kist) -> None:
    status = saved.ok("status", "--json").json
    stored = sum(path.stat().st_size for path in (saved.home / "data" / "repositories" / "local" / "default").rglob("*") if path.is_file())
    assert (status["stored_bytes"], status["versions"], status["files"], status["size_bytes"]) == (stored, 2, 2, 264)
    assert status["branches"]["main"]["name"] == "v2"


def test_status_of_an_empty_repository(kist: Kist) -> None:
    assert "none yet: kist save PATH begins" in kist.ok("status").out


def test_status_of_a_path_tells_what_a_save_would_change(saved: Kist, tmp_path: Path) -> None:
    assert saved.ok("status", "data").out == "data is saved as it is\n"
    write(tmp_path / "data", new__txt="new", a__txt="one\n2wo\n")
    (tmp_path / "data" / "sub" / "b.bin").unlink()
    assert saved.ok("status", "data").lines == [
        "~ a.txt",
        "+ new.txt",
        "- sub/b.bin",
        "data differs: 1 added, 1 removed, 1 modified; 11 B of new content",
    ]


def test_it_may_have_another_name_there(saved: Kist, tmp_path: Path) -> None:
    (tmp_path / "data").rename(tmp_path / "moved")
    assert saved.ok("status", "moved", "--name", "data", "--json").json["differs"] is False
    assert saved.ok("status", "moved", "--json").json["differs"] is True
