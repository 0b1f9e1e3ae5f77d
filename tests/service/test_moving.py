"""Moving: every version is in the new place, whoever dies or writes meanwhile, and what was only in the old place is never lost."""

import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.servers.s3 import S3Server
from tests.service.houses import House

from kist.catalog import jobs as rows
from kist.engine.opening import open_repository
from kist.engine.repository import Repository
from kist.errors import Busy, Denied, InvalidInput, KistError, NotFound, StoreError, Unsupported
from kist.models import Job, Repo
from kist.models.requests import CreateRepo, DeleteRepo, ImportRepo, ListAudit, MoveRepo, RepoName
from kist.operations import CREATE_REPO, DELETE_REPO, DESCRIBE_REPO, IMPORT_REPO, LIST_AUDIT, MOVE_REPO
from kist.service import jobs
from kist.service.moving import _shut, run_move
from kist.service.working import Work, run_next

VERSIONS = 4
ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""Which database it is does not matter."""


@pytest.fixture
def lab(house: House) -> House:
    """A house with the repository `cube` of a few versions."""
    house.repo("cube")
    repo = house.opened("cube", house.ben)
    for number in range(VERSIONS):
        repo.save("a", f"version {number}".encode() * 1000)
    return house


def begin(house: House, to: str = "attic") -> Job:
    return house.do(MOVE_REPO, MoveRepo(org="lab", repo="cube", bucket_config_nickname=to), house.anna)


def move(house: House, to: str = "attic") -> Job:
    done = jobs.run_now(house.rooms, begin(house, to).id)
    assert done is not None
    return done


def described(house: House) -> Repo:
    return house.do(DESCRIBE_REPO, RepoName(org="lab", repo="cube"), house.anna)


def place(house: House) -> Path:
    repo = described(house)
    return house.folder / repo.bucket_config / repo.prefix


def check_whole(house: House, versions: int = VERSIONS) -> Repository:
    """See that all versions are there, as they were."""
    repo = open_repository(place(house))
    assert [version.number for version in repo.log()] == list(range(versions, 0, -1))
    for number in range(VERSIONS):
        assert repo.read("a", ref=f"v{number + 1}") == f"version {number}".encode() * 1000
    assert repo.verify("data").ok
    return repo


def test_all_versions_are_in_the_new_place(lab: House) -> None:
    old = place(lab)
    job = move(lab)
    assert (job.state, job.done_bytes == job.total_bytes > 0) == ("done", True)
    assert (described(lab).bucket_config, described(lab).status, place(lab) != old) == ("attic", "online", True)
    check_whole(lab)
    assert lab.opened("cube", lab.ben).save("b", b"1").number == VERSIONS + 1


def test_the_old_place_stays_for_some_days(lab: House) -> None:
    old = place(lab)
    move(lab)
    assert open_repository(old).read("a")
    assert jobs.run_now(lab.rooms) is None
    lab.clock.wait(days=7)
    purged = jobs.run_now(lab.rooms)
    assert purged is not None
    assert (purged.operation, purged.state) == ("purge_moved", "done")
    with pytest.raises(NotFound):
        open_repository(old)
    check_whole(lab)


def test_a_move_leaves_two_lines_in_the_log(lab: House) -> None:
    move(lab)
    lines = lab.do(LIST_AUDIT, ListAudit(org="lab", operation="move_repo"), lab.anna).items
    assert [(line.principal, line.outcome) for line in lines] == [("anna", "moved"), ("anna", "done")]


def test_there_and_back_again(lab: House) -> None:
    move(lab)
    lab.opened("cube", lab.ben).save("b", b"1")
    move(lab, "shelf")
    check_whole(lab, VERSIONS + 1)
    lab.clock.wait(days=8)
    while (done := jobs.run_now(lab.rooms)) is not None:
        assert done.state == "done"
    check_whole(lab, VERSIONS + 1)


def test_what_a_catalog_decides_it_decides_in_the_new_place_too(house: House) -> None:
    house.repo("cube", authority="catalog")
    repo = house.opened("cube", house.ben)
    for number in range(VERSIONS):
        repo.save("a", f"version {number}".encode() * 1000)
    assert move(house).state == "done"
    check_whole(house)
    assert house.opened("cube", house.ben).save("b", b"1").number == VERSIONS + 1


@pytest.mark.parametrize(
    ("request_", "kind"),
    [({"bucket_config_nickname": "shelf"}, InvalidInput), ({"bucket_config_nickname": "nowhere"}, NotFound)],
)
def test_where_it_lies_or_where_nothing_is_it_is_not_moved_to(lab: House, request_: dict[str, str], kind: type[KistError]) -> None:
    assert isinstance(lab.refused(MOVE_REPO, MoveRepo(org="lab", repo="cube", **request_), lab.anna), kind)
    assert isinstance(lab.refused(MOVE_REPO, MoveRepo(org="lab", repo="cube", bucket_config_nickname="attic"), lab.ben), Denied)


# Those who write meanwhile


def leased(house: House, job: Job) -> Work:
    """Take a job without doing it."""
    now = house.clock()
    row = house.rooms.database.change(lambda sql: rows.take(sql, by="me", now=now, until=now + timedelta(hours=1), job_id=job.id))
    assert row is not None
    return Work(rooms=house.rooms, row=row, by="me", notes=dict(row.request))


def test_who_saves_all_the_time_loses_nothing_that_was_acknowledged(lab: House) -> None:
    acknowledged: list[int] = []
    stop = threading.Event()
    errors: list[KistError] = []

    def save() -> None:
        repo = lab.opened("cube", lab.ben)
        number = 0
        while not stop.is_set():
            try:
                acknowledged.append(repo.save(f"b{number}", os.urandom(1000)).number)
                number += 1
            except (Busy, StoreError):
                continue
            except KistError as error:
                errors.append(error)
                return

    saver = threading.Thread(target=save)
    saver.start()
    try:
        for to in ("attic", "shelf"):
            assert move(lab, to).state == "done"
    finally:
        stop.set()
        saver.join(60)
    assert errors == []
    numbers = [version.number for version in open_repository(place(lab)).log()]
    assert set(acknowledged) <= set(numbers)
    assert numbers == list(range(len(numbers), 0, -1))


def test_what_was_stored_in_the_old_place_is_there_when_it_is_committed(lab: House) -> None:
    repo = lab.opened("cube", lab.anna, inside=True)
    with repo.transaction() as change:
        change.put("b", os.urandom(100_000))
        assert move(lab).state == "done"
    assert change.version.number == VERSIONS + 1
    assert len(check_whole(lab, VERSIONS + 1).read("b")) == 100_000


def test_what_was_committed_to_the_old_place_behind_the_catalogs_back_is_not_purged(lab: House) -> None:
    old = place(lab)
    move(lab)
    open_repository(old).save("straggler", b"mine")
    lab.clock.wait(days=7)
    purged = jobs.run_now(lab.rooms)
    assert purged is not None
    assert purged.state == "failed"
    assert "refs/heads/main/" in purged.message
    assert open_repository(old).read("straggler") == b"mine"


def test_a_place_that_another_repository_took_is_not_purged(lab: House) -> None:
    old = described(lab)
    move(lab)
    lab.do(IMPORT_REPO, ImportRepo(org="lab", name="copy", prefix=old.prefix, bucket_config_nickname="shelf"), lab.anna)
    lab.clock.wait(days=7)
    jobs.run_now(lab.rooms)
    assert lab.opened("copy", lab.ben).read("a")


# What goes wrong


def test_a_place_that_can_not_be_written_leaves_all_as_it_was(lab: House) -> None:
    job = begin(lab)
    (lab.folder / "attic").rmdir()
    (lab.folder / "attic").write_text("in the way")
    ended = jobs.run_now(lab.rooms, job.id)
    assert ended is not None
    assert ended.state == "failed"
    assert (described(lab).bucket_config, described(lab).status) == ("shelf", "online")
    assert lab.opened("cube", lab.ben).save("b", b"1").number == VERSIONS + 1


def test_a_repository_that_is_deleted_meanwhile_is_not_moved(lab: House) -> None:
    job = begin(lab)
    lab.do(DELETE_REPO, DeleteRepo(org="lab", repo="cube", imsure=True, imreallysure=True), lab.anna)
    ended = jobs.run_now(lab.rooms, job.id)
    assert ended is not None
    assert (ended.state, list((lab.folder / "attic").rglob("format"))) == ("failed", [])


def test_who_lost_the_lease_changes_nothing(lab: House) -> None:
    work = leased(lab, begin(lab))
    lab.clock.wait(hours=2)
    other = run_next(lab.rooms, jobs.RUNNERS)
    assert other is not None
    assert other.state == "done"
    with pytest.raises(KistError, match="another worker"):
        run_move(work)
    check_whole(lab)


def files(folder: Path) -> int:
    return sum(1 for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("share", [0.01, 0.3])
def test_who_is_killed_in_the_middle_is_gone_on_for(lab: House, database_url: str, share: float) -> None:
    (place(lab) / "sessions").mkdir()
    for number in range(1000):
        (place(lab) / "sessions" / f"{number:04}").write_bytes(os.urandom(200))
    total = files(place(lab))
    job = begin(lab)
    program = [sys.executable, "-m", "tests.service.moving", database_url, str(lab.folder), "1"]
    worker = subprocess.Popen(program, cwd=Path(__file__).resolve().parents[2])
    end = time.monotonic() + 60
    while files(lab.folder / "attic") < total * share and worker.poll() is None and time.monotonic() < end:
        time.sleep(0.005)
    worker.send_signal(signal.SIGKILL)
    worker.wait(30)
    assert described(lab).bucket_config == "shelf"
    lab.clock.time = datetime.now(UTC) + timedelta(minutes=1)
    ended = jobs.run_now(lab.rooms, job.id)
    assert ended is not None
    assert ended.state == "done"
    check_whole(lab)
    assert files(place(lab)) == total


def test_who_is_killed_between_shutting_and_switching_is_gone_on_for(lab: House) -> None:
    work = leased(lab, begin(lab))
    _shut(work)
    assert described(lab).status == "moving"
    lab.clock.wait(hours=2)
    ended = run_next(lab.rooms, jobs.RUNNERS)
    assert ended is not None
    assert (ended.state, described(lab).status) == ("done", "online")
    check_whole(lab)


# Stores that honour no conditions


@pytest.fixture
def careless(house: House, rclone_s3: S3Server) -> House:
    """A house with the bucket config `careless` on a server that takes conditions and ignores them."""
    house.allow(endpoints=("*",))
    extra = {"endpoint_url": rclone_s3.endpoint, "region_name": rclone_s3.region}
    keys = {"access_key_id": rclone_s3.access_key, "secret_access_key": rclone_s3.secret_key}
    house.bucket("careless", uri=f"s3://{rclone_s3.make_bucket()}/p", extra_config=extra, credentials=keys)
    return house


@ON_ONE
@pytest.mark.peer("rclone")
def test_where_a_store_ignores_conditions_the_catalog_decides(careless: House) -> None:
    careless.repo("cube", bucket_config_nickname="careless")
    repo = careless.opened("cube", careless.ben)
    assert (repo.authority, repo.save("a", b"1").number, repo.save("a", b"2").number, repo.read("a", ref="v1")) == ("catalog", 1, 2, b"1")
    refused = CreateRepo(org="lab", name="other", bucket_config_nickname="careless", authority="create")
    assert isinstance(careless.refused(CREATE_REPO, refused, careless.anna), Unsupported)


@ON_ONE
@pytest.mark.peer("rclone")
def test_what_is_moved_to_a_store_that_ignores_conditions_the_catalog_decides_from_then_on(careless: House) -> None:
    careless.repo("cube")
    repo = careless.opened("cube", careless.ben)
    for number in range(VERSIONS):
        repo.save("a", f"version {number}".encode() * 1000)
    assert move(careless, "careless").state == "done"
    moved = careless.opened("cube", careless.ben)
    assert (moved.authority, moved.save("b", b"1").number) == ("catalog", VERSIONS + 1)
    assert [moved.read("a", ref=f"v{number + 1}") for number in range(VERSIONS)] == [
        f"version {number}".encode() * 1000 for number in range(VERSIONS)
    ]
    assert moved.verify("data").ok
