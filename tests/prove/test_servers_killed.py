"""Sixteen clients change an organisation through two servers on one database, of which one after the other is killed.

Each client changes things of its own and notes what it was told. At the end the catalog must hold exactly that, and the audit log each
change once.
"""

import contextlib
import random
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.prove.scale import scaled
from tests.servers.balancer import balancing
from tests.servers.postgresql import PostgresServer
from tests.servers.process import free_port
from tests.servers.team import Team, killing, team

from kist import Client
from kist.errors import Busy, StoreError

CLIENTS = 16
OPERATIONS = scaled(500)
KILL_EVERY_SECONDS = 3.0
ORG = "lab"

pytestmark = pytest.mark.peer("PostgreSQL")


@pytest.fixture
def servers(tmp_path: Path, postgresql: PostgresServer) -> Iterator[Team]:
    """Two servers, and what stands in front of them, as their first address."""
    name, ports = postgresql.make_database(), [free_port(), free_port()]
    with balancing(ports) as front, team(tmp_path, postgresql.url(name), ports=ports, public_url=f"http://127.0.0.1:{front}") as one:
        yield one
    postgresql.drop_database(name)


@dataclass
class Worker:
    """One client, what it believes to be there, and what it was told to be done."""

    client: Client
    number: int
    repos: dict[str, dict[str, object]] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    buckets: set[str] = field(default_factory=set)
    accounts: dict[str, set[str]] = field(default_factory=dict)
    roles: dict[tuple[str, str], str] = field(default_factory=dict)
    done: Counter[tuple[str, str]] = field(default_factory=Counter)
    unheard: int = 0

    def work(self, steps: int) -> "Worker":
        draw = random.Random(self.number)
        for step in range(steps):
            possible = [what for what, holds in self._possible() if holds]
            try:
                draw.choice(possible)(draw, f"c{self.number}-{step}")
            except (StoreError, Busy) as error:
                raise AssertionError(f"client {self.number} was not heard within its patience, at step {step}") from error
        return self

    def _possible(self) -> list[tuple[Callable[[random.Random, str], None], bool]]:
        return [
            (self.create_bucket, True),
            (self.rename_bucket, bool(self.buckets)),
            (self.delete_bucket, len(self.buckets) > 2),
            (self.create_repo, len(self.repos) < 20),
            (self.add_metadata, bool(self.repos)),
            (self.add_metadata, bool(self.repos)),
            (self.delete_repo, len(self.repos) > 2),
            (self.restore_repo, bool(self.deleted)),
            (self.create_account, True),
            (self.create_key, bool(self.accounts)),
            (self.revoke_key, any(self.accounts.values())),
            (self.grant, bool(self.repos and self.accounts)),
            (self.look, True),
        ]

    def create_bucket(self, _: random.Random, name: str) -> None:
        self.client.create_bucket_config(org=ORG, nickname=name, uri=f"s3://{name}", extra_config={"region_name": "us-east-1"})
        self.buckets.add(name)
        self.done["create_bucket_config", name] += 1

    def rename_bucket(self, draw: random.Random, name: str) -> None:
        old = draw.choice(sorted(self.buckets))
        self.client.modify_bucket_config(org=ORG, nickname=old, new_nickname=name)
        self.buckets ^= {old, name}
        self.done["modify_bucket_config", old] += 1

    def delete_bucket(self, draw: random.Random, _: str) -> None:
        name = draw.choice(sorted(self.buckets))
        self.client.delete_bucket_config(org=ORG, nickname=name, imsure=True, imreallysure=True)
        self.buckets.remove(name)
        self.done["delete_bucket_config", name] += 1

    def create_repo(self, _: random.Random, name: str) -> None:
        self.client.create_repo(f"{ORG}/{name}", bucket_config_nickname="folder")
        self.repos[name] = {}
        self.done["create_repo", name] += 1

    def add_metadata(self, draw: random.Random, key: str) -> None:
        name = draw.choice(sorted(self.repos))
        self.client.modify_repo(f"{ORG}/{name}", add_metadata={key: key})
        self.repos[name][key] = key
        self.done["modify_repo", name] += 1

    def delete_repo(self, draw: random.Random, _: str) -> None:
        name = draw.choice(sorted(self.repos))
        self.client.delete_repo(f"{ORG}/{name}", imsure=True, imreallysure=True)
        del self.repos[name]
        self.deleted.add(name)
        self.done["delete_repo", name] += 1

    def restore_repo(self, draw: random.Random, _: str) -> None:
        name = draw.choice(sorted(self.deleted))
        self.repos[name] = dict(self.client.restore_repo(f"{ORG}/{name}").metadata)
        self.deleted.remove(name)
        self.done["restore_repo", name] += 1

    def create_account(self, _: random.Random, name: str) -> None:
        self.client.create_service_account(org=ORG, name=name)
        self.accounts[name] = set()
        self.done["create_service_account", name] += 1

    def create_key(self, draw: random.Random, name: str) -> None:
        account = draw.choice(sorted(self.accounts))
        issued = self.client.create_service_key(org=ORG, service_account=account, name=name)
        self.accounts[account].add(issued.key.id)
        self.done["create_service_key", f"{account}/{name}"] += 1

    def revoke_key(self, draw: random.Random, _: str) -> None:
        account = draw.choice(sorted(name for name, keys in self.accounts.items() if keys))
        key = draw.choice(sorted(self.accounts[account]))
        self.client.revoke_service_key(org=ORG, service_account=account, key_id=key)
        self.accounts[account].remove(key)
        self.done["revoke_service_key", f"{account}/{key}"] += 1

    def grant(self, draw: random.Random, _: str) -> None:
        repo, account = draw.choice(sorted(self.repos)), draw.choice(sorted(self.accounts))
        self.client.grant_role(f"{ORG}/{repo}", principal=f"{ORG}/{account}", role="writer")
        self.roles[repo, account] = "writer"
        self.done["grant_role", f"{repo}/{ORG}/{account}"] += 1

    def look(self, draw: random.Random, _: str) -> None:
        mine = [repo.name for repo in self.client.list_repos(ORG, search=f"c{self.number}-")]
        assert sorted(mine) == sorted(name for name in self.repos if name.startswith(f"c{self.number}-"))
        if self.repos:
            name = draw.choice(sorted(self.repos))
            assert self.client.describe_repo(f"{ORG}/{name}").metadata == self.repos[name]


