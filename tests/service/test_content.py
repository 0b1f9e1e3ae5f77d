"""What is in repositories, as operations see it: objects by their keys, and entries that must fit before anybody decides on them."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from tests.engine.parts import a_version, an_entry
from tests.service.houses import House

from kist.engine.commits import ref_entry
from kist.engine.opening import rooms_on
from kist.engine.records import Forgotten, RefEntry, VersionRecord, decode, digest, encode, seal, unseal
from kist.engine.refs import encode_entry, entry_seal
from kist.engine.rooms import Rooms
from kist.errors import Busy, Conflict, Denied, InvalidInput, KistError, NotFound
from kist.ids import new_txn
from kist.models.requests import (
    CollectRepo,
    ForgetVersions,
    ListAudit,
    ListObjects,
    MoveRepo,
    ObjectName,
    PutObject,
    PutRefEntry,
    ReadObject,
)
from kist.operations import (
    COLLECT_REPO,
    FORGET_VERSIONS,
    HEAD_OBJECT,
    LIST_AUDIT,
    LIST_OBJECTS,
    MOVE_REPO,
    PUT_OBJECT,
    PUT_REF_ENTRY,
    READ_OBJECT,
)
from kist.service.moving import _shut
from kist.stores.local import LocalStore

PACK = "packs/0f/0123456789abcdef0123456789abcdef"


@pytest.fixture
def database_url(migrated_file: Path, tmp_path: Path) -> str:
    """Which database it is does not matter here."""
    path = tmp_path / "catalog.db"
    path.write_bytes(migrated_file.read_bytes())
    return f"sqlite:///{path}"


@pytest.fixture(params=["create", "catalog"])
def lab(request: pytest.FixtureRequest, house: House) -> House:
    """A house with the repository `cube` of two versions."""
    house.repo("cube", authority=request.param)
    repo = house.opened("cube", house.ben)
    for number in (1, 2):
        repo.save("a", str(number).encode())
    return house


def put(house: House, key: str, content: bytes = b"content") -> None:
    house.do(PUT_OBJECT, PutObject(org="lab", repo="cube", key=key, content=content), house.ben)


def read(house: House, key: str, **part: int) -> bytes:
    return house.do(READ_OBJECT, ReadObject(org="lab", repo="cube", key=key, **part), house.cleo)


# Objects


def test_writers_store_and_readers_read(lab: House) -> None:
    put(lab, PACK)
    assert (read(lab, PACK), read(lab, PACK, start=3), read(lab, PACK, start=1, end=3)) == (b"content", b"tent", b"on")
    assert lab.do(HEAD_OBJECT, ObjectName(org="lab", repo="cube", key=PACK), lab.cleo).size_bytes == 7
    with pytest.raises(Denied):
        lab.do(PUT_OBJECT, PutObject(org="lab", repo="cube", key=PACK, content=b""), lab.cleo)


def test_who_has_no_role_reads_nothing(lab: House) -> None:
    assert isinstance(lab.refused(READ_OBJECT, ReadObject(org="lab", repo="cube", key="format"), lab.dora), NotFound)
    assert isinstance(lab.refused(LIST_OBJECTS, ListObjects(org="lab", repo="cube"), lab.dora), NotFound)


def test_what_is_stored_is_never_replaced(lab: House) -> None:
    put(lab, PACK)
    put(lab, PACK)  # again, after an answer that got lost
    with pytest.raises(Denied, match="never change"):
        put(lab, PACK, b"other")
    with pytest.raises(Denied, match="never change"):
        put(lab, PACK, b"CONTENT")
    assert read(lab, PACK) == b"content"


STRANGE = ["packs/../format", "packs/%2e%2e/../format", "packs//x", "PACKS/x", "packs\\..\\format", "\u2024\u2024/format", "packs/\u0000"]
REFS = ["refs/heads/main/fffffffffffffffc", "refs/forgotten/00", "gc/tomb/00", "gc/run/00"]


@pytest.mark.parametrize("key", ["format", *REFS, "x", "packs", "../x/packs/y", *STRANGE])
def test_nothing_else_is_written(lab: House, key: str) -> None:
    before = sorted(path for path in lab.folder.rglob("*") if "shelf" in path.parts)
    with pytest.raises((Denied, InvalidInput)):
        put(lab, key)
    assert sorted(path for path in lab.folder.rglob("*") if "shelf" in path.parts) == before


@pytest.mark.parametrize("key", ["../../catalog.db", "packs/../../../catalog.db", "/etc/passwd", "refs/../../x", ".", "a//b"])
def test_nothing_outside_is_read(lab: House, key: str) -> None:
    with pytest.raises((InvalidInput, NotFound)):
        read(lab, key)
    with pytest.raises((InvalidInput, NotFound)):
        lab.do(LIST_OBJECTS, ListObjects(org="lab", repo="cube", prefix=f"{key}/"), lab.cleo)


def test_a_repository_does_not_see_its_neighbour(lab: House) -> None:
    lab.repo("other")
    lab.opened("other", lab.ben).save("secret", b"1")
    listed = lab.do(LIST_OBJECTS, ListObjects(org="lab", repo="cube"), lab.cleo)
    assert len([one for one in listed.objects if one.key.startswith("refs/heads/")]) == 2


def test_a_list_comes_in_pages(lab: House) -> None:
    keys = [f"sessions/{number:02}" for number in range(5)]
    for key in keys:
        put(lab, key)
    seen, after, more = [], "", True
    while more:
        page = lab.do(LIST_OBJECTS, ListObjects(org="lab", repo="cube", prefix="sessions/", start_after=after, limit=2), lab.cleo)
        seen += [one.key for one in page.objects]
        after, more = seen[-1], page.more
    assert seen == keys
    folders = lab.do(LIST_OBJECTS, ListObjects(org="lab", repo="cube", folders=True, limit=2), lab.cleo)
    assert (folders.folders, folders.more) == (["packs", "refs"], True)


# Entries


def engine(house: House) -> Rooms:
    """Return the engine on the repository's own folder."""
    [place] = [path.parent for path in (house.folder / "shelf").glob("*/format")]
    return rooms_on(LocalStore(place), name="x", cached=False)


