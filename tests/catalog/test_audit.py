import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import pytest
from blake3 import blake3
from sqlalchemy import Connection, delete, insert, select, text, update

from kist.catalog import audit
from kist.catalog.database import Database
from kist.catalog.tables import audit as lines_table
from kist.catalog.tables import audit_heads, orgs
from kist.errors import IntegrityError
from kist.models import AuditReport

NOW = datetime(2026, 11, 20, 16, 30, 1, 234567, tzinfo=UTC)


def _add(database: Database, **said: object) -> int:
    line: dict[str, object] = {
        "org_id": "o", "principal": "ada", "operation": "create_repo", "target": "lab/cube", "outcome": "done", "details": {}, "now": NOW
    }  # fmt: skip
    return database.change(lambda sql: audit.append(sql, **{**line, **said}))  # type: ignore[arg-type]  # each has its type


def _verify(database: Database, org: str = "o") -> AuditReport:
    with database.reading() as sql:
        return audit.verify(sql, org)


def test_a_line_comes_back_as_it_was_said(database: Database) -> None:
    database.change(lambda sql: sql.execute(insert(orgs).values(id="o", name="Lab", folded="lab", created=NOW)))
    assert _add(database, details={"from": "127.0.0.1", "n": [1, {"ä": None}]}) == 1
    with database.reading() as sql:
        (line,) = audit.lines(sql, "o")
    assert (line.seq, line.time, line.org, line.principal) == (1, NOW, "Lab", "ada")
    assert (line.operation, line.target, line.outcome) == ("create_repo", "lab/cube", "done")
    assert line.details == {"from": "127.0.0.1", "n": [1, {"ä": None}]}
    assert len(line.hash) == 64


def test_times_are_aware_and_whole_in_any_zone(database: Database) -> None:
    from_elsewhere = NOW.astimezone(datetime.strptime("+0545", "%z").tzinfo)
    _add(database, now=from_elsewhere)
    with database.reading() as sql:
        (line,) = audit.lines(sql, "o")
    assert line.time == NOW
    assert line.time.utcoffset() == timedelta(0)


def test_each_organisation_has_its_own_chain_and_so_has_the_server(database: Database) -> None:
    assert [_add(database, org_id=org) for org in ("o", "p", "o", "", "o")] == [1, 1, 2, 1, 3]
    assert [_verify(database, org).lines for org in ("o", "p", "")] == [3, 1, 1]


def test_a_log_without_lines_is_good(database: Database) -> None:
    assert _verify(database) == AuditReport(lines=0, first_bad=None, ok=True, head="00" * 32)


def test_the_head_is_the_hash_of_the_last_line(database: Database) -> None:
    for _ in range(3):
        _add(database)
    with database.reading() as sql:
        assert audit.verify(sql, "o").head == audit.lines(sql, "o", limit=1)[0].hash


def test_the_hash_is_blake3_over_canonical_json(database: Database) -> None:
    """Written out here, so that other programs can check a log, too."""
    _add(database, target="a/ä", details={"b": 1, "a": "ä"})
    said = (
        '{"details":"{\\"a\\":\\"\\\\u00e4\\",\\"b\\":1}","operation":"create_repo","org_id":"o","outcome":"done","previous":"'
        + "0" * 64
        + '","principal":"ada","seq":1,"target":"a/\\u00e4","time":1795192201234567}'
    )
    assert _verify(database).head == blake3(said.encode()).hexdigest()


@pytest.mark.parametrize(
    "filters",
    [{"operation": "b"}, {"principal": "b"}, {"operation": "b", "principal": "b"}, {"target": "lab/b"}, {"before": 3}, {"limit": 2}],
    ids=str,
)
def test_lines_can_be_chosen(database: Database, filters: Mapping[str, object]) -> None:
    said = [("a", "a", "lab/a"), ("b", "a", "lab/b"), ("a", "b", "lab/bc"), ("b", "b", "lab/B"), ("b", "b", "lab/b/c")]
    for operation, principal, target in said:
        _add(database, operation=operation, principal=principal, target=target)
    chosen = [number for number, line in enumerate(said, 1) if _fits(line, number, filters)][::-1]
    with database.reading() as sql:
        found = [line.seq for line in audit.lines(sql, "o", **filters)]  # type: ignore[arg-type]  # each has its type
    assert found == chosen[: int(str(filters.get("limit", 100)))]


def _fits(line: tuple[str, str, str], number: int, filters: Mapping[str, object]) -> bool:
    operation, principal, target = line
    return (
        filters.get("operation", operation) == operation
        and filters.get("principal", principal) == principal
        and target.startswith(str(filters.get("target", "")))
        and number < int(str(filters.get("before", 99)))
    )


def test_pages_hold_each_line_once(database: Database) -> None:
    for _ in range(7):
        _add(database)
    seen: list[int] = []
    before = None
    with database.reading() as sql:
        while page := audit.lines(sql, "o", before=before, limit=3):
            seen += [line.seq for line in page]
            before = page[-1].seq
    assert seen == [7, 6, 5, 4, 3, 2, 1]


