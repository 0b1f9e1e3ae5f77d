"""A store that fails as networks and disks do: at random from a seed, or when it is told to.

`FaultyStore` wraps a store. Every fault that it commits is in `faults`, so a failure can be told, and the same seed fails in the same way
as long as calls come in the same order. A fault that a call can't have is passed over: no read is applied twice.
"""

import builtins
import random
import threading
from collections.abc import Buffer, Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from kist.errors import AlreadyExists, KistError, StoreError
from kist.stores.protocols import ConditionalStore, ObjectMeta

__all__ = ["ALL_FAULTS", "Committed", "Fault", "FaultyStore"]


class Fault(Enum):
    """What can go wrong in one call."""

    ERROR_BEFORE = "the call fails, nothing is applied"
    LOST_RESPONSE = "the call is applied, then fails"
    OWN_WRITE_412 = "a create is applied, its answer is lost, and its repetition meets the own write"
    SPURIOUS_409 = "a create is told that the key exists, nothing is applied"
    DUPLICATE = "the request arrives twice"
    LATE = "the call fails, and is applied before some later call"
    STALL = "the stall hook is called before the request is applied"
    STALL_AFTER = "the stall hook is called after the request is applied"
    TRUNCATED_READ = "the end of what is read is missing"
    BIT_FLIP = "one bit of what is read is wrong"
    LIST_ERROR = "a listing breaks off"


ALL_FAULTS: tuple[Fault, ...] = tuple(Fault)

