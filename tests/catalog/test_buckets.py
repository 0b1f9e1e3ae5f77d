"""Bucket configs by their places, as both databases find them."""

import string
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert

from kist.catalog import buckets
from kist.catalog.buckets import BucketRow
from kist.catalog.database import Database
from kist.catalog.tables import bucket_configs, orgs

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SEGMENTS = st.lists(st.text(f"ab0/-._~ä😀{string.punctuation}".replace("/", ""), min_size=1, max_size=3), max_size=3)


def row(number: int, place: str) -> BucketRow:
    return BucketRow(
        id=f"{number:032x}",
        org_id="1" * 32,
        nickname=f"Number-{number}",
        platform="s3",
        name="bkt",
        prefix="",
        extra_config={"region_name": "us-east-1", "use_ssl": True},
        auth_method="ambient",
        credentials=None,
        place=place,
        is_default=False,
        created=NOW,
        created_by="ann",
        updated=NOW,
    )


@pytest.fixture
def filled(database: Database) -> Database:
    """A database with an organisation."""
    database.change(lambda sql: sql.execute(insert(orgs).values(id="1" * 32, name="lab", folded="lab", created=NOW)))
    return database


def test_what_is_added_is_found_as_it_was(filled: Database) -> None:
    made = row(7, "aws:/bkt/")

    filled.change(lambda sql: buckets.add(sql, made))

    with filled.reading() as sql:
        assert buckets.get(sql, "1" * 32, "NUMBER-7") == buckets.by_id(sql, made.id) == made
        assert buckets.default(sql, "1" * 32) is None


def test_only_one_is_the_default(filled: Database) -> None:
    rows = [row(number, f"aws:/bkt{number}/") for number in range(3)]
    for one in rows:
        filled.change(lambda sql, one=one: buckets.add(sql, one))  # type: ignore[misc]  # bound at once

    for one in (rows[0], rows[1]):
        filled.change(lambda sql, one=one: buckets.make_default(sql, "1" * 32, one.id))  # type: ignore[misc]  # bound at once

    with filled.reading() as sql:
        assert [one.is_default for one, _ in buckets.page(sql, "1" * 32, after="", limit=10)] == [False, True, False]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(SEGMENTS, min_size=1, max_size=8), SEGMENTS)
def test_a_place_overlaps_exactly_those_that_share_its_segments(filled: Database, others: list[list[str]], asked: list[str]) -> None:
    places = ["/".join(["aws:", "bkt", *segments, ""]) for segments in others]

    def fill(sql: object) -> None:
        sql.execute(delete(bucket_configs))  # type: ignore[attr-defined]  # a connection
        for number, place in enumerate(places):
            buckets.add(sql, row(number, place))  # type: ignore[arg-type]  # a connection

    filled.change(fill)

    with filled.reading() as sql:
        found = {one.id for one in buckets.overlapping(sql, "/".join(["aws:", "bkt", *asked, ""]), but=f"{0:032x}")}

    shared = [min(len(segments), len(asked)) for segments in others]
    expected = {f"{n:032x}" for n, segments in enumerate(others) if n and segments[: shared[n]] == asked[: shared[n]]}
    assert found == expected
