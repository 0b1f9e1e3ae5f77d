"""The app of an organisation: what machines ask it, which host it answers as, and the pages of people."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.server.installation import PASSWORD, Installation, ask

from kist.catalog.database import open_database
from kist.engine.opening import open_repository
from kist.models import requests
from kist.operations import CREATE_REPO, DELETE_REPO, GET_ME, OPEN_REPO, SET_PASSWORD
from kist.server.settings import Metrics
from kist.service.rooms import Caller


@pytest.fixture(scope="module")
def lab(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An organisation whose repository has something in it."""
    folder = tmp_path_factory.mktemp("lab")
    with contextlib.closing(open_database(str(shutil.copy(migrated_file, folder)))) as database:
        made = Installation(database, folder)
        made.lab(rita="reader")
        made.do(SET_PASSWORD, requests.SetPassword(password=PASSWORD), "rita")
        caller = Caller(who=made.callers["ada"].who, inside=True)
        access = made.service.call(OPEN_REPO, requests.OpenRepo(org="lab", repo="data", access="write"), caller)
        open_repository(access.url).save("readings.csv", b"time,value\n1,2\n", message="The first readings")
        yield made


@pytest.fixture(scope="module")
def client(lab: Installation) -> Iterator[httpx.Client]:
    """A browser that nobody has used yet."""
    with lab.serving() as client:
        yield client


@pytest.fixture(scope="module")
def rita(lab: Installation) -> Iterator[httpx.Client]:
    """The browser of a reader who is logged in."""
    with lab.serving() as client:
        answer = client.post("/login", data={"user": "rita", "password": PASSWORD}, headers={"sec-fetch-site": "same-origin"})
        assert answer.status_code == 303, answer.text
        yield client


def test_it_lives_and_is_ready(client: httpx.Client) -> None:
    assert (client.get("/healthz").text, client.get("/readyz").text) == ("ok\n", "ok\n")


def test_whoever_asks_for_its_health_may_call_it_as_they_like(client: httpx.Client) -> None:
    assert client.get("/healthz", headers={"host": "10.0.0.7"}).status_code == 200


def test_it_is_not_ready_without_its_tables(tmp_path: Path) -> None:
    made = Installation.__new__(Installation)
    with contextlib.closing(open_database(str(tmp_path / "empty.sqlite"))) as database:
        database.migrate()
        whole = Installation(database, tmp_path)
    with contextlib.closing(open_database(str(tmp_path / "other.sqlite"))) as database:
        made.service = type(whole.service)(type(whole.rooms)(database=database, keyring=whole.rooms.keyring))
        with made.serving() as client:
            answer = client.get("/readyz")
    assert (answer.status_code, answer.text) == (503, "not ready: NotFound\n")


def test_it_tells_its_figures(client: httpx.Client, lab: Installation) -> None:
    ask(client, GET_ME, requests.Nothing(), lab.token("ada"))
    ask(client, GET_ME, requests.Nothing())
    found = {
        (sample.name, sample.labels.get("operation"), sample.labels.get("status")): sample.value
        for family in text_string_to_metric_families(client.get("/metrics").text)
        for sample in family.samples
    }
    assert found["kist_requests_total", "get_me", "200"] >= 1
    assert found["kist_requests_total", "get_me", "401"] >= 1
    assert found["kist_request_seconds_count", "get_me", None] >= 2
    assert found["kist_requests_in_flight", None, None] == 1
    assert ("kist_database_connections", None, None) in found


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "via"])
def test_its_figures_are_not_for_whoever_comes_through_a_proxy(client: httpx.Client, header: str) -> None:
    assert client.get("/metrics", headers={header: "1.1 a"}).status_code == 404


def test_its_figures_may_need_a_token(lab: Installation) -> None:
    with lab.serving(metrics=Metrics(token="t0ken")) as client:
        statuses = [client.get("/metrics", headers={"authorization": said}).status_code for said in ("", "Bearer x", "Bearer t0ken")]
    assert statuses == [404, 404, 200]


def test_its_figures_may_be_off(lab: Installation) -> None:
    with lab.serving(metrics=Metrics(enabled=False)) as client:
        assert client.get("/metrics", follow_redirects=False).status_code in {303, 404}


def test_the_api_describes_itself(client: httpx.Client) -> None:
    page = client.get("/api/v1")
    assert "GET /orgs/{org}/repos" in page.text
    assert client.get("/api/v1/openapi.json").json()["openapi"] == "3.1.0"


