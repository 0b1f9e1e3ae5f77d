"""A home of one's own for each test, in which nobody is logged in; and services to talk to, shared by the tests of a module."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from tests.client.places import HOW, Place, serving

_numbers = count(1)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("KIST_SERVER", "KIST_TOKEN", "KIST_REPOSITORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KIST_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KIST_AUTHOR", "ada")
    return tmp_path / "home"


@pytest.fixture(scope="module", params=HOW)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A service in this process, and one that is served."""
    with serving(tmp_path_factory.mktemp("service"), request.param) as place:
        yield place


@pytest.fixture
def org(place: Place) -> str:
    """A new organisation."""
    return place.client.create_org(f"earthmover-{next(_numbers)}").name
