"""Files of the web: read from any server, also one without ranges, and never written."""

import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.servers.web import plain_server, rclone_server

from kist import storage
from kist.errors import InvalidInput, NotFound, Unsupported

CONTENT = os.urandom(6 << 20)


@pytest.fixture(params=["http.server", pytest.param("rclone", marks=pytest.mark.peer("rclone"))])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a folder with some files: on a server without ranges, and on one that has them."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "a.txt").write_text("first\nsecond\n")
    (folder / "big.bin").write_bytes(CONTENT)
    served = plain_server(folder) if request.param == "http.server" else rclone_server(folder, tmp_path / "log")
    with served as url:
        yield url.rstrip("/")


def test_text_and_bytes(site: str) -> None:
    with storage.open(f"{site}/a.txt") as file:
        assert list(file) == ["first\n", "second\n"]
    with storage.open(f"{site}/big.bin", "rb") as file:
        assert (file.seek(-5, io.SEEK_END), file.read()) == (len(CONTENT) - 5, CONTENT[-5:])
        file.seek(1 << 20)
        assert file.read(10) == CONTENT[1 << 20 :][:10]


def test_copies_to_anywhere(site: str, tmp_path: Path) -> None:
    assert storage.copy(f"{site}/big.bin", tmp_path / "big.bin").bytes == len(CONTENT)
    storage.copy(f"{site}/big.bin", "memory://web/")
    assert (tmp_path / "big.bin").read_bytes() == CONTENT
    with storage.open("memory://web/big.bin", "rb") as file:
        assert file.read() == CONTENT


def test_what_is_there_is_told(site: str) -> None:
    assert storage.stat(f"{site}/a.txt").size_bytes == 13
    assert [storage.exists(f"{site}/{name}") for name in ("a.txt", "no")] == [True, False]


def test_what_is_missing_is_not_found(site: str) -> None:
    for ask in (lambda: storage.open(f"{site}/no"), lambda: storage.copy(f"{site}/no", "memory://web/no")):
        with pytest.raises(NotFound, match="/no"):
            ask()


def test_nothing_is_written(site: str) -> None:
    with pytest.raises(io.UnsupportedOperation, match="read-only"):
        storage.open(f"{site}/a.txt", "w")
    for change in (lambda: storage.remove(f"{site}/a.txt"), lambda: storage.copy(__file__, f"{site}/b")):
        with pytest.raises(Unsupported):
            change()


def test_a_double_slash_is_no_key() -> None:
    with pytest.raises(InvalidInput):
        storage.open("memory://web/a//b", "w")
