"""What the engine remembers on a machine, it remembers in a folder of the test module."""

import os
from collections.abc import Iterator

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
