"""Logging a browser in and out, by pages; and a terminal by a browser."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.server.serving import running
from tests.service.people import PASSWORD, People

from kist.catalog.database import Database
from kist.errors import Unauthenticated
from kist.models.requests import CreateKey, UserName
from kist.operations import CREATE_KEY, CREATE_LOGIN_LINK
from kist.server.app import make_app
from kist.server.forms import own_page
from kist.service import authentication

ANN = {"user": "ann", "password": PASSWORD}
ELSEWHERE = [{"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "https://evil.org"}, {"origin": "null"}]


@dataclass
class Browsers:
    """A server with people, and browsers that come to it."""

    people: People
    url: str
    stack: ExitStack = field(repr=False)

    def new(self) -> httpx.Client:
        """A browser that nobody is logged in with, and that goes only where it is told to."""
        return self.stack.enter_context(httpx.Client(base_url=self.url, timeout=30, trust_env=False))

    def logged_in(self, user: str = "ann") -> httpx.Client:
        """A browser that somebody is logged in with."""
        browser = self.new()
        assert browser.get("/login", params={"token": self.link(user)}).status_code == 200
        return browser

    def link(self, user: str = "ann") -> str:
        """The token of a link."""
        return self.people.do(CREATE_LOGIN_LINK, UserName(user=user), self.people.root).token

    def who(self, browser: httpx.Client) -> str:
        """Who a browser is logged in as."""
        answer = browser.get("/api/v1/me")
        return str(answer.json()["name"]) if answer.status_code == 200 else ""


@contextmanager
def served(people: People, **settings: object) -> Iterator[Browsers]:
    """Run a server for these people."""
    people.clock.time = datetime.now(UTC)
    with ExitStack() as stack:
        url = stack.enter_context(running(lambda said: make_app(people.service, said), **settings))
        yield Browsers(people, url, stack)


@pytest.fixture
def browsers(sqlite_database: Database) -> Iterator[Browsers]:
    people = People(sqlite_database)
    people.add("ann", password=PASSWORD)
    with served(people) as found:
        yield found


def test_a_password_logs_in_and_leads_on(browsers: Browsers) -> None:
    browser = browsers.new()

    answer = browser.post("/login", data={**ANN, "next": "/lab/data?ref=main"})

    assert (answer.status_code, answer.headers["location"]) == (303, "/lab/data?ref=main")
    assert browsers.who(browser) == "ann"


def test_a_page_that_needs_a_login_leads_to_it_and_back(browsers: Browsers) -> None:
    browser = browsers.new()

    asked = browser.get("/ann?search=a%26b")
    form = browser.get(asked.headers["location"])
    target = re.search(r'name="next" value="([^"]*)"', form.text)

    assert asked.status_code == 303
    assert target is not None
    assert target[1] == "/ann?search=a%26b"


def test_a_wrong_password_is_told_on_the_form_which_forgets_it(browsers: Browsers) -> None:
    browser = browsers.new()

    answer = browser.post("/login", data={"user": "ann", "password": "canary", "next": "/lab"})

    assert answer.status_code == 401
    assert "the name or the password is wrong" in answer.text
    assert 'value="ann"' in answer.text
    assert 'value="/lab"' in answer.text
    assert "canary" not in answer.text
    assert browsers.who(browser) == ""


def test_too_many_failures_have_to_wait_on_the_form_too(browsers: Browsers) -> None:
    for _ in range(5):
        browsers.new().post("/login", data={"user": "ann", "password": "wrong"})

    answer = browsers.new().post("/login", data=ANN)

    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    assert "try again in" in answer.text


def test_programs_are_told_how_long_to_wait_after_too_many_failures(browsers: Browsers) -> None:
    for _ in range(7):
        browsers.people.clock.wait(minutes=1)
        browsers.new().post("/login", data={"user": "ann", "password": "wrong"})

    answer = browsers.new().post("/api/v1/login", json=ANN)

    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "busy")
    assert answer.headers["retry-after"] == "4"


@pytest.mark.parametrize("headers", ELSEWHERE)
def test_a_page_of_another_site_logs_nobody_in(browsers: Browsers, headers: dict[str, str]) -> None:
    browser = browsers.new()

    for data in (ANN, {"token": browsers.link()}):
        assert browser.post("/login", data=data, headers=headers).status_code == 403
    assert browsers.who(browser) == ""


@pytest.mark.parametrize("headers", ELSEWHERE)
def test_a_page_of_another_site_logs_nobody_out(browsers: Browsers, headers: dict[str, str]) -> None:
    browser = browsers.logged_in()

    assert browser.post("/logout", headers=headers).status_code == 403
    assert browsers.who(browser) == "ann"


def test_pages_of_this_site_may(browsers: Browsers) -> None:
    for headers in ({"sec-fetch-site": "same-origin"}, {"origin": browsers.url}):
        browser = browsers.new()
        assert browser.post("/login", data=ANN, headers=headers).status_code == 303
        assert browser.post("/logout", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "target",
    [
        "//evil.org",
        "https://evil.org",
        "/\\evil.org",
        "\\\\evil.org",
        "/\tevil",
        "/\r\nset-cookie: a=b",
        " //evil.org",
        "javascript:alert(1)",
        "/ä",
        "x",
    ],
)
def test_nobody_is_led_to_another_site(browsers: Browsers, target: str) -> None:
    answer = browsers.new().post("/login", data={**ANN, "next": target})

    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert browsers.logged_in().get("/login", params={"next": target}).headers["location"] == "/"


@given(st.text(alphabet="/\\.:@\t\n\r evil#?%5c"))
def test_whatever_is_said_to_come_next_is_a_page_here(text: str) -> None:
    found = httpx.URL("https://kist.lab.org/login").join(own_page(text))

    assert found.host == "kist.lab.org"
    assert own_page(text).startswith("/")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"user=ann", "text/plain"),
        (b'{"user": "ann"}', "application/json"),
        (b"user=ann", ""),
        (b"%zz=%ff", "application/x-www-form-urlencoded"),
        (b"\xff\xfe", "application/x-www-form-urlencoded"),
        (b"a=1&" * 50, "application/x-www-form-urlencoded"),
        (b"user=" + b"a" * 20000, "application/x-www-form-urlencoded"),
    ],
)
def test_what_no_page_here_sends_is_refused(browsers: Browsers, content: bytes, kind: str) -> None:
    answer = browsers.new().post("/login", content=content, headers={"content-type": kind})

    assert answer.status_code == 400
    assert "set-cookie" not in answer.headers


def test_an_empty_form_logs_nobody_in(browsers: Browsers) -> None:
    answer = browsers.new().post("/login", content=b"", headers={"content-type": "application/x-www-form-urlencoded"})

    assert answer.status_code == 401


def test_the_cookie_is_for_this_host_and_no_script(browsers: Browsers) -> None:
    said = browsers.new().post("/login", data=ANN).headers["set-cookie"]

    port = httpx.URL(browsers.url).port
    assert said.startswith(f"kist_session_{port}=")
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= {part.strip() for part in said.split(";")}
    assert "Domain" not in said


def test_by_https_no_other_host_can_set_the_cookie(sqlite_database: Database) -> None:
    people = People(sqlite_database)
    people.add("ann", password=PASSWORD)
    with served(people, public_url="https://kist.lab.org", trusted_proxies=["127.0.0.1"]) as found:
        browser = found.new()
        headers = {"host": "kist.lab.org", "x-forwarded-proto": "https"}
        said = browser.post("/login", data=ANN, headers=headers).headers["set-cookie"]
        name, _, rest = said.partition("=")
        secret = rest.partition(";")[0]
        theirs = [
            browser.get("/api/v1/me", headers={**headers, "cookie": cookie}).status_code
            for cookie in (f"{name}={secret}", f"kist_session_{httpx.URL(found.url).port}={secret}")
        ]

    assert name == "__Host-kist_session"
    assert {"Secure", "HttpOnly", "SameSite=lax", "Path=/"} <= {part.strip() for part in said.split(";")}
    assert theirs == [200, 401]


def test_a_login_replaces_the_session_that_there_was(browsers: Browsers) -> None:
    browser = browsers.logged_in("root")
    (before,) = browser.cookies.jar

    browser.post("/login", data=ANN)

    assert browsers.who(browser) == "ann"
    with pytest.raises(Unauthenticated):
        authentication.by_session(browsers.people.rooms, before.value or "")


def test_a_secret_that_somebody_else_chose_is_no_session(browsers: Browsers) -> None:
    browser = browsers.new()
    browser.cookies.set(f"kist_session_{httpx.URL(browsers.url).port}", "chosen-by-somebody-else")

    said = browser.post("/login", data=ANN).headers["set-cookie"]

    assert "chosen-by-somebody-else" not in said


def test_logging_out_ends_the_session_and_the_cookie(browsers: Browsers) -> None:
    browser = browsers.logged_in()
    (cookie,) = browser.cookies.jar

    assert browser.post("/logout").status_code == 200

    assert list(browser.cookies.jar) == []
    with pytest.raises(Unauthenticated):
        authentication.by_session(browsers.people.rooms, cookie.value or "")


def test_a_link_logs_a_browser_in_once(browsers: Browsers) -> None:
    token, browser, other = browsers.link(), browsers.new(), browsers.new()

    assert browser.get("/login", params={"token": token}).status_code == 200
    assert browser.get("/login", params={"token": token}).status_code == 200
    refused = other.get("/login", params={"token": token})

    assert browsers.who(browser) == "ann"
    assert (refused.status_code, browsers.who(other)) == (401, "")
    assert "works once" in refused.text
    assert token not in refused.text


def test_looking_at_the_head_of_a_link_does_not_use_it_up(browsers: Browsers) -> None:
    token = browsers.link()

    assert browsers.new().head("/login", params={"token": token}).status_code == 200
    assert browsers.new().get("/login", params={"token": token}).status_code == 200


def test_a_link_on_a_page_of_another_site_is_confirmed_by_a_button(browsers: Browsers) -> None:
    browser = browsers.new()
    shown = browser.get("/login", params={"token": browsers.link()}, headers={"sec-fetch-site": "cross-site"})

    assert browsers.who(browser) == ""
    token = re.search(r'name="token" value="([^"]*)"', shown.text)
    assert token is not None
    assert browser.post("/login", data={"token": token[1]}, headers={"sec-fetch-site": "same-origin"}).status_code == 200
    assert browsers.who(browser) == "ann"


@pytest.mark.parametrize("token", ["x", "%00", "%ff", "<script>", "a" * 5000])
def test_what_is_no_link_logs_nobody_in(browsers: Browsers, token: str) -> None:
    answer = browsers.new().get(f"/login?token={token}")

    assert answer.status_code == 401
    assert "<script>" not in answer.text


def test_who_is_logged_in_is_told_so(browsers: Browsers) -> None:
    answer = browsers.logged_in().get("/login")

    assert "logged in as" in answer.text
    assert "ann" in answer.text


def test_a_disabled_user_is_out_at_once(browsers: Browsers) -> None:
    browser = browsers.logged_in()

    browsers.people.disable("ann")

    assert browsers.who(browser) == ""


def test_names_are_escaped(browsers: Browsers) -> None:
    answer = browsers.new().post("/login", data={"user": '"><script>alert(1)</script>', "password": "x", "next": '/"><script>'})

    assert "<script>" not in answer.text


def test_a_terminal_is_logged_in_by_a_browser(browsers: Browsers) -> None:
    terminal, browser = browsers.new(), browsers.logged_in()
    asked = terminal.post("/login/device", json={"label": "lap<b>top"}).json()
    fetch = {"device_code": asked["device_code"]}

    assert asked["verification_url"] == f"{browsers.url}/login/device"
    assert 590 <= asked["expires_in"] <= 600
    assert terminal.post("/login/device/token", json=fetch).status_code == 202
    shown = browser.post("/login/device/confirm", data={"code": asked["user_code"].lower()})
    assert "lap&lt;b&gt;top" in shown.text
    assert terminal.post("/login/device/token", json=fetch).status_code == 202
    assert browser.post("/login/device/confirm", data={"code": asked["user_code"], "verdict": "allow"}).status_code == 200
    answer = terminal.post("/login/device/token", json=fetch)
    assert (answer.status_code, answer.json()["user"]) == (200, "ann")
    headers = {"authorization": f"Bearer {answer.json()['token']}"}
    assert terminal.get("/api/v1/me", headers=headers).json()["name"] == "ann"
    assert terminal.post("/login/device/token", json=fetch).status_code == 401


def test_a_terminal_that_is_refused_gets_nothing(browsers: Browsers) -> None:
    terminal, browser = browsers.new(), browsers.logged_in()
    asked = terminal.post("/login/device", json={}).json()

    assert browser.post("/login/device/confirm", data={"code": asked["user_code"], "verdict": "refuse"}).status_code == 200

    answer = terminal.post("/login/device/token", json={"device_code": asked["device_code"]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthenticated")


@pytest.mark.parametrize("headers", ELSEWHERE)
def test_a_page_of_another_site_allows_no_terminal(browsers: Browsers, headers: dict[str, str]) -> None:
    terminal, browser = browsers.new(), browsers.logged_in()
    asked = terminal.post("/login/device", json={}).json()

    data = {"code": asked["user_code"], "verdict": "allow"}
    assert browser.post("/login/device/confirm", data=data, headers=headers).status_code == 403
    assert terminal.post("/login/device/token", json={"device_code": asked["device_code"]}).status_code == 202


def test_a_terminal_is_allowed_by_who_is_logged_in(browsers: Browsers) -> None:
    stranger = browsers.new()
    asked = stranger.post("/login/device", json={}).json()

    answers = [stranger.get("/login/device"), stranger.post("/login/device/confirm", data={"code": asked["user_code"], "verdict": "allow"})]

    assert [(one.status_code, one.headers["location"]) for one in answers] == [(303, "/login?next=/login/device")] * 2
    assert stranger.post("/login/device/token", json={"device_code": asked["device_code"]}).status_code == 202


def test_a_wrong_code_is_told(browsers: Browsers) -> None:
    answer = browsers.logged_in().post("/login/device/confirm", data={"code": "BBBB-BBBB"})

    assert answer.status_code == 404
    assert "no terminal waits" in answer.text


@pytest.mark.parametrize("content", [b"[]", b"{", b"\xff", b'{"device_code": 1}', b'{"label": []}', b"[" * 10000, b" " * 20000])
@pytest.mark.parametrize("page", ["/login/device", "/login/device/token"])
def test_a_terminal_that_makes_no_sense_is_told_so(browsers: Browsers, page: str, content: bytes) -> None:
    answer = browsers.new().post(page, content=content)

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid-input"


def test_a_token_of_the_api_logs_no_page_in(browsers: Browsers) -> None:
    ann = browsers.people.user("ann", browsers.people.member_id("ann", "ann"))
    secret = browsers.people.do(CREATE_KEY, CreateKey(name="laptop"), ann).secret
    browser = browsers.new()
    browser.cookies.set(f"kist_session_{httpx.URL(browsers.url).port}", secret)

    assert browser.get("/login/device").status_code == 303
