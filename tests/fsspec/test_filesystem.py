"""What a filesystem over a repository or a mount does beside what fsspec's own tests show."""

import contextlib
import io
import pickle
import sys
import threading
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

import fsspec  # type: ignore[import-untyped]  # it has no types
import pytest
from fsspec.registry import known_implementations  # type: ignore[import-untyped]  # as above
from tests.servers.process import run
from tests.servers.s3 import S3Server

import kist
from kist import storage
from kist.errors import AlreadyExists, Conflict, InvalidInput, NotFound, Unsupported
from kist.fsspec import KistFileSystem, register

type Filesystem = Any
"""One of ours; fsspec has no types."""

type Mount = Callable[..., str]
type Place = tuple[Filesystem, str]


@pytest.fixture
def repository(home: Path) -> kist.Repository:
    assert not home.exists()
    return kist.open_repository("kist://lab/cube", create=True)


@pytest.fixture
def fs(repository: kist.Repository) -> Filesystem:
    assert repository.id
    return fsspec.filesystem("kist", skip_instance_cache=True)


@pytest.fixture(params=["kist", "memory", "folder"])
def place(request: pytest.FixtureRequest, mounted: Mount, tmp_path: Path) -> Place:
    """A filesystem and a path in it, of each kind."""
    if request.param == "kist":
        kist.open_repository("kist://lab/cube", create=True)
        return fsspec.filesystem("kist", skip_instance_cache=True), "lab/cube"
    (tmp_path / "there").mkdir()
    name = mounted(f"memory://{tmp_path.name}" if request.param == "memory" else str(tmp_path / "there"))
    return fsspec.filesystem(name, skip_instance_cache=True), "here"


def messages(repository: kist.Repository) -> list[str]:
    return [version.message for version in repository.log()]


def fail_in(file: IO[Any], data: bytes | str) -> None:
    with file:
        fail_with(file, data)


def fail_with(file: IO[Any], data: bytes | str) -> None:
    file.write(data)
    raise ZeroDivisionError


# Reading and looking


def test_an_old_version_is_read_by_its_ref(fs: Filesystem) -> None:
    fs.pipe_file("lab/cube/a", b"old")
    fs.pipe_file("lab/cube/a", b"new")
    assert (fs.cat_file("lab/cube@v1/a"), fs.cat_file("kist://lab/cube/a")) == (b"old", b"new")


def test_an_old_version_never_changes(fs: Filesystem) -> None:
    fs.pipe_file("lab/cube/a", b"old")
    with pytest.raises(Unsupported, match="never changes"):
        fs.pipe_file("lab/cube@v1/a", b"new")


def test_an_open_file_keeps_the_state_that_it_was_opened_with(place: Place) -> None:
    fs, root = place
    fs.pipe_file(f"{root}/a", b"0" * 3_000_000)
    with fs.open(f"{root}/a") as file:
        assert file.read(1) == b"0"
        fs.pipe_file(f"{root}/a", b"1" * 3_000_000)
        with contextlib.suppress(Conflict):
            assert set(file.read()) == set(b"0")


@pytest.mark.parametrize(
    ("start", "end"), [(None, None), (2, 5), (None, 3), (7, None), (-3, None), (None, -2), (-5, -2), (5, 2), (3, 99), (20, 30)]
)
def test_a_part_of_a_file_is_a_slice(place: Place, start: int | None, end: int | None) -> None:
    fs, root = place
    fs.pipe_file(f"{root}/a", b"0123456789")
    assert fs.cat_file(f"{root}/a", start, end) == b"0123456789"[start:end]


def test_many_ranges_come_in_their_order(place: Place) -> None:
    fs, root = place
    fs.pipe({f"{root}/{name}": name.encode() * 9 for name in "abc"})
    paths = [f"{root}/{name}" for name in "cab"]
    assert fs.cat_ranges(paths, [0, 1, 2], 3, max_gap=10) == [b"ccc", b"aa", b"b"]


