"""Who gets in, and what every answer carries."""

import socket

import pytest
from tests.server.serving import Site, serving

from kist.engine.opening import create_repository
from kist.engine.repository import Repository
from kist.stores.memory import MemoryStore

HERE = "/-/roof-station"
PAGES = ["/", "/local", HERE, f"{HERE}/files", f"{HERE}/changes", f"{HERE}/download?path=README.md", f"{HERE}/archive", "/no/where"]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_without_a_session_says_only_how_to_log_in(site: Site, page: str) -> None:
    answer = site.stranger.get(page)
    assert answer.status_code == 401
    assert "Open the link that kist up printed" in answer.text
    assert "roof-station" not in answer.text


def test_the_link_logs_in_once(repository: Repository) -> None:
    with serving(repository, log_in=False) as site:
        first = site.client.get("/login", params={"token": site.token})
        second = site.stranger.get("/login", params={"token": site.token})
        assert (first.status_code, second.status_code) == (200, 401)
        assert site.client.get("/").status_code == 200
        assert site.stranger.get("/").status_code == 401


def test_the_link_still_leads_in_for_who_is_logged_in(site: Site) -> None:
    assert site.client.get("/login", params={"token": site.token}).status_code == 200


@pytest.mark.parametrize("token", ["", "wrong", "\u00e9\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16")])
def test_a_wrong_token_does_not_log_in(repository: Repository, token: str) -> None:
    with serving(repository, log_in=False) as site:
        answer = site.client.get("/login", params={"token": token})
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers


def test_looking_at_the_link_does_not_use_it(repository: Repository) -> None:
    with serving(repository, log_in=False) as site:
        assert "set-cookie" not in site.client.head("/login", params={"token": site.token}).headers
        assert "set-cookie" in site.client.get("/login", params={"token": site.token}).headers


def test_the_cookie_is_for_this_site_alone(repository: Repository) -> None:
    with serving(repository, log_in=False) as site:
        cookie = site.client.get("/login", params={"token": site.token}).headers["set-cookie"]
        name, *attributes = cookie.split("; ")
        assert name.startswith(f"kist_session_{site.port}=")
        assert {one for one in attributes if not one.startswith("Max-Age=")} == {"HttpOnly", "SameSite=lax", "Path=/"}
        assert site.token not in cookie


def test_an_empty_cookie_is_no_session(repository: Repository) -> None:
    with serving(repository, log_in=False) as site:
        assert site.stranger.get("/", headers={"cookie": f"kist_session_{site.port}="}).status_code == 401


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{port}", "localhost", "127.0.0.1:1", "localhost.evil.example:{port}", "127.0.0.1:{port}.evil.example"],
)
def test_a_request_that_names_another_host_is_refused(site: Site, host: str) -> None:
    answer = site.client.get("/", headers={"host": host.format(port=site.port)})
    assert answer.status_code == 421
    assert "roof-station" not in answer.text


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "[::1]"])
def test_every_name_of_this_machine_is_welcome(site: Site, host: str) -> None:
    assert site.client.get("/", headers={"host": f"{host}:{site.port}"}).status_code == 200


def test_two_hosts_are_refused(site: Site) -> None:
    request = f"GET / HTTP/1.1\r\nHost: localhost:{site.port}\r\nHost: evil.example\r\n\r\n"
    with socket.create_connection(("127.0.0.1", site.port), timeout=30) as connection:
        connection.sendall(request.encode())
        assert connection.recv(100).split()[1] in {b"400", b"421"}


@pytest.mark.parametrize("page", [*PAGES, "/login", "/static/kist.css", "/static/nothing", f"{HERE}/files?path=nothing"])
@pytest.mark.parametrize("known", [True, False])
def test_every_answer_ties_the_browsers_hands(site: Site, page: str, known: bool) -> None:  # noqa: FBT001
    headers = (site.client if known else site.stranger).get(page).headers
    policy = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    assert headers["content-security-policy"] == policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_can_be_changed(site: Site, method: str) -> None:
    assert site.client.request(method, f"{HERE}/files").status_code == 405


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static//etc/passwd"])
def test_nothing_but_the_look_is_static(site: Site, path: str) -> None:
    answer = site.stranger.get(path)
    assert answer.status_code in {401, 404}
    assert "roof-station" not in answer.text


class Failing(MemoryStore):
    """A store with a bug."""

    failing = False

    def get(self, key: str) -> bytes:
        if self.failing:
            raise RuntimeError("a secret of the inside")
        return super().get(key)


def test_a_bug_becomes_a_page_without_a_trace() -> None:
    store = Failing()
    repository = create_repository(store, name="/data/lab")
    repository.save("a.txt", b"a")
    with serving(repository) as site:
        store.failing = True
        answer = site.get("/")
        assert answer.status_code == 500
        assert "This should not happen" in answer.text
        assert "secret" not in answer.text
        assert "Traceback" not in answer.text
