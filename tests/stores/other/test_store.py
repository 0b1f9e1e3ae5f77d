"""Servers of files, and filesystems of fsspec: the suite on each, and what all of them promise beside it."""

import pickle
import re
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import override
from urllib.parse import urlsplit

import pytest
from tests.servers.files import FileServer
from tests.servers.process import free_port
from tests.servers.wire import Wire, silence, wire_to

from kist import open_repository
from kist.errors import (
    AlreadyExists,
    Conflict,
    Denied,
    IntegrityError,
    InvalidInput,
    NotFound,
    StoreError,
    Unauthenticated,
    Unsupported,
)
from kist.stores import budget
from kist.stores.other import FolderStore, OtherStore, open_other
from kist.stores.protocols import ConditionalStore, Folders, PutStream, Store
from kist.testing.store_suite import ODD_KEYS, ConditionalStoreSuite, StoreSuite, keys

SERVERS = [
    pytest.param("sftp", marks=pytest.mark.peer("OpenSSH")),
    pytest.param("ftp", marks=pytest.mark.peer("pyftpdlib")),
    pytest.param("old_ftp", marks=pytest.mark.peer("pyftpdlib")),
    pytest.param("ftps", marks=pytest.mark.peer("pyftpdlib")),
    pytest.param("webdav", marks=pytest.mark.peer("WsgiDAV")),
]
FTP_AND_WEBDAV = SERVERS[1:]


@pytest.fixture
def server(request: pytest.FixtureRequest) -> FileServer:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, FileServer)
    return found


@pytest.fixture
def path() -> str:
    return f"test/{uuid.uuid4().hex}"


@pytest.fixture
def store(server: FileServer, path: str) -> Iterator[FolderStore]:
    opened = server.store(path)
    assert isinstance(opened, FolderStore)
    yield opened
    opened.close()


@pytest.fixture
def wire(server: FileServer) -> Iterator[Wire]:
    with wire_to(urlsplit(server.url).port or 0) as lent:
        yield lent


def through(wire: Wire, server: FileServer, path: str) -> OtherStore:
    """Open a store at the other end of a wire."""
    port = urlsplit(server.url).port
    options = dict(server.options)
    if "known_hosts" in options:
        known = Path(str(options["known_hosts"])).with_name(f"known_hosts_{wire.port}")
        known.write_text(Path(str(options["known_hosts"])).read_text().replace(f":{port} ", f":{wire.port} "))
        options["known_hosts"] = str(known)
    return open_other(f"{server.url.replace(f':{port}', f':{wire.port}')}/{path}", create=False, **options)


def new_store(server: FileServer) -> Iterator[OtherStore]:
    opened = server.store(f"pre fix/{uuid.uuid4().hex}")
    yield opened
    opened.close()


@pytest.mark.peer("OpenSSH")
class TestSftp(ConditionalStoreSuite):
    many_keys = 100

    @pytest.fixture
    def store(self, sftp: FileServer) -> Iterator[OtherStore]:
        yield from new_store(sftp)


@pytest.mark.peer("pyftpdlib")
class TestFtp(StoreSuite):
    many_keys = 100

    @pytest.fixture
    def store(self, ftp: FileServer) -> Iterator[OtherStore]:
        yield from new_store(ftp)


@pytest.mark.peer("pyftpdlib")
class TestOldFtp(StoreSuite):
    many_keys = 100
    replaces_in_one_step = False

    @pytest.fixture
    def store(self, old_ftp: FileServer) -> Iterator[OtherStore]:
        yield from new_store(old_ftp)


@pytest.mark.peer("WsgiDAV")
class TestWebdav(StoreSuite):
    many_keys = 100
    replaces_in_one_step = False

    @pytest.fixture
    def store(self, webdav: FileServer) -> Iterator[OtherStore]:
        yield from new_store(webdav)

    @override
    @pytest.mark.parametrize("key", [key for key in ODD_KEYS if not {"?", ";"} & set(key)])
    def test_odd_keys(self, store: Store, key: str) -> None:
        super().test_odd_keys(store, key)

    @pytest.mark.parametrize("key", ["a?b", "a;b"])
    def test_a_name_that_the_server_would_cut_is_refused(self, store: Store, key: str) -> None:
        store.put("a", b"precious")
        with pytest.raises(Unsupported, match="end of it"):
            store.put(key, b"other")
        assert (store.get("a"), keys(store)) == (b"precious", ["a"])


