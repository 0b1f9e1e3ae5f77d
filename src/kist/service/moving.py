"""Moving a repository to another bucket config, with every version, while people work with it.

What never changes is copied first. Then the repository is shut for commits (`moving`), the rest is copied, all is compared, and one
transaction makes the new place the repository's. The old place stays for some days. Whoever was still writing there when it was left (with
access that lasts an hour at most) finds what they stored in the new place when they commit: it is brought along then. An entry of a ref
that is in the old place alone, put there by somebody who commits behind the catalog's back, keeps the old place from being purged.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import msgspec
from sqlalchemy import Connection

from kist.catalog import audit, buckets, jobs, repos
from kist.catalog.buckets import BucketRow
from kist.catalog.jobs import JobRow
from kist.catalog.repos import RepoRow
from kist.engine.opening import FORMAT, PROBES
from kist.engine.records import decode_format, encode_format
from kist.errors import Busy, Conflict, InvalidInput, NotFound, Unsupported
from kist.ids import new_id
from kist.models import Job
from kist.models.requests import MoveRepo
from kist.operations import MOVE_REPO
from kist.service.copying import copy_missing, missing, objects_of, remove_all
from kist.service.handlers import Handlers
from kist.service.opened import Opened
from kist.service.places import open_place
from kist.service.repos import bucket_of, check_free, new_prefix, refuse_fixed
from kist.service.rooms import Act, Rooms
from kist.service.working import Lost, Work
from kist.stores.conditional import probe
from kist.stores.protocols import Store

__all__ = ["HANDLERS", "PURGE_MOVED", "catch_up", "run_move", "run_purge_moved"]

HANDLERS = Handlers()

PURGE_MOVED: Final = "purge_moved"
_STORED_BY_CLIENTS: Final = ("packs/", "index/", "sessions/")
_SLACK_SECONDS: Final = 600
_NAMED: Final = 5
_PASSES: Final = 5


@HANDLERS.change(MOVE_REPO)
def _move(act: Act, sql: Connection, request: MoveRepo) -> Job:
    """Begin to move a repository."""
    row = repos.by_id(sql, act.standing.repo_id, hold=True)
    if row is None or row.deleted:
        raise NotFound(f"there is no repository {act.standing.org}/{act.standing.repo}")
    bucket = bucket_of(act, sql, request.bucket_config_nickname)
    if bucket.id == row.bucket_config_id:
        raise InvalidInput(f"{act.standing.org}/{row.name} lies at the bucket config {bucket.nickname!r} already")
    refuse_fixed(act, row.name, "be moved")
    if row.kind != "files":
        raise Unsupported("repositories of arrays can't be moved yet")
    if row.status != "online" or jobs.of_repo(sql, row.id, MOVE_REPO.name, "waiting", "running"):
        raise Busy(f"{act.standing.org}/{row.name} is being moved already: wait for that (kist job list)")
    prefix = new_prefix(row.name)
    job = JobRow(
        id=new_id(),
        org_id=row.org_id,
        repo_id=row.id,
        operation=MOVE_REPO.name,
        target=f"{act.standing.org}/{row.name}",
        request={"from_bucket": row.bucket_config_id, "from_prefix": row.prefix, "to_bucket": bucket.id, "to_prefix": prefix},
        principal=act.who.name,
        created=act.now,
        updated=act.now,
    )
    jobs.add(sql, job)
    act.details.update({"job": job.id, "bucket_config": bucket.nickname, "prefix": prefix})
    return jobs.shown(job)


# The job


def run_move(work: Work) -> str:
    """Move a repository; return what to say of it.

    Raises:
        Conflict: something is in the way; nothing was moved.
        StoreError: a store failed; nothing was moved.
    """
    target: Store | None = None
    try:
        source, target, to_bucket = _ends(work)
        authority = _authority(work, target)
        _copy_online(work, source, target)
        _shut(work)
        _copy_rest(work, source, target)
        record = decode_format(source.get(FORMAT))
        target.put(FORMAT, encode_format(msgspec.structs.replace(record, authority=authority)))
        return _switch(work, to_bucket, authority)
    except Lost:
        raise
    except Exception:
        if _reopen(work) and target is not None:
            remove_all(target)
        raise


def _ends(work: Work) -> tuple[Store, Store, BucketRow]:
    """Open both places."""
    notes = work.notes
    with work.rooms.database.reading() as sql:
        old, new = buckets.by_id(sql, str(notes["from_bucket"])), buckets.by_id(sql, str(notes["to_bucket"]))
    if old is None or new is None:
        raise NotFound("the bucket config was deleted meanwhile: nothing was moved")
    return open_place(work.rooms, old, str(notes["from_prefix"])), open_place(work.rooms, new, str(notes["to_prefix"])), new


def _authority(work: Work, target: Store) -> str:
    """Return what decides on commits in the new place: what does in the old one, or the catalog where the new store can't."""
    row = _row(work)
    if row.authority != "create" or probe(target, PROBES).put_if_absent:
        return row.authority
    return "catalog"


