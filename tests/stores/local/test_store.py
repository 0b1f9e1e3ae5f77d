"""The store in a folder: the suite, and what only a file system has."""

import errno
import os
import pickle
import stat
import time
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import override

import pytest

from kist.errors import AlreadyExists, Busy, Conflict, Denied, InvalidInput, KistError, NotFound, StoreError, Unsupported
from kist.stores.local import LocalStore, open_local, temporary
from kist.stores.local.errors import translate
from kist.testing.store_suite import ConditionalStoreSuite, keys
from kist.testing.transfer_suite import PutStreamSuite


class NamedOnlyStore(LocalStore):
    """A store on a file system without nameless files, as NFS is."""

    @override
    def _write_nameless(self, *_: object) -> bool:
        return False


class TestLocalStore(PutStreamSuite, ConditionalStoreSuite):
    @pytest.fixture
    def store(self, tmp_path: Path) -> LocalStore:
        return LocalStore(tmp_path)


class TestNamedOnlyStore(PutStreamSuite, ConditionalStoreSuite):
    many_keys = 20

    @pytest.fixture
    def store(self, tmp_path: Path) -> LocalStore:
        return NamedOnlyStore(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    (tmp_path / "root").mkdir()
    return LocalStore(tmp_path / "root")


def files(store: LocalStore) -> list[str]:
    return sorted(str(path.relative_to(store.root)) for path in Path(store.root).rglob("*") if path.is_file())


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_an_object_is_a_file(store: LocalStore) -> None:
    store.put("a/b.txt", b"content")
    assert Path(store.root, "a", "b.txt").read_bytes() == b"content"


def test_files_get_the_usual_mode(store: LocalStore) -> None:
    umask = os.umask(0o027)
    try:
        store.put("a", b"")
        store.put("a", b"replaced")
    finally:
        os.umask(umask)
    assert stat.S_IMODE(Path(store.root, "a").stat().st_mode) == 0o640


@pytest.mark.parametrize("kind", [LocalStore, NamedOnlyStore])
def test_writes_leave_nothing_else_behind(tmp_path: Path, kind: type[LocalStore]) -> None:
    store = kind(tmp_path)
    store.put("a", b"1")
    store.put("a", b"2")
    store.create("b", b"3")
    with pytest.raises(AlreadyExists):
        store.create("b", b"4")
    assert files(store) == ["a", "b"]


def test_the_temporary_folder_is_hidden_and_no_key(store: LocalStore) -> None:
    store.put("a", b"1")
    store.put("a", b"2")
    assert (keys(store), store.list_folders("")) == (["a"], [])
    for call in (store.get, store.head, store.delete, lambda key: store.put(key, b""), lambda key: store.create(key, b"")):
        with pytest.raises(InvalidInput, match="reserved"):
            call(f"{temporary.FOLDER.decode()}/x")


def test_a_missing_root_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="create=True"):
        LocalStore(tmp_path / "missing")


@pytest.mark.parametrize("verb", ["get", "list", "list_folders", "put", "create", "delete"])
def test_a_root_that_vanishes_is_no_empty_store(store: LocalStore, verb: str) -> None:
    Path(store.root).rmdir()
    arguments = {"put": ("a", b""), "create": ("a", b""), "list": (), "list_folders": ("",)}.get(verb, ("a",))
    with pytest.raises(StoreError, match="is gone"):
        list(getattr(store, verb)(*arguments))


def test_a_root_can_be_made(tmp_path: Path) -> None:
    store = open_local(f"{tmp_path}/x/y", create=True)
    store.put("a", b"1")
    assert open_local(f"file://{tmp_path}/x/y").get("a") == b"1"


def test_a_file_url_is_decoded_once(tmp_path: Path) -> None:
    (tmp_path / "a b%20c").mkdir()
    assert open_local(f"file://{tmp_path}/a%20b%2520c").root == f"{tmp_path}/a b%20c"


