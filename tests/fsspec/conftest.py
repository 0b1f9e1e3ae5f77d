"""A home of its own for each test, and mounts that end with it."""

import contextlib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from kist import storage
from kist.errors import NotFound
from kist.fsspec import register


@pytest.fixture
def home(quick_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for all that kist keeps. Without an installation nobody has told fsspec of ``kist``."""
    monkeypatch.setenv("KIST_HOME", str(quick_path / "home"))
    register()
    return quick_path / "home"


@pytest.fixture
def mounted(home: Path) -> Iterator[Callable[..., str]]:
    """Mounts a URL, and returns the name that it has."""
    del home
    names: list[str] = []

    def mount(url: str, **options: str) -> str:
        names.append(f"mount-{uuid.uuid4().hex}")
        storage.mount(names[-1], url=url, **cast("dict[str, Any]", options))
        register()
        return names[-1]

    yield mount
    for name in names:
        with contextlib.suppress(NotFound):
            storage.unmount(name)