@pytest.mark.parametrize("host", ["evil.example", "kist.example.org.evil.example", "localhost", "kist.example.org:1"])
def test_another_host_is_refused_as_whoever_asks_reads_it(lab: Installation, host: str) -> None:
    with lab.serving(public_url="https://kist.example.org") as client:
        page, api = (client.get(path, headers={"host": host}) for path in ("/", "/api/v1/me"))
    assert (page.status_code, api.status_code) == (421, 421)
    assert api.json()["error"]["code"] == "misdirected"


def test_a_public_server_answers_by_its_name_and_insists_on_tls(lab: Installation) -> None:
    with lab.serving(public_url="https://kist.example.org", allowed_hosts=["kist.internal"]) as client:
        answers = [client.get("/login", headers={"host": host}) for host in ("kist.example.org", "kist.internal")]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].headers["strict-transport-security"] == "max-age=31536000"


def test_a_page_leads_to_the_login_and_back(client: httpx.Client) -> None:
    answer = client.get("/lab/data/files?path=a%20b", follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=/lab/data/files%3Fpath%3Da%2520b"


def test_home_has_ones_repositories_by_organisation(rita: httpx.Client) -> None:
    text = rita.get("/").text
    assert '<a href="/lab/data"><bdi class="name">data</bdi></a>' in text
    assert "reader" in text
    assert "<bdi>main</bdi>" in text


def test_an_organisation_can_be_searched(rita: httpx.Client) -> None:
    assert "/lab/data" in rita.get("/lab", params={"search": "DAT"}).text
    assert "No repository is called so" in rita.get("/lab", params={"search": "nothing"}).text


def test_the_pages_of_a_repository_are_below_its_name(rita: httpx.Client) -> None:
    assert "The first readings" in rita.get("/lab/data").text
    assert "readings.csv" in rita.get("/lab/data/files").text
    assert rita.get("/lab/data/download", params={"path": "readings.csv"}).content == b"time,value\n1,2\n"


@pytest.mark.parametrize("path", ["/", "/lab", "/lab/data", "/lab/data/files", "/lab/data/download?path=readings.csv", "/lab/data/archive"])
def test_pages_are_for_those_who_have_a_role(lab: Installation, path: str) -> None:
    if "eve" not in lab.callers:
        lab.add("eve")
    with lab.serving() as client:
        answer = client.get(path, headers={"authorization": f"Bearer {lab.token('eve')}"})
    assert "readings" not in answer.text
    assert answer.status_code == (200 if path == "/" else 404)


def test_a_page_shows_no_more_than_the_state_of_now(lab: Installation, rita: httpx.Client) -> None:
    lab.do(CREATE_REPO, requests.CreateRepo(org="lab", name="gone"), "ada")
    assert rita.get("/lab/gone").status_code == 200
    lab.do(DELETE_REPO, requests.DeleteRepo(org="lab", repo="gone", imsure=True, imreallysure=True), "ada")
    assert rita.get("/lab/gone").status_code == 404


def test_the_api_takes_the_session_of_our_own_pages_only(rita: httpx.Client) -> None:
    body = {"content": b'{"name": "press"}', "headers": {"content-type": "application/json", "sec-fetch-site": "cross-site"}}
    answer = rita.post("/api/v1/orgs", **body)  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "denied")
    assert rita.get("/api/v1/me").json()["name"] == "rita"
    own = rita.post(
        "/api/v1/orgs", content=b'{"name": "press"}', headers={"content-type": "application/json", "sec-fetch-site": "same-origin"}
    )
    assert own.status_code == 201


def test_a_token_counts_and_not_the_session_beside_it(rita: httpx.Client) -> None:
    assert rita.get("/api/v1/me", headers={"authorization": "Bearer kist_wrong"}).status_code == 401


def test_who_logs_out_is_out(lab: Installation) -> None:
    with lab.serving() as client:
        client.post("/login", data={"user": "rita", "password": PASSWORD}, headers={"sec-fetch-site": "same-origin"})
        kept = dict(client.cookies)
        assert client.get("/api/v1/me").status_code == 200
        client.post("/logout", headers={"sec-fetch-site": "same-origin"})
        client.cookies.update(kept)
        assert client.get("/api/v1/me").status_code == 401