def test_a_path_is_taken_literally(tmp_path: Path) -> None:
    (tmp_path / "a%20b").mkdir()
    assert open_local(f"{tmp_path}/a%20b").root == f"{tmp_path}/a%20b"


def test_another_machine_is_refused() -> None:
    with pytest.raises(InvalidInput, match="names the machine"):
        open_local("file://host/data")


def test_a_store_can_be_pickled(store: LocalStore) -> None:
    store.put("a", b"1")
    assert pickle.loads(pickle.dumps(store)).get("a") == b"1"


@pytest.mark.parametrize("write", ["put", "create"])
def test_an_object_can_not_be_a_folder(store: LocalStore, write: str) -> None:
    store.put("a/b", b"")
    with pytest.raises(Conflict):
        getattr(store, write)("a", b"")


@pytest.mark.parametrize("write", ["put", "create"])
def test_a_folder_can_not_be_an_object(store: LocalStore, write: str) -> None:
    store.put("a", b"")
    with pytest.raises(Conflict):
        getattr(store, write)("a/b", b"")


@pytest.mark.parametrize("write", ["put", "create"])
def test_a_name_that_is_too_long_is_refused(store: LocalStore, write: str) -> None:
    for key in ("x" * 256, "x" * 256 + "/y", "y/" + "ä" * 128):
        with pytest.raises(InvalidInput, match="use shorter ones"):
            getattr(store, write)(key, b"")


def test_a_link_to_a_folder_is_not_followed(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(b"secret")
    Path(store.root, "link").symlink_to(tmp_path / "outside")
    for read in (lambda: store.get("link/secret"), lambda: store.head("link/secret")):
        with pytest.raises(KistError):
            read()
    for write in (store.put, store.create):
        with pytest.raises(Conflict):
            write("link/new", b"")
    store.delete("link/secret")
    assert (keys(store), store.list_folders("")) == ([], [])
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["secret"]


def test_a_link_to_a_file_is_not_followed(store: LocalStore, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"secret")
    Path(store.root, "link").symlink_to(target)
    with pytest.raises(Denied, match="symbolic link"):
        store.get("link")
    with pytest.raises(Conflict):
        store.create("link", b"")
    store.put("link", b"mine")
    assert (target.read_bytes(), store.get("link")) == (b"secret", b"mine")


def test_what_is_no_plain_file_is_not_read(store: LocalStore) -> None:
    os.mkfifo(Path(store.root, "pipe"))
    with pytest.raises(NotFound):
        store.get("pipe")
    assert keys(store) == []


def test_a_foreign_name_is_invisible(store: LocalStore) -> None:
    Path(os.fsdecode(os.fsencode(store.root) + b"/\xff")).write_bytes(b"")
    Path(store.root, "new\nline").write_bytes(b"")
    store.put("a", b"")
    assert keys(store) == ["a"]


def test_only_folders_that_matter_are_read(store: LocalStore) -> None:
    store.put("a/wanted", b"")
    for name in ("a/closed", "b"):
        Path(store.root, name).mkdir()
        Path(store.root, name).chmod(0)
    assert keys(store, "a/w") == ["a/wanted"]


def test_a_branch_with_many_entries_tells_its_first_quickly(store: LocalStore) -> None:
    branch = Path(store.root, "refs", "heads", "main")
    branch.mkdir(parents=True)
    for number in range(10_000):
        (branch / f"{number:016x}").touch()
    start = time.perf_counter()
    first = [meta.key for meta in islice(store.list("refs/heads/main/"), 1)]
    assert (first, time.perf_counter() - start < 1) == (["refs/heads/main/0000000000000000"], True)


def test_a_listing_survives_deletions(store: LocalStore) -> None:
    for key in ("a/1", "a/2", "b/1", "c"):
        store.put(key, b"")
    listing = store.list()
    assert next(listing).key == "a/1"
    for key in ("a/2", "b/1"):
        store.delete(key)
    assert [meta.key for meta in listing] == ["c"]


def test_an_abandoned_listing_closes_its_folders(store: LocalStore) -> None:
    for number in range(3):
        store.put(f"a/b/{number}", b"")
    before = open_files()
    for _ in range(10):
        next(store.list())
    assert open_files() == before


def test_errors_leave_no_descriptor_open(store: LocalStore) -> None:
    store.put("a", b"1")
    before = open_files()
    for call in (lambda: store.get("b"), lambda: store.get("a/b"), lambda: store.create("a", b""), lambda: store.put("a/b", b"")):
        with pytest.raises(KistError):
            call()
    assert open_files() == before


def _create_all(root: str, me: int) -> list[int]:
    store = LocalStore(root)
    won = []
    for number in range(100):
        try:
            store.create(f"race/{number}", bytes([me]))
        except AlreadyExists:
            continue
        won.append(number)
    return won


def test_of_many_processes_one_creates(store: LocalStore) -> None:
    with get_context("spawn").Pool(3) as pool:
        won = pool.starmap_async(_create_all, [(store.root, me) for me in range(3)]).get(60)
    assert sorted(number for numbers in won for number in numbers) == list(range(100))


def leave(store: LocalStore, name: bytes) -> Path:
    path = Path(store.root, temporary.FOLDER.decode(), name.decode())
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"half")
    return path


