"""The audit log: a chain of lines for each organisation, and one (with the id "") for what belongs to none.

The hash of a line covers all its fields and the hash of the line before; the head of each chain is kept beside it. So a line that was
changed, added or removed is found, the last one too. Whoever may write the database can still write a whole new log: keep the head's hash
elsewhere to see that.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final, cast

from blake3 import blake3
from sqlalchemy import BigInteger, Connection, Row, RowMapping, insert, select, type_coerce, update

from kist.catalog import tables
from kist.catalog.database import lock
from kist.catalog.tables import audit, audit_heads
from kist.errors import IntegrityError
from kist.models import AuditLine, AuditReport

__all__ = ["append", "lines", "verify"]

FIRST: Final = bytes(32)
"""What stands for the hash before the first line."""

_DETAILS_CHARS: Final = 16384
_LAST_CHARACTER: Final = "\U0010ffff"
_BATCH: Final = 1000
_TEXTS: Final = ("principal", "operation", "target", "outcome")


def append(
    sql: Connection,
    *,
    org_id: str,
    principal: str,
    operation: str,
    target: str,
    outcome: str,
    details: Mapping[str, object],
    now: datetime,
) -> int:
    """Add a line and return its number. The chain is held until the transaction ends: do this last.

    A log takes whatever it is told: texts are cut to what fits, and details that are too long are only counted.
    """
    given = {"principal": principal, "operation": operation, "target": target, "outcome": outcome}
    fields: dict[str, object] = {name: _fitting(name, value) for name, value in given.items()}
    lock(sql, f"audit/{org_id}")
    head = sql.execute(select(audit_heads.c.seq, audit_heads.c.hash).where(audit_heads.c.org_id == org_id)).one_or_none()
    seq, previous = (head.seq + 1, head.hash) if head else (1, FIRST)
    fields |= {"org_id": org_id, "seq": seq, "details": _text_of(details), "previous": previous}
    hashed = _hash({**fields, "time": tables.microseconds(now)})
    sql.execute(insert(audit).values(**fields, time=now, hash=hashed))
    if head:
        sql.execute(update(audit_heads).where(audit_heads.c.org_id == org_id).values(seq=seq, hash=hashed))
    else:
        sql.execute(insert(audit_heads).values(org_id=org_id, seq=seq, hash=hashed))
    return seq


def lines(
    sql: Connection,
    org_id: str,
    *,
    operation: str = "",
    principal: str = "",
    target: str = "",
    before: int | None = None,
    limit: int = 100,
) -> list[AuditLine]:
    """Return lines, newest first: of an operation, by a principal, whose target begins so, with numbers below `before`.

    Raises:
        IntegrityError: a line's details are not what was written.
    """
    query = select(audit).where(audit.c.org_id == org_id).order_by(audit.c.seq.desc()).limit(limit)
    if operation:
        query = query.where(audit.c.operation == operation)
    if principal:
        query = query.where(audit.c.principal == principal)
    if target:
        query = query.where(audit.c.target >= target, audit.c.target < target + _LAST_CHARACTER)
    if before is not None:
        query = query.where(audit.c.seq < before)
    name = sql.execute(select(tables.orgs.c.name).where(tables.orgs.c.id == org_id)).scalar_one_or_none() or ""
    return [_line(row, name) for row in sql.execute(query)]


def verify(sql: Connection, org_id: str) -> AuditReport:
    """Check each line of a chain, within the one state that `sql` sees."""
    previous, count = FIRST, 0
    for row in _all(sql, org_id):
        if row["seq"] != count + 1 or row["previous"] != previous or not _is_whole(row):
            return AuditReport(lines=count, first_bad=count + 1, ok=False, head=previous.hex())
        previous, count = cast("bytes", row["hash"]), count + 1
    head = sql.execute(select(audit_heads.c.seq, audit_heads.c.hash).where(audit_heads.c.org_id == org_id)).one_or_none()
    ok = (head.seq, head.hash) == (count, previous) if head else count == 0
    return AuditReport(lines=count, first_bad=None if ok else count + 1, ok=ok, head=previous.hex())


def _all(sql: Connection, org_id: str) -> Iterator[RowMapping]:
    """Yield the rows of a chain as they are kept: a time that was changed may be none."""
    time = type_coerce(audit.c.time, BigInteger).label("time")
    columns = [time if column.name == "time" else column for column in audit.c]
    after: object = None
    while True:
        query = select(*columns).where(audit.c.org_id == org_id).order_by(audit.c.seq).limit(_BATCH)
        rows = sql.execute(query if after is None else query.where(audit.c.seq > after)).mappings().all()
        yield from rows
        if len(rows) < _BATCH:
            return
        after = rows[-1]["seq"]


def _is_whole(row: RowMapping) -> bool:
    try:
        return bool(_hash(row) == row["hash"])
    except (AttributeError, TypeError):  # a column of SQLite takes anything
        return False


def _hash(row: Mapping[str, object] | RowMapping) -> bytes:
    """Return BLAKE3 of a line in canonical JSON: names in order, no spaces, ASCII."""
    said = {name: row[name] for name in (*_TEXTS, "org_id", "seq", "time", "details")}
    said["previous"] = cast("bytes", row["previous"]).hex()
    return blake3(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).digest()


def _fitting(name: str, value: str) -> str:
    """Return a text as its column can hold it: no zero characters, no halves of characters, cut."""
    clean = value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    length = audit.c[name].type.length  # type: ignore[attr-defined]  # they are all texts of a length
    return clean if len(clean) <= length else f"{clean[: length - 1]}…"


def _text_of(details: Mapping[str, object]) -> str:
    said = json.dumps(details, sort_keys=True, separators=(",", ":"), default=str)
    return said if len(said) <= _DETAILS_CHARS else json.dumps({"too_long": len(said)}, separators=(",", ":"))


def _line(row: Row[*tuple[object, ...]], org: str) -> AuditLine:
    said = row._mapping  # noqa: SLF001  a public name that cannot clash with a column's
    try:
        details = json.loads(said["details"])
    except ValueError as error:
        raise IntegrityError(f"line {said['seq']} of the audit log has been changed: its details are no JSON") from error
    fields = {name: said[name] for name in ("seq", "time", *_TEXTS)}
    return AuditLine(**fields, org=org, details=details, hash=said["hash"].hex())
