"""Long work: done once by one worker at a time, gone on with by others, seen by those of the organisation, and chores in between."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from tests.service.houses import House

from kist.catalog import jobs as rows
from kist.catalog.jobs import JobRow
from kist.catalog.tables import jobs as jobs_table
from kist.errors import NotFound
from kist.ids import new_id
from kist.models.requests import CreateOrg, DeleteRepo, JobName, ListJobs, MoveRepo
from kist.operations import CREATE_ORG, DELETE_REPO, GET_JOB, LIST_JOBS, MOVE_REPO
from kist.service import jobs
from kist.service.working import Lost, Work, run_next


def add(house: House, operation: str = "count", **facts: object) -> str:
    """Add a job, and return its id."""
    now = house.clock()
    values: dict[str, object] = {"id": new_id(), "org_id": house.org_id("lab"), "repo_id": None, "operation": operation, "target": "lab/x"}
    values |= {"request": {}, "principal": "anna", "created": now, "updated": now, **facts}
    row = JobRow(**values)  # type: ignore[arg-type]  # the fields of one
    house.rooms.database.change(lambda sql: rows.add(sql, row))
    return row.id


def state(house: House, job_id: str) -> tuple[str, str]:
    job = house.do(GET_JOB, JobName(org="lab", id=job_id), house.anna)
    return job.state, job.message


def test_a_job_is_done_and_says_how_it_ended(house: House) -> None:
    job = add(house)
    assert state(house, job) == ("waiting", "")
    ended = run_next(house.rooms, {"count": lambda _: "counted"})
    assert ended is not None
    assert (ended.id, state(house, job)) == (job, ("done", "counted"))
    assert run_next(house.rooms, {"count": lambda _: "counted"}) is None


@pytest.mark.parametrize(("error", "said"), [(NotFound("the bucket is gone"), "the bucket is gone"), (ValueError("canary"), "ValueError")])
def test_what_fails_says_why_and_nothing_that_could_be_secret(house: House, error: Exception, said: str) -> None:
    def fail(_work: Work) -> str:
        raise error

    job = add(house)
    run_next(house.rooms, {"count": fail})
    found, message = state(house, job)
    assert (found, said in message, "canary" in message) == ("failed", True, False)


def test_what_nobody_knows_fails(house: House) -> None:
    job = add(house, "tomorrow")
    run_next(house.rooms, {})
    assert state(house, job)[0] == "failed"


def test_of_many_workers_one_does_a_job(house: House) -> None:
    done: list[str] = []
    for _ in range(6):
        add(house)

    def count(work: Work) -> str:
        done.append(work.row.id)
        return "done"

    def work() -> None:
        while run_next(house.rooms, {"count": count}) is not None:
            pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (len(done), len(set(done))) == (6, 6)


def test_a_job_that_was_left_is_gone_on_with_by_its_notes(house: House) -> None:
    job = add(house, request={"from": 1})
    now = house.clock()
    taken = house.rooms.database.change(lambda sql: rows.take(sql, by="one", now=now, until=now + timedelta(seconds=60)))
    assert taken is not None
    dead = Work(rooms=house.rooms, row=taken, by="one", notes=dict(taken.request))
    dead.note(done=7)
    assert run_next(house.rooms, {"count": lambda _: "too early"}) is None
    house.clock.wait(minutes=2)
    run_next(house.rooms, {"count": lambda work: f"{sorted(work.notes.items())}"})
    assert state(house, job) == ("done", "[('done', 7), ('from', 1)]")
    with pytest.raises(Lost):
        dead.note(done=8)
    assert not house.rooms.database.change(lambda sql: rows.finish(sql, job, "one", "failed", message="", now=now))
    assert state(house, job)[0] == "done"


def test_a_lease_is_renewed_while_the_work_goes_on(house: House) -> None:
    job = add(house)
    before = house.clock()

    def long(work: Work) -> str:
        house.clock.wait(seconds=5)
        end = time.monotonic() + 30
        while time.monotonic() < end:
            with house.rooms.database.reading() as sql:
                row = rows.by_id(sql, work.row.id)
            if row is not None and row.leased_until is not None and row.leased_until > before + timedelta(seconds=2):
                return "renewed"
            time.sleep(0.02)
        return "never renewed"

    run_next(house.rooms, {"count": long}, lease_seconds=1)
    assert state(house, job) == ("done", "renewed")


def test_a_job_may_begin_later(house: House) -> None:
    add(house, leased_until=house.clock() + timedelta(days=7))
    assert run_next(house.rooms, {"count": lambda _: "done"}) is None
    house.clock.wait(days=7)
    assert run_next(house.rooms, {"count": lambda _: "done"}) is not None


def test_members_see_jobs_and_nobody_else(house: House) -> None:
    job = add(house)
    assert house.do(GET_JOB, JobName(org="lab", id=job), house.cleo).id == job
    assert isinstance(house.refused(GET_JOB, JobName(org="lab", id=job), house.dora), NotFound)
    house.do(CREATE_ORG, CreateOrg(name="other"), house.anna)
    assert isinstance(house.refused(GET_JOB, JobName(org="other", id=job), house.anna), NotFound)
    assert house.do(LIST_JOBS, ListJobs(org="other"), house.anna).items == []


def test_a_list_comes_in_pages_newest_first(house: House) -> None:
    made = []
    for _ in range(5):
        made.append(add(house))
        house.clock.wait(seconds=1)
    seen: list[str] = []
    after = ""
    while True:
        page = house.do(LIST_JOBS, ListJobs(org="lab", limit=2, after=after), house.anna)
        seen += [job.id for job in page.items]
        after = page.next
        if not after:
            break
    assert seen == made[::-1]


def until(holds: Callable[[], bool]) -> bool:
    """Wait for something, a while."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.05)
    return False