def test_a_range_of_what_is_missing_is_an_error_in_its_place(place: Place) -> None:
    fs, root = place
    fs.pipe_file(f"{root}/a", b"a")
    found, missing = fs.cat_ranges([f"{root}/a", f"{root}/b"], 0, 1)
    assert (found, type(missing)) == (b"a", NotFound)
    with pytest.raises(FileNotFoundError):
        fs.cat_ranges([f"{root}/a", f"{root}/b"], 0, 1, on_error="raise")


def test_many_files_are_read_by_one_call(place: Place) -> None:
    fs, root = place
    fs.pipe({f"{root}/d/a": b"1", f"{root}/d/e/b": b"2"})
    assert fs.cat(f"{root}/d", recursive=True) == {f"{root}/d/a": b"1", f"{root}/d/e/b": b"2"}
    assert list(fs.cat([f"{root}/d/a", f"{root}/no"], on_error="omit")) == [f"{root}/d/a"]


def test_info_tells_type_size_time_and_etag(place: Place) -> None:
    fs, root = place
    fs.pipe_file(f"{root}/d/a", b"12345")
    told = fs.info(f"{root}/d/a")
    assert (told["name"], told["type"], told["size"]) == (f"{root}/d/a", "file", 5)
    assert told["mtime"] == told["created"] == fs.modified(f"{root}/d/a").timestamp() == fs.created(f"{root}/d/a").timestamp()
    assert told["etag"]
    assert fs.ls(f"{root}/d") == [told]
    assert fs.info(f"{root}/d") == {"name": f"{root}/d", "size": 0, "type": "directory"}


def test_a_listing_is_never_stale(place: Place) -> None:
    fs, root = place
    fs.pipe_file(f"{root}/a", b"")
    assert fs.ls(root, detail=False) == [f"{root}/a"]
    storage.makedirs(fs.unstrip_protocol(f"{root}/d"), exist_ok=True)
    with storage.open(fs.unstrip_protocol(f"{root}/d/b"), "wb") as file:
        file.write(b"")
    assert fs.ls(root, detail=False) == [f"{root}/a", f"{root}/d"]


def test_find_with_folders_is_the_same_everywhere(place: Place) -> None:
    fs, root = place
    fs.pipe({f"{root}/d/{name}": b"" for name in ("a", "e/b", "e/f/c")})
    expected = ["d", "d/a", "d/e", "d/e/b", "d/e/f", "d/e/f/c"]
    assert fs.find(f"{root}/d", withdirs=True) == [f"{root}/{name}" for name in expected]
    assert fs.find(f"{root}/d") == [f"{root}/d/a", f"{root}/d/e/b", f"{root}/d/e/f/c"]
    assert fs.glob(f"{root}/d/**/[bc]") == [f"{root}/d/e/b", f"{root}/d/e/f/c"]


def test_checksum_and_ukey_change_with_the_content(place: Place) -> None:
    fs, root = place
    seen = set()
    for content in (b"old", b"newer"):
        fs.pipe_file(f"{root}/a", content)
        seen |= {fs.ukey(f"{root}/a"), fs.checksum(f"{root}/a")}
    assert len(seen) == 4


def test_a_failure_is_no_missing_file(mounted: Mount, tmp_path: Path) -> None:
    fs = fsspec.filesystem(mounted(str(tmp_path)), skip_instance_cache=True, region="nowhere")
    for look in (fs.exists, fs.isfile, fs.isdir, fs.ls, fs.find):
        with pytest.raises(InvalidInput, match="takes no options; found region"):
            look("a")


def test_there_is_nothing_where_there_is_no_repository(fs: Filesystem) -> None:
    assert (fs.exists("lab/cube"), fs.isdir("lab/cube"), fs.exists("lab/none"), fs.isdir("lab/cube@v7")) == (True, True, False, False)
    with pytest.raises(NotFound, match="kist init"):
        fs.pipe_file("lab/none/a", b"")


# URLs


