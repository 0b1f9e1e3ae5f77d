"""``kist org``, ``member`` and ``account``, and which organisation is meant."""

import json

import pytest
from tests.cli.running import Kist


@pytest.fixture
def lab(kist: Kist) -> Kist:
    """The command line, with an organisation `lab` beside one's own."""
    kist.ok("org", "create", "lab", "-d", "the lab")
    return kist


def test_alone_there_is_an_organisation_of_ones_own(kist: Kist) -> None:
    assert [(one["name"], one["role"], one["personal"]) for one in kist.ok("org", "list", "--json").json] == [("local", "admin", True)]
    assert kist.ok("org", "list").lines[1].split()[:3] == ["local", "admin", "personal"]


def test_one_is_made_shown_changed_and_deleted(kist: Kist) -> None:
    made = kist.ok("org", "create", "lab", "--description", "the lab")
    assert made.out == "made the organisation lab\n"
    assert "kist bucket create NICKNAME URI --org lab" in made.err
    assert {line.split(":")[0]: line.split()[-1] for line in kist.ok("org", "show", "lab").lines}["your role"] == "admin"
    assert kist.ok("org", "update", "lab", "-d", "- of ours", "--json").json["description"] == "- of ours"
    assert kist.ok("org", "delete", "lab", "--confirm", "lab").out == "deleted the organisation lab\n"
    assert kist("org", "show", "lab").code == 3


def test_programs_get_json(lab: Kist) -> None:
    shown = lab.ok("org", "show", "lab", "--json").json
    assert (shown["name"], shown["role"], shown["personal"], shown["description"]) == ("lab", "admin", False, "the lab")
    assert [one["name"] for one in lab.ok("--json", "org", "list").json] == ["lab", "local"]
    assert lab.ok("org", "delete", "lab", "--confirm", "lab", "--json").json == {"name": "lab", "deleted": True}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("create", "lab"), 4),
        (("create", "in valid"), 2),
        (("update", "lab"), 2),
        (("delete", "lab", "--confirm", "lob"), 2),
        (("delete", "nothing", "--confirm", "nothing"), 3),
        (("show", "nothing"), 3),
        (("delete", "local", "--confirm", "local"), 5),
    ],
)
def test_what_makes_no_sense_is_refused(lab: Kist, words: tuple[str, ...], code: int) -> None:
    result = lab("org", *words)
    assert (result.code, result.out, result.err.count("\n")) == (code, "", 1)


def test_a_deletion_says_how_it_is_confirmed(lab: Kist) -> None:
    result = lab("org", "delete", "lab", "--json")
    assert result.code == 2
    assert "say --confirm lab" in json.loads(result.err)["error"]["message"]


def test_the_current_organisation_is_ones_own_unless_said(lab: Kist, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = lab.ok("org", "show")
    assert (shown.lines[0].split()[-1], "in organisation local (your own" in shown.err) == ("local", True)
    monkeypatch.setenv("KIST_ORG", "lab")
    shown = lab.ok("org", "show")
    assert (shown.lines[0].split()[-1], "in organisation lab (KIST_ORG says so)" in shown.err) == ("lab", True)
    assert lab.ok("org", "show", "local").err == ""


def test_the_only_organisation_is_the_one_that_is_meant(kist: Kist) -> None:
    assert "in organisation local (the only one)" in kist.ok("member", "list").err


def test_a_configured_organisation_is_the_one_that_is_meant(lab: Kist) -> None:
    lab.ok("config", "set", "org", "lab")
    assert "in organisation lab (kist config set org says so)" in lab.ok("member", "list").err
    assert lab.ok("member", "list", "--org", "local").err == ""


@pytest.mark.parametrize("option", ["--quiet", "--json"])
def test_which_one_was_taken_is_a_note_for_people(lab: Kist, option: str) -> None:
    assert lab.ok("member", "list", option).err == ""


def test_members_are_listed_set_and_removed(lab: Kist) -> None:
    lab.ok("user", "create", "grace")
    assert lab.ok("member", "set", "grace", "writer", "--org", "lab").out == "grace is writer in lab\n"
    assert [line.split()[:2] for line in lab.ok("member", "list", "--org", "lab").lines[1:]] == [["ada", "admin"], ["grace", "writer"]]
    assert lab.ok("member", "remove", "grace", "--org", "lab").out == "grace is no member of lab any more\n"
    assert [one["name"] for one in lab.ok("member", "list", "--org", "lab", "--json").json] == ["ada"]


@pytest.mark.parametrize(
    ("words", "code"),
    [(("set", "nobody", "writer"), 3), (("set", "ada", "owner"), 2), (("set", "ada", "reader"), 5), (("remove", "nobody"), 3)],
)
def test_who_is_no_member_and_the_last_admin_are_told_apart(lab: Kist, words: tuple[str, ...], code: int) -> None:
    assert lab("member", *words, "--org", "lab").code == code


def test_service_accounts_are_made_changed_and_deleted(lab: Kist) -> None:
    made = lab.ok("account", "create", "robot", "--role", "writer", "--org", "lab")
    assert made.out == "made the service account lab/robot: writer\n"
    assert "kist token create NAME --account lab/robot" in made.err
    assert lab.ok("account", "update", "robot", "--role", "none", "--org", "lab").out == (
        "changed the service account lab/robot: no role of its own\n"
    )
    assert lab.ok("account", "update", "robot", "--disable", "--org", "lab", "--json").json["disabled"] is True
    assert lab.ok("account", "list", "--org", "lab").lines[1].split()[:2] == ["robot", "disabled"]
    assert lab.ok("account", "update", "robot", "--enable", "--org", "lab", "--json").json["role"] is None
    assert lab.ok("account", "delete", "robot", "--org", "lab", "--confirm", "robot").out == "deleted the service account lab/robot\n"
    assert lab.ok("account", "list", "--org", "lab", "--json").json == []


@pytest.mark.parametrize("words", [("update", "robot"), ("update", "robot", "--enable", "--disable"), ("delete", "robot")])
def test_a_change_of_an_account_says_what_it_is(lab: Kist, words: tuple[str, ...]) -> None:
    lab.ok("account", "create", "robot", "--org", "lab")
    assert lab("account", *words, "--org", "lab").code == 2


def test_organisations_are_completed(lab: Kist) -> None:
    assert "lab" in lab("__complete", "org", "show", "l").lines
    assert "lab" in lab("__complete", "member", "list", "--org", "l").lines
