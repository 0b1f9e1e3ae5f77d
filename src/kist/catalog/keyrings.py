"""Where the keyring of an installation comes from: a file for its owner's eyes, an environment variable, or what a program prints.

No message has a word of what was read.
"""

import contextlib
import logging
import os
import secrets
import stat
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from kist.catalog.sealing import Keyring
from kist.errors import InvalidInput, KistError, NotFound, StoreError

__all__ = ["FOLLOW_SECONDS", "following", "load_keyring"]

FOLLOW_SECONDS: Final = 5.0
"""How long a change of the file may go unseen by a process that follows it."""

log = logging.getLogger(__name__)

_MAX_BYTES: Final = 65536
_COMMAND_SECONDS: Final = 30
_VARIABLE: Final = "env:"
_HEAD: Final = (
    "# The keys that seal what kist keeps secret, the current one first. Without them it is lost: keep a copy, apart from the database's.\n"
)


def load_keyring(source: str | os.PathLike[str] | Sequence[str], *, create: bool = False) -> Keyring:
    """Read a keyring from a file, from the variable after ``env:``, or from what a program prints, told by its arguments.

    With `create`, a file that is not there is made, with one new key; it is on the disk when this returns.

    Raises:
        NotFound: there is no such file or variable.
        InvalidInput: it is no keyring, or others may read or change the file.
        StoreError: the file can't be read or made, or the program failed.
    """
    if isinstance(source, str) and source.startswith(_VARIABLE):
        return Keyring.parse(_of_variable(source.removeprefix(_VARIABLE)))
    if isinstance(source, str | os.PathLike):
        return _of_file(Path(source).expanduser().absolute(), create=create)
    return Keyring.parse(_of_program(source))


@contextlib.contextmanager
def following(keyring: Keyring, path: str | os.PathLike[str], *, every_seconds: float = FOLLOW_SECONDS) -> Iterator[None]:
    """Let a keyring have the keys of a file while the context lasts, also those that are added to it meanwhile.

    A file that can't be read, or is no keyring, changes nothing: the log says so.
    """
    over = threading.Event()

    def follow() -> None:
        seen = _state(path)
        while not over.wait(every_seconds):
            found = _state(path)
            if found == seen:
                continue
            seen = found
            try:
                keyring.follow(load_keyring(path))
            except KistError as error:
                log.warning("the keys stay as they were: %s", error)
            else:
                log.info("the keys were read again: %s seals", keyring.current)

    thread = threading.Thread(target=follow, name="kist keys", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _state(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """Return what changes with a file; None if it can't be seen."""
    try:
        found = Path(path).expanduser().stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _of_variable(name: str) -> str:
    if text := os.environ.get(name):
        return text
    raise NotFound(f"the environment variable {name} is to hold the keyring, and is not set")


def _of_program(argv: Sequence[str]) -> str:
    if not argv:
        raise InvalidInput("the program that prints the keyring has no name")
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=_COMMAND_SECONDS, check=False)  # noqa: S603  the owner's own
    except subprocess.TimeoutExpired:  # the error would hold what was printed
        raise StoreError(f"{argv[0]!r} is to print the keyring, and did not end within {_COMMAND_SECONDS} s") from None
    except OSError as error:
        raise StoreError(f"{argv[0]!r} is to print the keyring, and can't be run: {error.strerror}") from error
    if done.returncode:
        raise StoreError(f"{argv[0]!r} is to print the keyring, and ended with {done.returncode}")
    return _text(done.stdout, f"what {argv[0]!r} printed")


def _of_file(path: Path, *, create: bool) -> Keyring:
    try:
        try:
            return Keyring.parse(_text(_private(path), str(path)))
        except FileNotFoundError:
            if not create:
                raise NotFound(f"the keyring {path} is not there") from None
        _make(path)
        return Keyring.parse(_text(_private(path), str(path)))
    except (NotFound, InvalidInput):
        raise
    except OSError as error:
        raise StoreError(f"the keyring {path} can't be read or made: {error.strerror}") from error


def _private(path: Path) -> bytes:
    """Return what a file holds that only its owner can read and change.

    Raises:
        InvalidInput: others can, or it is no file.
    """
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode):
        os.close(handle)
        raise InvalidInput(f"the keyring {path} is no file")
    with os.fdopen(handle, "rb") as file:
        if found.st_uid not in {0, os.geteuid()}:
            raise InvalidInput(f"the keyring {path} belongs to another user (number {found.st_uid}): chown it")
        if found.st_mode & 0o077:
            raise InvalidInput(f"the keyring {path} can be read by others (mode {found.st_mode & 0o777:o}): chmod 600 it, and use new keys")
        return file.read(_MAX_BYTES + 1)


def _text(content: bytes, what: str) -> str:
    if len(content) > _MAX_BYTES:
        raise InvalidInput(f"{what} is too long for a keyring")
    try:
        return content.decode("ascii")
    except UnicodeDecodeError:
        raise InvalidInput(f"{what} is no keyring: it is not plain text") from None


def _make(path: Path) -> None:
    """Make a keyring; of two who do so at once, one does."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as file:
            file.write(_HEAD + Keyring.new_line())
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(new, path)
    finally:
        new.unlink(missing_ok=True)
    handle = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
