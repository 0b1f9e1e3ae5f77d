"""Doing jobs: one at a time by each worker, with a lease that is renewed while the work goes on.

A worker that is killed, or loses the database, loses its lease; another one goes on where the job's notes say. So all work is safe to do
twice, and what counts is changed in one transaction together with the lease.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from sqlalchemy import Connection

from kist.catalog import jobs
from kist.catalog.jobs import JobRow
from kist.errors import Busy, KistError
from kist.ids import new_id
from kist.service.rooms import Rooms

__all__ = ["LEASE_SECONDS", "Lost", "Runner", "Work", "run_next"]

LEASE_SECONDS: Final = 60.0
NOTE_SECONDS: Final = 1.0

_log = logging.getLogger(__name__)


class Lost(KistError):
    """Somebody else has the job by now: stop."""


@dataclass
class Work:
    """A job that this worker does. `notes` are kept with the job, for whoever goes on with it."""

    rooms: Rooms
    row: JobRow
    by: str
    notes: dict[str, object]
    lease_seconds: float = LEASE_SECONDS
    done_bytes: int = 0
    total_bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _lost: bool = False
    _noted: float = 0.0

    def advance(self, size_bytes: int) -> None:
        """Count bytes as done.

        Raises:
            Lost: somebody else has the job by now.
        """
        with self._lock:
            self.done_bytes += size_bytes
        if self._lost:
            raise Lost(f"another worker goes on with job {self.row.id}")

    def note(self, **notes: object) -> None:
        """Keep notes, and the count of bytes.

        Raises:
            Lost: somebody else has the job by now.
        """
        self.notes |= notes
        if not self.renew():
            raise Lost(f"another worker goes on with job {self.row.id}")

    def renew(self) -> bool:
        """Lengthen the lease; say whether it is still there."""
        values = {"done_bytes": self.done_bytes, "total_bytes": self.total_bytes, "request": dict(self.notes)}
        now = self.rooms.now()
        until = now + timedelta(seconds=self.lease_seconds)
        self._lost = not self.rooms.database.change(lambda sql: jobs.renew(sql, self.row.id, self.by, until=until, now=now, values=values))
        return not self._lost

    def check_held(self, sql: Connection) -> None:
        """Let a transaction go on only if this worker still has the job.

        Raises:
            Lost: somebody else has it.
        """
        if not jobs.holds(sql, self.row.id, self.by):
            raise Lost(f"another worker goes on with job {self.row.id}")


type Runner = Callable[[Work], str]
"""Does a job and returns what to say of it at the end."""


def run_next(rooms: Rooms, runners: Mapping[str, Runner], *, job_id: str = "", lease_seconds: float = LEASE_SECONDS) -> JobRow | None:
    """Do one job that waits, or was left by others; return it as it ended, None if there was none.

    Raises:
        StoreError: the database failed.
    """
    by, now = new_id(), rooms.now()
    until = now + timedelta(seconds=lease_seconds)
    row = rooms.database.change(lambda sql: jobs.take(sql, by=by, now=now, until=until, job_id=job_id))
    if row is None:
        return None
    work = Work(
        rooms=rooms, row=row, by=by, notes=dict(row.request), lease_seconds=lease_seconds, done_bytes=0, total_bytes=row.total_bytes
    )
    ended = threading.Event()
    keeper = threading.Thread(target=_keep, args=(work, ended), name=f"kist-job-{row.id[:8]}", daemon=True)
    keeper.start()
    try:
        _run(work, runners)
    finally:
        ended.set()
        keeper.join()
    with rooms.database.reading() as sql:
        return jobs.by_id(sql, row.id)


def _run(work: Work, runners: Mapping[str, Runner]) -> None:
    """Do a job and note how it ended."""
    rooms, row = work.rooms, work.row
    try:
        runner = runners.get(row.operation)
        state, message = ("failed", f"this kist does not know how to do {row.operation}") if runner is None else ("done", runner(work))
    except Lost:
        _log.info("another worker goes on with job %s", row.id)
        return
    except Exception as error:  # noqa: BLE001  whatever it was, the job has failed
        _log.warning("job %s (%s of %s) failed: %s", row.id, row.operation, row.target, type(error).__name__)
        state, message = "failed", str(error) if isinstance(error, KistError) else f"{type(error).__name__}: this should not happen"
    with suppress(Lost):
        work.renew()
        rooms.database.change(
            lambda sql: jobs.finish(sql, row.id, work.by, "done" if state == "done" else "failed", message=message, now=rooms.now())
        )


def _keep(work: Work, ended: threading.Event) -> None:
    """Renew the lease until the work has ended, a few times within its length."""
    while not ended.wait(min(work.lease_seconds / 4, NOTE_SECONDS * 5)):
        try:
            if not work.renew():
                return
        except (KistError, Busy):
            continue  # the database may be back before the lease runs out
