"""``kist verify``, ``kist gc`` and ``kist forget``."""

from pathlib import Path

import pytest
from tests.cli.running import Kist


def packs(kist: Kist) -> list[Path]:
    return sorted(path for path in (kist.home / "data" / "repositories" / "local" / "default" / "packs").rglob("*") if path.is_file())


def damage(kist: Kist) -> None:
    """Flip a byte of the first pack, where content lies."""
    pack = min(packs(kist), key=lambda path: path.stat().st_mtime_ns)
    pack.chmod(0o600)
    data = bytearray(pack.read_bytes())
    data[60] ^= 1
    pack.write_bytes(data)


def test_a_sound_repository_is_ok(saved: Kist) -> None:
    assert saved.ok("verify").out.startswith("ok: 2 versions, 2 packs, ")
    assert "kB read" in saved.ok("verify", "--data").out


def test_a_report_as_json(saved: Kist) -> None:
    report = saved.ok("verify", "--data", "--json").json
    assert (report["ok"], report["level"], report["problems"], report["repaired"]) == (True, "data", [], [])


def test_damage_is_listed_with_the_paths_that_it_hits(saved: Kist) -> None:
    damage(saved)
    result = saved("verify", "--data")
    assert result.code == 8
    assert result.lines[0].startswith("damaged: packs/")
    assert any(line.startswith("  hits data/") for line in result.lines)
    assert saved("verify", "--data", "--json").json["ok"] is False


def test_the_index_is_rebuilt(saved: Kist) -> None:
    result = saved.ok("verify", "--repair")
    assert result.lines[-1].startswith("ok: ")


def test_nothing_to_free_is_said(saved: Kist) -> None:
    assert saved.ok("gc", "--dry-run").out.startswith("nothing to free: ")
    assert saved.ok("gc", "--json").json["deleted"] == 0


def test_a_version_is_forgotten_only_if_one_is_sure(saved: Kist) -> None:
    result = saved("forget", "v1")
    assert (result.code, "kist forget v1 --imsure" in result.err) == (2, True)
    assert saved.ok("forget", "v1", "--imsure").out.startswith("forgot v1 (")
    assert saved("cat", "data/a.txt@v1").code == 3


@pytest.mark.parametrize(("words", "code"), [(("--imsure",), 2), (("v9", "--imsure"), 3), (("v2", "--imsure"), 5)])
def test_what_cannot_be_forgotten_is_told(saved: Kist, words: tuple[str, ...], code: int) -> None:
    assert saved("forget", *words).code == code


def test_forgotten_versions_as_json(saved: Kist) -> None:
    assert [version["forgotten"] for version in saved.ok("forget", "v1", "--imsure", "--json").json] == [True]
