"""`import kist`: what it offers, and what it does not load."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import kist

HEAVY = (
    "blake3", "crc32c", "cryptography", "cyclopts", "fsspec", "httpx", "icechunk", "jinja2", "msgspec", "numpy", "obstore",
    "pathspec", "pyfastcdc", "rich", "sqlalchemy", "sqlite3", "starlette", "uvicorn", "xarray", "zarr", "zstandard",
)  # fmt: skip


def test_public_names_are_few() -> None:
    assert len(kist.__all__) <= 20


@pytest.mark.parametrize("name", kist.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(kist, name) is not None


def test_public_names_are_listed() -> None:
    assert dir(kist) == sorted(kist.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'kist' has no attribute 'nothing'"):
        _ = kist.nothing


def test_the_version_is_that_of_the_package() -> None:
    assert kist.__version__.count(".") == 2


def loaded_by(code: str) -> set[str]:
    """Return the modules that a new Python has after running some code."""
    shown = subprocess.run([sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"], capture_output=True, text=True, check=True)
    return set(shown.stdout.split())


def test_importing_kist_loads_nothing_else() -> None:
    loaded = loaded_by("import kist")
    assert {name for name in loaded if name.split(".")[0] in HEAVY} == set()
    assert {name for name in loaded if name.startswith("kist")} == {"kist"}


def test_errors_load_no_engine() -> None:
    assert {name for name in loaded_by("import kist; kist.errors") if name.startswith("kist")} == {"kist", "kist.errors"}


def test_a_local_repository_needs_no_cloud_no_terminal_and_no_web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIST_HOME", str(tmp_path))
    loaded = loaded_by("import kist; kist.open_repository('memory://x', create=True).save('a', b'1')")
    unwanted = {"cyclopts", "fsspec", "httpx", "jinja2", "numpy", "obstore", "rich", "sqlalchemy", "starlette", "uvicorn"}
    assert {name for name in loaded if name.split(".")[0] in unwanted} == set()


def test_what_is_public_says_what_it_raises() -> None:
    repository = importlib.import_module("kist.engine.repository").Repository
    methods = [getattr(repository, name) for name in ("save", "restore", "read", "merge", "tag", "forget", "verify")]
    assert all("Raises:" in (method.__doc__ or "") for method in methods)
