"""Put-if-absent with a certain outcome, and the proof that a store honours it.

The error of a conditional write is no verdict: after a lost answer the client tries again and is told that the key exists, although the
bytes under it are its own. So the key is read back before anything is called lost (`create_once`).
And a store that takes the condition may still ignore it: `probe` tries, on the store and prefix that will be used.
"""

import contextlib
import random
import threading
import time
import uuid
from collections.abc import Buffer, Callable, Iterator
from dataclasses import dataclass

from kist.errors import Conflict, Denied, InvalidInput, KistError, NotFound, StoreError, Unauthenticated, Unsupported
from kist.stores.protocols import ConditionalStore, Store

__all__ = ["Probe", "create_once", "probe", "probe_quickly"]

_RACERS = 16
_ROUNDS = 5
_REFUSALS = (Conflict, Denied, InvalidInput, Unauthenticated, Unsupported)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What a store was found to honour.

    `put_if_absent` says whether commits may rely on `create`; `reasons` are sentences on what was found wrong, empty if nothing was.
    """

    put_if_absent: bool
    reasons: tuple[str, ...] = ()


def create_once(
    store: ConditionalStore,
    key: str,
    data: Buffer,
    *,
    is_ours: Callable[[bytes], bool],
    attempts: int = 8,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Store an object under a free key, and know for certain who is there afterwards.

    After any error the key is read back. It must never be deleted nor overwritten while this runs, and `data` must hold an id that
    nobody else writes.

    Args:
        store: it must honour put-if-absent (`probe`).
        key: where.
        data: what.
        is_ours: whether bytes that were read back are those that this call wrote.
        attempts: how often to try while the key is seen to be absent, or can't be read.
        sleep: waits between attempts.

    Returns:
        True: the key holds our bytes. False: it holds another's, for ever.

    Raises:
        StoreError: nobody knows; the object may be stored, now or later. Its `__cause__` is the last error.
        KistError: the store refused, and nothing is stored.
    """
    unclear, last = False, KistError("no attempt was made")
    for attempt in range(attempts):
        if attempt:
            sleep(random.uniform(0.5, 1) * min(0.05 * 2**attempt, 5))  # noqa: S311  no secret
        try:
            store.create(key, data)
        except KistError as error:
            last = error
        else:
            return True
        try:
            return is_ours(store.get(key))
        except NotFound:
            if isinstance(last, _REFUSALS) and not unclear:
                raise last from None
        except KistError as error:
            last = error
        unclear = True
    raise StoreError(
        f"nobody knows whether {key!r} is stored: {attempts} attempts failed, the last with: {last}; "
        "look at it before you try again, for it may still appear"
    ) from last


def probe_quickly(store: Store, prefix: str) -> Probe:
    """Find out with four requests whether `store` honours put-if-absent: create twice, read, clean up.

    Args:
        store: the store.
        prefix: where its keys will be; the probe's own keys start with it.

    Raises:
        StoreError: the store can't be reached, or does not write at all.
        Denied: it may not be written.
    """
    return _judge(store, lambda offered: _create_twice(offered, f"{prefix}probe-{uuid.uuid4().hex}"))


def probe(store: Store, prefix: str) -> Probe:
    """Find out whether `store` honours put-if-absent when it matters: in a race of many threads, and for those who read or list next.

    Args:
        store: the store.
        prefix: where its keys will be; the probe's own keys start with it, and are removed.

    Raises:
        StoreError: the store can't be reached, or does not write at all.
        Denied: it may not be written.
    """
    base = f"{prefix}probe-{uuid.uuid4().hex}"
    return _judge(store, lambda offered: _create_twice(offered, base) or _races(offered, base) or _visible(offered, base))


def _judge(store: Store, check: Callable[[ConditionalStore], str]) -> Probe:
    reason = check(store) if isinstance(store, ConditionalStore) else "this store has no put-if-absent"
    return Probe(put_if_absent=not reason, reasons=(reason,) if reason else ())


def _create_twice(store: ConditionalStore, key: str) -> str:
    """Create a key twice; say what was wrong, or nothing."""
    first, second = (uuid.uuid4().bytes for _ in range(2))
    try:
        with _removed(store, key):
            create_once(store, key, first, is_ours=first.__eq__, attempts=3)
            accepted = _attempt(store, key, second)
            if accepted or store.get(key) != first:
                return "the store ignores put-if-absent: a second create of one key was accepted"
    except (Unsupported, StoreError) as error:
        with _removed(store, f"{key}-put"):
            store.put(f"{key}-put", first)  # raises if it is not the condition that the store refuses
        return f"the store refuses put-if-absent: {error}"
    return ""


def _races(store: ConditionalStore, base: str) -> str:
    """Let many threads create one key at the same time, some times over."""
    return next(filter(None, (_race(store, f"{base}-race-{number}") for number in range(_ROUNDS))), "")


def _race(store: ConditionalStore, key: str) -> str:
    bodies = [uuid.uuid4().bytes for _ in range(_RACERS)]
    winners: list[bytes] = []
    start = threading.Barrier(_RACERS)

    def run(body: bytes) -> None:
        start.wait()
        if _attempt(store, key, body):
            winners.append(body)

    threads = [threading.Thread(target=run, args=(body,), daemon=True) for body in bodies]
    with _removed(store, key):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        stored = store.get(key)
    if len(winners) > 1:
        return f"put-if-absent does not hold in a race: {len(winners)} of {_RACERS} writers of one key were told that they had created it"
    if stored not in (winners or bodies):
        return "put-if-absent does not hold in a race: the key holds other bytes than those of its winner"
    return ""


def _visible(store: ConditionalStore, base: str) -> str:
    """Write, then look at once."""
    for number in range(_ROUNDS):
        key, body = f"{base}-seen-{number}", uuid.uuid4().bytes
        with _removed(store, key):
            store.create(key, body)
            if store.get(key) != body:
                return "what was written is not what is read next"
            if key not in {meta.key for meta in store.list(f"{base}-seen-")}:
                return "what was written is not in the next listing"
    return ""


def _attempt(store: ConditionalStore, key: str, body: bytes) -> bool:
    """Create a key and say whether the store accepted it; an error is a no, whatever it means."""
    try:
        store.create(key, body)
    except KistError:
        return False
    return True


@contextlib.contextmanager
def _removed(store: Store, key: str) -> Iterator[None]:
    """Remove a key at the end, if that is allowed."""
    try:
        yield
    finally:
        with contextlib.suppress(KistError):
            store.delete(key)