def _copy_online(work: Work, source: Store, target: Store) -> None:
    """Copy what is there, while the repository is used."""
    work.total_bytes = sum(meta.size_bytes for meta in objects_of(source))
    rest = missing(source, target)
    work.done_bytes = max(0, work.total_bytes - sum(meta.size_bytes for meta in rest))
    work.note()
    copy_missing(source, target, rest, done=work.advance)


def _copy_rest(work: Work, source: Store, target: Store) -> None:
    """Copy until nothing is missing."""
    for _ in range(_PASSES):
        if not (rest := missing(source, target)):
            return
        copy_missing(source, target, rest, done=work.advance)
    raise Conflict("somebody writes to the old place all the time, or the new one does not keep what it is given: nothing was moved")


def _shut(work: Work) -> None:
    """Let no commit begin any more. One that is under way looks, before it is acknowledged, whether the repository is still open."""

    def change(sql: Connection) -> None:
        work.check_held(sql)
        row = repos.by_id(sql, work.row.repo_id or "", hold=True)
        if row is None or row.deleted:
            raise NotFound("the repository was deleted meanwhile: nothing was moved")
        repos.modify(sql, row.id, {"status": "moving"}, now=work.rooms.now())

    work.rooms.database.change(change)


def _switch(work: Work, to_bucket: BucketRow, authority: str) -> str:
    """Make the new place the repository's, in one transaction with the line of the audit log and the job that purges the old one."""
    rooms, notes = work.rooms, work.notes
    now, prefix = rooms.now(), str(work.notes["to_prefix"])
    said = f"moved to {to_bucket.nickname}; what lies in the old place stays for {rooms.rules.trash_days} days"

    def change(sql: Connection) -> None:
        work.check_held(sql)
        buckets.lock_places(sql)
        row = repos.by_id(sql, work.row.repo_id or "", hold=True)
        bucket = buckets.by_id(sql, to_bucket.id, hold=True)
        if row is None or row.status != "moving" or bucket is None or bucket.place != to_bucket.place:
            raise Conflict("the repository or the bucket config was changed meanwhile: nothing was moved")
        check_free(sql, bucket, prefix)
        values = {"bucket_config_id": bucket.id, "prefix": prefix, "status": "online", "authority": authority}
        repos.modify(sql, row.id, values, now=now)
        ended = {"request": {**notes, "open": True}, "done_bytes": work.total_bytes, "total_bytes": work.total_bytes}
        jobs.renew(sql, work.row.id, work.by, until=now, now=now, values=ended)
        jobs.finish(sql, work.row.id, work.by, "done", message=said, now=now)
        jobs.add(sql, _purge_job(work, now + timedelta(days=rooms.rules.trash_days)))
        audit.append(
            sql,
            org_id=row.org_id,
            principal=work.row.principal,
            operation=MOVE_REPO.name,
            target=row.name,
            outcome="moved",
            details={"job": work.row.id, "bucket_config": bucket.nickname, "prefix": prefix, "from_prefix": row.prefix},
            now=now,
        )

    rooms.database.change(change)
    return said


