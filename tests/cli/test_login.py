"""``kist login``, ``logout`` and ``whoami``."""

import contextlib
import io
import json
import os
import pty
import re
import stat
from collections.abc import Iterator

import httpx
import pytest
from tests.cli.running import Kist, program
from tests.cli.serving import PASSWORD, Served, served


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that all tests of this module log in to."""
    with served(tmp_path_factory.mktemp("server")) as server:
        yield server


def say(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def login(kist: Kist, server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    say(monkeypatch, f"{PASSWORD}\n")
    kist.ok("login", server.url, "--user", "grace", "--password", "-")


def test_alone_one_is_oneself(kist: Kist) -> None:
    me = kist.ok("whoami", "--json").json
    assert (me["server"], me["name"], me["admin"]) == ("this machine", "ada", True)
    assert [line.split()[:2] for line in kist.ok("whoami").lines[-2:]] == [["ORGANISATION", "ROLE"], ["local", "admin"]]


@pytest.mark.parametrize("words", [("login",), ("login", "local"), ("login", "nonsense"), ("logout",)])
def test_this_machine_needs_no_login(kist: Kist, words: tuple[str, ...]) -> None:
    result = kist(*words)
    assert (result.code, result.out) == (2, "")


def test_a_login_by_password_counts_for_all_commands(kist: Kist, server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    say(monkeypatch, f"{PASSWORD}\n")
    result = kist.ok("login", f"{server.url}/", "--user", "grace", "--password", "-")
    assert (result.out, PASSWORD in result.err) == (f"logged in to {server.url} as grace\n", False)
    assert kist.ok("whoami", "--json").json["name"] == "grace"
    assert [one["name"] for one in kist.ok("org", "list", "--json").json] == ["grace"]
    path = kist.home / "config" / "client.toml"
    assert (PASSWORD in path.read_text(), stat.S_IMODE(path.stat().st_mode)) == (False, 0o600)


def test_a_wrong_password_is_no_login(kist: Kist, server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    say(monkeypatch, "something else\n")
    assert kist("login", server.url, "--user", "grace", "--password", "-").code == 7
    assert not (kist.home / "config" / "client.toml").exists()


def test_a_login_by_token(kist: Kist, server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    say(monkeypatch, f"{server.token}\n")
    result = kist.ok("login", server.url, "--token", "-", "--json")
    assert (result.json["name"], result.json["server"], server.token in result.out + result.err) == ("ada", server.url, False)
    say(monkeypatch, "kist_nonsense\n")
    assert kist("login", server.url, "--token", "-").code == 7
    assert kist.ok("whoami", "--json").json["name"] == "ada"


def test_a_token_of_the_environment_needs_no_login(kist: Kist, server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIST_SERVER", server.url)
    assert kist("whoami").code == 7
    monkeypatch.setenv("KIST_TOKEN", server.token)
    assert kist.ok("whoami", "--json").json["name"] == "ada"


def test_what_goes_before_a_login_is_told(kist: Kist, server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIST_TOKEN", server.token)
    say(monkeypatch, f"{PASSWORD}\n")
    told = kist.ok("login", server.url, "--user", "grace", "--password", "-").err
    assert "KIST_TOKEN of the environment count" in told
    assert kist.ok("whoami", "--json").json["name"] == "ada"


@pytest.mark.parametrize("option", ["--password", "--token"])
def test_a_secret_is_never_an_argument(kist: Kist, server: Served, option: str) -> None:
    result = kist("login", server.url, option, "vEry-secret-1234")
    assert (result.code, "vEry-secret" in result.err) == (2, False)


@pytest.mark.parametrize("words", [("--token", "-", "--user", "grace"), ("--browser", "--token", "-"), ("--password", "-"), ()])
def test_one_says_who_and_how(kist: Kist, server: Served, words: tuple[str, ...]) -> None:
    assert kist("login", server.url, *words).code == 2


def test_a_logout_ends_the_token(kist: Kist, server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    login(kist, server, monkeypatch)
    token = re.findall(r'token = "(.*)"', (kist.home / "config" / "client.toml").read_text())[0]
    assert kist.ok("logout").out == f"logged out of {server.url}\n"
    assert kist.ok("whoami", "--json").json["server"] == "this machine"
    assert httpx.get(f"{server.url}/api/v1/me", headers={"authorization": f"Bearer {token}"}).status_code == 401


def test_a_login_is_forgotten_where_the_server_is_gone(kist: Kist, server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    login(kist, server, monkeypatch)
    assert kist.ok("logout", server.url, "--forget", "--json").json == {"server": server.url, "logged_out": True}
    assert kist.ok("config", "list", "--json").json["servers"] == []


def test_a_server_that_is_not_there_is_told_in_one_line(kist: Kist, monkeypatch: pytest.MonkeyPatch) -> None:
    say(monkeypatch, f"{PASSWORD}\n")
    result = kist("login", "http://127.0.0.1:9", "--user", "ada", "--password", "-")
    assert (result.code, result.err.count("\n")) == (11, 1)


def test_plain_http_to_another_machine_is_refused(kist: Kist) -> None:
    assert kist("login", "http://kist.lab.org", "--user", "ada", "--password", "-").code == 2


@contextlib.contextmanager
def in_browser(server: Served) -> Iterator[httpx.Client]:
    """Lend a browser in which grace is logged in."""
    with httpx.Client(base_url=server.url, headers={"origin": server.url, "sec-fetch-site": "same-origin"}) as browser:
        link = server.client.create_login_link("grace")
        assert browser.get("/login", params={"token": link.token}).status_code in {200, 303}
        yield browser


@pytest.mark.parametrize(("verdict", "code"), [("allow", 0), ("refuse", 7)])
def test_a_terminal_is_logged_in_by_a_browser(kist: Kist, server: Served, verdict: str, code: int) -> None:
    terminal, inner = pty.openpty()
    process = program(kist.home, "login", server.url, "--json", stdin=inner, stdout=inner, stderr=inner, start_new_session=True)
    os.close(inner)
    seen = b""
    with contextlib.suppress(OSError):  # that is how a terminal says that all have left it
        while data := os.read(terminal, 65536):
            seen += data
            if (found := re.search(rb"confirm the code ([\w-]+)\r", seen)) and b"waiting for that" in data:
                with in_browser(server) as browser:
                    said = {"code": found[1].decode(), "verdict": verdict}
                    assert browser.post("/login/device/confirm", data=said).status_code == 200
    os.close(terminal)
    assert process.wait(60) == code, seen
    assert f"open {server.url}/login/device in a browser".encode() in seen
    if verdict == "allow":
        assert json.loads(seen[seen.index(b"{") :])["name"] == "grace"
        assert kist.ok("whoami", "--json").json["name"] == "grace"
