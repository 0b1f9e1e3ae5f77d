import threading
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Connection

from kist.catalog import idempotency
from kist.catalog.database import Database
from kist.errors import Busy, Conflict, InvalidInput

ONE, OTHER = bytes(32), bytes([1] * 32)


def test_a_change_is_done_once_and_its_answer_given_again(database: Database, now: datetime) -> None:
    assert database.change(lambda sql: idempotency.begin(sql, "ada", "key", ONE, now)) is None
    database.change(lambda sql: idempotency.finish(sql, "ada", "key", b"answer"))
    assert database.change(lambda sql: idempotency.begin(sql, "ada", "key", ONE, now)) == b"answer"


def test_keys_belong_to_who_uses_them(database: Database, now: datetime) -> None:
    assert database.change(lambda sql: idempotency.begin(sql, "ada", "key", ONE, now)) is None
    assert database.change(lambda sql: idempotency.begin(sql, "bob", "key", OTHER, now)) is None


@pytest.mark.parametrize("finished", [True, False])
def test_a_key_can_not_be_used_for_another_request(database: Database, now: datetime, finished: bool) -> None:  # noqa: FBT001  a parameter
    database.change(lambda sql: idempotency.begin(sql, "ada", "key", ONE, now))
    if finished:
        database.change(lambda sql: idempotency.finish(sql, "ada", "key", b"answer"))
    with pytest.raises(InvalidInput, match="another request"):
        database.change(lambda sql: idempotency.begin(sql, "ada", "key", OTHER, now))
    with pytest.raises(InvalidInput, match="another request"), database.reading() as sql:
        idempotency.look(sql, "ada", "key", OTHER)


def test_looking_changes_nothing(database: Database, now: datetime) -> None:
    with database.reading() as sql:
        assert idempotency.look(sql, "ada", "key", ONE) is None
    database.change(lambda sql: idempotency.begin(sql, "ada", "key", ONE, now))
    database.change(lambda sql: idempotency.finish(sql, "ada", "key", b"answer"))
    with database.reading() as sql:
        assert idempotency.look(sql, "ada", "key", ONE) == b"answer"


def test_a_change_that_goes_on_is_busy(database: Database, now: datetime) -> None:
    database.change(lambda sql: idempotency.begin(sql, "ada", "key", ONE, now))
    with pytest.raises(Busy, match="going on"):
        database.change(lambda sql: idempotency.begin(sql, "ada", "key", ONE, now + timedelta(seconds=1)))


def test_a_change_that_nobody_finished_is_taken_over_by_one(database: Database, now: datetime) -> None:
    later = now + idempotency.PATIENCE
    database.change(lambda sql: idempotency.begin(sql, "ada", "key", ONE, now))
    assert database.change(lambda sql: idempotency.begin(sql, "ada", "key", ONE, later)) is None
    with pytest.raises(Busy):
        database.change(lambda sql: idempotency.begin(sql, "ada", "key", ONE, later))


def test_a_change_that_failed_can_be_asked_for_again(database: Database, now: datetime) -> None:
    database.change(lambda sql: idempotency.begin(sql, "ada", "key", ONE, now))
    database.change(lambda sql: idempotency.drop(sql, "ada", "key"))
    assert database.change(lambda sql: idempotency.begin(sql, "ada", "key", ONE, now)) is None


def test_only_a_change_that_was_begun_can_be_finished(database: Database) -> None:
    with pytest.raises(Conflict, match="no change"):
        database.change(lambda sql: idempotency.finish(sql, "ada", "key", b"answer"))


def _do(database: Database, key: str, begun: datetime) -> None:
    database.change(lambda sql: idempotency.begin(sql, "ada", key, ONE, begun))
    database.change(lambda sql: idempotency.finish(sql, "ada", key, b"answer"))


def test_old_keys_are_purged(database: Database, now: datetime) -> None:
    for key, age in (("old", 25), ("new", 1)):
        _do(database, key, now - timedelta(hours=age))
    assert database.change(lambda sql: idempotency.purge(sql, now - timedelta(hours=24))) == 1
    with database.reading() as sql:
        assert [idempotency.look(sql, "ada", key, ONE) for key in ("old", "new")] == [None, b"answer"]


def test_of_requests_at_once_one_is_done_and_all_get_its_answer(database: Database, now: datetime) -> None:
    done: list[int] = []
    answers: list[bytes] = []

    def ask(number: int) -> None:
        def change(sql: Connection) -> bytes:
            if (recorded := idempotency.begin(sql, "ada", "key", ONE, now)) is not None:
                return recorded
            done.append(number)
            answer = f"answer {number}".encode()
            idempotency.finish(sql, "ada", "key", answer)
            return answer

        answers.append(database.change(change))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(done) == 1
    assert answers == [f"answer {done[0]}".encode()] * 6