def test_a_worker_does_what_comes_until_it_is_stopped(house: House) -> None:
    house.repo("cube")
    worker = jobs.Worker(house.service, poll_seconds=0.05, sweep_seconds=0.1)
    worker.start()
    try:
        job = house.do(MOVE_REPO, MoveRepo(org="lab", repo="cube", bucket_config_nickname="attic"), house.anna)
        assert until(lambda: state(house, job.id)[0] == "done")
    finally:
        assert worker.stop(30)
    later = house.do(MOVE_REPO, MoveRepo(org="lab", repo="cube", bucket_config_nickname="shelf"), house.anna)
    assert state(house, later.id)[0] == "waiting"


def test_who_is_alone_needs_no_worker(house: House) -> None:
    house.repo("cube")
    inside = replace(house.anna, inside=True)
    job = house.do(MOVE_REPO, MoveRepo(org="lab", repo="cube", bucket_config_nickname="attic"), inside)
    assert until(lambda: state(house, job.id)[0] == "done")


def test_chores_forget_what_nobody_asks_for_any_more(house: House) -> None:
    job = add(house)
    run_next(house.rooms, {"count": lambda _: "done"})
    house.clock.wait(days=89)
    jobs.sweep(house.rooms)
    assert state(house, job)[0] == "done"
    house.clock.wait(days=2)
    jobs.sweep(house.rooms)
    with house.rooms.database.reading() as sql:
        assert sql.execute(select(func.count()).select_from(jobs_table)).scalar_one() == 0


def test_a_repository_is_doomed_once(house: House) -> None:
    house.repo("cube")
    house.do(DELETE_REPO, DeleteRepo(org="lab", repo="cube", imsure=True, imreallysure=True), house.anna)
    house.clock.wait(days=8)
    for _ in range(3):
        jobs.sweep(house.rooms)
    assert [job.operation for job in house.do(LIST_JOBS, ListJobs(org="lab"), house.anna).items] == ["purge_repo"]
