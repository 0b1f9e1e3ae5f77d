"""Long work in the catalog: who does it holds a lease, and another one goes on with it once the lease has run out.

`request` says what shall be done, and is where the work notes how far it is. A job that waits, with a lease until some time, begins then.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Final, Literal, cast

from sqlalchemy import Connection, Row, and_, delete, func, insert, or_, select, update

from kist.catalog.tables import jobs
from kist.models import Job

__all__ = [
    "JobRow",
    "add",
    "amend",
    "by_id",
    "finish",
    "holds",
    "of_repo",
    "page",
    "place_of",
    "purge",
    "renew",
    "shown",
    "take",
    "waiting",
]

type State = Literal["waiting", "running", "done", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """A job as the catalog keeps it."""

    id: str
    org_id: str
    repo_id: str | None
    operation: str
    target: str
    request: Mapping[str, object]
    principal: str
    state: State = "waiting"
    done_bytes: int = 0
    total_bytes: int = 0
    message: str = ""
    leased_until: datetime | None = None
    leased_by: str = field(default="", repr=False)
    created: datetime
    updated: datetime


_COLUMNS: Final = [jobs.c[one.name] for one in fields(JobRow)]


def add(sql: Connection, row: JobRow) -> None:
    """Add a job."""
    sql.execute(insert(jobs).values({one.name: getattr(row, one.name) for one in fields(row)} | {"request": dict(row.request)}))


def by_id(sql: Connection, job_id: str) -> JobRow | None:
    """Return a job."""
    row = sql.execute(select(*_COLUMNS).where(jobs.c.id == job_id)).one_or_none()
    return None if row is None else _row(row)


def of_repo(sql: Connection, repo_id: str, operation: str, *states: State) -> list[JobRow]:
    """Return the jobs of a repository, newest first."""
    which = (jobs.c.repo_id == repo_id) & (jobs.c.operation == operation) & jobs.c.state.in_(states)
    return [_row(row) for row in sql.execute(select(*_COLUMNS).where(which).order_by(jobs.c.created.desc()))]


def page(sql: Connection, org_id: str, *, after: str, limit: int) -> list[JobRow]:
    """Return jobs of an organisation, newest first, those behind the place `after`."""
    query = select(*_COLUMNS).where(jobs.c.org_id == org_id)
    if after:
        last = select(jobs.c.created).where(jobs.c.org_id == org_id, jobs.c.id == after).scalar_subquery()
        query = query.where(or_(jobs.c.created < last, and_(jobs.c.created == last, jobs.c.id < after)))
    return [_row(row) for row in sql.execute(query.order_by(jobs.c.created.desc(), jobs.c.id.desc()).limit(limit))]


def place_of(row: JobRow) -> str:
    """Return what `page` takes as `after` to go on behind a job."""
    return row.id


def take(sql: Connection, *, by: str, now: datetime, until: datetime, job_id: str = "") -> JobRow | None:
    """Lease a job that waits, or whose lease has run out: the oldest, or the one with this id."""
    free = or_(jobs.c.leased_until.is_(None), jobs.c.leased_until <= now)
    query = select(jobs.c.id).where(jobs.c.state.in_(("waiting", "running")), free)
    if job_id:
        query = query.where(jobs.c.id == job_id)
    found = sql.execute(query.order_by(jobs.c.created).limit(1).with_for_update(skip_locked=True)).scalar_one_or_none()
    if found is None:
        return None
    sql.execute(update(jobs).where(jobs.c.id == found).values(state="running", leased_by=by, leased_until=until, updated=now))
    return by_id(sql, found)


def holds(sql: Connection, job_id: str, by: str) -> bool:
    """Say whether somebody still holds the lease of a job; it stays so until this transaction ends."""
    query = select(jobs.c.id).where(jobs.c.id == job_id, jobs.c.leased_by == by, jobs.c.state == "running")
    return sql.execute(query.with_for_update()).one_or_none() is not None


def renew(sql: Connection, job_id: str, by: str, *, until: datetime, now: datetime, values: Mapping[str, object]) -> bool:
    """Lengthen a lease and note how far the work is; False if somebody else has the job by now."""
    which = (jobs.c.id == job_id) & (jobs.c.leased_by == by) & (jobs.c.state == "running")
    return sql.execute(update(jobs).where(which).values({**values, "leased_until": until, "updated": now})).rowcount == 1


def finish(sql: Connection, job_id: str, by: str, state: State, *, message: str, now: datetime) -> bool:
    """End a job; False if somebody else has it by now."""
    which = (jobs.c.id == job_id) & (jobs.c.leased_by == by) & (jobs.c.state == "running")
    ended = {"state": state, "message": message[:2000], "leased_by": "", "leased_until": None, "updated": now}
    return sql.execute(update(jobs).where(which).values(ended)).rowcount == 1


def amend(sql: Connection, job_id: str, request: Mapping[str, object]) -> None:
    """Change what a job that has ended notes."""
    sql.execute(update(jobs).where(jobs.c.id == job_id).values(request=dict(request)))


def purge(sql: Connection, before: datetime) -> int:
    """Remove jobs that ended before some time."""
    return sql.execute(delete(jobs).where(jobs.c.state.in_(("done", "failed")), jobs.c.updated < before)).rowcount


def waiting(sql: Connection) -> int:
    """Return how many jobs wait or run."""
    return sql.execute(select(func.count()).where(jobs.c.state.in_(("waiting", "running")))).scalar_one()


def shown(row: JobRow) -> Job:
    """Return a job as people see it."""
    return Job(
        id=row.id,
        operation=row.operation,
        target=row.target,
        state=row.state,
        done_bytes=row.done_bytes,
        total_bytes=row.total_bytes,
        message=row.message,
        created=row.created,
        updated=row.updated,
    )


def _row(row: Row[*tuple[object, ...]]) -> JobRow:
    return JobRow(**cast("dict[str, object]", {one.name: getattr(row, one.name) for one in fields(JobRow)}))  # type: ignore[arg-type]  # the columns have these types
