"""The repository against dictionaries, on stores with and without put-if-absent, and in a folder."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from tests.engine.parts import PlainStore, examples

from kist.stores.local import LocalStore
from kist.stores.memory import MemoryStore
from kist.stores.protocols import Store
from kist.testing.machines import RepositoryMachine

CHECKS = (HealthCheck.too_slow, HealthCheck.data_too_large)


@pytest.fixture(scope="module", autouse=True)
def _home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    before = os.environ.get("KIST_HOME")
    os.environ["KIST_HOME"] = str(tmp_path_factory.mktemp("home"))
    yield
    if before is None:
        del os.environ["KIST_HOME"]
    else:
        os.environ["KIST_HOME"] = before


class ForkMachine(RepositoryMachine):
    def new_store(self) -> Store:
        return PlainStore(MemoryStore())


class LocalMachine(RepositoryMachine):
    def new_store(self) -> Store:
        top = Path(self.folder.name) / "store"
        top.mkdir()
        return LocalStore(top)


def machine(kind: type[RepositoryMachine], *, count: int) -> type:
    case: type = kind.TestCase
    case.settings = settings(max_examples=examples(count), stateful_step_count=30, deadline=None, suppress_health_check=CHECKS)  # type: ignore[attr-defined]  # Hypothesis's way
    return case


TestMemory = machine(RepositoryMachine, count=30)
TestFork = machine(ForkMachine, count=20)
TestLocal = machine(LocalMachine, count=5)
