"""``kist user``."""

import io

import pytest
from tests.cli.running import Kist

PASSWORD = "correct horse battery"


def test_a_user_is_made_with_an_organisation_of_their_own(kist: Kist) -> None:
    made = kist.ok("user", "create", "grace", "--email", "grace@lab.org")
    assert made.out == "made the user grace (grace@lab.org)\n"
    assert "kist user link grace" in made.err
    assert [one["name"] for one in kist.ok("user", "list", "--json").json] == ["ada", "grace"]
    assert kist("user", "create", "Grace").code == 4


def test_a_password_is_never_an_argument(kist: Kist, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n"))
    made = kist.ok("user", "create", "grace", "--password")
    assert PASSWORD not in made.out + made.err
    assert kist("user", "create", "other", "--password", PASSWORD).code == 2


def test_a_user_is_changed(kist: Kist) -> None:
    kist.ok("user", "create", "grace")
    assert kist.ok("user", "update", "grace", "--admin").out == "changed the user grace (admin of the server)\n"
    assert kist.ok("user", "update", "grace", "--no-admin", "--disable").out == "changed the user grace (disabled)\n"
    assert kist.ok("user", "list").lines[2].split()[:2] == ["grace", "disabled"]
    assert kist.ok("user", "update", "grace", "--enable", "--email", "g@lab.org", "--json").json["email"] == "g@lab.org"
    assert (kist("user", "update", "grace").code, kist("user", "update", "nobody", "--admin").code) == (2, 3)


def test_a_link_logs_in_once(kist: Kist) -> None:
    kist.ok("user", "create", "grace")
    made = kist.ok("user", "link", "grace", "--json").json
    assert made["url"].endswith(f"/login?token={made['token']}")
    assert "it is not shown again" in kist.ok("user", "link", "grace").err


def test_ones_own_password_is_set(kist: Kist, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"\n{PASSWORD}\n"))
    kist.ok("user", "set-password")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"wrong\n{PASSWORD} 2\n"))
    assert kist("user", "set-password").code == 6
    monkeypatch.setenv("KIST_PASSWORD", PASSWORD)
    monkeypatch.setenv("KIST_NEW_PASSWORD", "short")
    assert kist("user", "set-password").code == 2