def test_urls_are_decoded_and_paths_are_literal(place: Place) -> None:
    fs, root = place
    name = f"{root}/a b%20c?#.txt"
    fs.pipe_file(name, b"1")
    assert fs.unstrip_protocol(name).endswith("/a b%2520c%3F%23.txt")
    assert fs.find(root) == [name]
    assert fs.cat_file(fs.unstrip_protocol(name)) == b"1"
    assert storage.stat(fs.unstrip_protocol(name)).size_bytes == 1


@pytest.mark.parametrize("path", ["../a", "a/../b", "a//b", "."])
def test_no_path_leads_elsewhere(mounted: Mount, tmp_path: Path, path: str) -> None:
    with pytest.raises(InvalidInput, match="is no path"):
        fsspec.filesystem(mounted(str(tmp_path))).ls(path)


# Writing


@pytest.mark.parametrize(("mode", "data"), [("wb", b"x"), ("w", "x"), ("ab", b"x"), ("xb", b"x")])
@pytest.mark.parametrize("compression", [None, "gzip"])
def test_a_block_that_raises_writes_nothing(place: Place, mode: str, data: bytes | str, compression: str | None) -> None:
    fs, root = place
    with pytest.raises(ZeroDivisionError):
        fail_in(fs.open(f"{root}/a", mode, compression=compression), data)
    assert not fs.exists(f"{root}/a")


@pytest.mark.parametrize(("mode", "data"), [("wb", b"x"), ("w", "x")])
def test_neither_does_one_of_fsspec_around_it(place: Place, mode: str, data: bytes | str) -> None:
    fs, root = place
    with pytest.raises(ZeroDivisionError), fsspec.open(fs.unstrip_protocol(f"{root}/a.gz"), mode, compression="infer") as file:
        fail_in(file, data)
    with pytest.raises(ZeroDivisionError), fsspec.open(fs.unstrip_protocol(f"{root}/a"), mode) as file:
        fail_with(file, data)
    assert fs.find(root) == []


def test_what_is_closed_while_an_error_is_handled_is_written(place: Place) -> None:
    fs, root = place
    file, other = fs.open(f"{root}/a", "wb"), fs.open(f"{root}/b", "wb")
    try:
        assert 1 / 0
    except ZeroDivisionError:
        file.close()
        with other, fsspec.open(fs.unstrip_protocol(f"{root}/c"), "wb"):
            pass
    assert fs.find(root) == [f"{root}/a", f"{root}/b", f"{root}/c"]


@pytest.mark.parametrize("compression", ["gzip", "bz2", "xz", "zip"])
def test_what_is_compressed_is_written_at_close(place: Place, compression: str) -> None:
    fs, root = place
    with fs.open(f"{root}/a", "wt", compression=compression) as file:
        file.write("über")
    with fs.open(f"{root}/a", "rt", compression=compression, encoding="utf-8") as file:
        assert file.read() == "über"


def test_text_may_be_appended(place: Place) -> None:
    fs, root = place
    fs.write_text(f"{root}/a", "1\n")
    with fs.open(f"{root}/a", "a") as file:
        file.write("2\n")
    assert fs.read_text(f"{root}/a") == "1\n2\n"


def test_a_file_never_takes_the_place_of_a_folder(place: Place) -> None:
    fs, root = place
    fs.pipe_file(f"{root}/d/a", b"1")
    with contextlib.suppress(InvalidInput):  # in memory, both may have the name
        fs.pipe_file(f"{root}/d", b"2")
    assert fs.cat_file(f"{root}/d/a") == b"1"


def test_create_refuses_what_exists(place: Place) -> None:
    fs, root = place
    fs.pipe_file(f"{root}/a", b"1", mode="create")
    with pytest.raises(AlreadyExists):
        fs.pipe_file(f"{root}/a", b"2", mode="create")
    assert fs.cat_file(f"{root}/a") == b"1"


