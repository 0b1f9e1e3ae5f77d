"""Places that only fsspec knows."""

import uuid
import zipfile
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from kist.errors import InvalidInput, NotFound, Unsupported
from kist.stores.other import FolderStore, OtherStore, open_other, split
from kist.stores.other.channels import Feed
from kist.stores.other.fsspec import FsspecLogin
from kist.stores.protocols import ConditionalStore, Folders
from kist.stores.urls import find, open_store
from kist.testing.store_suite import keys


@pytest.fixture
def archive(tmp_path: Path) -> str:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        for name in ("top.txt", "a/one.txt", "a/b/two.txt", "a-b/three.txt"):
            file.writestr(zipfile.ZipInfo(name, (2026, 11, 20, 10, 0, 0)), name)
    return f"zip://::{tmp_path}/a.zip"


def test_an_archive_is_read_like_a_store(archive: str) -> None:
    store = open_store(archive)
    assert keys(store) == ["a-b/three.txt", "a/b/two.txt", "a/one.txt", "top.txt"]
    assert (store.get("a/one.txt"), store.get_range("a/b/two.txt", start=4, end=99)) == (b"a/one.txt", b"two.txt")
    assert (store.list_folders(""), store.head("top.txt").modified) == (["a", "a-b"], datetime(2026, 11, 20, 10, tzinfo=UTC))
    with pytest.raises(NotFound):
        store.get("a")


def test_an_archive_is_not_written(archive: str) -> None:
    store = open_other(archive)
    changes = [partial(store.put, "b", b""), partial(store.put_stream, "b", [b""]), partial(store.delete, "top.txt")]
    for change in changes:
        with pytest.raises(Unsupported, match="can only be read"):
            change()


def test_an_archive_is_the_store_of_what_is_in_it() -> None:
    assert split("zip://a/b%20c.txt::https://host/x.zip") == ("zip://::https://host/x.zip", "a/b c.txt")
    assert split("hf://datasets/me/set/a%3Fb") == ("hf://datasets", "me/set/a?b")


def test_a_chain_is_opened_where_it_starts(archive: str) -> None:
    assert keys(open_other(archive.replace("zip://", "zip://a"))) == ["b/two.txt", "one.txt"]


def test_another_writer_is_seen_at_once() -> None:
    url = f"memory://{uuid.uuid4().hex}"
    one, other = open_other(url), open_other(url)
    assert keys(one) == []
    other.put("a/b", b"1")
    assert (keys(one), one.list_folders(""), one.get("a/b")) == (["a/b"], ["a"], b"1")


def test_only_places_with_folders_offer_them(archive: str) -> None:
    assert isinstance(open_other("memory://x"), Folders)
    assert not isinstance(open_other(archive), FolderStore | ConditionalStore)


def test_a_missing_library_is_told() -> None:
    with pytest.raises(Unsupported, match="library"):
        open_store("oss://bucket/x").get("a")


def test_an_option_that_a_filesystem_does_not_take_is_told() -> None:
    with pytest.raises(InvalidInput, match="options"):
        open_other("simplecache://x", create=False, colour="red").get("a")


def test_whole_uploads_are_compared_where_nothing_can_be_renamed(tmp_path: Path) -> None:
    channel = FsspecLogin(url=f"local://{tmp_path}", options={}, renames=False).connect()
    feed = Feed([b"12", b"3"], 3)
    channel.write("a", feed)
    feed.check(channel, "a")
    assert (tmp_path / "a").read_bytes() == b"123"


def test_a_scheme_that_only_fsspec_knows_is_found() -> None:
    assert find("zip").store == "kist.stores.other:open_other"
    with pytest.raises(InvalidInput, match="'gopher'"):
        find("gopher")


def test_host_urls_are_for_hosts() -> None:
    with pytest.raises(InvalidInput, match="runs on that host"):
        open_store("host://machine/x")


def test_a_store_without_secrets_is_shown_and_pickled(archive: str) -> None:
    store = open_other(archive)
    function, arguments = store.__reduce__()
    assert callable(function)
    assert isinstance(arguments, tuple)
    again = function(*arguments)
    assert isinstance(again, OtherStore)
    assert repr(again) == f"<OtherStore {archive}>"
