"""Values as JSON."""

import json
from datetime import UTC, datetime

import pytest

from kist.cli.plain import info_facts, plain, version_facts
from kist.models import Info, Problem, Report, Stats, Version

VERSION = Version(
    id="ab" * 32,
    number=3,
    time=datetime(2026, 11, 20, 10, tzinfo=UTC),
    author="ada",
    message="m",
    stats=Stats(files=1, bytes=2, new_bytes=3, reused_bytes=4),
)


def test_a_version_has_its_fields_and_its_name() -> None:
    facts = version_facts(VERSION)
    assert (facts["name"], facts["time"], facts["parents"]) == ("v3", "2026-11-20T10:00:00.000000Z", [])
    assert facts["stats"] == {"files": 1, "bytes": 2, "new_bytes": 3, "reused_bytes": 4}


def test_labels_are_a_sorted_list_and_the_time_is_there_for_people() -> None:
    facts = info_facts(Info(path="a/b", kind="file", size=1, mtime_ns=1_500_000_000, labels=frozenset({"z", "a"}), tags={"site": "A"}))
    assert (facts["labels"], facts["tags"], facts["name"], facts["mtime"]) == (
        ["a", "z"],
        {"site": "A"},
        "b",
        "1970-01-01T00:00:01.500000Z",
    )


def test_a_time_that_no_calendar_has_is_null() -> None:
    assert info_facts(Info(path="a", kind="file", size=1, mtime_ns=10**30))["mtime"] is None


def test_a_report_says_whether_all_is_well() -> None:
    report = Report(level="data", versions=1, packs=1, frames=1, bytes_read=1, problems=(Problem(key="k", what="w", paths=("v1:a",)),))
    assert json.loads(json.dumps(plain(report)))["ok"] is False


def test_what_json_cannot_say_is_refused() -> None:
    with pytest.raises(TypeError, match="JSON has no way to say object"):
        plain(object())