def test_a_mount_whose_folder_is_gone_is_not_made_anew(mounted: Mount, tmp_path: Path) -> None:
    fs = fsspec.filesystem(mounted(str(tmp_path / "unplugged")))
    with pytest.raises(NotFound, match="is its disk there"):
        fs.pipe_file("d/a", b"1")
    assert not (tmp_path / "unplugged").exists()


# Copying, moving, removing


def test_files_go_to_this_machine_and_back(place: Place, tmp_path: Path) -> None:
    fs, root = place
    content = bytes(range(256)) * 40_000
    (tmp_path / "a").write_bytes(content)
    fs.put_file(str(tmp_path / "a"), f"{root}/d/a")
    fs.get_file(f"{root}/d/a", str(tmp_path / "new" / "a"))
    buffer = io.BytesIO()
    fs.get_file(f"{root}/d/a", buffer)
    assert (tmp_path / "new" / "a").read_bytes() == content == buffer.getvalue()


def test_a_callback_hears_of_all_bytes(place: Place, tmp_path: Path) -> None:
    fs, root = place
    (tmp_path / "a").write_bytes(bytes(10_000_000))
    up, down = fsspec.callbacks.Callback(), fsspec.callbacks.Callback()
    fs.put_file(str(tmp_path / "a"), f"{root}/a", callback=up)
    fs.get_file(f"{root}/a", str(tmp_path / "b"), callback=down)
    assert (up.size, up.value, down.size, down.value) == (10_000_000,) * 4


def test_moving_replaces_a_file_and_goes_into_a_folder(place: Place) -> None:
    fs, root = place
    fs.pipe({f"{root}/a": b"1", f"{root}/b": b"2", f"{root}/d/c": b"3"})
    fs.mv(f"{root}/a", f"{root}/b")
    fs.mv(f"{root}/b", f"{root}/d")
    fs.mv(f"{root}/d", f"{root}/e", recursive=True)
    assert fs.cat(f"{root}/e", recursive=True) == {f"{root}/e/b": b"1", f"{root}/e/c": b"3"}
    assert not fs.exists(f"{root}/d")


def test_removing_follows_no_link(mounted: Mount, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "a").write_bytes(b"1")
    (tmp_path / "there" / "d").mkdir(parents=True)
    (tmp_path / "there" / "d" / "link").symlink_to(tmp_path / "kept")
    fsspec.filesystem(mounted(str(tmp_path / "there"))).rm("d", recursive=True)
    assert (tmp_path / "kept" / "a").exists()
    assert not (tmp_path / "there" / "d").exists()


def test_a_whole_store_is_not_removed(place: Place) -> None:
    fs, root = place
    fs.pipe_file(f"{root}/a", b"")
    with pytest.raises(InvalidInput, match="whole store"):
        fs.rm("lab/cube" if isinstance(fs, KistFileSystem) else "", recursive=True)
    assert fs.exists(f"{root}/a")


def test_what_is_missing_can_not_be_removed(place: Place) -> None:
    fs, root = place
    for path in (f"{root}/a", f"{root}/a*"):
        with pytest.raises(FileNotFoundError):
            fs.rm(path)


def test_a_full_folder_is_not_removed_alone(place: Place) -> None:
    fs, root = place
    fs.pipe_file(f"{root}/d/a", b"")
    for remove in (fs.rmdir, fs.rm):
        with pytest.raises(InvalidInput, match="recursive"):
            remove(f"{root}/d")


# Commits


def test_each_call_is_one_commit(fs: Filesystem, repository: kist.Repository, tmp_path: Path) -> None:
    (tmp_path / "d" / "e").mkdir(parents=True)
    for name in ("d/a", "d/e/b"):
        (tmp_path / name).write_bytes(b"1")
    fs.put(f"{tmp_path}/d", "lab/cube/d", recursive=True)
    fs.copy("lab/cube/d", "lab/cube/f", recursive=True)
    fs.mv("lab/cube/f", "lab/cube/g", recursive=True)
    fs.pipe({"lab/cube/1": b"", "lab/cube/2": b""})
    fs.rm(["lab/cube/d", "lab/cube/1"], recursive=True)
    assert len(messages(repository)) == 5
    assert fs.find("lab/cube") == ["lab/cube/2", "lab/cube/g/a", "lab/cube/g/e/b"]


