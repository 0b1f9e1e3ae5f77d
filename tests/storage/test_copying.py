"""`copy`, `move` and `sync`, between any two places."""

import asyncio
import io
import os
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.servers.s3 import S3Server

from kist import open_repository, storage
from kist.errors import AlreadyExists, Conflict, InvalidInput, NotFound, SameFile
from kist.storage.working import Progress


def tree(folder: Path, **files: str) -> Path:
    """Make a folder; in names ``__`` is a slash."""
    for name, content in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder


def content(root: str) -> dict[str, str]:
    found = {}
    for place, _, files in storage.walk(root):
        for name in files:
            url = f"{place.rstrip('/') if not place.endswith('://') else place}{'' if place.endswith('://') else '/'}{name}"
            found[url.removeprefix(root)] = storage.open(url).read()
    return found


def heard() -> tuple[list[tuple[int, int]], Progress]:
    told: list[tuple[int, int]] = []
    return told, lambda items, size_bytes: told.append((items, size_bytes))


def test_a_file_goes_there_and_back(root: str, tmp_path: Path) -> None:
    source = tree(tmp_path, a="content") / "a"
    told, progress = heard()
    copied = storage.copy(source, f"{root}b", progress=progress)
    assert (copied.files, copied.bytes) == (1, 7)
    assert (sum(items for items, _ in told), sum(size for _, size in told)) == (1, 7)
    storage.copy(f"{root}b", tmp_path / "c")
    assert (tmp_path / "c").read_text() == "content"


def test_a_copy_within_a_place(root: str) -> None:
    storage.copy(io.BytesIO(b"1"), f"{root}a")
    storage.makedirs(f"{root}sub", exist_ok=True)
    storage.copy(f"{root}a", f"{root}sub/b")
    assert content(root) == {"a": "1", "sub/b": "1"}


