import base64
import os

import pytest

from kist.catalog.sealing import Keyring
from kist.errors import IntegrityError, InvalidInput

OLD, NEW = os.urandom(32), os.urandom(32)
PLACE = "bucket_configs/1/credentials"


@pytest.fixture
def keyring() -> Keyring:
    return Keyring({"new": NEW, "old": OLD})


def _line(name: str, key: bytes) -> str:
    return f"{name}:{base64.b64encode(key).decode()}"


@pytest.mark.parametrize("secret", [b"", b"x", bytes(100_000)], ids=len)
def test_a_secret_opens_at_its_place(keyring: Keyring, secret: bytes) -> None:
    assert keyring.open(keyring.seal(secret, place=PLACE), place=PLACE) == secret


def test_a_secret_opens_nowhere_else(keyring: Keyring) -> None:
    sealed = keyring.seal(b"geheim", place=PLACE)
    with pytest.raises(IntegrityError, match="belongs elsewhere"):
        keyring.open(sealed, place="bucket_configs/2/credentials")


def test_a_sealed_secret_shows_nothing_and_never_looks_the_same(keyring: Keyring) -> None:
    sealed = [keyring.seal(b"geheim" * 10, place=PLACE) for _ in range(100)]
    assert len(set(sealed)) == 100
    assert not any(b"geheim" in one for one in sealed)


@pytest.mark.parametrize("at", range(35))
def test_no_byte_can_be_changed(keyring: Keyring, at: int) -> None:
    sealed = keyring.seal(b"geheim", place=PLACE)
    assert len(sealed) > 35
    with pytest.raises(IntegrityError):
        keyring.open(sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :], place=PLACE)


@pytest.mark.parametrize("length", range(35))
def test_no_byte_can_be_missing(keyring: Keyring, length: int) -> None:
    with pytest.raises(IntegrityError):
        keyring.open(keyring.seal(b"geheim", place=PLACE)[:length], place=PLACE)


def test_the_first_key_seals_and_all_open(keyring: Keyring) -> None:
    by_old = Keyring({"old": OLD}).seal(b"geheim", place=PLACE)
    assert keyring.open(by_old, place=PLACE) == b"geheim"
    assert keyring.sealed_by(by_old) == "old"
    assert keyring.sealed_by(keyring.seal(b"", place=PLACE)) == keyring.current == "new"
    assert keyring.seal(b"", place=PLACE).startswith(keyring.mark)
    assert keyring.names == ("new", "old")


def test_a_key_that_is_gone_is_named(keyring: Keyring) -> None:
    with pytest.raises(IntegrityError, match="'new', which is not in the keyring"):
        Keyring({"old": OLD}).open(keyring.seal(b"geheim", place=PLACE), place=PLACE)


def test_digests_differ_by_use_and_by_key(keyring: Keyring) -> None:
    digests = [*keyring.digests(b"token", use="tokens"), *keyring.digests(b"token", use="s3"), *keyring.digests(b"other", use="tokens")]
    assert len(set(digests)) == 6
    assert keyring.digest(b"token", use="tokens") == digests[0]
    assert keyring.digest(b"token", use="tokens", key="old") == digests[1] == Keyring({"old": OLD}).digest(b"token", use="tokens")
    assert {len(digest) for digest in digests} == {32}


def test_digests_need_a_key_that_is_there(keyring: Keyring) -> None:
    with pytest.raises(IntegrityError, match="'gone' is not in the keyring"):
        keyring.digest(b"", use="tokens", key="gone")


def test_a_keyring_is_read_from_lines(keyring: Keyring) -> None:
    read = Keyring.parse(f"# keys\n\n  {_line('new', NEW)}  \n{_line('old', OLD)}")
    assert read.names == ("new", "old")
    assert read.open(keyring.seal(b"geheim", place=PLACE), place=PLACE) == b"geheim"


def test_new_lines_hold_new_keys() -> None:
    lines = [Keyring.new_line() for _ in range(3)]
    assert len(set(Keyring.parse("".join(lines)).names)) == 3
    assert Keyring.parse(Keyring.new_line("mine")).names == ("mine",)


GEHEIM = base64.b64encode(b"geheim" * 5 + b"..").decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only\n",
        GEHEIM,
        f"a:{GEHEIM}x",
        f"a:{GEHEIM[:-4]}",
        f"a b:{GEHEIM}",
        f":{GEHEIM}",
        f"a:{GEHEIM}\na:{GEHEIM}",
        f"{GEHEIM}:a",
        f"a:{GEHEIM}ä",
        f"{'n' * 17}:{GEHEIM}",
    ],
)
def test_what_is_no_keyring_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Keyring.parse(text)
    assert GEHEIM[:8] not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("keys", [{}, {"a": b"short"}, {"geheim geheim": OLD}])
def test_keys_that_are_none_are_refused(keys: dict[str, bytes]) -> None:
    with pytest.raises(InvalidInput) as caught:
        Keyring(keys)
    assert "geheim" not in str(caught.value)


def test_a_keyring_shows_names_only(keyring: Keyring) -> None:
    assert repr(keyring) == "<Keyring new, old>"
