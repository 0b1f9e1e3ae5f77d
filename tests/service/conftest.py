"""An installation with people, on each database."""

from pathlib import Path

import pytest
from tests.service.houses import House
from tests.service.people import People

from kist.catalog.database import Database


@pytest.fixture
def people(database: Database) -> People:
    return People(database)


@pytest.fixture
def house(database: Database, quick_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """One with bucket configs to keep repositories at; what the engine remembers on a machine lies in the test's folder."""
    monkeypatch.setenv("KIST_HOME", str(quick_path / "home"))
    return House(database, quick_path)