def _new_name(_: int) -> bytes:
    return temporary.new_name()


def test_what_a_dead_process_left_is_swept(store: LocalStore) -> None:
    with get_context("spawn").Pool(1) as pool:
        [name] = pool.map_async(_new_name, [0]).get(60)
        pool.terminate()
        pool.join()
    debris = leave(store, name)
    LocalStore(store.root).put("a", b"")
    assert not debris.exists()


def test_what_a_living_process_writes_is_left_alone(store: LocalStore) -> None:
    work = leave(store, temporary.new_name())
    LocalStore(store.root).put("a", b"")
    assert work.exists()


def test_what_another_machine_writes_is_left_alone_for_a_while(store: LocalStore) -> None:
    fresh, old = leave(store, b"0123456789abcdef.1.1.x"), leave(store, b"0123456789abcdef.2.1.y")
    past = time.time() - temporary.STRANGER_SECONDS - 60
    os.utime(old, (past, past))
    LocalStore(store.root).put("a", b"")
    assert (fresh.exists(), old.exists()) == (True, False)


class LinklessStore(NamedOnlyStore):
    """A store on a file system without hard links, as vfat is."""

    @override
    def _link(self, *_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")


def test_without_hard_links_put_works_and_create_is_refused(tmp_path: Path) -> None:
    store = LinklessStore(tmp_path)
    store.put("a", b"1")
    store.put("a", b"2")
    with pytest.raises(Unsupported, match="hard links"):
        store.create("b", b"")
    assert (keys(store), store.get("a"), files(store)) == (["a"], b"2", ["a"])


@pytest.mark.parametrize(
    ("number", "kind", "advice"),
    [
        (errno.EACCES, Denied, "check who owns"),
        (errno.EROFS, Denied, "read-only"),
        (errno.ELOOP, Denied, "symbolic link"),
        (errno.ENOSPC, StoreError, "free some space"),
        (errno.EDQUOT, StoreError, "quota"),
        (errno.EIO, StoreError, "the disk failed"),
        (errno.ENAMETOOLONG, InvalidInput, "shorter"),
        (errno.ENOTDIR, Conflict, "nothing can be below"),
        (errno.EISDIR, Conflict, "a folder has this name"),
        (errno.EMFILE, Busy, "open files"),
        (errno.EOPNOTSUPP, Unsupported, "can't do this"),
        (errno.EBADMSG, StoreError, "try again"),
    ],
)
def test_every_error_of_the_system_has_a_meaning(number: int, kind: type[KistError], advice: str) -> None:
    error = translate(OSError(number, os.strerror(number)), "write 'a' to file:///x")
    assert type(error) is kind
    assert "write 'a'" in str(error)
    assert advice in str(error)
