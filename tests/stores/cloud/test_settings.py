"""What a store is told, by whom, and that all its clients are told the same."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import pytest
from tests.servers.s3 import S3Server
from tests.servers.scripted import Answer, Request, scripted_store

from kist.errors import InvalidInput, StoreError
from kist.stores.cloud import S3Store, open_cloud
from kist.stores.cloud.boto import new_client

KEYS = {"access_key_id": "ours", "secret_access_key": "our-secret"}
BEGUN = Answer(body=b"<InitiateMultipartUploadResult><UploadId>up</UploadId></InitiateMultipartUploadResult>")


def open_s3(where: str = "s3://bucket/p", **options: object) -> S3Store:
    store = open_cloud(where, **options)  # type: ignore[arg-type]  # none is called create
    assert isinstance(store, S3Store)
    return store


@pytest.fixture(autouse=True)
def _nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who has nothing of AWS."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


def set_variables(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"AWS_{name}", value)


def of_both_clients(store: S3Store) -> list[str]:
    """Return the URLs that obstore and boto3 make for one object."""
    client = cast("Any", new_client(store.connection))
    named = {"Bucket": store.connection.address.bucket, "Key": store.connection.full_key("a")}
    return [store.signed_url("a", expires_in_seconds=60), client.generate_presigned_url("get_object", Params=named, ExpiresIn=60)]


def scope(url: str) -> tuple[str, str, str]:
    parts = urlsplit(url)
    return parts.netloc, parts.path, parts.query.partition("Credential=")[2].partition("%2Fs3")[0].partition("%2F")[0]


@pytest.mark.peer("MiniStack")
@pytest.mark.parametrize("endpoint", ["ENDPOINT_URL_S3", "ENDPOINT_URL", "ENDPOINT"])
@pytest.mark.parametrize("region", ["REGION", "DEFAULT_REGION"])
def test_the_environment_suffices_for_every_verb(ministack: S3Server, monkeypatch: pytest.MonkeyPatch, endpoint: str, region: str) -> None:
    keys = {"ACCESS_KEY_ID": ministack.access_key, "SECRET_ACCESS_KEY": ministack.secret_key, "ALLOW_HTTP": "true"}
    set_variables(monkeypatch, **keys, **{endpoint: ministack.endpoint, region: ministack.region})
    source, target = (open_s3(f"s3://{ministack.make_bucket(versioned=versioned)}/p") for versioned in (False, True))
    upload = source.begin_parts("a", size_bytes=3)
    upload.finish([upload.put_part(0, b"abc")])
    assert target.copy_from(source, "a", "b")
    assert (target.get("b"), source.versioned(), target.versioned()) == (b"abc", False, True)


@pytest.mark.parametrize("variable", ["ENDPOINT_URL_S3", "ENDPOINT_URL", "ENDPOINT"])
@pytest.mark.parametrize("option", ["endpoint", "endpoint_url", "aws_endpoint", "AWS_ENDPOINT_URL_S3"])
def test_an_option_comes_before_every_variable(monkeypatch: pytest.MonkeyPatch, variable: str, option: str) -> None:
    set_variables(monkeypatch, **{variable: "https://of.environment", "ACCESS_KEY_ID": "of-environment", "SECRET_ACCESS_KEY": "hidden"})
    for url in of_both_clients(open_s3(**{option: "https://of.options"}, **KEYS)):
        assert scope(url) == ("of.options", "/bucket/p/a", "ours")


def test_the_most_exact_variable_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["ENDPOINT_URL_S3", "ENDPOINT_URL", "ENDPOINT"]
    set_variables(monkeypatch, **{name: f"https://{number}.example.org" for number, name in enumerate(names)})
    for number, name in enumerate(names):
        hosts = {urlsplit(url).netloc for url in of_both_clients(open_s3(**KEYS))}
        assert hosts == {f"{number}.example.org"}
        monkeypatch.delenv(f"AWS_{name}")


def test_an_endpoint_that_holds_the_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, VIRTUAL_HOSTED_STYLE_REQUEST="true")
    urls = of_both_clients(open_s3(endpoint="https://bucket.s3.example.org", **KEYS))
    assert [scope(url)[:2] for url in urls] == [("bucket.s3.example.org", "/p/a")] * 2


def test_keys_of_the_options_never_get_the_session_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, ACCESS_KEY_ID="of-environment", SECRET_ACCESS_KEY="hidden", SESSION_TOKEN="session-of-environment")
    asked: list[Request] = []

    def script(request: Request) -> Answer:
        asked.append(request)
        return BEGUN if request.method == "POST" else Answer()

    with scripted_store(script) as store:
        assert isinstance(store, S3Store)
        store.put("a", b"")
        store.begin_parts("a", size_bytes=3)
    assert len(asked) == 2
    for request in asked:
        headers = {name.lower(): value for name, value in request.headers.items()}
        assert "Credential=AKIDSCRIPTED/" in headers["authorization"]
        assert "x-amz-security-token" not in headers


def test_the_session_of_the_environment_belongs_to_its_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, ACCESS_KEY_ID="of-environment", SECRET_ACCESS_KEY="hidden", SESSION_TOKEN="session-of-environment")
    for url in of_both_clients(open_s3()):
        assert "Security-Token=session-of-environment" in url


def test_a_store_is_anonymous_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, SKIP_SIGNATURE="true", ENDPOINT_URL="https://example.org")
    store = open_s3()
    client = cast("Any", new_client(store.connection))
    url = client.generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "a"})
    assert (store.connection.clients.anonymous, url) == (True, "https://example.org/bucket/a")


def test_plain_http_is_refused_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, ENDPOINT_URL="http://127.0.0.1:1", ALLOW_HTTP="false")
    with pytest.raises(InvalidInput, match="allow_http"):
        open_s3(**KEYS).begin_parts("a", size_bytes=1)


def test_who_has_the_same_keys_in_another_way_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    given = open_s3(endpoint="https://example.org", **KEYS)
    set_variables(monkeypatch, ACCESS_KEY_ID="ours", SECRET_ACCESS_KEY="our-secret", ENDPOINT_URL="https://example.org")
    found = open_s3("s3://other")
    assert given.connection.clients.realm == found.connection.clients.realm


UPLOADS: dict[str, Callable[[S3Store], object]] = {
    "put": lambda store: store.put("a", bytes(2 << 20)),
    "stream": lambda store: store.put_stream("a", [bytes(9 << 20), bytes(9 << 20)]),
    "part": lambda store: store.begin_parts("a", size_bytes=2 << 20).put_part(0, bytes(2 << 20)),
}


@pytest.mark.parametrize("how", UPLOADS)
def test_a_time_that_is_asked_for_bounds_uploads_too(how: str) -> None:
    def sleep(request: Request) -> Answer:
        if request.method == "POST":
            return BEGUN
        if request.method == "PUT":
            signal.sigtimedwait([], 3)
        return Answer()

    with scripted_store(sleep, timeout_seconds=0.5, max_retries=0) as store, pytest.raises(StoreError):
        UPLOADS[how](store)  # type: ignore[arg-type]  # it is one


def test_uploads_may_take_long_unless_a_time_is_asked_for() -> None:
    asked, unasked = open_s3(timeout_seconds=300, **KEYS), open_s3(**KEYS)
    times = [dict(store.connection.clients.uploads.client_options or {})["timeout"] for store in (asked, unasked)]
    assert times == ["5m", "30m"]
