"""The keys of a keyring's file follow one another, and none is lost."""

import stat
from pathlib import Path

import pytest

from kist.catalog.keyrings import load_keyring
from kist.catalog.rotating import add_key, make_keyring, use_key
from kist.errors import AlreadyExists, InvalidInput, NotFound, StoreError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A keyring with one key."""
    make_keyring(tmp_path / "keys")
    return tmp_path / "keys"


def test_one_that_is_there_is_left_as_it_is(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(AlreadyExists):
        make_keyring(path)
    assert path.read_bytes() == before


def test_a_link_to_nowhere_is_there_too(tmp_path: Path) -> None:
    (tmp_path / "keys").symlink_to(tmp_path / "nowhere")
    with pytest.raises(AlreadyExists):
        make_keyring(tmp_path / "keys")
    assert not (tmp_path / "nowhere").exists()


def test_a_new_key_opens_and_does_not_seal(path: Path) -> None:
    old = load_keyring(path)
    name = add_key(path)
    keyring = load_keyring(path)
    assert keyring.names == (old.current, name)
    assert keyring.open(old.seal(b"secret", place="here"), place="here") == b"secret"


def test_a_key_that_is_used_seals_and_the_others_open(path: Path) -> None:
    old, name = load_keyring(path), add_key(path)
    other = add_key(path)
    use_key(path, name)
    assert load_keyring(path).names == (name, old.current, other)
    use_key(path, name)
    assert load_keyring(path).names == (name, old.current, other)
    assert load_keyring(path).open(old.seal(b"secret", place="here"), place="here") == b"secret"


def test_comments_and_permissions_stay(path: Path) -> None:
    path.write_text(path.read_text().rstrip("\n"))  # its last line need not end
    use_key(path, add_key(path))
    assert path.read_text().startswith("# ")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["keys"]


def test_a_key_that_is_not_there_is_not_used(path: Path) -> None:
    with pytest.raises(NotFound, match="has no key 'other'"):
        use_key(path, "other")
    with pytest.raises(NotFound):
        add_key(path.with_name("nothing"))


def test_what_is_no_keyring_stays_as_it_is(path: Path) -> None:
    path.write_text("the secret: nothing\n")
    with pytest.raises(InvalidInput) as caught:
        add_key(path)
    assert ("nothing" in str(caught.value), path.read_text()) == (False, "the secret: nothing\n")


def test_a_folder_that_is_not_there_is_told(path: Path) -> None:
    folder = path.parent / "gone"
    folder.write_text("a file")
    with pytest.raises(StoreError):
        make_keyring(folder / "keys")
