"""What refs may say, and what branches and tags may be called."""

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kist.errors import InvalidInput
from kist.ids import Ref, check_ref_name, new_id, new_txn, parse_ref, short


@pytest.mark.parametrize("name", ["main", "a", "2026", "v", "v1.0", "release-1_2.3", "x" * 100, "deadbee", "vv1", "1234567", "v42x"])
def test_a_branch_or_tag_may_have_this_name(name: str) -> None:
    assert check_ref_name(name, what="branch") == name


@pytest.mark.parametrize("name", ["", "-a", ".a", "_a", "a b", "a/b", "a:b", "a@b", "ä", "x" * 101, "a\n"])
def test_a_name_is_made_of_letters_digits_and_few_signs(name: str) -> None:
    with pytest.raises(InvalidInput, match="starts with a letter or digit"):
        check_ref_name(name, what="branch")


@pytest.mark.parametrize("name", ["v1", "V42", "v00", "deadbeef", "DEADBEEF", "20261120", "0123456789abcdef" * 4])
def test_no_name_reads_like_a_number_or_an_id(name: str) -> None:
    with pytest.raises(InvalidInput, match="reads like"):
        check_ref_name(name, what="tag")


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("main", Ref(kind="name", name="main")),
        ("v1.0", Ref(kind="name", name="v1.0")),
        ("v42", Ref(kind="number", branch="main", number=42)),
        ("dev:v42", Ref(kind="number", branch="dev", number=42)),
        ("v42-0123abcd", Ref(kind="number", branch="main", number=42, txn="0123abcd")),
        ("dev:v7-00", Ref(kind="number", branch="dev", number=7, txn="00")),
        ("deadbeef", Ref(kind="id", name="deadbeef")),
        ("0" * 64, Ref(kind="id", name="0" * 64)),
        ("as-of:2026-11-20T10:00Z", Ref(kind="as-of", branch="main", time=datetime(2026, 11, 20, 10, tzinfo=UTC))),
        ("as-of:2026-11-20T10:00+02:00", Ref(kind="as-of", branch="main", time=datetime(2026, 11, 20, 8, tzinfo=UTC))),
    ],
)
def test_a_ref_is_read_as(text: str, ref: Ref) -> None:
    assert parse_ref(text) == ref


def test_a_number_without_a_branch_is_of_the_one_that_is_meant() -> None:
    assert parse_ref("v3", branch="dev") == Ref(kind="number", branch="dev", number=3)


def test_a_time_without_a_zone_is_local() -> None:
    assert parse_ref("as-of:2026-11-20T10:00").time == datetime(2026, 11, 20, 10).astimezone(UTC)


def test_a_date_alone_is_its_start() -> None:
    assert parse_ref("as-of:2026-11-20").time == datetime(2026, 11, 20).astimezone(UTC)


@pytest.mark.parametrize(
    "text", ["", "-x", "a/b", "a@b", "dev:", "dev:main", "as-of:", "as-of:yesterday", "0" * 65 + "g" * 40, "a:b:v1", "HEAD~1"]
)
def test_anything_else_is_no_ref(text: str) -> None:
    with pytest.raises(InvalidInput, match="ref"):
        parse_ref(text)


@given(st.text(max_size=120))
def test_any_text_is_a_ref_or_a_clear_error(text: str) -> None:
    with contextlib.suppress(InvalidInput):
        parse_ref(text)


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", fullmatch=True))
def test_a_name_that_is_allowed_means_a_branch_or_tag(name: str) -> None:
    try:
        check_ref_name(name, what="tag")
    except InvalidInput:
        return
    assert parse_ref(name) == Ref(kind="name", name=name)


def test_ids_are_32_digits_and_never_the_same() -> None:
    ids = {new_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(len(bytes.fromhex(one)) == 16 for one in ids)


def test_transactions_are_16_bytes_and_never_the_same() -> None:
    assert len({new_txn() for _ in range(100)}) == 100
    assert len(new_txn()) == 16


def test_people_see_twelve_digits() -> None:
    assert short("0123456789abcdef" * 4) == "0123456789ab"
