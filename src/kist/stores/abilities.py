"""What a place can do, found out by doing it there: no server is believed, and no list of servers is kept.

Everything happens below a random name, and is removed again. A place that can only be read is only read. Where something could not be
found out, because credentials forbid it or the server failed, the answer is neither yes nor no.
"""

import contextlib
import hashlib
import threading
import time
import uuid
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from kist.errors import Conflict, Denied, InvalidInput, KistError, NotFound, StoreError, Unsupported
from kist.stores import budget
from kist.stores.conditional import probe
from kist.stores.protocols import (
    CopyFrom,
    Delete,
    Folders,
    GetPart,
    ObjectMeta,
    Put,
    PutParts,
    PutStream,
    ReadableStore,
    Sign,
    Store,
)

if TYPE_CHECKING:
    import httpx

__all__ = ["NAMES", "Ability", "measure"]

_BYTES: Final = b"0123456789"
_NAMES: Final = ("b", "a.b", "a/b", "a-b", "ä", "aa", "a0")
_READS: Final = 300
_LEAST_READS: Final = 40
_LOOKING_SECONDS: Final = 5
_BODY_BYTES: Final = 300_000
_TIMEOUT_SECONDS: Final = 30
_SIGNED_SECONDS: Final = 120
_READ_ONLY: Final = "read-only"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ability:
    """One thing that a place can do, or can't; `has` is None where it could not be found out. `note` says more."""

    name: str
    has: bool | None
    note: str = ""


class _Trial:
    """One place, and the name below which everything happens."""

    def __init__(self, store: ReadableStore, prefix: str) -> None:
        self.readable = store
        self.prefix = prefix
        self.base = f"{prefix}kist-check-{uuid.uuid4().hex}"
        self.found: dict[str, Ability] = {}

    @property
    def store(self) -> Store:
        """The store, where it can be written.

        Raises:
            Unsupported: it can't.
        """
        if not (isinstance(self.readable, Put) and isinstance(self.readable, Delete)):
            raise Unsupported(_READ_ONLY)
        return self.readable

    def key(self, name: str) -> str:
        """Return a key of our own."""
        return f"{self.base}/{name}"

    def written(self, name: str, data: bytes = _BYTES) -> str:
        """Store an object of our own, and return its key."""
        self.store.put(self.key(name), data)
        return self.key(name)

    def sample(self) -> tuple[str, bytes]:
        """Return an object to read: one of our own, else one that is there."""
        with contextlib.suppress(Denied, Unsupported):
            return self.written("sample"), _BYTES
        key = self._there()
        return key, self.readable.get(key)

    def _there(self) -> str:
        with contextlib.suppress(Denied, InvalidInput, NotFound):
            return self.readable.head(self.prefix.rstrip("/")).key
        with contextlib.suppress(Unsupported):
            return next(iter(self.readable.list(self.prefix))).key
        raise NotFound("there is nothing to try it with; name a file")

    def clean(self) -> None:
        """Remove all that was made."""
        with contextlib.suppress(KistError):
            for meta in list(islice(self.store.list(f"{self.base}"), 1000)):
                self.store.delete(meta.key)
        if isinstance(self.readable, Folders):
            for folder in (self.key("folder"), self.key("a"), self.base):
                with contextlib.suppress(KistError):
                    self.readable.remove_folder(folder)


type _Verdict = bool | tuple[bool | None, str]


def measure(store: ReadableStore, prefix: str = "") -> list[Ability]:
    """Find out what a place can do.

    Args:
        store: the place.
        prefix: what the names of all that is tried begin with: empty, or ending in ``/``. For a place that can only be read: a file to
            read, or a folder with one.

    Returns:
        All abilities, always in the order of `NAMES`.

    Raises:
        Unauthenticated: the credentials are not accepted.
        StoreError: nobody answers there, or there is no such bucket.
        Busy: the server wants to be left alone.
    """
    trial = _Trial(store, prefix)
    try:
        with contextlib.suppress(Denied, NotFound, Unsupported):
            trial.sample()  # else each of many attempts would wait for the same failure
        for name, attempt in _ATTEMPTS.items():
            trial.found[name] = _tried(name, attempt, trial)
    finally:
        trial.clean()
    return list(trial.found.values())


def _tried(name: str, attempt: Callable[[_Trial], _Verdict], trial: _Trial) -> Ability:
    """Try one thing. What a place does not offer or refuses is a no; what failed is no answer."""
    try:
        verdict = attempt(trial)
    except Unsupported as error:
        verdict = False, _first_line(error)
    except KistError as error:
        verdict = None, _first_line(error)
    has, note = verdict if isinstance(verdict, tuple) else (verdict, "")
    return Ability(name=name, has=has, note=note)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]


