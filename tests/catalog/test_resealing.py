import os
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, insert, select, update

from kist.catalog import resealing
from kist.catalog.database import Database
from kist.catalog.sealing import Keyring
from kist.catalog.tables import bucket_configs, mounts, orgs
from kist.errors import IntegrityError

OLD, NEW = os.urandom(32), os.urandom(32)
BEFORE, BETWEEN, AFTER = Keyring({"old": OLD}), Keyring({"newer": NEW, "old": OLD}), Keyring({"newer": NEW})
NOW = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture
def filled(database: Database) -> Database:
    """Three buckets, one without credentials, and two mounts, one without secrets; sealed by the old key."""

    def fill(sql: Connection) -> None:
        sql.execute(insert(orgs).values(id="o", name="o", folded="o", created=NOW))
        for number, secret in (("1", b"one"), ("2", b"two"), ("3", None)):
            place = resealing.place_of("bucket_configs", number, "credentials")
            row = {"id": number, "org_id": "o", "nickname": number, "folded": number, "platform": "s3", "name": "b", "place": number}
            rest: dict[str, object] = {"extra_config": {}, "auth_method": "keys", "created": NOW, "created_by": "ada", "updated": NOW}
            sql.execute(insert(bucket_configs).values(**row, **rest, credentials=secret and BEFORE.seal(secret, place=place)))
        for number, secret in (("4", b"four"), ("5", None)):
            place = resealing.place_of("mounts", number, "secrets")
            mount: dict[str, object] = {
                "id": number,
                "org_id": "o",
                "name": number,
                "url": "s3://b",
                "options": {},
                "created": NOW,
                "created_by": "ada",
            }
            sql.execute(insert(mounts).values(**mount, secrets=secret and BEFORE.seal(secret, place=place)))

    database.change(fill)
    return database


def _old(database: Database, keyring: Keyring, limit: int = 100) -> list[resealing.Sealed]:
    with database.reading() as sql:
        return resealing.old(sql, keyring, limit=limit)


def test_secrets_of_an_old_key_are_found(filled: Database) -> None:
    found = _old(filled, BETWEEN)
    assert [(one.place, one.key) for one in found] == [
        ("bucket_configs/1/credentials", "old"),
        ("bucket_configs/2/credentials", "old"),
        ("mounts/4/secrets", "old"),
    ]
    assert _old(filled, BEFORE) == []


def test_a_key_whose_name_begins_like_another_is_another(filled: Database) -> None:
    assert len(_old(filled, Keyring({"ol": OLD}))) == len(_old(filled, Keyring({"older": OLD}))) == 3


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_so_many_are_found_at_once(filled: Database, limit: int) -> None:
    assert len(_old(filled, BETWEEN, limit)) == limit


def test_after_all_are_sealed_anew_the_old_key_can_go(filled: Database) -> None:
    rounds = 0
    while found := _old(filled, BETWEEN, limit=2):
        rounds += 1
        for one in found:
            assert filled.change(lambda sql, one=one: resealing.reseal(sql, BETWEEN, one))  # type: ignore[misc]  # a default says which
    assert rounds == 2
    with filled.reading() as sql:
        sealed = sql.execute(
            select(bucket_configs.c.id, bucket_configs.c.credentials).where(bucket_configs.c.credentials.is_not(None))
        ).all()
    assert [AFTER.open(value, place=f"bucket_configs/{number}/credentials") for number, value in sealed] == [b"one", b"two"]


def test_credentials_that_were_replaced_meanwhile_are_left_alone(filled: Database) -> None:
    found = _old(filled, BETWEEN)[0]
    filled.change(lambda sql: sql.execute(update(bucket_configs).values(credentials=b"replaced")))
    assert not filled.change(lambda sql: resealing.reseal(sql, BETWEEN, found))
    with filled.reading() as sql:
        assert set(sql.execute(select(bucket_configs.c.credentials)).scalars()) == {b"replaced"}


def test_what_does_not_open_is_not_touched(filled: Database) -> None:
    found = _old(filled, AFTER)[0]
    with pytest.raises(IntegrityError, match="bucket_configs/1/credentials"):
        filled.change(lambda sql: resealing.reseal(sql, AFTER, found))
    assert len(_old(filled, BETWEEN)) == 3


def test_a_sealed_secret_is_not_shown(filled: Database) -> None:
    assert "value" not in repr(_old(filled, BETWEEN)[0])
