"""``kist mount check``."""

from pathlib import Path

import pytest
from tests.cli.running import Kist

from kist.stores import mounts
from kist.stores.abilities import NAMES


@pytest.fixture
def kist(home: Path, capsys: pytest.CaptureFixture[str]) -> Kist:
    return Kist(capsys, home)


def test_a_folder_is_checked(kist: Kist, tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    folder.mkdir()
    result = kist.ok("mount", "check", str(folder))
    assert result.lines[-1].split() == ["repositories", "yes", "create"]
    assert [line.split("  ")[0] for line in result.lines[1:]] == list(NAMES)


def test_programs_get_json(kist: Kist) -> None:
    found = kist.ok("mount", "check", "memory://checked", "--json").json
    assert found[0] == {"name": "read", "has": True, "note": ""}


def test_a_mount_is_checked_by_its_name(kist: Kist) -> None:
    mounts.mount("checked_lab", url="memory://checked/below")
    try:
        for name in ("checked_lab", "checked_lab://"):
            assert kist.ok("mount", "check", name, "-q").lines[1].split() == ["read", "yes"]
    finally:
        mounts.unmount("checked_lab")


def test_a_missing_folder_is_an_error(kist: Kist, tmp_path: Path) -> None:
    result = kist("mount", "check", str(tmp_path / "missing"))
    assert (result.code, "no folder" in result.err) == (3, True)


def test_the_query_of_a_url_is_not_told(kist: Kist) -> None:
    result = kist("mount", "check", "http://127.0.0.1:1/a?sig=very-secret")
    assert (result.code != 0, "very-secret" in result.err) == (True, False)
