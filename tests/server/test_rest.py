"""The API over HTTP, on both databases: what it takes, what it refuses, and that a bad request never is the server's failure."""

import contextlib
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.server.installation import PASSWORD, Installation, ask

from kist import wire
from kist.catalog.database import Database, open_database
from kist.models import Scope, requests
from kist.operations import (
    CREATE_KEY,
    CREATE_ORG,
    CREATE_REPO,
    DESCRIBE_REPO,
    GET_ME,
    GET_ORG,
    LIST_ORGS,
    LOG_IN,
    MODIFY_ORG,
    PUT_OBJECT,
    READ_OBJECT,
    SET_PASSWORD,
)
from kist.server.settings import Limits
from kist.service.dispatch import Service


@pytest.fixture
def lab(database: Database, tmp_path: Path) -> Installation:
    made = Installation(database, tmp_path)
    made.lab(rita="reader")
    return made


@pytest.fixture(scope="module")
def shared(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation for tests that change nothing."""
    folder = tmp_path_factory.mktemp("shared")
    with contextlib.closing(open_database(str(shutil.copy(migrated_file, folder)))) as database:
        made = Installation(database, folder)
        made.lab(rita="reader")
        yield made


@pytest.fixture(scope="module")
def still(shared: Installation) -> Iterator[httpx.Client]:
    """Its API, logged in as the admin of the organisation."""
    with shared.serving(limits=Limits(principal_rate=1000, principal_burst=1000, address_rate=1000, address_burst=1000)) as client:
        client.headers["authorization"] = f"Bearer {shared.token('ada')}"
        yield client


@pytest.fixture
def api(lab: Installation) -> Iterator[httpx.Client]:
    with lab.serving() as client:
        yield client


def error(answer: httpx.Response) -> tuple[int, str]:
    """The status and the code of a refusal."""
    return answer.status_code, answer.json()["error"]["code"]


def test_a_login_gives_a_token_that_says_who_asks(lab: Installation, api: httpx.Client) -> None:
    lab.do(SET_PASSWORD, requests.SetPassword(password=PASSWORD), "ada")
    issued = wire.decode_answer(LOG_IN, ask(api, LOG_IN, requests.LogIn(user="ada", password=PASSWORD)).content)
    me = wire.decode_answer(GET_ME, ask(api, GET_ME, requests.Nothing(), issued.secret).content)
    assert me.name == "ada"
    assert "lab" in {org.name for org in me.orgs}


def test_a_change_is_seen_by_the_next_request(lab: Installation, api: httpx.Client) -> None:
    token = lab.token("ada")
    made = ask(api, CREATE_REPO, requests.CreateRepo(org="lab", name="next", description="new"), token)
    assert made.status_code == 201
    seen = wire.decode_answer(DESCRIBE_REPO, ask(api, DESCRIBE_REPO, requests.RepoName(org="lab", repo="next"), token).content)
    assert seen.description == "new"


def test_a_change_that_is_sent_twice_is_done_once(lab: Installation, api: httpx.Client) -> None:
    token = lab.token("ada")
    first, second = (ask(api, CREATE_ORG, requests.CreateOrg(name="press"), token, **{wire.IDEMPOTENCY_KEY: "once"}) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert error(ask(api, CREATE_ORG, requests.CreateOrg(name="press"), token))[0] == 409


def test_content_goes_and_comes_as_it_is(lab: Installation, api: httpx.Client) -> None:
    token, content = lab.token("ada"), bytes(range(256)) * 5000
    key = "packs/" + "0" * 32
    sent = ask(api, PUT_OBJECT, requests.PutObject(org="lab", repo="data", key=key, content=content), token)
    assert sent.status_code == 204
    whole = ask(api, READ_OBJECT, requests.ReadObject(org="lab", repo="data", key=key), token)
    part = ask(api, READ_OBJECT, requests.ReadObject(org="lab", repo="data", key=key, start=10, end=20), token)
    assert (whole.content, part.content) == (content, content[10:20])
    assert whole.headers["content-type"] == "application/octet-stream"


def test_nobody_is_told_to_log_in(still: httpx.Client) -> None:
    answer = httpx.get(still.base_url.join("/api/v1/orgs/lab"), trust_env=False)
    assert error(answer) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("said", ["Basic YTpi", "Bearer", "Bearer kist_x", "Bearer \u00e9", "kist_x"])
def test_what_proves_nothing_is_refused(still: httpx.Client, said: str) -> None:
    assert error(still.get("/api/v1/me", headers={b"authorization": said.encode()})) == (401, "unauthenticated")


def test_two_tokens_are_refused(shared: Installation, still: httpx.Client) -> None:
    said = f"Bearer {shared.token('ada')}"
    answer = httpx.get(still.base_url.join("/api/v1/me"), headers=[("authorization", said), ("authorization", said)], trust_env=False)
    assert error(answer) == (401, "unauthenticated")


def test_a_token_reaches_no_further_than_its_scope(shared: Installation, still: httpx.Client) -> None:
    token = shared.token("ada", Scope(role="reader", org="lab"))
    assert ask(still, GET_ORG, requests.OrgName(org="lab"), token).status_code == 200
    assert error(ask(still, MODIFY_ORG, requests.ModifyOrg(org="lab", description="x"), token)) == (403, "denied")


def test_what_somebody_may_not_know_is_not_there(shared: Installation, still: httpx.Client) -> None:
    shared.add("eve")
    assert error(ask(still, GET_ORG, requests.OrgName(org="lab"), shared.token("eve"))) == (404, "not-found")


@pytest.mark.parametrize(
    ("verb", "path", "status"),
    [
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/api/v1/orgs/lab/", 404),
        ("GET", "/api/v1/orgs//repos", 404),
        ("PUT", "/api/v1/orgs/lab", 405),
        ("HEAD", "/api/v1/me", 405),
        ("OPTIONS", "/api/v1/me", 405),
        ("GET", "/api/v1/orgs/%ff", 400),
        ("GET", "/api/v1/orgs/lab%00", 400),
        ("GET", "/api/v1/orgs/lab%0A", 400),
        ("GET", "/api/v1/orgs/lab%2Fmembers", 400),
        ("GET", "/api/v1/orgs?limit=0", 400),
        ("GET", "/api/v1/orgs?limit=1&limit=2", 400),
        ("GET", "/api/v1/orgs?limit=" + "9" * 5000, 400),
        ("GET", "/api/v1/orgs?color=red", 400),
        ("GET", "/api/v1/orgs?after=%ed%a0%80", 400),
        ("GET", "/api/v1/orgs?after=%00", 400),
    ],
)
def test_a_path_or_query_that_makes_no_sense_is_refused(still: httpx.Client, verb: str, path: str, status: int) -> None:
    assert still.request(verb, path).status_code == status


def test_the_verbs_that_there_are_are_told(still: httpx.Client) -> None:
    assert still.put("/api/v1/orgs/lab").headers["allow"] == "DELETE, GET, PATCH"


DEEP = b'{"name": "deep", "metadata": {"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}"
BODIES = {
    "no JSON": b"{",
    "no object": b"[]",
    "unknown": b'{"name": "a", "color": "red"}',
    "twice said": b'{"name": "a", "org": "lab"}',
    "number": b'{"name": 1}',
    "NUL": b'{"name": "a", "description": "\\u0000"}',
    "NUL inside": b'{"name": "a", "metadata": {"a": {"\\u0000": 1}}}',
    "half character": b'{"name": "a", "description": "\\ud800"}',
    "huge number": b'{"name": "a", "metadata": {"a": ' + b"9" * 400 + b"}}",
    "deep": DEEP,
    "rather deep": b'{"name": "a", "metadata": {"a": ' + b"[" * 50 + b"]" * 50 + b"}}",
    "no text": b'{"name": "\xff"}',
}


@pytest.mark.parametrize("what", BODIES)
def test_a_body_that_makes_no_sense_is_refused(still: httpx.Client, what: str) -> None:
    answer = still.post("/api/v1/orgs/lab/repos", content=BODIES[what], headers={"content-type": "application/json"})
    assert error(answer) == (400, "invalid-input")


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1"])
def test_a_body_of_another_type_is_refused(still: httpx.Client, kind: str) -> None:
    assert error(still.post("/api/v1/orgs", content=b'{"name": "press"}', headers={"content-type": kind})) == (400, "invalid-input")


@pytest.mark.parametrize("key", ["", "a" * 129, "caf\u00e9", "a\tb"])
def test_a_name_of_a_change_that_is_none_is_refused(still: httpx.Client, key: str) -> None:
    headers = {b"content-type": b"application/json", wire.IDEMPOTENCY_KEY.encode(): key.encode()}
    assert error(still.post("/api/v1/orgs", content=b'{"name": "press"}', headers=headers)) == (400, "invalid-input")


def test_a_body_that_is_too_long_is_refused(shared: Installation) -> None:
    token = {"authorization": f"Bearer {shared.token('ada')}", "content-type": "application/json"}
    with shared.serving(limits=Limits(json_bytes=1000)) as api:
        assert error(api.post("/api/v1/orgs", content=b" " * 1001, headers=token)) == (413, "invalid-input")
        assert error(api.post("/api/v1/orgs", content=iter([b" " * 600] * 3), headers=token)) == (413, "invalid-input")


def test_too_many_requests_are_told_to_wait(shared: Installation) -> None:
    token = shared.token("ada")
    with shared.serving(limits=Limits(principal_rate=0.1, principal_burst=3)) as api:
        answers = [ask(api, LIST_ORGS, requests.ListOrgs(), token) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert error(answers[3]) == (429, "busy")
        assert 1 <= int(answers[3].headers["retry-after"]) <= 10
        assert ask(api, LIST_ORGS, requests.ListOrgs(), shared.token("rita")).status_code == 200


def test_too_many_logins_of_an_address_are_told_to_wait(shared: Installation) -> None:
    with shared.serving(limits=Limits(login_rate=0.01, login_burst=2)) as api:
        statuses = [ask(api, LOG_IN, requests.LogIn(user=f"u{number}", password="wrong")).status_code for number in range(3)]
        assert statuses == [401, 401, 429]


def test_too_many_requests_of_an_address_are_told_to_wait(shared: Installation) -> None:
    with shared.serving(limits=Limits(address_rate=0.1, address_burst=2)) as api:
        assert [api.get("/api/v1/me").status_code for _ in range(3)] == [401, 401, 429]
        assert api.get("/login").status_code == 429
        assert api.get("/healthz").status_code == 200


def test_what_a_server_does_not_do_is_told(shared: Installation) -> None:
    token = shared.token("ada")
    less = Installation.__new__(Installation)
    less.service = Service(shared.rooms)
    with less.serving() as api:
        answer = ask(api, CREATE_KEY, requests.CreateKey(name="a"), token)
    assert error(answer) == (501, "unsupported")
    assert "create_key" in answer.json()["error"]["message"]


def slow(api: httpx.Client, token: str, size: int) -> socket.socket:
    """Begin to send an object, and leave out the rest."""
    connection = socket.create_connection((api.base_url.host, api.base_url.port or 0), timeout=30)
    head = f"PUT /api/v1/repos/lab/data/objects/packs/{'1' * 32} HTTP/1.1\r\nHost: 127.0.0.1:{api.base_url.port}\r\n"
    connection.sendall(f"{head}Authorization: Bearer {token}\r\nContent-Length: {size}\r\n\r\nx".encode())
    return connection


def test_a_body_that_does_not_come_is_not_waited_for(shared: Installation) -> None:
    token = shared.token("ada")
    with shared.serving(limits=Limits(body_seconds=0.3)) as api, slow(api, token, 1000) as connection:
        assert b"too slowly" in connection.recv(10_000)


def test_bodies_that_come_at_once_fit_into_the_memory_that_is_set(shared: Installation) -> None:
    token = shared.token("ada")
    with shared.serving(limits=Limits(object_bytes=1000, buffered_bytes=1500)) as api:
        answer = refused_beside_a_slow_one(api, token)
        assert int(answer.headers["retry-after"]) >= 1
        end = time.monotonic() + 30
        while put(api, token, 600).status_code != 204:
            assert time.monotonic() < end


def refused_beside_a_slow_one(api: httpx.Client, token: str) -> httpx.Response:
    """Return how an object was refused while another one was on its way; of two that begin at once either may be the one."""
    for _ in range(20):
        with slow(api, token, 1000):
            for _ in range(20):
                if error(answer := put(api, token, 600)) == (503, "busy"):
                    return answer
                time.sleep(0.02)
    raise AssertionError("both found room")


def put(api: httpx.Client, token: str, size: int) -> httpx.Response:
    """Store an object of a size, under a key that is always the same."""
    request = requests.PutObject(org="lab", repo="data", key="packs/" + "2" * 32, content=b"x" * size)
    answer = ask(api, PUT_OBJECT, request, token)
    return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content or b'{"error": {"code": ""}}')


def test_a_reader_that_does_not_read_is_not_waited_for(lab: Installation) -> None:
    token, key = lab.token("ada"), "packs/" + "3" * 32
    with lab.serving(limits=Limits(body_seconds=1)) as api:
        assert ask(api, PUT_OBJECT, requests.PutObject(org="lab", repo="data", key=key, content=bytes(32 << 20)), token).status_code == 204
        with socket.create_connection((api.base_url.host, api.base_url.port or 0), timeout=30) as connection:
            head = f"GET /api/v1/repos/lab/data/objects/{key} HTTP/1.1\r\nHost: 127.0.0.1:{api.base_url.port}\r\n"
            connection.sendall(f"{head}Authorization: Bearer {token}\r\n\r\n".encode())
            time.sleep(2.5)
            received = 0
            with contextlib.suppress(ConnectionResetError):
                while block := connection.recv(1 << 20):
                    received += len(block)
    assert 0 < received < 32 << 20