class TestMemoryOfFsspec(StoreSuite):
    @pytest.fixture
    def store(self) -> OtherStore:
        return open_other(f"memory://{uuid.uuid4().hex}")


def hidden_in(server: FileServer, path: str) -> list[str]:
    """Return the names on the server's disk that are not meant to be seen."""
    return [found.name for found in (server.folder / path).rglob(".kist-*")]


def failing(error: Exception) -> Iterator[bytes]:
    yield b"first"
    raise error


@pytest.mark.parametrize("server", SERVERS, indirect=True)
class TestStreams:
    def test_a_stream_is_stored_whole(self, store: FolderStore) -> None:
        assert isinstance(store, PutStream)
        store.put_stream("new/folder/a", (bytes([number]) * 70_000 for number in range(40)))
        assert store.get("new/folder/a") == b"".join(bytes([number]) * 70_000 for number in range(40))

    def test_a_part_may_be_reused(self, store: FolderStore) -> None:
        buffer = bytearray(3)

        def parts() -> Iterator[bytearray]:
            for number in range(3):
                buffer[:] = bytes([65 + number]) * 3
                yield buffer

        store.put_stream("a", parts(), size_bytes=9)
        assert store.get("a") == b"AAABBBCCC"

    @pytest.mark.parametrize("error", [ValueError("mine"), OSError(5, "my disk"), NotFound("mine")])
    def test_what_a_source_raises_passes_and_nothing_changes(
        self, server: FileServer, store: FolderStore, path: str, error: Exception
    ) -> None:
        store.put("a", b"old")
        with pytest.raises(type(error)) as caught:
            store.put_stream("a", failing(error))
        assert caught.value is error
        assert (store.get("a"), keys(store), hidden_in(server, path)) == (b"old", ["a"], [])

    @pytest.mark.parametrize("size", [4, 6])
    def test_another_size_than_announced_replaces_nothing(self, store: FolderStore, size: int) -> None:
        store.put("a", b"old")
        with pytest.raises((IntegrityError, StoreError)):
            store.put_stream("a", [b"12345"], size_bytes=size)
        assert (store.get("a"), keys(store)) == (b"old", ["a"])

    def test_what_is_under_way_is_not_seen(self, server: FileServer, store: FolderStore, path: str) -> None:
        seen: list[tuple[list[str], list[str]]] = []

        def parts() -> Iterator[bytes]:
            yield b"1" * 300_000
            seen.append((keys(store), store.list_folders("")))
            yield b"2"

        store.put_stream("a", parts())
        assert (seen, keys(store), hidden_in(server, path)) == ([([], [])], ["a"], [])

    def test_a_stream_may_come_from_the_same_store(self, store: FolderStore) -> None:
        for name in "abc":
            store.put(name, name.encode() * 1000)
        budget.configure(requests=1)
        try:
            store.put_stream("all", (store.get(name) for name in "abc"))
        finally:
            budget.configure(requests=budget.REQUESTS)
        assert store.get("all") == b"a" * 1000 + b"b" * 1000 + b"c" * 1000


@pytest.mark.parametrize("server", SERVERS, indirect=True)
class TestFolders:
    def test_an_empty_folder_is_there_and_has_no_keys(self, store: FolderStore) -> None:
        assert isinstance(store, Folders)
        store.make_folder("a/b")
        store.make_folder("a/b")
        assert (store.is_folder("a"), store.is_folder("a/b"), store.is_folder("a/c"), store.is_folder("")) == (True, True, False, True)
        assert (keys(store), store.list_folders("")) == ([], [])

    def test_only_an_empty_folder_is_removed(self, store: FolderStore) -> None:
        store.put("a/b", b"1")
        with pytest.raises(Conflict, match="not empty"):
            store.remove_folder("a")
        store.delete("a/b")
        store.remove_folder("a")
        store.remove_folder("a")
        assert not store.is_folder("a")

    def test_a_folder_can_not_have_the_name_of_an_object(self, store: FolderStore) -> None:
        store.put("a", b"1")
        with pytest.raises(AlreadyExists):
            store.make_folder("a")
        assert not store.is_folder("a")

    def test_an_object_can_not_have_the_name_of_a_folder(self, store: FolderStore) -> None:
        store.put("a/b", b"1")
        with pytest.raises(Conflict):
            store.put("a", b"2")
        assert (store.get("a/b"), keys(store)) == (b"1", ["a/b"])

    def test_nothing_is_below_an_object(self, store: FolderStore) -> None:
        store.put("a", b"1")
        for put in (partial(store.put, "a/b", b"2"), partial(store.put_stream, "a/b", [b"2"])):
            with pytest.raises(Conflict):
                put()
        assert (store.get("a"), keys(store)) == (b"1", ["a"])

    def test_delete_leaves_a_folder_alone(self, store: FolderStore) -> None:
        store.put("a/b", b"1")
        store.delete("a")
        assert store.get("a/b") == b"1"

    def test_the_root_is_made_by_the_first_object(self, store: FolderStore) -> None:
        assert not store.is_folder("")
        store.put("a", b"1")
        assert store.is_folder("")


