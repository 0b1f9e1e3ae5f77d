from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import LargeBinary, Select, insert, select, text

from kist.catalog.database import Database
from kist.catalog.tables import audit, metadata, microseconds, ref_entries, repos, sessions, users


@pytest.mark.parametrize(
    "time",
    [
        datetime(2026, 11, 20, 16, 30, 1, 999999, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2026, 3, 29, 2, 30, 0, 1, tzinfo=timezone(timedelta(hours=5, minutes=45))),
    ],
    ids=str,
)
def test_times_are_kept_to_the_microsecond(database: Database, time: datetime) -> None:
    database.change(lambda sql: sql.execute(insert(users).values(id="u", name="u", folded="u", created=time)))
    with database.reading() as sql:
        found = sql.execute(select(users.c.created)).scalar_one()
    assert found == time
    assert found.utcoffset() == timedelta(0)


def test_a_time_without_a_zone_is_a_mistake() -> None:
    with pytest.raises(TypeError, match="naive"):
        microseconds(datetime(2026, 11, 20))  # noqa: DTZ001  that is the mistake


def test_names_are_in_one_order_on_both_databases(database: Database) -> None:
    names = ["B", "a", "ab", "a-b", "a_b", "ä", "Z", "é", "10", "9", "\U0001f600", "\uffff"]
    now = datetime.now(UTC)
    database.change(lambda sql: sql.execute(insert(users), [{"id": name, "name": name, "folded": name, "created": now} for name in names]))
    with database.reading() as sql:
        assert list(sql.execute(select(users.c.folded).order_by(users.c.folded)).scalars()) == sorted(names)


def test_what_is_hashed_or_sealed_is_bytes() -> None:
    """A secret as it is would be a text."""
    kept = ["hash", "credentials", "secrets", "salt", "answer", "code"]
    columns = [column for table in metadata.tables.values() for column in table.columns if column.name in kept]
    assert len(columns) > len(kept)
    assert all(isinstance(column.type, LargeBinary) for column in columns)


def test_sessions_end_with_their_user(database: Database) -> None:
    now = datetime.now(UTC)
    database.change(lambda sql: sql.execute(insert(users).values(id="u", name="u", folded="u", created=now)))
    database.change(lambda sql: sql.execute(insert(sessions).values(hash=b"h", user_id="u", created=now, expires=now)))
    database.change(lambda sql: sql.execute(users.delete()))
    with database.reading() as sql:
        assert sql.execute(select(sessions)).all() == []


_UNSTORED = select(ref_entries.c.seq).where(ref_entries.c.repo_id == "r", ~ref_entries.c.stored)
_DELETED = select(repos.c.id).where(repos.c.deleted < datetime(2026, 11, 20, tzinfo=UTC))
_NAMED = select(repos.c.id).where(repos.c.org_id == "o", repos.c.folded == "n")
_PREFIX = select(audit.c.seq).where(audit.c.org_id == "o", audit.c.target >= "lab/", audit.c.target < "lab0")


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (_UNSTORED, "ix_ref_entries_unstored"),
        (_DELETED, "ix_repos_deleted"),
        (_NAMED, "ix_repos_name"),
        (_PREFIX, "ix_audit_target"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_asked_often_has_an_index(database: Database, query: Select[*tuple[object, ...]], index: str) -> None:
    with database.reading() as sql:
        if database.dialect == "postgresql":
            sql.execute(text("set local enable_seqscan = off"))  # which a table without rows is read by
        told = query.compile(sql.engine, compile_kwargs={"literal_binds": True})
        plan = sql.execute(text(f"explain {'query plan ' if database.dialect == 'sqlite' else ''}{told}"))
        assert any(index in str(line) for line in plan)