def hand_over(house: House, content: bytes) -> str:
    return house.do(PUT_REF_ENTRY, PutRefEntry(org="lab", repo="cube", content=content), house.ben).state


def next_entry(rooms: Rooms, **members: object) -> RefEntry:
    """Return an entry that may come next on main."""
    line = rooms.authority.line("heads/main")
    assert line is not None
    made = an_entry(rooms, parents=list(line.heads), seq=line.highest + 1)
    return msgspec.structs.replace(made, **members)


def test_an_entry_that_fits_stands_and_may_be_handed_over_again(lab: House) -> None:
    entry = next_entry(engine(lab))
    assert [hand_over(lab, encode_entry(entry)) for _ in range(3)] == ["stands"] * 3
    assert lab.opened("cube", lab.cleo, access="read").version().number == 3


def test_a_number_is_had_once(lab: House) -> None:
    rooms = engine(lab)
    first, second = next_entry(rooms), next_entry(rooms)
    assert (hand_over(lab, encode_entry(first)), hand_over(lab, encode_entry(second))) == ("stands", "taken")


def unstored(entry: RefEntry) -> RefEntry:
    """Return an entry of a version that nobody stored."""
    record = encode(msgspec.structs.replace(decode(entry.record, VersionRecord, what="version"), message="never stored"))
    return msgspec.structs.replace(entry, record=record, version=digest(record))


BAD: dict[str, tuple[Callable[[RefEntry], RefEntry | bytes], type[KistError]]] = {
    "nonsense": (lambda _: b"nonsense", InvalidInput),
    "empty": (lambda _: b"", InvalidInput),
    "a flipped bit": (lambda one: bytes([encode_entry(one)[0] ^ 1]) + encode_entry(one)[1:], InvalidInput),
    "sealed nonsense": (lambda _: seal(b"\x93\x01\x02\x03"), InvalidInput),
    "of another repository": (lambda one: msgspec.structs.replace(one, repo="0" * 32), InvalidInput),
    "a path for a name": (lambda one: msgspec.structs.replace(one, ref="heads/../../x"), InvalidInput),
    "of no branch": (lambda one: msgspec.structs.replace(one, ref="forgotten/main"), InvalidInput),
    "of a branch that reads like a number": (lambda one: msgspec.structs.replace(one, ref="heads/v1"), InvalidInput),
    "another number than its version's": (lambda one: msgspec.structs.replace(one, seq=one.seq + 1), InvalidInput),
    "a tag with a number": (lambda one: msgspec.structs.replace(one, ref="tags/x"), InvalidInput),
    "following nothing": (lambda one: msgspec.structs.replace(one, previous=()), Conflict),
    "following something else": (lambda one: msgspec.structs.replace(one, previous=(b"\1" * 32,)), Conflict),
    "beginning a branch in the middle": (lambda one: msgspec.structs.replace(one, ref="heads/dev"), Conflict),
    "naming a version that is not stored": (unstored, Conflict),
}


@pytest.mark.parametrize("what", BAD)
def test_an_entry_that_does_not_fit_is_refused(lab: House, what: str) -> None:
    make, kind = BAD[what]
    made = make(next_entry(engine(lab)))
    with pytest.raises(kind):
        hand_over(lab, made if isinstance(made, bytes) else encode_entry(made))
    assert lab.opened("cube", lab.cleo, access="read").version().number == 2


