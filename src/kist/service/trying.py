"""A bucket config tried for real: what it lacks, in words that say what to do, and what its place can do.

Everything happens below a random name, and is removed again. It takes seconds, and at most `MOST_SECONDS`; a store that hangs longer is
left to itself.
"""

import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

from kist.catalog.buckets import BucketRow
from kist.errors import Denied, KistError, NotFound, StoreError, Unauthenticated
from kist.models import BucketCheck
from kist.service.places import open_without_keeping
from kist.service.rooms import Rooms
from kist.stores.abilities import Ability, measure
from kist.stores.protocols import Store

__all__ = ["MOST_SECONDS", "try_out"]

MOST_SECONDS: Final = 90
_LIMITS: Final = {"timeout_seconds": 15, "connect_timeout_seconds": 5, "retry_seconds": 10, "max_retries": 1}
_WORDS: Final = {True: "yes", False: "no", None: "?"}
_CONTENT: Final = b"kist tries whether what is written is what is read"
_ADVICE: Final[tuple[tuple[type[KistError], str], ...]] = (
    (Unauthenticated, "give it credentials that are accepted (rotate_credentials, kist bucket rotate)"),
    (Denied, "let these credentials list, read, write and delete below the prefix, or give others (rotate_credentials)"),
    (NotFound, "make the bucket first, for kist makes none; or is its name or region another?"),
    (StoreError, "is there such a bucket, and is its address right? kist makes no buckets"),
)


def try_out(rooms: Rooms, bucket: BucketRow) -> BucketCheck:
    """Try a bucket config: open it, list, write, read back, delete; and then find out what its place can do."""
    begun = time.monotonic()
    problems: list[str] = []
    abilities: list[Ability] = []

    def run() -> None:
        with _told(problems, "can't be opened", advise=False):
            store = open_without_keeping(rooms, bucket, limits=_LIMITS)
            prefix = f".kist-check-{secrets.token_hex(8)}/"
            problems.extend(_basics(store, prefix))
            if not problems:
                abilities.extend(measure(store, prefix))

    thread = threading.Thread(target=run, daemon=True, name="bucket-check")
    thread.start()
    thread.join(MOST_SECONDS)
    found = list(problems)
    if thread.is_alive():
        found.append(f"it did not come to an end within {MOST_SECONDS} seconds: is the service overloaded, or far away?")
    return BucketCheck(
        nickname=bucket.nickname,
        ok=not found,
        problems=tuple(found),
        abilities={one.name: _WORDS[one.has] + (f": {one.note}" if one.note else "") for one in list(abilities)},
        seconds=round(time.monotonic() - begun, 3),
    )


def _basics(store: Store, prefix: str) -> list[str]:
    """Do what every repository does, and say what went wrong."""
    key, problems = f"{prefix}written", list[str]()
    written = _step(problems, "can't write", lambda: store.put(key, _CONTENT))
    if written:
        _step(problems, "can't read", lambda: _expect(store.get(key) == _CONTENT, "what was written is not what is read next"))
    _step(problems, "can't list", lambda: _expect(not written or _lists(store, prefix, key), "a listing lacks what was just written"))
    if written:
        _step(problems, f"can't delete, so that {key!r} is left there", lambda: store.delete(key))
    return problems


def _lists(store: Store, prefix: str, key: str) -> bool:
    return key in {meta.key for meta in store.list(prefix)}


def _expect(holds: bool, otherwise: str) -> None:  # noqa: FBT001  what is expected
    if not holds:
        raise StoreError(otherwise)


def _step(problems: list[str], what: str, act: Callable[[], object]) -> bool:
    before = len(problems)
    with _told(problems, what):
        act()
    return len(problems) == before


@contextlib.contextmanager
def _told(problems: list[str], what: str, *, advise: bool = True) -> Iterator[None]:
    """Turn an error into a problem that says what to do."""
    try:
        yield
    except KistError as error:
        advice = next((said for kind, said in _ADVICE if isinstance(error, kind)), "") if advise else ""
        problems.append(f"{what}: {error}" + (f"; {advice}" if advice else ""))