_CHANGES: dict[str, Callable[[Connection], object]] = {
    **{
        column: lambda sql, column=column: sql.execute(update(lines_table).where(lines_table.c.seq == 3).values({column: "geheim"}))  # type: ignore[misc]  # a default says which
        for column in ("principal", "operation", "target", "outcome", "details")
    },
    "details that say the same": lambda sql: sql.execute(update(lines_table).where(lines_table.c.seq == 3).values(details='{"a": 1}')),
    "time": lambda sql: sql.execute(update(lines_table).where(lines_table.c.seq == 3).values(time=NOW + timedelta(microseconds=1))),
    "time that is none": lambda sql: sql.execute(text("update audit set time = 9000000000000000000 where seq = 3")),
    "hash": lambda sql: sql.execute(update(lines_table).where(lines_table.c.seq == 3).values(hash=bytes(32))),
    "previous": lambda sql: sql.execute(update(lines_table).where(lines_table.c.seq == 3).values(previous=bytes(32))),
    "removed": lambda sql: sql.execute(delete(lines_table).where(lines_table.c.seq == 3)),
    "renumbered": lambda sql: sql.execute(update(lines_table).where(lines_table.c.seq == 3).values(seq=30)),
    "given to another": lambda sql: sql.execute(update(lines_table).where(lines_table.c.seq == 3).values(org_id="p")),
}


@pytest.mark.parametrize("how", _CHANGES)
def test_a_line_that_was_changed_or_removed_is_found(database: Database, how: str) -> None:
    for _ in range(5):
        _add(database, details={"a": 1})
    database.change(_CHANGES[how])
    report = _verify(database)
    assert (report.ok, report.lines, report.first_bad) == (False, 2, 3)


@pytest.mark.parametrize("seq", [1, 5])
def test_the_first_and_the_last_line_are_missed_too(database: Database, seq: int) -> None:
    for _ in range(5):
        _add(database)
    database.change(lambda sql: sql.execute(delete(lines_table).where(lines_table.c.seq == seq)))
    report = _verify(database)
    assert (report.ok, report.first_bad) == (False, seq)


def test_a_log_whose_lines_are_all_gone_is_missed(database: Database) -> None:
    _add(database)
    database.change(lambda sql: sql.execute(delete(lines_table)))
    assert _verify(database) == AuditReport(lines=0, first_bad=1, ok=False, head="00" * 32)


def test_a_head_that_is_gone_is_missed(database: Database) -> None:
    _add(database)
    database.change(lambda sql: sql.execute(delete(audit_heads)))
    assert not _verify(database).ok


def test_a_line_that_was_added_at_the_end_by_hand_is_found(database: Database) -> None:
    _add(database)

    def forge(sql: Connection) -> None:
        row = dict(sql.execute(select(lines_table)).mappings().one())
        sql.execute(insert(lines_table).values({**row, "seq": 2, "previous": row["hash"]}))

    database.change(forge)
    assert _verify(database).first_bad == 2


def test_columns_of_a_wrong_kind_are_found_on_sqlite(sqlite_database: Database) -> None:
    database = sqlite_database
    _add(database)
    database.change(lambda sql: sql.execute(text("update audit set target = x'ff', previous = x'00', time = 'never'")))
    assert _verify(database).first_bad == 1


def test_details_that_are_no_json_any_more_are_told(database: Database) -> None:
    _add(database)
    database.change(lambda sql: sql.execute(update(lines_table).values(details="{")))
    with pytest.raises(IntegrityError, match="line 1 "), database.reading() as sql:
        audit.lines(sql, "o")


def test_whatever_is_said_fits(database: Database) -> None:
    _add(
        database,
        principal="p" * 999,
        target="zero\0half\ud800" + "t" * 999,
        operation="o" * 999,
        outcome="x" * 99,
        details={"z": "\0\ud800"},
    )
    with database.reading() as sql:
        (line,) = audit.lines(sql, "o")
    assert (len(line.principal), len(line.target), len(line.operation), len(line.outcome)) == (320, 512, 64, 32)
    assert line.target.startswith("zero\ufffdhalf?t")
    assert line.details == {"z": "\0\ud800"}
    assert _verify(database).ok


def test_details_that_are_too_long_are_counted(database: Database) -> None:
    _add(database, details={"a": "x" * 20000})
    with database.reading() as sql:
        assert audit.lines(sql, "o")[0].details == {"too_long": 20008}


def test_a_line_of_a_change_that_failed_leaves_no_gap(database: Database) -> None:
    def work(sql: Connection) -> None:
        audit.append(sql, org_id="o", principal="", operation="", target="", outcome="", details={}, now=NOW)
        raise KeyError

    _add(database)
    with pytest.raises(KeyError):
        database.change(work)
    assert _add(database) == 2
    assert _verify(database).ok


def test_lines_that_many_threads_write_are_one_chain(database: Database) -> None:
    threads = [threading.Thread(target=lambda: [_add(database) for _ in range(10)]) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    report = _verify(database)
    assert (report.ok, report.lines) == (True, 60)
