"""A repository of one's own for each test."""

from pathlib import Path

import pytest
from tests.cli.running import Kist, write


@pytest.fixture
def home(tmp_path: Path, quick_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home for kist, in an environment that says nothing else."""
    for name in ("KIST_REPOSITORY", "KIST_DEBUG", "NO_COLOR", "KIST_SERVER", "KIST_TOKEN", "KIST_ORG", "KIST_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KIST_HOME", str(quick_path / "home"))
    monkeypatch.setenv("KIST_AUTHOR", "ada")
    monkeypatch.chdir(tmp_path)
    return quick_path / "home"


@pytest.fixture
def kist(home: Path, capsys: pytest.CaptureFixture[str]) -> Kist:
    """The command line, with an empty repository."""
    kist = Kist(capsys, home)
    kist.ok("init")
    return kist


@pytest.fixture
def saved(kist: Kist, tmp_path: Path) -> Kist:
    """The command line, with a folder `data` in two versions: `a.txt` changed, `sub/b.bin` did not, `old.txt` went."""
    data = write(tmp_path / "data", a__txt="one\n", old__txt="old\n")
    write(data / "sub", b__bin=bytes(range(256)))
    kist.ok("save", "data", "-m", "first")
    write(data, a__txt="one\ntwo\n")
    (data / "old.txt").unlink()
    kist.ok("save", "data", "-m", "second")
    return kist
