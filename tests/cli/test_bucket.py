"""``kist bucket``."""

import io
import json
import os
from pathlib import Path

import pytest
from tests.cli.running import Kist

SECRET = "vEry-secret-1234"
CANARY = ("--credential", "access_key_id=AKIAEXAMPLE", "--credential", "secret_access_key=-")


@pytest.fixture
def bucketing(kist: Kist, monkeypatch: pytest.MonkeyPatch) -> Kist:
    """The command line, where nobody types, in an organisation without bucket configs."""
    for name in [name for name in os.environ if name.startswith("KIST_BUCKET_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    kist.ok("org", "create", "lab")
    monkeypatch.setenv("KIST_ORG", "lab")
    return kist


@pytest.fixture
def production(bucketing: Kist) -> Kist:
    """There is one bucket config, `production`."""
    bucketing.ok("bucket", "create", "production", "s3://my-production-data", "--region", "us-east-1")
    return bucketing


def test_the_first_one_is_the_default(bucketing: Kist) -> None:
    made = bucketing.ok("bucket", "create", "production", "s3://my-production-data", "--region", "us-east-1")
    assert made.out == "made the bucket config production: s3://my-production-data (the default)\n"
    assert "kist bucket check production" in made.err
    assert bucketing.ok("bucket", "create", "second", "s3://other-data", "--region", "us-east-1").out == (
        "made the bucket config second: s3://other-data\n"
    )


def test_they_are_listed_with_their_places(production: Kist) -> None:
    production.ok("bucket", "create", "second", "s3://b-2/prefix", "--endpoint-url", "https://s3.lab.org", "--region", "lab")
    lines = production.ok("bucket", "list").lines
    assert lines[1].split()[:4] == ["production", "default", "0", "s3://my-production-data"]
    assert lines[2].split()[:5] == ["second", "0", "s3://b-2/prefix", "at", "https://s3.lab.org"]


def test_programs_get_json(production: Kist) -> None:
    shown = production.ok("bucket", "show", "production", "--json").json
    assert (shown["platform"], shown["name"], shown["prefix"], shown["is_default"]) == ("s3", "my-production-data", "", True)
    assert (shown["uri"], shown["extra_config"], shown["used_by"]) == ("s3://my-production-data", {"region_name": "us-east-1"}, [])
    (listed,) = production.ok("bucket", "list", "--json").json
    assert listed == {name: value for name, value in shown.items() if name != "used_by"}


def test_a_folder_is_a_place_too(bucketing: Kist, tmp_path: Path) -> None:
    for number, place in enumerate((str(tmp_path / "one"), "./two")):
        made = bucketing.ok("bucket", "create", f"folder-{number}", place, "--json").json
        assert (made["platform"], made["name"]) == ("local", str(tmp_path / ("one", "two")[number]))


def test_another_one_becomes_the_default(production: Kist) -> None:
    production.ok("bucket", "create", "second", "s3://other-data", "--region", "us-east-1")
    assert "second (s3://other-data)" in production.ok("bucket", "set-default", "second").out
    assert [one["is_default"] for one in production.ok("bucket", "list", "--json").json] == [False, True]


def test_one_that_is_not_used_changes_whole(production: Kist) -> None:
    words = ("--name", "renamed", "--uri", "s3://elsewhere/p", "-c", "use_ssl=false", "--region", "eu-west-1")
    changed = production.ok("bucket", "update", "production", *words, "--json").json
    assert (changed["nickname"], changed["uri"], changed["extra_config"]["region_name"]) == ("renamed", "s3://elsewhere/p", "eu-west-1")
    assert "s3://elsewhere/p" in production.ok("bucket", "update", "renamed", "--region", "us-east-1").out


def test_one_that_is_used_changes_its_name_only(bucketing: Kist, tmp_path: Path) -> None:
    bucketing.ok("bucket", "create", "folder", str(tmp_path / "b"))
    bucketing.ok("repo", "create", "climate")
    refused = bucketing("bucket", "update", "folder", "--uri", str(tmp_path / "c"))
    assert (refused.code, "climate" in refused.err) == (5, True)
    assert bucketing.ok("bucket", "update", "folder", "--name", "disk", "--json").json["repos"] == 1
    assert "used by:    lab/climate" in bucketing.ok("bucket", "show", "disk").lines
    assert bucketing("bucket", "delete", "disk", "--confirm", "disk").code == 5


def test_it_is_deleted_by_its_name(production: Kist) -> None:
    refused = production("bucket", "delete", "production")
    assert (refused.code, "say --confirm production" in refused.err) == (2, True)
    assert production("bucket", "delete", "production", "--confirm", "other").code == 2
    assert production.ok("bucket", "delete", "production", "--confirm", "production").out == (
        "deleted the bucket config production; what lies in the bucket stays\n"
    )
    assert production("bucket", "delete", "production", "--confirm", "production").code == 3


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("create", "production", "s3://new-place", "--region", "us-east-1"), 4),
        (("create", "another", "s3://my-production-data/inner", "--region", "us-east-1"), 5),
        (("create", "ab", "s3://new-place", "--region", "us-east-1"), 2),
        (("create", "another", "new-place"), 2),
        (("create", "another", "s3://new-place", "-c", "region"), 2),
        (("create", "another", "s3://new-place", "--region", "x", "--auth", "guess"), 2),
        (("update", "production"), 2),
        (("rotate", "production"), 2),
        (("show", "nothing"), 3),
        (("set-default", "nothing"), 3),
    ],
)
def test_what_makes_no_sense_is_refused(production: Kist, words: tuple[str, ...], code: int) -> None:
    result = production("bucket", *words)
    assert (result.code, result.out) == (code, "")


