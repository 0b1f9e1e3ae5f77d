"""Copying one object in parts that survive an interruption: what is left behind, and what several do at once."""

import threading
from collections.abc import Buffer
from dataclasses import replace
from pathlib import Path
from typing import override

import pytest

from kist.errors import Conflict, IntegrityError, KistError, NotFound, StoreError
from kist.stores.disk import Disk
from kist.stores.journal import Journal
from kist.stores.locations import Location
from kist.stores.memory import MemoryStore
from kist.stores.protocols import ObjectMeta
from kist.stores.transfers import Sizes, transfer

PARTS = Sizes(small_bytes=0, part_bytes=1 << 20, journal_bytes=1)
SIZE = 40 << 20


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KIST_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


class Gated(MemoryStore):
    """Its first part is gone when another one has been asked for, which comes late."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.ended = threading.Event(), threading.Event()

    @override
    def get_part(self, meta: ObjectMeta, *, start: int, end: int) -> bytes:
        if not start:
            self.asked.wait(10)
            raise Conflict("it has changed")
        self.asked.set()
        threading.Event().wait(0.3)
        part = super().get_part(meta, start=start, end=end)
        self.ended.set()
        return part


class Garbled(MemoryStore):
    """The first bytes that it is sent arrive as others."""

    garbled = False

    @override
    def put(self, key: str, data: Buffer) -> None:
        if not self.garbled:
            self.garbled = True
            raise IntegrityError("other bytes arrived")
        super().put(key, data)


def place(store: MemoryStore, name: str, data: bytes) -> Location:
    store.put(name, data)
    return Location(url=f"memory://test/{name}", store=store, key=name)


def target(folder: Path) -> Location:
    return Location(url=str(folder / "target"), store=Disk(), key=str(folder / "target").lstrip("/"))


def leftovers(folder: Path) -> list[str]:
    return [file.name for file in folder.rglob("*") if file.is_file()]


def test_nothing_goes_on_after_an_error(tmp_path: Path) -> None:
    store = Gated()
    source = place(store, "a", bytes(SIZE))
    with pytest.raises(Conflict):
        transfer(source, store.head("a"), target(tmp_path), sizes=PARTS)
    assert store.ended.is_set()
    assert leftovers(tmp_path) == []


def test_a_query_may_be_a_signature_and_is_in_no_message_and_no_notes(home: Path, tmp_path: Path) -> None:
    store = MemoryStore()
    store.put("a", b"1")
    source = Location(url="https://example.org/a?signature=secret", store=store, key="a")
    with pytest.raises(NotFound, match=r"https://example\.org/a\?…") as caught:
        transfer(source, replace(store.head("a"), key="gone"), target(tmp_path))
    Journal(source.url, store.head("a"), "to").begin("token")
    notes = "".join(file.read_text() for file in home.rglob("*") if file.is_file())
    assert "token" in notes
    assert "secret" not in f"{caught.value}{notes}"
    with pytest.raises(StoreError, match=r"^https://example\.org/a\?…: failed$"), source.named():
        raise StoreError("failed")


def test_bytes_that_arrive_as_others_are_sent_again() -> None:
    store, garbled = MemoryStore(), Garbled()
    source = place(store, "a", b"content")
    transfer(source, store.head("a"), Location(url="memory://garbled/b", store=garbled, key="b"))
    assert garbled.get("b") == b"content"


def test_what_was_written_from_another_state_of_the_source_goes(tmp_path: Path) -> None:
    store = MemoryStore()
    source = place(store, "a", b"1" * SIZE)
    upload = Disk().begin_parts(target(tmp_path).key, size_bytes=SIZE)
    Journal(source.url, store.head("a"), str(tmp_path / "target")).begin(upload.token)
    store.put("a", b"2" * SIZE)
    transfer(source, store.head("a"), target(tmp_path), sizes=PARTS)
    assert leftovers(tmp_path) == ["target"]
    assert (tmp_path / "target").read_bytes() == b"2" * SIZE


def test_two_that_go_on_with_the_same_parts_both_succeed(tmp_path: Path) -> None:
    one = Disk().begin_parts(target(tmp_path).key, size_bytes=3)
    other, _ = Disk().take_up(target(tmp_path).key, one.token)
    receipts = [one.put_part(0, b"abc")]
    one.finish(receipts)
    other.finish([other.put_part(0, b"abc")])
    assert (tmp_path / "target").read_bytes() == b"abc"


def test_an_unfinished_file_that_is_gone_is_an_error(tmp_path: Path) -> None:
    upload = Disk().begin_parts(target(tmp_path).key, size_bytes=3)
    (tmp_path / upload.token).unlink()
    with pytest.raises(KistError):
        upload.finish([upload.put_part(0, b"abc")])


def test_notes_count_up_to_a_damaged_line(home: Path) -> None:
    meta = place(store := MemoryStore(), "a", b"1").store.head("a")
    journal = Journal("from", meta, "to")
    journal.begin("token")
    journal.note(3, "receipt")
    (file,) = (home / "cache/transfers").iterdir()
    file.write_bytes(file.read_bytes() + b'[4, "re')
    assert journal.read() == ("token", {3: "receipt"})
    store.put("a", b"2")
    assert Journal("from", store.head("a"), "to").read() == ("", {})
    assert Journal("from", store.head("a"), "to").abandoned() == "token"
