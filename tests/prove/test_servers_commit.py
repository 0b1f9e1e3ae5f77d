"""Eight processes commit to one repository whose commits the catalog decides, through two servers."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.prove.scale import scaled
from tests.servers.postgresql import PostgresServer
from tests.servers.process import free_port
from tests.servers.team import Team, team

from kist import Client

WRITERS = 8
SAVES = scaled(500)
SECONDS = 3600
ORG, NAME = "lab", "lab/cube"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.peer("PostgreSQL"))])
def servers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Team]:
    if request.param == "sqlite":
        with team(tmp_path, f"sqlite:///{tmp_path / 'kist.sqlite'}", ports=[free_port(), free_port()]) as one:
            yield one
        return
    postgresql: PostgresServer = request.getfixturevalue("postgresql")
    name = postgresql.make_database()
    with team(tmp_path, postgresql.url(name), ports=[free_port(), free_port()]) as one:
        yield one
    postgresql.drop_database(name)


def commit_at_once(servers: Team) -> list[list[str]]:
    """Let all writers save, half of them through each server, and return what each was told."""
    script = Path(__file__).with_name("committing_process.py")
    processes = []
    for number in range(WRITERS):
        argv = [sys.executable, str(script), servers.urls[number % 2], NAME, str(number), str(SAVES)]
        environment = os.environ | {"KIST_TOKEN": servers.token, "KIST_HOME": str(servers.folder / f"home-{number}")}
        processes.append(subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment))
    told = []
    for process in processes:
        output, errors = process.communicate(timeout=SECONDS)
        assert process.returncode == 0, errors
        told.append(output.split())
    return told


def test_every_acknowledged_commit_is_one_link_of_one_chain(servers: Team) -> None:
    with Client(servers.urls[0], token=servers.token) as client:
        client.create_org(ORG)
        client.create_bucket_config(org=ORG, nickname="folder", uri=(servers.folder / "buckets").as_uri())
        repo = client.create_repo(NAME, authority="catalog")
        assert repo.authority == "catalog"
        told = commit_at_once(servers)
        log = repo.log()

        assert all(len(one) == SAVES for one in told)
        assert [version.number for version in log] == list(range(WRITERS * SAVES, 0, -1))
        assert {version.id for version in log} == {version for one in told for version in one}
        assert [version.parents for version in log] == [*((version.id,) for version in log[1:]), ()]
        for number, one in enumerate(told):
            at = {version.id: version.number for version in log}
            assert sorted(one, key=at.__getitem__) == one, "the commits of one writer are in its order"
            assert repo.read(f"writer-{number}/value.txt") == f"{number} {SAVES - 1}\n".encode()