@pytest.fixture
def worked(servers: Team) -> Iterator[tuple[Client, list[Worker], list[int]]]:
    """What all clients did, and what was killed meanwhile."""
    url = str(servers.settings["public_url"])
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(url, token=servers.token)) for _ in range(CLIENTS + 1)]
        client, workers = clients[-1], [Worker(one, number) for number, one in enumerate(clients[:-1])]
        client.create_org(ORG)
        client.create_bucket_config(org=ORG, nickname="folder", uri=(servers.folder / "buckets").as_uri())
        with killing(servers, every_seconds=KILL_EVERY_SECONDS) as killed, ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(lambda worker: worker.work(OPERATIONS), workers))
        yield client, workers, killed


def test_no_acknowledged_change_is_lost_and_none_is_done_twice(worked: tuple[Client, list[Worker], list[int]]) -> None:
    client, workers, killed = worked
    assert killed, "nothing was killed: the proof proves nothing"
    repos = {repo.name: repo for repo in client.list_repos(ORG)}
    nicknames = {config.nickname for config in client.list_bucket_configs(ORG)}
    accounts = {account.name for account in client.list_service_accounts(ORG)}

    assert {name: repo.metadata for name, repo in repos.items()} == {name: data for one in workers for name, data in one.repos.items()}
    assert nicknames - {"folder"} == {name for one in workers for name in one.buckets}
    assert accounts == {name for one in workers for name in one.accounts}
    for one in workers:
        for account, keys in one.accounts.items():
            listed = client.list_service_keys(org=ORG, service_account=account)
            assert {key.id for key in listed if key.revoked is None} == keys
        for (repo, account), role in one.roles.items():
            if repo in repos:
                assert role in [found.role for found in client.list_roles(f"{ORG}/{repo}") if found.principal.endswith(account)]
    told = Counter((line.operation, line.target) for line in client.iter_audit(ORG) if line.outcome == "done")
    for one in workers:
        for change, times in one.done.items():
            assert told[change] == times, change
    assert client.verify_audit(ORG).ok
