"""A folder of this machine against the newest version."""

import os
from pathlib import Path

import pytest
from tests.cli.running import write

from kist.cli.unsaved import unsaved
from kist.engine.opening import open_repository
from kist.engine.repository import Repository
from kist.errors import NotFound


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = open_repository(tmp_path / "repository", create=True)
    write(tmp_path / "data" / "a", one="1", two="2")
    write(tmp_path / "data", a__txt="text")
    made.save("data", tmp_path / "data")
    return made


def test_what_is_as_it_was_does_not_differ(repository: Repository, tmp_path: Path) -> None:
    assert not unsaved(repository, "data", str(tmp_path / "data"), ignore=()).differs


def test_a_new_time_with_the_same_content_does_not_differ(repository: Repository, tmp_path: Path) -> None:
    os.utime(tmp_path / "data" / "a" / "one", (0, 0))
    assert not unsaved(repository, "data", str(tmp_path / "data"), ignore=()).differs


def test_the_same_size_with_other_content_differs(repository: Repository, tmp_path: Path) -> None:
    write(tmp_path / "data" / "a", one="I")
    os.utime(tmp_path / "data" / "a" / "one", (0, 0))
    assert unsaved(repository, "data", str(tmp_path / "data"), ignore=()).modified == ("a/one",)


def test_a_mode_differs(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "data" / "a" / "one").chmod(0o600)
    assert unsaved(repository, "data", str(tmp_path / "data"), ignore=()).modified == ("a/one",)


def test_a_folder_that_became_a_file_is_one_removed_and_one_modified(repository: Repository, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / "data" / "a" / name).unlink()
    (tmp_path / "data" / "a").rmdir()
    write(tmp_path / "data", a="now a file")
    found = unsaved(repository, "data", str(tmp_path / "data"), ignore=())
    assert (found.removed, found.modified) == (("a/one", "a/two"), ("a",))


def test_what_is_ignored_would_be_removed(repository: Repository, tmp_path: Path) -> None:
    assert unsaved(repository, "data", str(tmp_path / "data"), ignore=("two",)).removed == ("a/two",)


def test_all_is_new_where_nothing_is_saved(repository: Repository, tmp_path: Path) -> None:
    found = unsaved(repository, "other", str(tmp_path / "data" / "a.txt"), ignore=())
    assert (found.added, found.size_bytes) == ((".",), 4)


def test_a_path_that_is_missing_is_told(repository: Repository, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        unsaved(repository, "data", str(tmp_path / "nope"), ignore=())
