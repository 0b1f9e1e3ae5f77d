"""Whose secrets are used: those that are given, whatever the environment holds."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import override

import pytest

from kist.errors import InvalidInput, NotFound
from kist.stores.cloud import open_cloud


@contextmanager
def listening() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """A server that has nothing; yield its URL, and path and Authorization of what it is asked."""
    asked: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers.get("Authorization", "")))
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        @override
        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def ask_azure(**options: str) -> tuple[str, str]:
    with listening() as (url, asked):
        with pytest.raises(NotFound):
            open_cloud("az://container/p", create=False, endpoint=url, account_name="ours", **options).get("key")
        return asked[0]


@pytest.fixture(params=["AZURE_STORAGE_TOKEN", "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_SAS_TOKEN"])
def _theirs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets of somebody else in the environment."""
    monkeypatch.setenv(request.param, "sv=2021&sig=dGhlaXJz" if request.param.endswith("SAS_TOKEN") else "dGhlaXJz")


@pytest.mark.usefixtures("_theirs")
@pytest.mark.parametrize("name", ["account_key", "azure_storage_account_key"])
def test_azure_is_asked_with_the_key_that_is_given(name: str) -> None:
    path, authorization = ask_azure(**{name: "b3Vycw=="})

    assert authorization.startswith("SharedKey ours:")
    assert path == "/container/p/key"


@pytest.mark.usefixtures("_theirs")
@pytest.mark.parametrize("mark", ["", "?"])
def test_azure_is_asked_with_the_signature_that_is_given(mark: str) -> None:
    assert ask_azure(sas_token=f"{mark}sv=2021&sig=b3Vycw%3D%3D") == ("/container/p/key?sv=2021&sig=b3Vycw%3D%3D", "")


@pytest.mark.usefixtures("_theirs")
def test_azure_is_asked_by_nobody_if_that_is_wanted() -> None:
    assert ask_azure(anonymous="true") == ("/container/p/key", "")


def test_google_never_gets_the_token_of_the_environment_instead_of_a_service_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_BEARER_TOKEN", "theirs")

    with pytest.raises(InvalidInput, match="GOOGLE_BEARER_TOKEN"):
        open_cloud("gs://bucket/p", service_account_key="{}")
