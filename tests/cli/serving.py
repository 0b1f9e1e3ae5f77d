"""A server that commands ask, and its first user."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.server.serving import running

from kist import Client
from kist.client.inside import InsideTransport
from kist.server.app import make_app
from kist.service.alone import open_alone
from kist.service.jobs import Worker

PASSWORD = "correct horse battery staple"


@dataclass(frozen=True)
class Served:
    """A server; `ada` is its admin, `grace` a user, and `token` is one of ada's. `client` speaks for ada without a network."""

    url: str
    token: str
    client: Client


@contextlib.contextmanager
def served(home: Path) -> Iterator[Served]:
    """Run a server on a catalog of its own, until the end of the block."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("KIST_AUTHOR", "ada")
        service, caller = open_alone(home)
    with contextlib.closing(service.rooms.database), contextlib.closing(Client.over(InsideTransport(service, caller))) as client:
        client.create_user("grace", password=PASSWORD)
        client.modify_user("ada", password=PASSWORD)
        worker = Worker(service, poll_seconds=0.1)
        worker.start()
        try:
            with running(lambda settings: make_app(service, settings)) as url:
                yield Served(url, client.create_key("tests").secret, client)
        finally:
            assert worker.stop()
