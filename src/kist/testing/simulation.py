"""Several actors on one store, one at a time, in an order that the test decides.

An actor's work runs on a thread of its own, and stops before each call of its store until `Simulation.resume` lets it go on: between any
two calls of one actor a test can let others act, let days pass, make the call fail, or end the actor for good. Nothing else may run
meanwhile, so that the same decisions, with `repeatable_ids`, give the same run, call by call.
"""

import builtins
import os
import random
import threading
from collections.abc import Buffer, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Self
from unittest import mock

from kist.stores.budget import submit
from kist.stores.protocols import ConditionalStore, ObjectMeta
from kist.testing.clock import VirtualClock

__all__ = ["Call", "Crashed", "MachineClock", "Simulation", "SteppedStore", "Task", "repeatable_ids"]


class Crashed(BaseException):
    """Ends the work of an actor whose machine crashes: no `except Exception` may stop it."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call that an actor is about to make; waiting is the call ``sleep``."""

    verb: str
    key: str


@dataclass(eq=False, slots=True)
class Task:
    """A piece of work of one actor. `pending` is the call before which it stands; once it is done it has a `result` or an `error`.

    It stops early before a call for which `stops` says so.
    """

    name: str
    pending: Call | None = None
    result: object = None
    error: BaseException | None = None
    calls: int = 0
    stops: Callable[[Call], bool] = lambda _call: False
    _more: int = 0
    _crashing: bool = False
    _go: threading.Lock = field(default_factory=threading.Lock)

    @property
    def done(self) -> bool:
        """Whether the work has ended, in whatever way."""
        return self.pending is None


class Simulation:
    """The actors' tasks, and the baton: at most one of them runs, and only while `start`, `resume` or `crash` wait for it.

    Args:
        clock: says when each line of the `trace` was.
        on_call: is told of each call of a task right before it is made.
    """

    def __init__(self, clock: VirtualClock, *, on_call: Callable[[Task, Call], None] = lambda _task, _call: None) -> None:
        self.clock, self.on_call = clock, on_call
        self.trace: list[str] = []
        self._began = clock.now()
        self._tasks: list[Task] = []
        self._current: Task | None = None
        self._back = threading.Lock()
        self._back.acquire()

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """End all tasks."""
        for task in list(self._tasks):
            self.crash(task)

    def note(self, text: str) -> None:
        """Add a line to the trace, with the time."""
        self.trace.append(f"{(self.clock.now() - self._began) / timedelta(hours=1):9.3f} h  {text}")

    def start(self, name: str, work: Callable[[], object]) -> Task:
        """Start some work and let it run until its first call."""
        task = Task(name, pending=Call("start", ""))
        task._go.acquire()  # noqa: SLF001 - the lock is the baton, which is this class's
        self._tasks.append(task)
        # On a thread of the pool, where nested work is done at once; asked for by another thread, for this one may be of the pool itself.
        threading.Thread(target=lambda: submit(lambda: self._run(task, work))).start()
        self.resume(task)
        return task

    def resume(self, task: Task, *, calls: int = 1) -> None:
        """Let a task make its pending call, and more calls up to `calls` in all, and stop before the next one, or end."""
        if task.done:
            raise ValueError(f"{task.name} has ended")
        task._more = calls - 1  # noqa: SLF001
        self._current = task
        task._go.release()  # noqa: SLF001
        self._back.acquire()
        self._current = None
        if task.done:
            self._tasks.remove(task)  # type: ignore[unreachable]  # it ends on another thread meanwhile

    def crash(self, task: Task) -> None:
        """End a task before its pending call; it makes no call any more."""
        self.note(f"{task.name}: CRASHES before {task.pending}")
        task._crashing = True  # noqa: SLF001
        self.resume(task)

    def called(self, verb: str, key: str) -> None:
        """Stop before a call of a task until it is told to go on. The test's own calls do not stop.

        Raises:
            Crashed: it is told to crash.
        """
        task = self._current
        if task is None:
            return
        if task._crashing:  # noqa: SLF001
            raise Crashed
        call = Call(verb, key)
        if task._more and not task.stops(call):  # noqa: SLF001
            task._more -= 1  # noqa: SLF001
        else:
            task.pending = call
            self._hand_back(task)
        task.calls += 1
        self.note(f"{task.name}: {verb} {key}")
        self.on_call(task, call)

    def _hand_back(self, task: Task) -> None:
        self._back.release()
        task._go.acquire()  # noqa: SLF001
        if task._crashing:  # noqa: SLF001
            raise Crashed

    def _run(self, task: Task, work: Callable[[], object]) -> None:
        task._go.acquire()  # noqa: SLF001
        try:
            task.result = work()
        except BaseException as error:  # noqa: BLE001 - it belongs to the test
            task.error = error
        finally:
            task.pending = None
            self._back.release()


