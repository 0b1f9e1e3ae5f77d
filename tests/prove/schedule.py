"""Writers that take turns: of all that use one store exactly one runs at a time, up to its next call, and a seed says which.

So a seed is an interleaving. The ids that the engine draws come from the seed too (`seeded_ids`), for they decide who wins a tie.
"""

import builtins
import contextlib
import os
import random
import threading
from collections.abc import Buffer, Callable, Iterator
from concurrent.futures import Future
from itertools import islice
from unittest import mock

from kist.stores import budget
from kist.stores.memory import MemoryStore
from kist.stores.protocols import ObjectMeta


class Died(BaseException):
    """A process ended: nothing catches this."""


class Actor:
    """Somebody who takes turns."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.may_run = threading.Semaphore(0)
        self.has_ended = False
        self.future: Future[None]


class Schedule:
    """Lets one actor at a time run; `steps` counts their turns."""

    def __init__(self, chance: random.Random) -> None:
        self.steps = 0
        self._chance = chance
        self._actors: list[Actor] = []
        self._turn_ended = threading.Semaphore(0)
        self._haste = chance.choice((0.02, 0.1, 0.4, 1.0))

    def add(
        self, name: str, act: Callable[["ScheduledStore"], None], store: MemoryStore, *, dying: Callable[[str], bool] = lambda _: False
    ) -> None:
        """Add an actor, which is given the store as it shall use it; `dying` is asked after each write, with its key, whether to die."""
        actor = Actor(name)
        offered = ScheduledStore(store, lambda: self._pause(actor), dying)

        def life() -> None:
            actor.may_run.acquire()
            try:
                act(offered)
            finally:
                actor.has_ended = True
                self._turn_ended.release()

        # On a thread of the pool, whose nested work is done at once: so an actor is one thread.
        actor.future = budget.submit(life)
        self._actors.append(actor)

    def run(self) -> None:
        """Run all to their ends; those who died have ended. Raises what any of them raised."""
        alive, current = list(self._actors), self._actors[0]
        while alive:
            if current not in alive or self._chance.random() < self._haste:
                current = self._chance.choice(alive)
            self.steps += 1
            current.may_run.release()
            if not self._turn_ended.acquire(timeout=60):
                raise AssertionError(f"{current.name} did not end its turn")
            alive = [actor for actor in alive if not actor.has_ended]
        for actor in self._actors:
            with contextlib.suppress(Died):
                actor.future.result()

    def _pause(self, actor: Actor) -> None:
        self._turn_ended.release()
        actor.may_run.acquire()


class ScheduledStore:
    """A store without put-if-absent, whose every call waits for its turn; listings see each page at another time, as in a cloud."""

    PAGE = 3

    def __init__(self, store: MemoryStore, wait: Callable[[], None], dying: Callable[[str], bool]) -> None:
        self._store, self._wait, self._dying = store, wait, dying

    def get(self, key: str) -> bytes:
        self._wait()
        return self._store.get(key)

    def get_range(self, key: str, *, start: int, end: int) -> bytes:
        self._wait()
        return self._store.get_range(key, start=start, end=end)

    def head(self, key: str) -> ObjectMeta:
        self._wait()
        return self._store.head(key)

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectMeta]:
        while True:
            self._wait()
            page = list(islice(self._store.list(prefix, start_after=start_after), self.PAGE))
            yield from page
            if len(page) < self.PAGE:
                return
            start_after = page[-1].key

    def list_folders(self, prefix: str) -> builtins.list[str]:
        self._wait()
        return self._store.list_folders(prefix)

    def put(self, key: str, data: Buffer) -> None:
        self._wait()
        self._store.put(key, data)
        if self._dying(key):
            raise Died

    def delete(self, key: str) -> None:
        self._wait()
        self._store.delete(key)


class SteppingClock:
    """Time that goes on by a millisecond whenever somebody looks."""

    def __init__(self) -> None:
        self._now = 1_800_000_000_000_000

    def now(self) -> int:
        self._now += 1000
        return self._now

    def elapsed(self) -> float:
        return self._now / 1_000_000

    def sleep(self, seconds: float) -> None:
        self._now += int(seconds * 1_000_000)


@contextlib.contextmanager
def seeded_ids(chance: random.Random) -> Iterator[None]:
    """Draw all ids from a seed while the context lasts."""
    with mock.patch.object(os, "urandom", chance.randbytes):
        yield
