"""A machine on which nothing is configured, for tests of mounts."""

import contextlib
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from kist.errors import NotFound
from kist.stores import mounts

SPEAKING = ("KIST_", "APYFAL_", "RCLONE_", "FSSPEC_", "XDG_", "AWS_", "AZURE_", "GOOGLE_")


@contextlib.contextmanager
def nothing_configured(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Go into an empty folder, ``work``, with an empty home beside it, and forget what is mounted by call."""
    for name in list(os.environ):
        if name.startswith(SPEAKING):
            monkeypatch.delenv(name)
    for name in ("home", "work"):
        (folder / name).mkdir()
    monkeypatch.setenv("HOME", str(folder / "home"))
    monkeypatch.chdir(folder / "work")
    yield folder
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a test broke is not of interest any more
        for name in [name for name, mount in mounts.mounts().items() if mount.origin == "call"]:
            with contextlib.suppress(NotFound):
                mounts.unmount(name)


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    """Write a configuration file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path