def _read(trial: _Trial) -> _Verdict:
    key, content = trial.sample()
    meta = trial.readable.head(key)
    return trial.readable.get(key) == content and meta.size_bytes in {-1, len(content)}


def _write(trial: _Trial) -> _Verdict:
    key = trial.written("write", b"first")
    trial.store.put(key, b"2")
    if trial.store.get(key) != b"2":
        return False, "what is written is not what is read next"
    trial.store.delete(key)
    try:
        trial.store.get(key)
    except NotFound:
        return True
    return False, "what is deleted can still be read"


def _list(trial: _Trial) -> _Verdict:
    if not isinstance(trial.readable, Put):
        keys = [meta.key for meta in islice(trial.readable.list(trial.prefix), 1000)]
        return keys == sorted(keys, key=str.encode)
    expected = sorted((f"list/{name}" for name in _NAMES), key=str.encode)
    for name in expected:
        trial.written(name)
    found = [meta.key.removeprefix(f"{trial.base}/") for meta in trial.store.list(trial.key("list/"))]
    if sorted(found) != sorted(expected):
        return False, "a listing lacks what was just written"
    return found == expected, "" if found == expected else "it is not in the order of the keys"


def _ranges(trial: _Trial) -> _Verdict:
    key, content = trial.sample()
    return trial.readable.get_range(key, start=2, end=5) == content[2:5]


def _pinned(trial: _Trial) -> _Verdict:
    if not isinstance(trial.readable, GetPart):
        return False
    key, content = trial.sample()
    meta = trial.readable.head(key)
    if not meta.etag:
        return False, "it has no ETags"
    if trial.readable.get_part(meta, start=2, end=5) != content[2:5]:
        return False, "another part came than was asked for"
    if not isinstance(trial.readable, Put):
        return True
    trial.store.put(key, b"abcdefghij")
    return _conflicts(trial.readable, meta), "a part of another state is refused"


def _conflicts(store: GetPart, meta: ObjectMeta) -> bool:
    try:
        store.get_part(meta, start=2, end=5)
    except Conflict:
        return True
    return False


def _replace(trial: _Trial) -> _Verdict:
    """Read while a writer replaces an object again and again."""
    bodies = [bytes([65 + number]) * (_BODY_BYTES + number) for number in range(4)]
    key = trial.written("replaced", bodies[0])
    stop = threading.Event()
    failures: list[KistError] = []

    def write() -> None:
        try:
            while not stop.is_set():
                for body in bodies:
                    trial.store.put(key, body)
        except KistError as error:
            failures.append(error)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        mixed = next((said for said in _looks(trial.store, key, bodies) if said), "")
    finally:
        stop.set()
        writer.join()
    if failures:
        raise failures[0]
    return (False, mixed) if mixed else (True, "readers saw old or new")


def _looks(store: Store, key: str, bodies: list[bytes]) -> Iterator[str]:
    """Read many times over, and say what was wrong each time, or nothing."""
    end = time.monotonic() + _LOOKING_SECONDS
    for number in range(_READS):
        if number >= _LEAST_READS and time.monotonic() > end:
            return
        try:
            yield "" if store.get(key) in bodies else "a reader sees a mix of old and new"
        except NotFound:
            yield "for a moment nothing is there"
        except StoreError as error:
            yield f"a reader fails meanwhile: {_first_line(error)}"


def _create(trial: _Trial) -> _Verdict:
    found = probe(trial.store, f"{trial.base}/")
    return found.put_if_absent, "; ".join(found.reasons)


def _checksum(trial: _Trial) -> _Verdict:
    """Send bytes with an MD5 that is not theirs, by a URL that lets us: our own clients never would."""
    here = "kist compares at this end"
    if not isinstance(trial.store, Sign):
        return None, here
    key = trial.written("checksum", b"old")
    try:
        url = trial.store.signed_url(key, expires_in_seconds=_SIGNED_SECONDS, method="PUT")
    except Unsupported:
        return None, here
    if _sent(url, b"right", b"right") >= 300 or trial.store.get(key) != b"right":  # noqa: PLR2004  HTTP: no success
        return None, "a signed URL does not write"
    refused = 400 <= _sent(url, b"wrong", b"other") < 500  # noqa: PLR2004  HTTP: the client's fault
    return refused and trial.store.get(key) == b"right", "by MD5" if refused else "a wrong MD5 is accepted"


