"""``kist audit``."""

import sqlite3

import pytest
from tests.cli.running import Kist

from kist.errors import IntegrityError


@pytest.fixture
def busy(kist: Kist) -> Kist:
    """The command line, where something was done in `local`."""
    kist.ok("account", "create", "robot")
    kist.ok("bucket", "create", "production", "s3://my-production-data", "--region", "us-east-1")
    kist.ok("user", "create", "grace")
    kist.ok("member", "set", "grace", "reader")
    return kist


def test_what_was_done_is_listed_newest_first(busy: Kist) -> None:
    lines = busy.ok("audit", "list", "--json").json
    assert [one["operation"] for one in lines[:3]] == ["set_member", "create_bucket_config", "create_service_account"]
    assert {one["principal"] for one in lines} == {"ada"}
    assert [line.split()[4] for line in busy.ok("audit", "list").lines[1:4]] == [one["operation"] for one in lines[:3]]


@pytest.mark.parametrize(
    ("words", "operations"),
    [
        (("--operation", "set_member"), ["set_member"]),
        (("--by", "nobody"), []),
        (("--target", "produc"), ["create_bucket_config"]),
        (("-n", "1"), ["set_member"]),
        (("-n", "0"), []),
    ],
)
def test_lines_are_chosen(busy: Kist, words: tuple[str, ...], operations: list[str]) -> None:
    assert [one["operation"] for one in busy.ok("audit", "list", "--json", *words).json] == operations


def test_who_sees_a_part_is_told_so(busy: Kist) -> None:
    assert "the newest 1 line; -n N shows more" in busy.ok("audit", "list", "-n", "1").err
    assert busy("audit", "list", "-n", "-1").code == 2


def test_a_log_that_is_whole_is_ok(busy: Kist) -> None:
    report = busy.ok("audit", "verify", "--json").json
    assert (report["ok"], report["lines"]) == (True, len(busy.ok("audit", "list", "--json").json))
    assert busy.ok("audit", "verify").out.startswith(f"ok: {report['lines']} lines, the last with the hash {report['head']}")


@pytest.mark.parametrize("harm", ["UPDATE audit SET principal = 'mallory' WHERE seq = 5", "DELETE FROM audit WHERE seq = 5"])
def test_a_line_that_was_changed_or_removed_is_found(busy: Kist, harm: str) -> None:
    with sqlite3.connect(busy.home / "data" / "catalog" / "kist.sqlite") as database:
        assert database.execute(harm).rowcount == 1
    database.close()
    result = busy("audit", "verify")
    assert (result.code, result.out.startswith("damaged: line ")) == (IntegrityError.exit_code, True)
    assert busy("audit", "verify", "--json").json["ok"] is False
