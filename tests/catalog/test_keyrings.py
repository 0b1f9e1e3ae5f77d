import os
import stat
import sys
import threading
from pathlib import Path

import pytest
from tests.servers.process import wait_until

from kist.catalog.keyrings import following, load_keyring
from kist.catalog.rotating import add_key, use_key
from kist.catalog.sealing import Keyring
from kist.errors import InvalidInput, NotFound, StoreError

LINE = Keyring.new_line("mine")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "keyring"
    path.write_text(LINE)
    path.chmod(0o600)
    return path


def test_a_keyring_is_read_from_a_file(file: Path) -> None:
    assert load_keyring(file).names == load_keyring(str(file)).names == ("mine",)


def test_a_keyring_is_read_through_a_link(file: Path) -> None:
    (file.parent / "link").symlink_to(file)
    assert load_keyring(file.parent / "link").names == ("mine",)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o602, 0o610])
def test_a_file_that_others_may_read_or_change_is_refused(file: Path, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(InvalidInput, match="chmod 600") as caught:
        load_keyring(file)
    assert LINE[5:] not in str(caught.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away: run the tests as root")
def test_a_file_of_another_user_is_refused(file: Path) -> None:
    os.chown(file, 1, -1)
    with pytest.raises(InvalidInput, match="another user"):
        load_keyring(file)


def test_a_folder_is_no_keyring(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no file"):
        load_keyring(tmp_path)


def test_a_pipe_does_not_make_it_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(InvalidInput, match="no file"):
        load_keyring(tmp_path / "pipe")


def test_a_file_that_is_not_there_is_only_made_when_asked(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="keyring"):
        load_keyring(tmp_path / "new" / "keyring")
    assert list(tmp_path.iterdir()) == []


def test_a_new_keyring_is_for_its_owner_only_and_stays_the_same(tmp_path: Path) -> None:
    path = tmp_path / "new" / "keyring"
    made = load_keyring(path, create=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [one.name for one in path.parent.iterdir()] == ["keyring"]
    assert load_keyring(path, create=True).open(made.seal(b"x", place="p"), place="p") == b"x"


def test_servers_that_make_a_keyring_at_once_have_the_same(tmp_path: Path) -> None:
    made: list[Keyring] = []
    threads = [threading.Thread(target=lambda: made.append(load_keyring(tmp_path / "keyring", create=True))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(made) == 8
    assert len({one.current for one in made}) == 1


def test_a_place_that_can_not_be_written_is_told(file: Path) -> None:
    with pytest.raises(StoreError, match="can't be read or made"):
        load_keyring(file / "keyring", create=True)


@pytest.mark.parametrize("content", [b"\xff\xfe" * 40, b"x" * 70000], ids=["binary", "long"])
def test_a_file_of_something_else_is_refused(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(InvalidInput):
        load_keyring(file)


def test_a_keyring_is_read_from_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIST_TEST_KEYRING", LINE)
    assert load_keyring("env:KIST_TEST_KEYRING").names == ("mine",)


def test_a_variable_that_is_not_set_is_named() -> None:
    with pytest.raises(NotFound, match="KIST_TEST_KEYRING"):
        load_keyring("env:KIST_TEST_KEYRING")


def test_a_keyring_is_read_from_what_a_program_prints() -> None:
    assert load_keyring([sys.executable, "-c", f"print({LINE!r})"]).names == ("mine",)


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ([], InvalidInput),
        (["no-such-program-at-all"], StoreError),
        ([sys.executable, "-c", "print('geheim'); raise SystemExit(3)"], StoreError),
        ([sys.executable, "-c", "print('geheim')"], InvalidInput),
    ],
)
def test_a_program_that_fails_is_told_without_what_it_printed(argv: list[str], expected: type[Exception]) -> None:
    with pytest.raises(expected) as caught:
        load_keyring(argv)
    assert "geheim" not in str(caught.value)


def test_a_keyring_that_follows_its_file_has_what_is_added(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    keyring = load_keyring(path, create=True)
    with following(keyring, path, every_seconds=0.01):
        added = add_key(path)
        wait_until(lambda: added in keyring.names, "the new key", log=path)
        use_key(path, added)
        wait_until(lambda: keyring.current == added, "the new key's use", log=path)


def test_a_keyring_keeps_its_keys_while_its_file_is_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "keys"
    keyring = load_keyring(path, create=True)
    names = keyring.names
    with following(keyring, path, every_seconds=0.01):
        path.write_text("secret-of-nobody")
        wait_until(lambda: "stay as they were" in caplog.text, "the warning", log=path)
        assert keyring.names == names
    assert "secret-of-nobody" not in caplog.text
