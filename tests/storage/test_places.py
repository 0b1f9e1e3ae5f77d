"""What is where: `exists`, `stat`, `listdir`, `walk`, `glob`, `remove` and their like."""

from pathlib import Path

import pytest

from kist import storage
from kist.errors import AlreadyExists, InvalidInput, NotFound, Unsupported


def fill(root: str, *names: str) -> None:
    for name in names:
        storage.copy(Path(__file__), f"{root}{name}") if "/" not in name else _fill_deep(root, name)


def _fill_deep(root: str, name: str) -> None:
    storage.makedirs(f"{root}{name.rpartition('/')[0]}", exist_ok=True)
    storage.copy(Path(__file__), f"{root}{name}")


def test_a_file_and_a_folder_are_told_apart(root: str) -> None:
    fill(root, "data/a.txt")
    asked = [f"{root}data/a.txt", f"{root}data", f"{root}data/", f"{root}dat", f"{root}data/b"]
    assert [storage.exists(one) for one in asked] == [True, True, True, False, False]
    assert [storage.isfile(one) for one in asked] == [True, False, False, False, False]
    assert [storage.isdir(one) for one in asked] == [False, True, True, False, False]


def test_stat_tells_kind_size_and_time(root: str) -> None:
    fill(root, "data/a.txt")
    file, folder = storage.stat(f"{root}data/a.txt"), storage.stat(f"{root}data")
    assert (file.kind, file.size_bytes, file.name) == ("file", Path(__file__).stat().st_size, "a.txt")
    assert file.modified is not None
    assert (folder.kind, folder.modified) == ("folder", None)
    with pytest.raises(NotFound):
        storage.stat(f"{root}no")


def test_a_prefix_is_no_folder(root: str) -> None:
    fill(root, "my/path/f.txt", "my/path2/f.txt")
    assert storage.listdir(f"{root}my/path") == ["f.txt"]
    assert [place for place, _, _ in storage.walk(f"{root}my/path")] == [f"{root}my/path"]


def test_listdir_is_one_level(root: str) -> None:
    fill(root, "b", "a/1", "a/2/3", "c d/4")
    assert storage.listdir(root) == ["a", "b", "c d"]
    assert storage.listdir(f"{root}a") == ["1", "2"]
    with pytest.raises(NotFound):
        storage.listdir(f"{root}b/no")


def test_walk_is_that_of_os(root: str) -> None:
    fill(root, "b", "a/1", "a/2/3")
    base = root.rstrip("/") if "://" not in root else root
    walked = [(place.removeprefix(base).strip("/"), folders, files) for place, folders, files in storage.walk(root)]
    assert walked == [("", ["a"], ["b"]), ("a", ["2"], ["1"]), ("a/2", [], ["3"])]


def test_globs(root: str) -> None:
    fill(root, "a.csv", "b.txt", "x/a.csv", "x/y/c.csv", ".hidden.csv")

    def found(pattern: str) -> list[str]:
        return [one.removeprefix(root) for one in storage.glob(f"{root}{pattern}")]

    assert found("*.csv") == ["a.csv"]
    assert found("?.[ct]*") == ["a.csv", "b.txt"]
    assert found("*/*.csv") == ["x/a.csv"]
    assert found("**/*.csv") == ["a.csv", "x/a.csv", "x/y/c.csv"]
    assert found("x/**") == ["x/a.csv", "x/y", "x/y/c.csv"]
    assert found("a.csv") == ["a.csv"]
    assert found("no") == []


def test_a_relative_glob(home: Path) -> None:
    (home / "a1").write_text("")
    assert storage.glob("a*") == ["a1"]


def test_makedirs_as_in_os(root: str) -> None:
    fill(root, "a/1")
    storage.makedirs(f"{root}a", exist_ok=True)
    storage.makedirs(f"{root}new/deep")
    for taken in ("a", "a/1"):
        with pytest.raises(AlreadyExists):
            storage.makedirs(f"{root}{taken}")


def test_a_file_is_removed(root: str) -> None:
    fill(root, "a", "b")
    assert storage.remove(f"{root}a") == 1
    assert storage.listdir(root) == ["b"]
    with pytest.raises(FileNotFoundError):
        storage.remove(f"{root}a")


def test_a_folder_is_removed_on_request_only(root: str) -> None:
    fill(root, "a/1", "a/2/3", "ab")
    with pytest.raises(InvalidInput, match="recursive"):
        storage.remove(f"{root}a")
    assert storage.remove(f"{root}a", recursive=True) == 2
    assert storage.listdir(root) == ["ab"]


def test_removing_a_folder_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "precious").write_text("")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "link").symlink_to(tmp_path / "far")
    storage.remove(tmp_path / "here", recursive=True)
    assert (tmp_path / "far" / "precious").exists()


def test_removing_a_link_keeps_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "far")
    storage.remove(tmp_path / "link")
    assert [path.name for path in tmp_path.iterdir()] == ["home", "far"] or (tmp_path / "far").is_dir()
    assert not (tmp_path / "link").is_symlink()


def test_a_whole_store_is_not_removed() -> None:
    with pytest.raises(InvalidInput, match="whole store"):
        storage.remove("memory://all/", recursive=True)


def test_a_folder_has_no_shareable_url(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(Unsupported, match="can't sign"):
        storage.shareable_url(tmp_path / "a")
