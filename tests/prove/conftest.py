"""Every proof has a home of its own, so that no cache is shared with another test, or with the user's own repositories."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("KIST_HOME", str(folder))
    monkeypatch.setenv("KIST_AUTHOR", "prover")
    return folder
