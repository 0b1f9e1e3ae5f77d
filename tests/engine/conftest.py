"""What the engine remembers on a machine, it remembers in a folder of the test module."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="module", autouse=True)
def _home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    before = os.environ.get("KIST_HOME")
    os.environ["KIST_HOME"] = str(tmp_path_factory.mktemp("home"))
    yield
    if before is None:
        del os.environ["KIST_HOME"]
    else:
        os.environ["KIST_HOME"] = before


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A folder that every user may enter: those above a `tmp_path` let nobody else in."""
    with tempfile.TemporaryDirectory(prefix="kist-test-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