_WRITES = frozenset({"put", "create", "delete"})
_READS = frozenset({"get", "get_range"})
_FITS: dict[Fault, frozenset[str]] = {
    Fault.ERROR_BEFORE: _WRITES | _READS | {"head", "list_folders"},
    Fault.LOST_RESPONSE: _WRITES,
    Fault.OWN_WRITE_412: frozenset({"create"}),
    Fault.SPURIOUS_409: frozenset({"create"}),
    Fault.DUPLICATE: _WRITES,
    Fault.LATE: _WRITES,
    Fault.STALL: _WRITES | _READS,
    Fault.STALL_AFTER: _WRITES | _READS,
    Fault.TRUNCATED_READ: _READS,
    Fault.BIT_FLIP: _READS,
    Fault.LIST_ERROR: frozenset({"list"}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """A fault that happened: in which call, counted from 0, and to which verb and key."""

    call: int
    verb: str
    key: str
    fault: Fault


class FaultyStore:
    """A store whose calls fail now and then.

    Args:
        store: where calls go.
        seed: of the faults, and of where bits flip.
        rates: how likely each fault is per call that it fits, from 0 to 1.
        on_stall: called with verb and key where a call stalls: the place to let another writer act, or time pass.
    """

    def __init__(
        self,
        store: ConditionalStore,
        *,
        seed: int = 0,
        rates: Mapping[Fault, float] | None = None,
        on_stall: Callable[[str, str], None] | None = None,
    ) -> None:
        self.store = store
        self.rates = dict(rates or {})
        self.on_stall = on_stall or (lambda *_: None)
        self.calls = 0
        self.faults: list[Committed] = []
        self._planned: list[tuple[Fault, str, str]] = []
        self._late: list[Callable[[], None]] = []
        self._random = random.Random(seed)  # noqa: S311  faults are to be repeatable
        self._lock = threading.Lock()

    def fail_next(self, fault: Fault, *, verb: str = "", key: str = "") -> None:
        """Commit a fault in the next call that it fits, of this verb if given, and of a key that contains `key`."""
        self._planned.append((fault, verb, key))

    def flush(self) -> None:
        """Apply all requests that are late."""
        with self._lock:
            late, self._late = self._late, []
        for request in late:
            _apply_late(request)

    def get(self, key: str) -> bytes:
        """See `kist.stores.protocols.Get`."""
        return self._read("get", key, lambda: self.store.get(key))

    def get_range(self, key: str, *, start: int, end: int) -> bytes:
        """See `kist.stores.protocols.GetRange`."""
        return self._read("get_range", key, lambda: self.store.get_range(key, start=start, end=end))

    def head(self, key: str) -> ObjectMeta:
        """See `kist.stores.protocols.Head`."""
        self._fail_before("head", key)
        return self.store.head(key)

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectMeta]:
        """See `kist.stores.protocols.List`."""
        fault = self._choose("list", prefix)
        stop = self._random.randrange(4) if fault else -1
        for number, meta in enumerate(self.store.list(prefix, start_after=start_after)):
            if number == stop:
                break
            yield meta
        if fault:
            raise StoreError(f"faulty store: the listing of {prefix!r} broke off")

    def list_folders(self, prefix: str) -> builtins.list[str]:
        """See `kist.stores.protocols.List`."""
        self._fail_before("list_folders", prefix)
        return list(self.store.list_folders(prefix))

    def put(self, key: str, data: Buffer) -> None:
        """See `kist.stores.protocols.Put`."""
        content = bytes(data)
        self._write("put", key, lambda: self.store.put(key, content))

    def create(self, key: str, data: Buffer) -> None:
        """See `kist.stores.protocols.Create`."""
        content = bytes(data)
        self._write("create", key, lambda: self.store.create(key, content))

    def delete(self, key: str) -> None:
        """See `kist.stores.protocols.Delete`."""
        self._write("delete", key, lambda: self.store.delete(key))

    def _write(self, verb: str, key: str, request: Callable[[], None]) -> None:
        fault = self._choose(verb, key)
        if fault is Fault.STALL:
            self.on_stall(verb, key)
        if fault in {Fault.ERROR_BEFORE, Fault.LATE}:
            if fault is Fault.LATE:
                self._late.append(request)
            raise StoreError(f"faulty store: {verb} {key!r} got no answer")
        if fault is Fault.SPURIOUS_409:
            raise AlreadyExists(f"faulty store: {verb} {key!r} met another request")
        request()
        if fault is Fault.STALL_AFTER:
            self.on_stall(verb, key)
        if fault is Fault.LOST_RESPONSE:
            raise StoreError(f"faulty store: the answer to {verb} {key!r} was lost")
        if fault is Fault.OWN_WRITE_412:
            raise AlreadyExists(f"faulty store: {key!r} exists already")
        if fault is Fault.DUPLICATE:
            request()  # a create meets its own write

    def _read(self, verb: str, key: str, request: Callable[[], bytes]) -> bytes:
        fault = self._choose(verb, key)
        if fault is Fault.STALL:
            self.on_stall(verb, key)
        if fault is Fault.ERROR_BEFORE:
            raise StoreError(f"faulty store: {verb} {key!r} got no answer")
        content = request()
        if fault is Fault.STALL_AFTER:
            self.on_stall(verb, key)
        if fault is Fault.TRUNCATED_READ and content:
            return content[: self._random.randrange(len(content))]
        if fault is Fault.BIT_FLIP and content:
            flipped = bytearray(content)
            flipped[self._random.randrange(len(content))] ^= 1 << self._random.randrange(8)
            return bytes(flipped)
        return content

    def _fail_before(self, verb: str, key: str) -> None:
        if self._choose(verb, key):
            raise StoreError(f"faulty store: {verb} {key!r} got no answer")

    def _choose(self, verb: str, key: str) -> Fault | None:
        """Count a call, apply a late request if the dice say so, and return the fault that this call has."""
        with self._lock:
            number, self.calls = self.calls, self.calls + 1
            late = self._late.pop(self._random.randrange(len(self._late))) if self._late and self._random.random() < 0.5 else None  # noqa: PLR2004
            fault = self._draw(verb, key)
            if fault:
                self.faults.append(Committed(call=number, verb=verb, key=key, fault=fault))
        if late:
            _apply_late(late)
        return fault

    def _draw(self, verb: str, key: str) -> Fault | None:
        for planned in self._planned:
            fault, only_verb, part = planned
            if verb in _FITS[fault] and only_verb in {"", verb} and part in key:
                self._planned.remove(planned)
                return fault
        fitting = [fault for fault, rate in self.rates.items() if verb in _FITS[fault] and self._random.random() < rate]
        return self._random.choice(fitting) if fitting else None


def _apply_late(request: Callable[[], None]) -> None:
    """Apply a request that nobody waits for any more."""
    try:
        request()
    except KistError:
        return