@pytest.mark.parametrize("server", SERVERS, indirect=True)
class TestTrouble:
    def test_a_dead_connection_is_replaced(self, server: FileServer, wire: Wire, path: str) -> None:
        store = through(wire, server, path)
        store.put("a", b"1")
        for _ in range(2):
            wire.cut()
            assert store.get("a") == b"1"
        wire.cut()
        store.put_stream("a", [b"2"])
        assert store.get("a") == b"2"
        store.close()

    def test_a_connection_is_used_again(self, server: FileServer, wire: Wire, path: str) -> None:
        store = through(wire, server, path)
        store.put("a", b"1")
        store.get("a")
        before = wire.connections
        for _ in range(5):
            store.get("a")
        assert wire.connections == before
        store.close()

    def test_a_server_that_is_silent_is_given_up(self, server: FileServer) -> None:
        with silence() as port:
            url = f"{urlsplit(server.url).scheme}://127.0.0.1:{port}"
            store = open_other(url, create=False, **{**server.options, "timeout_seconds": 0.3, "connect_timeout_seconds": 0.3})
            with pytest.raises(StoreError):
                store.get("a")

    def test_a_server_that_is_not_there_is_told(self, server: FileServer) -> None:
        store = open_other(f"{urlsplit(server.url).scheme}://127.0.0.1:{free_port()}", create=False, **server.options)
        with pytest.raises(StoreError, match="nobody answers"):
            store.head("a")

    @pytest.mark.parametrize("name", [".kist-upload-" + "0" * 32, "a/.kist-upload-" + "f" * 32 + "/b"])
    def test_hidden_names_are_reserved(self, store: FolderStore, name: str) -> None:
        with pytest.raises(InvalidInput, match="reserved"):
            store.put(name, b"")

    def test_what_a_dead_writer_left_is_not_seen(self, server: FileServer, store: FolderStore, path: str) -> None:
        store.put("a/b", b"1")
        (server.folder / path / "a" / (".kist-upload-" + "0" * 32)).write_bytes(b"half")
        assert (keys(store), store.list_folders("")) == (["a/b"], ["a"])
        store.delete("a/b")
        assert (keys(store), store.list_folders("")) == ([], [])

    def test_names_that_are_no_keys_are_not_seen(self, server: FileServer, store: FolderStore, path: str) -> None:
        store.put("a", b"1")
        Path(f"{server.folder}/{path}/new\nline").write_bytes(b"")
        assert keys(store) == ["a"]


@pytest.mark.parametrize("server", [SERVERS[0], SERVERS[-1]], indirect=True)
class TestRanges:
    def test_only_a_range_is_read(self, server: FileServer, wire: Wire, path: str) -> None:
        store = through(wire, server, path)
        store.put("a", bytes(8 << 20))
        before = wire.downloaded
        assert store.get_range("a", start=5_000_000, end=5_001_000) == bytes(1000)
        assert wire.downloaded - before < 200_000
        store.close()


