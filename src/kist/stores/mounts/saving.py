"""Keeps mounts in the user's own file: ``mounts.toml``, for nobody else to read, replaced as a whole.

Only the section of the mount is touched; what else the file says stays, letter by letter. What is written is read again before it takes
the place of the old file, and has to say what was meant.
"""

import contextlib
import fcntl
import os
import secrets
import time
import tomllib
from collections.abc import Iterator, Mapping
from typing import Final

from kist import settings
from kist.errors import Busy, InvalidInput, KistError, NotFound, StoreError
from kist.stores.mounts.files import parts, read_text

__all__ = ["forget", "own_file", "saved", "write"]

_PATIENCE_SECONDS: Final = 10
_HEAD: Final = "# Mounts, by kist mount. Keep it for your eyes only: chmod 600.\n"
_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}

type Said = Mapping[str, object]


def own_file() -> str:
    """Return the path of the file."""
    return str(settings.config_home() / "mounts.toml")


def saved(name: str) -> dict[str, object] | None:
    """Return what the file says of a mount, or None.

    Raises:
        InvalidInput: the file is broken.
        StoreError: it can't be read.
    """
    said = _sections(_text(own_file())).get(name)
    return dict(said) if isinstance(said, dict) else None


def write(name: str, said: Said) -> None:
    """Save a mount, in the place of what the file says of it.

    Raises:
        InvalidInput: the file is broken, or an option can't be written.
        StoreError: it can't be written.
        Busy: another process is at it, and does not end.
    """
    body = "".join(f"{_key(key)} = {_value(key, value)}\n" for key, value in said.items())
    _change(name, f"[storage.{_key(name)}]\n{body}", dict(said))


def forget(name: str) -> None:
    """Take a mount out of the file.

    Raises:
        NotFound: it is not there.
        InvalidInput: the file is broken.
        StoreError: it can't be written.
    """
    if saved(name) is None:
        raise NotFound(f"{own_file()} has no mount {name!r}")
    _change(name, "", None)


def _change(name: str, section: str, said: dict[str, object] | None) -> None:
    path = os.path.realpath(own_file())
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with _alone(path):
            before = _text(path)
            wanted = _sections(before) | {name: said}
            kept = "".join(part for _, title, part in parts(before) if not _is_of(title, name)) or _HEAD
            after = f"{kept.rstrip()}\n\n{section}" if section else kept
            if {key: value for key, value in wanted.items() if value is not None} != _sections(after):
                raise InvalidInput(f"{path} says {name!r} in a way that kist can't change: edit it by hand")
            _replace(path, after)
    except KistError:
        raise
    except OSError as error:
        raise StoreError(f"{path} can't be written: {error}") from error


def _text(path: str) -> str:
    try:
        return read_text(path)[0]
    except NotFound:
        return ""


def _sections(text: str) -> dict[str, object]:
    try:
        storage = tomllib.loads(text).get("storage", {})
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InvalidInput(f"{own_file()} is broken, so nothing is written to it: {error}") from None
    if not isinstance(storage, dict):
        raise InvalidInput(f"{own_file()} is broken, so nothing is written to it: 'storage' is no table")
    return storage


def _is_of(title: str, name: str) -> bool:
    """Say whether a section, as its header calls it, is that of a mount, or below it."""
    own = (f"storage.{_key(name)}", f'storage."{name}"', f"storage.{name}")
    return title.replace(" ", "") in own or title.startswith(tuple(f"{one}." for one in own[:2]))


@contextlib.contextmanager
def _alone(path: str) -> Iterator[None]:
    """Let one process at a time change the file.

    Raises:
        Busy: another one takes too long.
    """
    with open(f"{path}.lock", "a", opener=_private) as lock:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise Busy(f"another process has been changing {path} for {_PATIENCE_SECONDS} s: try again later") from error
            time.sleep(0.02)
        yield


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def _replace(path: str, text: str) -> None:
    folder = os.path.dirname(path)
    new = os.path.join(folder, f".{os.path.basename(path)}.{secrets.token_hex(8)}")
    try:
        with open(new, "x", encoding="utf-8", opener=_private) as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.rename(new, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(new)
        raise
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _key(name: str) -> str:
    plain = all(sign.isascii() and (sign.isalnum() or sign in "_-") for sign in name)
    return name if plain and name else _text_of(name)


def _value(key: str, value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            return _text_of(value)
        case list() | tuple():
            return f"[{', '.join(_value(key, one) for one in value)}]"
        case Mapping():
            return "{ " + ", ".join(f"{_key(str(name))} = {_value(key, one)}" for name, one in value.items()) + " }"
        case _:
            raise InvalidInput(f"the option {key!r} can't be saved: a {type(value).__name__} is nothing that a file can say")


def _text_of(text: str) -> str:
    escaped = (_ESCAPES.get(sign) or (sign if sign.isprintable() else f"\\U{ord(sign):08x}") for sign in text)
    return f'"{"".join(escaped)}"'
