"""Changes that are asked for again, because the answer was lost, are not done again: the first answer is given again.

An answer is kept as its caller sealed it, for it may hold a secret.
"""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, delete, select, update

from kist.catalog.database import insert_new
from kist.catalog.tables import idempotency
from kist.errors import Busy, Conflict, InvalidInput

__all__ = ["begin", "drop", "finish", "look", "purge"]

PATIENCE: Final = timedelta(minutes=5)
"""How long a change that has not been finished counts as going on; then whoever asks again does it."""


def look(sql: Connection, principal_id: str, key: str, request_hash: bytes) -> bytes | None:
    """Return the answer of a change that was done before, or None. Nothing is written and nobody waited for.

    Raises:
        InvalidInput: the key was used for another request.
    """
    row = (idempotency.c.principal_id == principal_id) & (idempotency.c.key == key)
    found = sql.execute(select(idempotency).where(row)).one_or_none()
    if found is None:
        return None
    _check(found.request, request_hash, key)
    answer: bytes | None = found.answer
    return answer


def begin(sql: Connection, principal_id: str, key: str, request_hash: bytes, now: datetime) -> bytes | None:
    """Return the answer of a change that was done before, or None: then do it, and `finish` it.

    In one transaction with the change, a second one with the same key waits on PostgreSQL for the end of the first, and gets its answer.
    A change that needs more than one transaction (it works with a store) is begun in one of its own; so is its end.

    Raises:
        InvalidInput: the key was used for another request.
        Busy: the same change is going on.
    """
    row = (idempotency.c.principal_id == principal_id) & (idempotency.c.key == key)
    if _entered(sql, principal_id, key, request_hash, now):
        return None
    found = sql.execute(select(idempotency).where(row).with_for_update()).one_or_none()
    if found is None:
        raise Busy("the same change was being given up: try again")
    _check(found.request, request_hash, key)
    if found.answer is None:
        if now - found.created < PATIENCE:
            raise Busy(f"the change with the idempotency key {key!r} is going on: ask again later")
        sql.execute(update(idempotency).where(row).values(created=now))
        return None
    answer: bytes = found.answer
    return answer


def finish(sql: Connection, principal_id: str, key: str, answer: bytes) -> None:
    """Keep the answer of a change.

    Raises:
        Conflict: the change was not begun, or its key has been purged meanwhile.
    """
    row = (idempotency.c.principal_id == principal_id) & (idempotency.c.key == key)
    if sql.execute(update(idempotency).where(row).values(answer=answer)).rowcount != 1:
        raise Conflict(f"no change with the idempotency key {key!r} is going on")


def drop(sql: Connection, principal_id: str, key: str) -> None:
    """Forget a change that failed and changed nothing, so that it can be asked for again."""
    sql.execute(delete(idempotency).where(idempotency.c.principal_id == principal_id, idempotency.c.key == key))


def purge(sql: Connection, older_than: datetime) -> int:
    """Forget changes that were begun before a time; return how many."""
    return sql.execute(delete(idempotency).where(idempotency.c.created < older_than)).rowcount


def _check(found: bytes, request_hash: bytes, key: str) -> None:
    if found != request_hash:
        raise InvalidInput(f"the idempotency key {key!r} was used for another request: use a new one for each change")


def _entered(sql: Connection, principal_id: str, key: str, request_hash: bytes, now: datetime) -> bool:
    """Say whether the key was new. On PostgreSQL this waits for a transaction that has just entered the same one."""
    values = {"principal_id": principal_id, "key": key, "request": request_hash, "created": now}
    entering = insert_new(sql, idempotency).values(**values).returning(idempotency.c.key)
    return sql.execute(entering).one_or_none() is not None