def test_to_make_sure_of_a_folder_is_no_commit(fs: Filesystem, repository: kist.Repository) -> None:
    fs.makedirs("lab/cube/d", exist_ok=True)
    with fsspec.open("kist://lab/cube/e/f/a", "wb"):
        pass
    assert messages(repository) == ["Write e/f/a"]


def test_a_transaction_is_one_commit(fs: Filesystem, repository: kist.Repository) -> None:
    fs.pipe_file("lab/cube/d/old", b"0")
    with fs.transaction:
        fs.pipe_file("lab/cube/a", b"1")
        with fs.open("lab/cube/b", "w") as file:
            file.write("2")
        fs.cp_file("lab/cube/d/old", "lab/cube/c")
        fs.rm("lab/cube/d", recursive=True)
        fs.mkdir("lab/cube/empty")
        assert not fs.exists("lab/cube/a")
    assert fs.find("lab/cube", withdirs=True) == [f"lab/cube{name}" for name in ("", "/a", "/b", "/c", "/empty")]
    assert len(messages(repository)) == 2


def test_after_an_exception_in_a_transaction_nothing_has_changed(place: Place) -> None:
    fs, root = place
    fs.pipe_file(f"{root}/old", b"0")

    def change() -> None:
        with fs.transaction:
            fs.pipe({f"{root}/a": b"1", f"{root}/old": b"1"})
            fs.mv(f"{root}/old", f"{root}/new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        change()
    fs.pipe_file(f"{root}/after", b"2")
    assert fs.cat(root, recursive=True) == {f"{root}/old": b"0", f"{root}/after": b"2"}


def test_elsewhere_a_transaction_writes_at_its_end(place: Place) -> None:
    fs, root = place
    fs.pipe_file(f"{root}/old", b"0")
    fs.start_transaction()
    file = fs.open(f"{root}/a", "wb")
    file.write(b"1")
    fs.mv(f"{root}/old", f"{root}/new")
    assert fs.find(root) == [f"{root}/old"]
    fs.end_transaction()
    assert fs.cat(root, recursive=True) == {f"{root}/a": b"1", f"{root}/new": b"0"}


def test_a_file_without_autocommit_waits_for_its_commit(place: Place) -> None:
    fs, root = place
    with fs.open(f"{root}/a", "wb", autocommit=False) as file:
        file.write(b"1")
    assert not fs.exists(f"{root}/a")
    file.commit()
    assert fs.cat_file(f"{root}/a") == b"1"


def test_threads_that_share_it_commit_their_own(fs: Filesystem, repository: kist.Repository) -> None:
    started, done = threading.Barrier(4), []

    def write(number: int) -> None:
        started.wait(60)
        fs.pipe({f"lab/cube/{number}/{name}": name.encode() for name in "ab"})
        done.append(number)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert len(messages(repository)) == 4
    assert len(fs.find("lab/cube")) == 8


# Sending it elsewhere


def test_it_can_be_pickled_without_the_secrets_of_its_mount(mounted: Mount) -> None:
    name = mounted("s3://bucket/prefix", access_key_id="hidden-id", secret_access_key="hidden-secret")
    fs = fsspec.filesystem(name)
    sent = pickle.dumps(fs) + fs.to_json().encode() + repr(fs).encode()
    assert b"hidden" not in sent
    assert pickle.loads(pickle.dumps(fs)) == fs
    assert fsspec.AbstractFileSystem.from_json(fs.to_json()) == fs


def test_another_process_opens_what_was_pickled(fs: Filesystem, tmp_path: Path) -> None:
    fs.pipe_file("lab/cube/a", b"0123456789")
    with fs.open("lab/cube/a") as file:
        file.seek(3)
        (tmp_path / "pickled").write_bytes(pickle.dumps((fs, file)))
    script = (
        "import pickle, sys; fs, file = pickle.load(open(sys.argv[1], 'rb')); print(fs.ls('lab/cube', False), file.read(), file.close())"
    )
    assert run([sys.executable, "-c", script, str(tmp_path / "pickled")]).strip() == "['lab/cube/a'] b'3456789' None"


def test_a_pickled_file_is_never_another_state(fs: Filesystem) -> None:
    fs.pipe_file("lab/cube/a", b"old")
    with fs.open("lab/cube/a") as file:
        sent = pickle.dumps(file)
    fs.pipe_file("lab/cube/a", b"new")
    with pytest.raises(Conflict, match="has changed"):
        pickle.loads(sent)


# Registration


def test_a_mount_named_like_a_protocol_of_fsspec_takes_it_from_nobody(home: Path) -> None:
    before = fsspec.registry.get("dropbox"), known_implementations["dropbox"]
    storage.mount("dropbox", url=f"memory://{home.parent.name}")
    try:
        assert "dropbox" not in register()
        assert before == (fsspec.registry.get("dropbox"), known_implementations["dropbox"])
    finally:
        storage.unmount("dropbox")


def test_a_mount_that_is_gone_is_unknown(mounted: Mount) -> None:
    name = mounted("memory://gone")
    fs = fsspec.filesystem(name)
    storage.unmount(name)
    for look in (lambda: fs.exists("a"), lambda: storage.exists(f"{name}://a")):
        with pytest.raises(InvalidInput, match="nothing is known about"):
            look()


@pytest.mark.peer("MiniStack")
def test_options_go_before_those_of_the_mount(mounted: Mount, ministack: S3Server) -> None:
    nowhere = {**ministack.options(), "endpoint": "http://127.0.0.1:9", "access_key_id": "nobody"}
    name = mounted(f"s3://{ministack.make_bucket()}/prefix", **nowhere)
    fs = fsspec.filesystem(name, endpoint_url=ministack.endpoint, key=ministack.access_key)
    fs.pipe_file("a", b"1")
    assert fs.sign("a").startswith(ministack.endpoint)
    assert ministack.access_key in fs.sign("a")


@pytest.mark.peer("MiniStack")
def test_a_signed_url_is_read_without_credentials(mounted: Mount, ministack: S3Server) -> None:
    fs = fsspec.filesystem(mounted(f"s3://{ministack.make_bucket()}/prefix", **ministack.options()))
    fs.pipe_file("a b", b"1")
    with urllib.request.urlopen(fs.sign("a b", expiration=60), timeout=60) as answer:
        assert answer.read() == b"1"
    with pytest.raises(NotFound):
        fs.sign("missing")


def test_there_are_no_signed_urls_of_this_machine(mounted: Mount, tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(Unsupported):
        fsspec.filesystem(mounted(str(tmp_path))).sign("a")


@pytest.mark.parametrize("url", ["kist://lab/cube/a", "memory"])
def test_an_option_that_no_store_takes_is_refused(repository: kist.Repository, mounted: Mount, url: str) -> None:
    assert repository.id
    protocol = "kist" if url.startswith("kist") else mounted("memory://x")
    with pytest.raises(InvalidInput, match="does not take all of colour"):
        fsspec.filesystem(protocol, colour="red").info("lab/cube/a")


def test_an_underscore_may_be_written_as_a_hyphen(home: Path) -> None:
    storage.mount("my_storage", url=f"memory://{home.parent.name}")
    try:
        fsspec.filesystem("my_storage").pipe_file("a", b"1")
        assert fsspec.filesystem("my-storage").cat_file("my-storage://a") == b"1"
        storage.mount("my-storage", url=f"memory://{home.parent.name}-other")
        assert not fsspec.filesystem("my-storage").exists("a")
        storage.unmount("my-storage")
    finally:
        storage.unmount("my_storage")