class SteppedStore:
    """A store before each call of which the running task stops. A listing of more than `page` keys takes several calls."""

    def __init__(self, store: ConditionalStore, simulation: Simulation, *, page: int = 1000) -> None:
        self._store, self._simulation, self._page = store, simulation, page

    def get(self, key: str) -> bytes:
        """See `kist.stores.protocols.Get`."""
        self._simulation.called("get", key)
        return self._store.get(key)

    def get_range(self, key: str, *, start: int, end: int) -> bytes:
        """See `kist.stores.protocols.GetRange`."""
        self._simulation.called("get_range", key)
        return self._store.get_range(key, start=start, end=end)

    def head(self, key: str) -> ObjectMeta:
        """See `kist.stores.protocols.Head`."""
        self._simulation.called("head", key)
        return self._store.head(key)

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectMeta]:
        """See `kist.stores.protocols.List`; each page shows the store as it is then."""
        while True:
            self._simulation.called("list", prefix)
            page = list(islice(self._store.list(prefix, start_after=start_after), self._page))
            yield from page
            if len(page) < self._page:
                return
            start_after = page[-1].key

    def list_folders(self, prefix: str) -> builtins.list[str]:
        """See `kist.stores.protocols.List`."""
        self._simulation.called("list_folders", prefix)
        return self._store.list_folders(prefix)

    def put(self, key: str, data: Buffer) -> None:
        """See `kist.stores.protocols.Put`."""
        self._simulation.called("put", key)
        self._store.put(key, data)

    def create(self, key: str, data: Buffer) -> None:
        """See `kist.stores.protocols.Create`."""
        self._simulation.called("create", key)
        self._store.create(key, data)

    def delete(self, key: str) -> None:
        """See `kist.stores.protocols.Delete`."""
        self._simulation.called("delete", key)
        self._store.delete(key)


class MachineClock:
    """The clocks of one machine: its wall clock may be wrong by `skew`, its other clock counts from some moment of its own."""

    def __init__(self, simulation: Simulation, *, skew: timedelta = timedelta()) -> None:
        self._simulation, self._skew = simulation, skew
        self._booted = simulation.clock.now() - skew

    def now(self) -> int:
        """Return microseconds since 1970 UTC, as this machine sees it."""
        return (self._simulation.clock.now() + self._skew - datetime.fromtimestamp(0, self._booted.tzinfo)) // timedelta(microseconds=1)

    def elapsed(self) -> float:
        """Return seconds since the machine started, sleep included."""
        return (self._simulation.clock.now() - self._booted) / timedelta(seconds=1)

    def sleep(self, seconds: float) -> None:
        """Let others act; a second passes, whatever was asked: how long it takes is for the test to say."""
        del seconds
        self._simulation.called("sleep", "")
        self._simulation.clock.advance(seconds=1)


@contextmanager
def repeatable_ids(seed: int) -> Iterator[None]:
    """Take the ids that kist makes from a seed; nothing in kist itself can be told to, for ids that can be foretold are a danger."""
    source = random.Random(seed)  # noqa: S311 - they are to be repeatable
    with mock.patch.object(os, "urandom", source.randbytes):
        yield