def _reopen(work: Work) -> bool:
    """Open the repository again where it was; say whether it is there."""

    def change(sql: Connection) -> bool:
        work.check_held(sql)
        row = repos.by_id(sql, work.row.repo_id or "", hold=True)
        if row is None or (row.bucket_config_id, row.prefix) != (work.notes["from_bucket"], work.notes["from_prefix"]):
            return False
        if row.status == "moving":
            repos.modify(sql, row.id, {"status": "online"}, now=work.rooms.now())
        return True

    return work.rooms.database.change(change)


def _purge_job(work: Work, when: datetime) -> JobRow:
    now = work.rooms.now()
    return JobRow(
        id=new_id(),
        org_id=work.row.org_id,
        repo_id=work.row.repo_id,
        operation=PURGE_MOVED,
        target=work.row.target,
        request={"from_bucket": work.notes["from_bucket"], "from_prefix": work.notes["from_prefix"]},
        principal=work.row.principal,
        leased_until=when,
        created=now,
        updated=now,
    )


def _row(work: Work) -> RepoRow:
    with work.rooms.database.reading() as sql:
        row = repos.by_id(sql, work.row.repo_id or "")
    if row is None:
        raise NotFound("the repository is gone")
    return row


# Afterwards


def catch_up(rooms: Rooms, opened: Opened) -> None:
    """Bring along what clients stored in the place that a repository has just left, before they commit.

    Raises:
        StoreError: a store failed.
    """
    with rooms.database.reading() as sql:
        moved = [job for job in jobs.of_repo(sql, opened.row.id, MOVE_REPO.name, "done") if job.request.get("open")]
        olds = {job.id: buckets.by_id(sql, str(job.request["from_bucket"])) for job in moved}
    for job in moved:
        old, now = olds[job.id], rooms.now()
        if old is not None:
            source = open_place(rooms, old, str(job.request["from_prefix"]))
            copy_missing(source, opened.store, missing(source, opened.store, _STORED_BY_CLIENTS), done=lambda _size: None)
        if old is None or now > job.updated + timedelta(seconds=rooms.rules.access_seconds + _SLACK_SECONDS):
            closed: Mapping[str, object] = {**job.request, "open": False}
            rooms.database.change(partial(_amend, job.id, closed))


def _amend(job_id: str, request: Mapping[str, object], sql: Connection) -> None:
    jobs.amend(sql, job_id, request)


def run_purge_moved(work: Work) -> str:
    """Remove what lies in the place that a repository has left, if nothing is there that its new place lacks.

    Raises:
        Conflict: something is; nothing was removed.
    """
    rooms, prefix = work.rooms, str(work.notes["from_prefix"])
    with rooms.database.reading() as sql:
        old = buckets.by_id(sql, str(work.notes["from_bucket"]))
        row = repos.by_id(sql, work.row.repo_id or "")
        new = buckets.by_id(sql, row.bucket_config_id) if row else None
        others = repos.overlapping(sql, old.place, prefix) if old else []
    if old is None:
        return "the bucket config is gone; what lay there stays"
    if others:
        return "another repository lies there by now; what lay there stays"
    source = open_place(rooms, old, prefix)
    if row is not None and new is not None:
        _check_no_straggler(source, open_place(rooms, new, row.prefix))
    remove_all(source, done=work.advance)
    return "the old place is empty"


def _check_no_straggler(source: Store, target: Store) -> None:
    """Refuse to go on if the old place has an entry that the new one has not.

    Raises:
        Conflict: it has.
    """
    left = [meta.key for meta in missing(source, target, ("refs/",))]
    if left:
        named = ", ".join(left[:_NAMED]) + (f" and {len(left) - _NAMED} more" if len(left) > _NAMED else "")
        raise Conflict(
            f"somebody committed to the old place after it was left, without the catalog: {named}; nothing was removed there: "
            "import it as a repository of its own (kist repo import), and take from it what it has"
        )