@pytest.mark.parametrize("server", FTP_AND_WEBDAV, indirect=True)
class TestPasswords:
    def test_a_wrong_password_is_told_and_not_repeated(self, server: FileServer) -> None:
        store = server.store(password="not-the-password")
        with pytest.raises(Unauthenticated) as caught:
            store.get("a")
        assert "not-the-password" not in f"{caught.value!r} {caught.value.__cause__!r} {store!r}"

    def test_a_store_with_a_password_is_not_pickled(self, store: FolderStore) -> None:
        with pytest.raises(InvalidInput, match="secrets"):
            pickle.dumps(store)

    def test_no_put_if_absent_is_offered(self, store: FolderStore) -> None:
        assert not isinstance(store, ConditionalStore)


@pytest.mark.peer("WsgiDAV")
@pytest.mark.parametrize("server", ["webdav"], indirect=True)
class TestWebdavAlone:
    def test_bytes_that_change_on_their_way_replace_nothing(self, server: FileServer, wire: Wire, path: str) -> None:
        store = through(wire, server, path)
        store.put("a", b"old")
        wire.spoil = (b"precious", b"pretious")
        for put in (partial(store.put, "a", b"precious"), partial(store.put_stream, "a", [b"precious"])):
            with pytest.raises(IntegrityError, match="other bytes arrived"):
                put()
        assert (store.get("a"), hidden_in(server, path)) == (b"old", [])
        store.close()

    def test_digest_is_spoken(self, server: FileServer, path: str) -> None:
        store = server.store(path, auth="digest")
        store.put("a", b"1")
        assert store.get("a") == b"1"
        store.close()

    def test_a_page_is_a_page_and_no_folder(self, store: FolderStore) -> None:
        store.put("index.html", b"<html>")
        assert store.get("index.html") == b"<html>"

    def test_an_etag_is_told(self, store: FolderStore) -> None:
        store.put("a", b"1")
        [listed] = store.list()
        assert listed.etag == store.head("a").etag != ""


@pytest.mark.peer("pyftpdlib")
def test_a_certificate_that_nobody_vouches_for_is_refused(ftps: FileServer) -> None:
    with pytest.raises(Denied, match="ca_file"):
        ftps.store(ca_file=None).get("a")


@pytest.mark.peer("pyftpdlib")
def test_a_server_that_insists_on_tls_is_told(ftps: FileServer) -> None:
    plain = open_other(ftps.url.replace("ftps:", "ftp:"), create=False, username="tester", password="ftp-test-password")
    with pytest.raises(StoreError, match=r"\b550|\b5\d\d") as caught:
        plain.get("a")
    assert "ftp-test-password" not in str(caught.value)


@pytest.mark.peer("pyftpdlib")
@pytest.mark.parametrize("server", ["ftp", "old_ftp", "ftps"], indirect=True)
class TestFtpAlone:
    def test_who_may_only_read_is_told(self, server: FileServer, path: str) -> None:
        server.store(path).put("a", b"1")
        reader = server.store(path, username="reader")
        assert isinstance(reader, FolderStore)
        assert reader.get("a") == b"1"
        for change in (partial(reader.put, "a", b"2"), partial(reader.delete, "a"), partial(reader.make_folder, "b")):
            with pytest.raises(Denied):
                change()

    def test_times_are_those_of_the_server(self, server: FileServer, store: FolderStore, path: str) -> None:
        store.put("a", b"1")
        on_disk = (server.folder / path / "a").stat().st_mtime
        [listed] = store.list()
        assert abs(listed.modified.timestamp() - on_disk) < 2

    def test_many_ranges_on_one_connection(self, store: FolderStore) -> None:
        content = bytes(range(256)) * 4096
        store.put("a", content)
        for start in range(0, len(content), 200_000):
            assert store.get_range("a", start=start, end=start + 999) == content[start : start + 999]


