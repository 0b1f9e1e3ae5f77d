"""How the keys of a keyring's file follow one another: a new one is added behind the others, and put before them when all know it.

The file is replaced at once, and never loses a key: what a key sealed, or hashed, needs it as long as it is there.
"""

import os
import secrets
from pathlib import Path

from kist.catalog.keyrings import load_keyring
from kist.catalog.sealing import Keyring
from kist.errors import AlreadyExists, NotFound, StoreError

__all__ = ["add_key", "make_keyring", "use_key"]


def make_keyring(path: Path) -> Keyring:
    """Make a keyring's file, with one key.

    Raises:
        AlreadyExists: there is something of this name.
        StoreError: it can't be made.
    """
    if os.path.lexists(path):
        raise AlreadyExists(f"{path} is there already, and is left as it is: kist config rotate-key replaces a key")
    return load_keyring(path, create=True)


def add_key(path: Path) -> str:
    """Add a key behind all others, so that it opens, and does not seal yet; return its name.

    Raises:
        NotFound: there is no such file.
        InvalidInput: it is no keyring.
        StoreError: it can't be written.
    """
    load_keyring(path)
    line = Keyring.new_line()
    text = path.read_text(encoding="ascii")
    _replace(path, text + ("" if text.endswith("\n") else "\n") + line)
    return line.partition(":")[0]


def use_key(path: Path, name: str) -> None:
    """Put a key before all others, so that it seals from now on.

    Raises:
        NotFound: there is no such file, or no such key in it.
        InvalidInput: it is no keyring.
        StoreError: it can't be written.
    """
    names = load_keyring(path).names
    if name not in names:
        raise NotFound(f"the keyring {path} has no key {name!r}; it has {', '.join(names)}")
    lines = path.read_text(encoding="ascii").splitlines()
    found = next(line for line in lines if line.strip().startswith(f"{name}:"))
    lines.remove(found)
    first = next((at for at, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("#")), len(lines))
    _replace(path, "\n".join([*lines[:first], found, *lines[first:], ""]))


def _replace(path: Path, text: str) -> None:
    """Replace a file at once by one that only its owner can read."""
    new = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        Keyring.parse(text)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        handle = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise StoreError(f"the keyring {path} can't be written, and is as it was: {error.strerror}") from error
    finally:
        new.unlink(missing_ok=True)
