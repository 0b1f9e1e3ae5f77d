"""Every proof has a home of its own, so that no cache is shared with another test, or with the user's own repositories."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("KIST_HOME", str(folder))
    monkeypatch.setenv("KIST_AUTHOR", "prover")
    return folder


@pytest.fixture
def quick_path(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: for what asks nothing of `fsync`, and would wait for it thousands of times."""
    memory = Path("/dev/shm")
    if not memory.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="kist-prove-", dir=memory) as folder:
        yield Path(folder)