def _sent(url: str, data: bytes, summed: bytes) -> int:
    digest = hashlib.md5(summed, usedforsecurity=False)
    headers = {"Content-MD5": b64encode(digest.digest()).decode(), "ETag": digest.hexdigest(), "x-ms-blob-type": "BlockBlob"}
    return _asked("PUT", url, content=data, headers=headers).status_code


def _asked(method: str, url: str, *, content: bytes | None = None, headers: Mapping[str, str] | None = None) -> "httpx.Response":
    """Ask by a signed URL.

    Raises:
        StoreError: there was no answer.
    """
    import httpx  # noqa: PLC0415  only a place that signs needs it

    try:
        with budget.request():
            return httpx.request(method, url, content=content, headers=headers, timeout=_TIMEOUT_SECONDS)
    except httpx.HTTPError as error:
        raise StoreError(f"a signed URL has no answer: {error}") from error


def _copy(trial: _Trial) -> _Verdict:
    if not isinstance(trial.store, CopyFrom):
        return False
    source, target = trial.written("from", b"copied"), trial.key("to")
    return trial.store.copy_from(trial.store, source, target) and trial.store.get(target) == b"copied"


def _signed(trial: _Trial) -> _Verdict:
    if not isinstance(trial.readable, Sign):
        return False
    key, content = trial.sample()
    url = trial.readable.signed_url(key, expires_in_seconds=_SIGNED_SECONDS)
    answer = _asked("GET", url)
    return answer.content == content, "" if answer.is_success else f"the server answers {answer.status_code}"


def _versions(trial: _Trial) -> _Verdict:
    asked = getattr(trial.readable, "versioned", None)
    return bool(asked()) if callable(asked) else False


def _folders(trial: _Trial) -> _Verdict:
    if not (isinstance(trial.readable, Folders) and isinstance(trial.readable, Put)):
        return False
    folder = trial.key("folder")
    trial.readable.make_folder(folder)
    there = trial.readable.is_folder(folder)
    trial.readable.remove_folder(folder)
    return there and not trial.readable.is_folder(folder)


def _streams_out(trial: _Trial) -> _Verdict:
    store = trial.store
    if not isinstance(store, PutStream):
        return False
    key = trial.written("stream", b"old")
    with contextlib.suppress(_BrokenOffError):
        store.put_stream(key, _breaking_off())
    if store.get(key) != b"old":
        return False, "a stream that broke off replaced what was there"
    store.put_stream(key, [_BYTES] * 3, size_bytes=30)
    return store.get(key) == _BYTES * 3


class _BrokenOffError(Exception):
    pass


def _breaking_off() -> Iterator[bytes]:
    yield _BYTES
    raise _BrokenOffError


def _parts(trial: _Trial) -> _Verdict:
    store = trial.store
    if not isinstance(store, PutParts):
        return False
    key = trial.key("parts")
    begun = store.begin_parts(key, size_bytes=len(_BYTES))
    try:
        receipt = begun.put_part(0, _BYTES)
        taken, there = store.take_up(key, begun.token)
        if there != {0: receipt}:
            return False, "what was sent before an interruption is not told"
        taken.finish([receipt])
    except BaseException:
        with contextlib.suppress(KistError):
            begun.abort()
        raise
    return store.get(key) == _BYTES


def _rule(trial: _Trial) -> _Verdict:
    """Say how a repository there would commit."""
    if not isinstance(trial.readable, Put):
        return False, _READ_ONLY
    needed = [trial.found[name].has for name in ("read", "write", "listing in order")]
    if not all(needed):
        return (None if None in needed else False), "a repository needs to read, write and list there"
    if trial.found["put-if-absent"].has is None:
        return None, trial.found["put-if-absent"].note
    return True, "create" if trial.found["put-if-absent"].has else "fork"


_ATTEMPTS: Final[dict[str, Callable[[_Trial], _Verdict]]] = {
    "read": _read,
    "write": _write,
    "listing in order": _list,
    "ranges": _ranges,
    "pinned ranges": _pinned,
    "streaming writes": _streams_out,
    "resumable parts": _parts,
    "atomic replace": _replace,
    "put-if-absent": _create,
    "checksum at the server": _checksum,
    "server-side copy": _copy,
    "signed URLs": _signed,
    "versions": _versions,
    "empty folders": _folders,
    "repositories": _rule,
}

NAMES: Final = tuple(_ATTEMPTS)
"""All abilities."""
