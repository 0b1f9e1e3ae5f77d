"""All that lies below a folder."""

from pathlib import Path

from kist.cli.recursion import below
from kist.engine.opening import open_repository
from kist.engine.repository import Repository


def repository(tmp_path: Path) -> Repository:
    made = open_repository(tmp_path / "repository", create=True)
    with made.transaction() as change:
        for path in ("a/b/c/one", "a/b/two", "a-z/three", "a.txt"):
            change.put(path, path.encode())
    return made


def test_folders_that_were_never_saved_are_there_with_their_sums(tmp_path: Path) -> None:
    found = [(info.path, info.kind, info.size, info.files) for info in below(repository(tmp_path), "", ref=None)]
    assert found == [
        ("a", "folder", 16, 2),
        ("a/b", "folder", 16, 2),
        ("a/b/c", "folder", 9, 1),
        ("a/b/c/one", "file", 9, 1),
        ("a/b/two", "file", 7, 1),
        ("a-z", "folder", 9, 1),
        ("a-z/three", "file", 9, 1),
        ("a.txt", "file", 5, 1),
    ]


def test_sums_are_those_of_the_listing_of_a_folder(tmp_path: Path) -> None:
    made = repository(tmp_path)
    shallow = {info.path: (info.size, info.files) for info in made.tree("a")}
    assert {info.path: (info.size, info.files) for info in below(made, "a", ref=None) if info.path in shallow} == shallow


def test_a_file_alone_is_itself(tmp_path: Path) -> None:
    assert [info.path for info in below(repository(tmp_path), "a/b/two", ref=None)] == ["a/b/two"]


def test_it_begins_behind_a_path(tmp_path: Path) -> None:
    assert [info.path for info in below(repository(tmp_path), "a", ref=None, after="b/c")] == ["a/b/c/one", "a/b/two"]