@pytest.mark.peer("OpenSSH")
@pytest.mark.parametrize("server", ["sftp"], indirect=True)
class TestSftpAlone:
    def test_an_unknown_host_is_not_talked_to(self, server: FileServer, tmp_path: Path) -> None:
        (tmp_path / "known").write_text("")
        with pytest.raises(Denied, match=r"SHA256:.* is not in .*known"):
            server.store(known_hosts=str(tmp_path / "known")).get("a")

    def test_a_missing_file_of_known_hosts_is_told(self, server: FileServer, tmp_path: Path) -> None:
        with pytest.raises(Denied, match="no file"):
            server.store(known_hosts=str(tmp_path / "known")).get("a")

    def test_a_host_can_be_trusted_when_first_seen(self, server: FileServer, path: str, tmp_path: Path) -> None:
        known = tmp_path / "new" / "known"
        server.store(path, known_hosts=str(known), host_key_policy="auto_add").put("a", b"1")
        assert len(known.read_text().splitlines()) == 1
        assert server.store(path, known_hosts=str(known)).get("a") == b"1"

    def test_trusting_keeps_what_a_file_says(self, server: FileServer, path: str, tmp_path: Path) -> None:
        known = tmp_path / "known"
        known.write_text("# mine\n@cert-authority *.example.org ssh-ed25519 AAAA")
        server.store(path, known_hosts=str(known), host_key_policy="auto_add").put("a", b"1")
        assert known.read_text().startswith("# mine\n@cert-authority *.example.org ssh-ed25519 AAAA\n[127.0.0.1]:")

    @pytest.mark.parametrize("policy", ["reject", "auto_add"])
    def test_a_host_with_another_key_is_never_talked_to(self, server: FileServer, tmp_path: Path, policy: str) -> None:
        words = Path(str(server.options["known_hosts"])).read_text().split()
        other = Path(str(server.options["key_filename"]) + ".pub").read_text().split()[1]
        (tmp_path / "known").write_text(f"{words[0]} {words[1]} {other}\n")
        with pytest.raises(Denied, match="ANOTHER host key"):
            server.store(known_hosts=str(tmp_path / "known"), host_key_policy=policy).get("a")

    def test_a_key_that_is_not_accepted_is_told(self, server: FileServer) -> None:
        with pytest.raises(Unauthenticated, match="neither key nor password"):
            server.store(key_filename=str(server.options["key_filename"]).replace("user_key", "host_key")).get("a")

    def test_a_store_without_secrets_is_pickled(self, store: FolderStore) -> None:
        store.put("a", b"1")
        again = pickle.loads(pickle.dumps(store))
        assert again.get("a") == b"1"
        again.close()

    def test_a_link_is_what_it_leads_to(self, server: FileServer, store: FolderStore, path: str) -> None:
        store.put("a/b", b"123")
        (server.folder / path / "to-b").symlink_to("a/b")
        (server.folder / path / "to-nothing").symlink_to("nothing")
        (server.folder / path / "a" / "circle").symlink_to("..")
        assert [(meta.key, meta.size_bytes) for meta in store.list()] == [("a/b", 3), ("to-b", 3)]
        assert (store.get("to-b"), store.get("a/circle/a/b")) == (b"123", b"123")

    def test_a_name_that_is_no_text_is_not_seen(self, server: FileServer, store: FolderStore, path: str) -> None:
        store.put("a", b"1")
        Path(f"{server.folder}/{path}/\udcff").write_bytes(b"")
        assert keys(store) == ["a"]

    def test_a_tilde_is_the_home_of_the_user(self, server: FileServer) -> None:
        home = open_other(re.sub(r"(:\d+)/.*", r"\1/~", server.url), create=False, **server.options)
        assert isinstance(home, FolderStore)
        assert home.is_folder("")
        assert {meta.key for meta in home.list(".ssh/")} == {
            f".ssh/{found.name}" for found in (Path.home() / ".ssh").glob("*") if found.is_file()
        }
        home.close()

    def test_create_where_a_folder_is(self, store: ConditionalStore) -> None:
        store.put("a/b", b"")
        with pytest.raises(Conflict):
            store.create("a", b"")

    def test_create_leaves_nothing_hidden(self, server: FileServer, store: ConditionalStore, path: str) -> None:
        store.create("a", b"1")
        with pytest.raises(AlreadyExists):
            store.create("a", b"2")
        assert hidden_in(server, path) == []


@pytest.mark.parametrize("server", SERVERS, indirect=True)
def test_a_repository_lives_there(server: FileServer, path: str, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("kept")
    url = f"{server.url}/{path}"
    repository = open_repository(url, create=True, **server.options)
    repository.save("notes.txt", tmp_path / "notes.txt", message="first")
    again = open_repository(url, create=False, **server.options)
    assert [version.message for version in again.log()] == ["first"]
    again.restore("notes.txt", tmp_path / "back.txt")
    assert (tmp_path / "back.txt").read_text() == "kept"
