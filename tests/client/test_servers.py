"""Which server is asked, with which token; and the file in which logins are kept."""

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from kist.client.servers import Server, Servers, find_server, forget_server, known_servers, remember_server
from kist.errors import Denied, InvalidInput, StoreError

LAB = Server(url="https://kist.lab.org", token="kist_lab", user="ada")
FILE = Path("config/client.toml")


def test_without_any_server_it_is_this_machine() -> None:
    assert find_server() is None


def test_an_argument_goes_before_the_environment_and_that_before_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    remember_server(LAB)
    assert find_server() == LAB
    monkeypatch.setenv("KIST_SERVER", "https://other.org")
    assert find_server() == Server(url="https://other.org")
    assert find_server("https://third.org") == Server(url="https://third.org")


@pytest.mark.parametrize("said", ["local", None])
def test_this_machine_can_be_meant_where_a_server_is_known(said: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    remember_server(LAB)
    if said is None:
        monkeypatch.setenv("KIST_SERVER", "local")
    assert find_server(said) is None


@pytest.mark.parametrize(
    "spelling", ["https://kist.lab.org/", "https://KIST.lab.org", "https://kist.lab.org:443", "HTTPS://kist.lab.org//"]
)
def test_a_server_has_one_spelling(spelling: str) -> None:
    remember_server(LAB)
    assert find_server(spelling) == LAB


def test_a_server_may_be_below_a_path() -> None:
    assert find_server("https://lab.org/kist/") == Server(url="https://lab.org/kist")


def test_a_token_goes_only_to_the_server_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIST_TOKEN", "secret")
    assert find_server("https://any.org") == Server(url="https://any.org", token="secret")
    monkeypatch.setenv("KIST_SERVER", "https://kist.lab.org")
    assert find_server() == Server(url="https://kist.lab.org", token="secret")
    assert find_server("https://other.org") == Server(url="https://other.org")


def test_a_token_of_the_file_goes_to_its_server_alone() -> None:
    remember_server(LAB)
    assert find_server("https://kist.lab.org.evil.org") == Server(url="https://kist.lab.org.evil.org")


def test_another_token_is_that_of_another_user() -> None:
    remember_server(LAB)
    assert find_server(token="other") == replace(LAB, token="other", user="")


def test_this_machine_takes_no_token() -> None:
    with pytest.raises(InvalidInput, match="this machine needs none"):
        find_server(token="secret")


@pytest.mark.parametrize(
    "url", ["http://kist.lab.org", "http://127.0.0.1.evil.org", "http://localhost.evil.org", "http://10.0.0.1", "http://[::2]"]
)
def test_plain_http_to_another_machine_must_be_said(url: str) -> None:
    with pytest.raises(InvalidInput, match="insecure=True"):
        find_server(url)
    assert find_server(url, insecure=True) == Server(url=url, insecure=True)


@pytest.mark.parametrize("url", ["http://127.0.0.1:7878", "http://localhost:7878", "http://[::1]:7878", "http://127.1.2.3"])
def test_plain_http_may_be_used_on_loopback(url: str) -> None:
    assert find_server(url) == Server(url=url)


def test_that_a_network_is_safe_is_remembered() -> None:
    remember_server(Server(url="http://kist", insecure=True))
    assert find_server() == Server(url="http://kist", insecure=True)


@pytest.mark.parametrize(
    "url",
    [
        "kist.lab.org", "ftp://kist.lab.org", "https://", "https://kist.lab.org?a=b", "https://kist.lab.org#a",
        "https://a b", "https://a:b", "https://a\n", "https://[1",
    ],
)  # fmt: skip
def test_what_is_no_url_of_a_server_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput):
        find_server(url)


def test_a_url_with_a_password_is_refused_and_not_repeated() -> None:
    with pytest.raises(InvalidInput, match="holds no user") as refused:
        find_server("https://ada:canary@kist.lab.org")
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize("token", ["a b", "a\r\nX-Evil: 1", "å"])
def test_what_is_no_token_is_refused_and_not_repeated(token: str) -> None:
    with pytest.raises(InvalidInput, match="copy it again") as refused:
        find_server("https://kist.lab.org", token)
    assert token not in str(refused.value)


def test_no_repr_shows_a_token() -> None:
    remember_server(LAB)
    assert "kist_lab" not in repr(find_server()) + repr(known_servers())


def test_only_the_user_may_read_the_file(home: Path) -> None:
    before = os.umask(0)
    try:
        remember_server(LAB)
    finally:
        os.umask(before)
    assert stat.S_IMODE((home / FILE).stat().st_mode) == 0o600


def test_a_file_that_others_may_read_is_refused(home: Path) -> None:
    remember_server(LAB)
    (home / FILE).chmod(0o640)
    with pytest.raises(Denied, match="chmod 600"):
        find_server()


def test_servers_are_remembered_and_forgotten() -> None:
    other = Server(url="https://other.org", token='"\\\n]', user="grace")
    remember_server(LAB)
    remember_server(other, current=False)
    assert known_servers() == Servers(current=LAB.url, servers={LAB.url: LAB, other.url: other})
    forget_server(LAB.url)
    assert known_servers() == Servers(servers={other.url: other})
    forget_server("https://never.known")
    assert known_servers() == Servers(servers={other.url: other})


@pytest.mark.parametrize(
    "said",
    [
        "current = 1", "servers = 1", "[servers.x]\ntoken = 1", "[servers.x]\nsecret = 'a'", "other = 1", "not toml",
        "[servers]\nx = 1", "current = '\udcff'",
    ],
)  # fmt: skip
def test_a_file_that_makes_no_sense_is_refused_by_name(said: str, home: Path) -> None:
    (home / "config").mkdir(parents=True)
    (home / FILE).write_bytes(said.encode(errors="surrogateescape"))
    (home / FILE).chmod(0o600)
    with pytest.raises(InvalidInput, match=str(home / FILE)):
        find_server()


def test_a_file_that_cannot_be_read_is_said_so(home: Path) -> None:
    home.mkdir()
    (home / "config").write_text("in the way")
    with pytest.raises(StoreError, match=r"client\.toml can't be read: Not a directory"):
        find_server()


def test_a_file_that_cannot_be_written_is_said_so(home: Path) -> None:
    home.write_text("in the way")
    with pytest.raises(StoreError):
        remember_server(LAB)
