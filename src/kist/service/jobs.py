"""Long work: listed, watched, and done by workers: threads beside a server, or beside whoever is alone.

A worker also does the chores: repositories whose days in the trash are over are purged, commits are stored that the bucket lacks, and what
nobody asks for any more is forgotten.
"""

import logging
import threading
from datetime import timedelta
from functools import partial
from typing import Final

from sqlalchemy import Connection

from kist.catalog import buckets as bucket_rows
from kist.catalog import idempotency, jobs, refs, repos
from kist.catalog.jobs import JobRow
from kist.errors import KistError, NotFound
from kist.ids import new_id
from kist.models import Job
from kist.models.requests import JobName, ListJobs, Page
from kist.operations import GET_JOB, LIST_JOBS, MOVE_REPO
from kist.service.committing import CatalogAuthority
from kist.service.copying import remove_all
from kist.service.dispatch import Service
from kist.service.handlers import Handlers
from kist.service.moving import PURGE_MOVED, run_move, run_purge_moved
from kist.service.opened import engine_of, open_row
from kist.service.places import open_place
from kist.service.rooms import Act, Caller, Rooms
from kist.service.working import LEASE_SECONDS, Runner, Work, run_next

__all__ = ["HANDLERS", "PURGE_REPO", "RUNNERS", "Worker", "run_now", "sweep"]

HANDLERS = Handlers()

PURGE_REPO: Final = "purge_repo"
POLL_SECONDS: Final = 5.0
SWEEP_SECONDS: Final = 300.0
_KEPT_DAYS: Final = 90
_ANSWERS_KEPT_DAYS: Final = 1

_log = logging.getLogger(__name__)


@HANDLERS.look(LIST_JOBS)
def _list(act: Act, sql: Connection, request: ListJobs) -> Page[Job]:
    """List long work, newest first."""
    found = jobs.page(sql, act.standing.org_id, after=request.after, limit=request.limit + 1)
    more = jobs.place_of(found[request.limit - 1]) if len(found) > request.limit else ""
    return Page(items=[jobs.shown(row) for row in found[: request.limit]], next=more)


@HANDLERS.look(GET_JOB)
def _get(act: Act, sql: Connection, request: JobName) -> Job:
    """Tell how far long work is."""
    row = jobs.by_id(sql, request.id)
    if row is None or row.org_id != act.standing.org_id:
        raise NotFound(f"there is no job {request.id!r} in {act.standing.org}: kist job list tells which there are")
    return jobs.shown(row)


# Doing it


def _run_purge(work: Work) -> str:
    """Remove a repository whose days in the trash are over, for good."""
    rooms, repo_id = work.rooms, work.row.repo_id or ""
    with rooms.database.reading() as sql:
        row = repos.by_id(sql, repo_id)
        bucket = bucket_rows.by_id(sql, row.bucket_config_id) if row else None
    if row is None or bucket is None:
        return "it is gone"
    if row.status != "purging":
        return "it was restored"
    remove_all(open_place(rooms, bucket, row.prefix), done=work.advance)

    def change(sql: Connection) -> None:
        work.check_held(sql)
        repos.remove(sql, repo_id)

    rooms.database.change(change)
    return "it is gone"


RUNNERS: Final[dict[str, Runner]] = {MOVE_REPO.name: run_move, PURGE_MOVED: run_purge_moved, PURGE_REPO: _run_purge}


def run_now(rooms: Rooms, job_id: str = "") -> Job | None:
    """Do a job in this thread, or, unless one is named, all that wait; return the last one as it ended.

    Raises:
        StoreError: the database failed.
    """
    last: JobRow | None = None
    while (row := run_next(rooms, RUNNERS, job_id=job_id)) is not None:
        last = row
        if job_id:
            break
    return jobs.shown(last) if last else None


class Worker:
    """A thread that does what waits, until it is stopped. Any number may run, in any number of processes."""

    def __init__(
        self,
        service: Service,
        *,
        poll_seconds: float = POLL_SECONDS,
        sweep_seconds: float = SWEEP_SECONDS,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        """Work for a service; nothing is done before `start`."""
        self._rooms = service.rooms
        self._poll, self._sweep, self._lease = poll_seconds, sweep_seconds, lease_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="kist-worker", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout_seconds: float = 10) -> bool:
        """Begin no other job; say whether the one at hand came to its end in time. One that did not is taken up by another worker."""
        self._stop.set()
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _work(self) -> None:
        swept = 0.0
        while not self._stop.is_set():
            try:
                if swept <= 0:
                    sweep(self._rooms)
                    swept = self._sweep
                if run_next(self._rooms, RUNNERS, lease_seconds=self._lease) is not None:
                    continue
            except KistError as error:
                _log.warning("the worker could not go on, and will try again: %s", type(error).__name__)
            self._stop.wait(self._poll)
            swept -= self._poll


def sweep(rooms: Rooms) -> None:
    """Do the chores once.

    Raises:
        StoreError: the database failed.
    """
    now = rooms.now()
    with rooms.database.reading() as sql:
        expired = repos.expired(sql, now - timedelta(days=rooms.rules.trash_days))
        unseen = refs.unstored_repos(sql)
    for row in expired:
        if row.status != "purging":
            rooms.database.change(partial(_doom, rooms, row.id))
    for repo_id in unseen:
        try:
            _heal(rooms, repo_id)
        except KistError as error:
            _log.warning("commits of repository %s can't be stored in its bucket yet: %s", repo_id, type(error).__name__)

    def forget(sql: Connection) -> None:
        jobs.purge(sql, now - timedelta(days=_KEPT_DAYS))
        idempotency.purge(sql, now - timedelta(days=_ANSWERS_KEPT_DAYS))

    rooms.database.change(forget)


def _doom(rooms: Rooms, repo_id: str, sql: Connection) -> None:
    """Begin to purge a repository, from when on it can't be restored."""
    now = rooms.now()
    row = repos.named(sql, repo_id)
    held = repos.by_id(sql, repo_id, hold=True)
    if row is None or held is None or held.deleted is None or held.deleted > now - timedelta(days=rooms.rules.trash_days):
        return
    if held.status == "purging":
        return
    repos.modify(sql, repo_id, {"status": "purging"}, now=now)
    job = JobRow(
        id=new_id(),
        org_id=held.org_id,
        repo_id=repo_id,
        operation=PURGE_REPO,
        target=f"{row.org}/{held.name}",
        request={},
        principal="",
        created=now,
        updated=now,
    )
    jobs.add(sql, job)


def _heal(rooms: Rooms, repo_id: str) -> None:
    with rooms.database.reading() as sql:
        found = repos.named(sql, repo_id)
        bucket = bucket_rows.by_id(sql, found.row.bucket_config_id) if found else None
    if found is None or bucket is None:
        return
    engine = engine_of(rooms, open_row(rooms, found.row, bucket, name=f"{found.org}/{found.row.name}"))
    if isinstance(engine.authority, CatalogAuthority):
        engine.authority.heal()


def _begin_here(rooms: Rooms, caller: Caller) -> None:
    """Do what waits beside a user who is alone: nobody else would."""
    if caller.inside:
        threading.Thread(target=_run_quietly, args=(rooms,), name="kist-jobs", daemon=True).start()


def _run_quietly(rooms: Rooms) -> None:
    try:
        run_now(rooms)
    except KistError as error:
        _log.warning("long work could not go on, and will be taken up again: %s", type(error).__name__)


HANDLERS.after(MOVE_REPO, _begin_here)