@pytest.mark.parametrize("ahead", [2, 1000, 2**63])
def test_no_entry_leaves_out_a_number(lab: House, ahead: int) -> None:
    rooms = engine(lab)
    line = rooms.authority.line("heads/main")
    assert line is not None
    version = a_version(rooms, parents=list(line.heads), number=line.highest + ahead)
    previous = tuple(entry_seal(head) for head in line.heads)
    entry = ref_entry(rooms, "heads/main", line.highest + ahead, version, previous=previous, txn=new_txn())
    with pytest.raises((Conflict, InvalidInput)):
        hand_over(lab, encode_entry(entry))
    assert lab.opened("cube", lab.ben).save("a", b"3").number == 3


def test_readers_commit_nothing(lab: House) -> None:
    entry = encode_entry(next_entry(engine(lab)))
    assert isinstance(lab.refused(PUT_REF_ENTRY, PutRefEntry(org="lab", repo="cube", content=entry), lab.cleo), Denied)


def test_a_name_is_a_branchs_or_a_tags(lab: House) -> None:
    repo = lab.opened("cube", lab.ben)
    repo.branch("dev")
    rooms = engine(lab)
    head = rooms.authority.line("heads/main")
    assert head is not None
    tag = msgspec.structs.replace(head.heads[0], ref="tags/dev", seq=0, txn=new_txn(), previous=())
    assert hand_over(lab, encode_entry(tag)) == "taken"


def test_while_it_is_moved_a_repository_can_be_read_only(lab: House) -> None:
    from kist.catalog import jobs  # noqa: PLC0415
    from kist.service.working import Work  # noqa: PLC0415

    job = lab.do(MOVE_REPO, MoveRepo(org="lab", repo="cube", bucket_config_nickname="attic"), lab.anna)
    with lab.rooms.database.reading() as sql:
        row = jobs.by_id(sql, job.id)
    assert row is not None
    taken = lab.rooms.database.change(lambda sql: jobs.take(sql, by="me", now=lab.clock(), until=lab.clock(), job_id=job.id))
    assert taken is not None
    _shut(Work(rooms=lab.rooms, row=taken, by="me", notes=dict(taken.request)))
    repo = lab.opened("cube", lab.anna)
    assert repo.read("a") == b"2"
    for change in (lambda: repo.save("a", b"3"), lambda: repo.forget(["v1"], imsure=True), repo.collect, lambda: put(lab, PACK)):
        with pytest.raises(Busy, match="being moved"):
            change()


# What only a server may do


def test_versions_are_forgotten_by_name_of_who_asked(lab: House) -> None:
    lab.do(FORGET_VERSIONS, ForgetVersions(org="lab", repo="cube", refs=["v1"], imsure=True), lab.anna)
    assert [version.forgotten for version in lab.opened("cube", lab.cleo, access="read").log()] == [False, True]
    line = lab.do(LIST_AUDIT, ListAudit(org="lab", operation="forget_versions"), lab.anna).items[0]
    assert (line.principal, line.outcome) == ("anna", "done")
    store = engine(lab).store
    [note] = [store.get(meta.key) for meta in store.list("refs/forgotten/")]
    assert decode(unseal(note, what="note"), Forgotten, what="note").author == "anna"


@pytest.mark.parametrize(("refs", "imsure", "kind"), [(["v1"], False, InvalidInput), (["v9"], True, NotFound), (["main"], True, Conflict)])
def test_what_can_not_be_forgotten_is_kept(lab: House, refs: list[str], imsure: object, kind: type[KistError]) -> None:
    request = ForgetVersions(org="lab", repo="cube", refs=refs, imsure=bool(imsure))
    assert isinstance(lab.refused(FORGET_VERSIONS, request, lab.anna), kind)


def test_only_admins_forget_and_collect(lab: House) -> None:
    assert isinstance(lab.refused(FORGET_VERSIONS, ForgetVersions(org="lab", repo="cube", refs=["v1"], imsure=True), lab.ben), Denied)
    assert isinstance(lab.refused(COLLECT_REPO, CollectRepo(org="lab", repo="cube"), lab.ben), Denied)
    assert lab.do(COLLECT_REPO, CollectRepo(org="lab", repo="cube", dry_run=True), lab.anna).deleted == 0


def test_each_commit_leaves_a_line_in_the_log(lab: House) -> None:
    lines = lab.do(LIST_AUDIT, ListAudit(org="lab", operation="put_ref_entry"), lab.anna).items
    assert [(line.principal, line.target, line.details["ref"], line.details["number"]) for line in lines] == [
        ("ben", "cube", "heads/main", 2),
        ("ben", "cube", "heads/main", 1),
    ]
