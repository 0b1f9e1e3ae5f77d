"""``kist token`` and ``kist key``."""

from datetime import datetime, timedelta

import pytest
from tests.cli.running import Kist


@pytest.fixture
def robot(kist: Kist) -> Kist:
    """The command line, with a service account `local/robot`."""
    kist.ok("account", "create", "robot", "--role", "writer")
    return kist


def test_a_token_is_all_that_standard_output_gets(kist: Kist) -> None:
    made = kist.ok("token", "create", "ci")
    assert made.out.startswith("kist_")
    assert made.out.count("\n") == 1
    assert "the secret is not shown again" in made.err
    assert made.out.strip() not in made.err


def test_a_token_is_listed_without_its_secret_and_ends(kist: Kist) -> None:
    issued = kist.ok("token", "create", "ci", "--json").json
    listed = kist.ok("token", "list", "--json")
    assert [(one["id"], one["name"], one["kind"]) for one in listed.json] == [(issued["key"]["id"], "ci", "token")]
    assert issued["secret"] not in listed.out
    assert kist.ok("token", "revoke", issued["key"]["id"]).out == f"the token {issued['key']['id']} has ended\n"
    assert kist.ok("token", "list").lines[1].split()[1:4] == ["ci", "everything", "revoked"]
    assert kist("token", "revoke", "nothing").code == 3


@pytest.mark.parametrize(
    ("words", "scope"),
    [
        ((), {"role": "admin", "org": "", "repo": ""}),
        (("--org", "local", "--role", "reader"), {"role": "reader", "org": "local", "repo": ""}),
        (("--repo", "local/default", "--role", "writer"), {"role": "writer", "org": "local", "repo": "default"}),
        (("--repo", "kist://local/default"), {"role": "admin", "org": "local", "repo": "default"}),
    ],
)
def test_a_token_reaches_as_far_as_it_is_said(kist: Kist, words: tuple[str, ...], scope: dict[str, str]) -> None:
    assert kist.ok("token", "create", "ci", *words, "--json").json["key"]["scope"] == scope


def test_a_token_ends_when_it_is_said(kist: Kist) -> None:
    assert kist.ok("token", "create", "ci", "--days", "never", "--json").json["key"]["expires"] is None
    assert kist.ok("token", "list").lines[1].split()[2:4] == ["everything", "never"]
    short = kist.ok("token", "create", "short", "--days", "1", "--json").json["key"]
    assert datetime.fromisoformat(short["expires"]) - datetime.fromisoformat(short["created"]) == timedelta(days=1)


def test_a_pair_for_s3_clients_is_shown_once(kist: Kist) -> None:
    made = kist.ok("key", "create", "rclone")
    access_key, secret = (line.split()[-1] for line in made.lines)
    (listed,) = kist.ok("key", "list", "--json").json
    assert (listed["id"], listed["kind"]) == (access_key, "s3")
    assert secret not in kist.ok("key", "list").out + made.err
    assert kist.ok("key", "revoke", access_key).out == f"the S3 key {access_key} has ended\n"


def test_tokens_and_pairs_are_listed_apart(kist: Kist) -> None:
    kist.ok("key", "create", "rclone")
    assert kist.ok("token", "list", "--json").json == []
    assert "kist token create NAME makes one" in kist.ok("token", "list").err


@pytest.mark.parametrize("kind", ["token", "key"])
def test_those_of_a_service_account_are_its_own(robot: Kist, kind: str) -> None:
    made = robot.ok(kind, "create", "nightly", "--account", "local/robot", "--json").json["key"]
    assert made["owner"].endswith("robot")
    assert robot.ok(kind, "list", "--json").json == []
    assert [one["id"] for one in robot.ok(kind, "list", "--account", "robot", "--json").json] == [made["id"]]
    robot.ok(kind, "revoke", made["id"], "--account", "local/robot")
    assert robot(kind, "create", "nightly", "--account", "local/nobody").code == 3


@pytest.mark.parametrize(
    "words",
    [
        ("--days", "soon"),
        ("--days", "0"),
        ("--repo", "alone"),
        ("--repo", "a/b", "--org", "c"),
        ("--role", "owner"),
        ("--account", "a/b/c"),
    ],
)
def test_what_makes_no_sense_is_refused(kist: Kist, words: tuple[str, ...]) -> None:
    result = kist("token", "create", "ci", *words)
    assert (result.code, result.out) == (2, "")