def test_a_big_file_is_whole(root: str, tmp_path: Path) -> None:
    data = os.urandom(1 << 20) * 70
    (tmp_path / "big").write_bytes(data)
    storage.copy(tmp_path / "big", f"{root}big")
    assert storage.stat(f"{root}big").size_bytes == len(data)
    storage.copy(f"{root}big", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == data
    assert list(tmp_path.glob(".kist-*")) == []


def test_a_target_that_is_a_folder_gets_the_base_name(root: str, tmp_path: Path) -> None:
    source = tree(tmp_path, a="1") / "a"
    storage.makedirs(f"{root}sub", exist_ok=True)
    storage.copy(source, f"{root}sub/")
    storage.copy(source, root)
    assert content(root) == {"a": "1", "sub/a": "1"}
    (tmp_path / "folder").mkdir()
    storage.copy(f"{root}a", tmp_path / "folder")
    assert (tmp_path / "folder" / "a").read_text() == "1"


def test_a_copy_onto_itself_is_refused(root: str) -> None:
    storage.copy(io.BytesIO(b"1"), f"{root}a")
    for target in (f"{root}a", root):
        with pytest.raises(SameFile):
            storage.copy(f"{root}a", target)
    assert content(root) == {"a": "1"}


def test_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    tree(tmp_path, a="1")
    (tmp_path / "link").symlink_to("a")
    with pytest.raises(SameFile):
        storage.copy(tmp_path / "a", tmp_path / "link")


def test_a_missing_parent_is_told(tmp_path: Path) -> None:
    tree(tmp_path, a="1")
    with pytest.raises(FileNotFoundError, match="make it first"):
        storage.copy(tmp_path / "a", tmp_path / "no" / "b")


def test_a_missing_source_is_told(root: str, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no"):
        storage.copy(f"{root}no", tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_what_is_there_may_be_kept(root: str, tmp_path: Path) -> None:
    tree(tmp_path / "t", a="new", b="new")
    storage.copy(io.BytesIO(b"old"), f"{root}a")
    with pytest.raises(AlreadyExists):
        storage.copy(tmp_path / "t" / "a", f"{root}a", overwrite=False)
    copied = storage.copy(f"{tmp_path}/t/", root, recursive=True, overwrite=False)
    assert (copied.files, copied.skipped, content(root)) == (1, 1, {"a": "old", "b": "new"})


def test_a_folder_needs_the_word(root: str, tmp_path: Path) -> None:
    tree(tmp_path / "t", a="1")
    with pytest.raises(InvalidInput, match="recursive"):
        storage.copy(tmp_path / "t", f"{root}t")


def test_a_folder_goes_there_and_back(root: str, tmp_path: Path) -> None:
    source = tree(tmp_path / "t", a="1", b__c="2", b__d__e="3")
    (source / "leer").mkdir()
    copied = storage.copy(source, f"{root}new", recursive=True)
    assert (copied.files, copied.bytes) == (3, 3)
    assert content(f"{root}new/") == {"a": "1", "b/c": "2", "b/d/e": "3"}
    storage.copy(f"{root}new", tmp_path / "back", recursive=True)
    assert content(f"{tmp_path}/back/") == {"a": "1", "b/c": "2", "b/d/e": "3"}


def test_a_folder_goes_into_a_folder_unless_it_ends_in_a_slash(root: str, tmp_path: Path) -> None:
    source = tree(tmp_path / "t", a="1")
    storage.copy(source, root, recursive=True)
    storage.copy(f"{source}/", root, recursive=True)
    assert content(root) == {"a": "1", "t/a": "1"}


def test_a_folder_is_not_copied_into_itself(root: str) -> None:
    storage.makedirs(f"{root}t", exist_ok=True)
    storage.copy(io.BytesIO(b"1"), f"{root}t/a")
    with pytest.raises(InvalidInput, match="lies in"):
        storage.copy(f"{root}t", f"{root}t/sub", recursive=True)


@pytest.mark.parametrize("whole", ["memory://itself/", "kist://lab/cube/"])
def test_a_whole_store_is_not_copied_into_itself(whole: str) -> None:
    open_repository("kist://lab/cube", create=True)
    storage.copy(io.BytesIO(b"1"), f"{whole}a")
    with pytest.raises(InvalidInput, match="lies in"):
        storage.copy(whole, f"{whole}sub", recursive=True)


def test_a_folder_by_a_link_is_not_copied_into_itself(tmp_path: Path) -> None:
    source = tree(tmp_path / "t", a="1")
    (tmp_path / "link").symlink_to(source)
    with pytest.raises(InvalidInput, match="lies in"):
        storage.copy(source, tmp_path / "link" / "sub", recursive=True)


def test_an_empty_folder_of_this_machine_arrives(tmp_path: Path) -> None:
    (tmp_path / "t" / "leer").mkdir(parents=True)
    storage.copy(tmp_path / "t", tmp_path / "u", recursive=True)
    assert (tmp_path / "u" / "leer").is_dir()


def test_a_tree_becomes_one_version(tmp_path: Path) -> None:
    repository = open_repository("kist://lab/cube", create=True)
    storage.copy(tree(tmp_path / "t", a="1", b="2"), "kist://lab/cube/data", recursive=True)
    assert [version.stats.files for version in repository.log()] == [2]


def test_file_objects(root: str) -> None:
    assert storage.copy(io.BytesIO(b"x" * 100), f"{root}a").bytes == 100
    file = io.BytesIO()
    storage.copy(f"{root}a", file)
    assert file.getvalue() == b"x" * 100
    with pytest.raises(InvalidInput, match="no name"):
        storage.copy(io.BytesIO(b""), root)
    with pytest.raises(InvalidInput, match="binary"):
        storage.copy(io.StringIO("text"), f"{root}b")  # type: ignore[arg-type]  # that is the point


def test_a_file_is_moved(root: str, tmp_path: Path) -> None:
    tree(tmp_path, a="1")
    storage.move(tmp_path / "a", f"{root}b")
    storage.move(f"{root}b", f"{root}c")
    assert (content(root), (tmp_path / "a").exists()) == ({"c": "1"}, False)


def test_a_folder_is_moved(root: str, tmp_path: Path) -> None:
    storage.move(tree(tmp_path / "t", a="1", b__c="2"), f"{root}u")
    storage.move(f"{root}u", f"{root}v")
    assert (content(root), (tmp_path / "t").exists()) == ({"v/a": "1", "v/b/c": "2"}, False)


def test_a_move_replaces_no_folder(root: str, tmp_path: Path) -> None:
    storage.makedirs(f"{root}v/t", exist_ok=True)
    storage.copy(io.BytesIO(b"1"), f"{root}v/t/a")
    with pytest.raises(AlreadyExists):
        storage.move(tree(tmp_path / "t", b="2"), f"{root}v")
    assert (tmp_path / "t" / "b").exists()


def test_a_second_sync_copies_nothing(root: str, tmp_path: Path) -> None:
    source = tree(tmp_path / "t", a="1", b__c="2")
    assert storage.sync(source, f"{root}u").files == 2
    again = storage.sync(source, f"{root}u")
    assert (again.files, again.skipped) == (0, 2)


def test_sync_copies_what_changed(root: str, tmp_path: Path) -> None:
    source = tree(tmp_path / "t", a="1", b="2", c="3")
    storage.sync(source, f"{root}u")
    tree(source, b="longer", d="4", c="5")
    (source / "a").unlink()
    synced = storage.sync(source, f"{root}u")
    assert (synced.files, content(f"{root}u/")) == (3, {"a": "1", "b": "longer", "c": "5", "d": "4"})


def test_sync_deletes_on_request(root: str, tmp_path: Path) -> None:
    source = tree(tmp_path / "t", a="1")
    storage.copy(tree(tmp_path / "old", a="1", b="2", x__y="3"), f"{root}u", recursive=True)
    planned = storage.sync(source, f"{root}u", delete=True, dry_run=True)
    assert (planned.deleted, len(content(f"{root}u/"))) == (2, 3)
    assert storage.sync(source, f"{root}u", delete=True).deleted == 2
    assert (content(f"{root}u/"), storage.exists(f"{root}u/x")) == ({"a": "1"}, False)


def test_sync_by_content_sees_what_times_hide(tmp_path: Path) -> None:
    source, target = tree(tmp_path / "t", a="1"), tree(tmp_path / "u", a="2")
    past = time.time() - 1000
    os.utime(source / "a", (past, past))
    assert storage.sync(source, target).files == 0
    assert storage.sync(source, target, checksum=True).files == 1
    assert (target / "a").read_text() == "1"


def test_sync_of_what_is_missing_deletes_nothing(tmp_path: Path) -> None:
    target = tree(tmp_path / "u", a="1")
    with pytest.raises(NotFound):
        storage.sync(tmp_path / "no", target, delete=True)
    assert (target / "a").exists()


def test_sync_deletes_links_not_what_they_lead_to(tmp_path: Path) -> None:
    far = tree(tmp_path / "far", precious="1")
    target = tree(tmp_path / "u", a="1")
    (target / "link").symlink_to(far)
    storage.sync(tree(tmp_path / "t", a="1"), target, delete=True)
    assert ((far / "precious").exists(), (target / "link").is_symlink()) == (True, False)


def test_a_store_that_lists_nothing_never_empties_another_place(tmp_path: Path) -> None:
    target = tree(tmp_path / "t", a="1")
    with pytest.raises(NotFound, match="is empty"):
        storage.sync(f"memory://{uuid.uuid4().hex}/", target, delete=True)
    assert (target / "a").read_text() == "1"
    (tmp_path / "s").mkdir()
    assert storage.sync(tmp_path / "s", target, delete=True).deleted == 1


def test_a_tree_that_fails_in_part_says_so(tmp_path: Path) -> None:
    source = tree(tmp_path / "t", a="1", b="2", c="3")
    tree(tmp_path / "u", b__in_the_way="x")
    with pytest.raises(Exception, match="1 file was not copied, 2 were"):
        storage.copy(f"{source}/", tmp_path / "u", recursive=True)
    assert content(f"{tmp_path}/u/") == {"a": "1", "b/in_the_way": "x", "c": "3"}


def test_two_accounts_of_one_provider(mount: Callable[..., str], tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    first, second = (mount(provider="file", url=f"file://{tmp_path / name}") for name in ("one", "two"))
    storage.copy(io.BytesIO(b"1"), f"{first}a")
    storage.copy(f"{first}a", f"{second}a")
    assert (tmp_path / "two" / "a").read_bytes() == b"1"


def test_the_path_stays_in_its_mount(mount: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    root = mount(url=f"file://{tmp_path / 'in'}")
    for path in ("../out", "a/../../out", "%2e%2e/out"):
        with pytest.raises(InvalidInput, match="leaves its mount"):
            storage.open(root + path, "w")


def test_the_async_twins(tmp_path: Path) -> None:
    source = tree(tmp_path / "t", a="1")

    async def both() -> tuple[int, int]:
        copied = await storage.copy_async(source, tmp_path / "u", recursive=True)
        synced = await storage.sync_async(source, tmp_path / "v")
        return copied.files, synced.files

    with ThreadPoolExecutor(1) as pool:  # a thread that surely has no event loop yet
        assert pool.submit(lambda: asyncio.run(both())).result(60) == (1, 1)


def test_the_defaults_of_a_scheme_are_not_mixed_with_another_account(mount: Callable[..., str]) -> None:
    from kist.stores.locations import resolve  # noqa: PLC0415

    storage.mount("s3", endpoint_url="https://minio.lab.org", client_id="one", secret_id="its-secret", replace=True)
    try:
        assert resolve(mount(provider="s3", bucket="b", client_id="two", secret_id="another") + "x")[1].keys() == {
            "access_key_id",
            "secret_access_key",
        }
        assert resolve("s3://bucket/x")[1]["endpoint"] == "https://minio.lab.org"
    finally:
        storage.unmount("s3")


def test_a_place_by_another_name_is_the_same(mount: Callable[..., str]) -> None:
    storage.copy(io.BytesIO(b"precious"), "memory://same/folder/a")
    again = mount(url="memory://same")
    for do in (storage.copy, storage.move):
        with pytest.raises(SameFile):
            do(f"{again}folder/a", "memory://same/folder/a")
    with pytest.raises(InvalidInput, match="lies in"):
        storage.move(f"{again}folder/", "memory://same/folder/deeper")
    assert content("memory://same/") == {"folder/a": "precious"}


@pytest.mark.peer("MiniStack")
def test_a_bucket_by_another_mount_is_the_same(ministack: S3Server, mount: Callable[..., str]) -> None:
    bucket, keys = ministack.make_bucket(), {"client_id": ministack.access_key, "secret_id": ministack.secret_key}
    known = {"endpoint_url": ministack.endpoint, "region": ministack.region}
    whole = mount(provider="s3", bucket=bucket, **keys, **known)
    part = mount(provider="s3", bucket=bucket, prefix="folder", max_retries=1, **keys, **known)
    storage.copy(io.BytesIO(b"precious"), f"{whole}folder/a")
    with pytest.raises(SameFile):
        storage.move(f"{whole}folder/a", f"{part}a")
    assert storage.exists(f"{whole}folder/a")


def test_what_arrives_while_a_folder_is_moved_is_kept(tmp_path: Path) -> None:
    source = tree(tmp_path / "t", a="1")

    def late(items: int, _size_bytes: int) -> None:
        if items:
            tree(source, late="2")

    with pytest.raises(Conflict, match="nothing was removed"):
        storage.move(source, "memory://late/t", progress=late)
    assert content(f"{source}/") == {"a": "1", "late": "2"}