def test_a_nested_place_is_allowed_where_it_is_said(production: Kist) -> None:
    production.ok("bucket", "create", "inner", "s3://my-production-data/inner", "--region", "us-east-1", "--allow-nested")


def test_a_secret_comes_from_standard_input_or_the_environment(production: Kist, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{SECRET}\n"))
    assert production.ok("bucket", "rotate", "production", *CANARY).out == "production uses new credentials from now on (keys)\n"
    monkeypatch.setenv("KIST_BUCKET_PRODUCTION_SECRET_ACCESS_KEY", SECRET)
    assert production.ok("bucket", "rotate", "production", *CANARY, "--json").json["auth_method"] == "keys"
    assert production.ok("bucket", "rotate", "production", "--auth", "ambient", "--json").json["auth_method"] == "ambient"


def test_the_file_of_a_key_is_read_whole(bucketing: Kist, monkeypatch: pytest.MonkeyPatch) -> None:
    key = {
        "type": "service_account",
        "client_email": "kist@lab",
        "private_key_id": "1",
        "private_key": "-----BEGIN\n" + "x" * 1700 + "\n-----END",
    }
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(key, indent=2)))
    made = bucketing.ok("bucket", "create", "cloud", "gs://my-data-of-lab", "--credential", "service_account_key=-", "--json").json
    assert (made["platform"], made["auth_method"]) == ("gs", "keys")


def test_no_secret_is_an_error_not_an_empty_one(production: Kist) -> None:
    result = production("bucket", "rotate", "production", *CANARY)
    assert (result.code, "KIST_BUCKET_PRODUCTION_SECRET_ACCESS_KEY" in result.err) == (2, True)


def test_no_command_prints_a_secret(production: Kist, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIST_BUCKET_PRODUCTION_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("KIST_BUCKET_ANOTHER_SECRET_ACCESS_KEY", SECRET)
    told = [
        production("bucket", *words)
        for words in (
            ("rotate", "production", *CANARY, "--json"),
            ("rotate", "production", "--credential", f"secret_access_key={SECRET}"),
            ("rotate", "production", "--credential", SECRET),
            ("create", "another", "s3://new-place", "--region", "us-east-1", *CANARY),
            ("create", "third", f"s3://AKIA:{SECRET}@third-place", "--region", "us-east-1"),
            ("create", "third", "s3://third-place", "--region", "us-east-1", "-c", f"secret_access_key={SECRET}"),
            ("show", "another"),
            ("show", "another", "--json"),
            ("list", "--json"),
        )
    ]
    told.append(production("audit", "list", "--json"))
    assert not any(SECRET in result.out + result.err for result in told)
    assert [result.code for result in told] == [0, 2, 2, 0, 2, 2, 0, 0, 0, 0]


def test_a_place_is_tried(bucketing: Kist, tmp_path: Path) -> None:
    bucketing.ok("bucket", "create", "folder", str(tmp_path / "b"))
    result = bucketing.ok("bucket", "check", "folder")
    assert result.lines[-1].startswith("ok: folder, tried in ")
    assert bucketing.ok("bucket", "check", "folder", "--json").json["ok"] is True
    assert [path for path in (tmp_path / "b").rglob("*") if path.is_file()] == []


def test_what_is_wrong_with_a_place_is_told(bucketing: Kist, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    bucketing.ok("bucket", "create", "broken", str(tmp_path / "file" / "b"))
    result = bucketing("bucket", "check", "broken")
    assert (result.code, result.lines[-1].startswith("not ok: broken")) == (11, True)
    assert result.err.startswith("kist: ")
    assert bucketing("bucket", "check", "broken", "--json").json["ok"] is False


def test_nicknames_are_completed(production: Kist) -> None:
    assert "production" in production("__complete", "bucket", "show", "p").lines
