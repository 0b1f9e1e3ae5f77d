"""One budget of concurrency for the whole process: how many requests are under way, and the threads that make them.

Every network request of every store happens inside `request()`. Work that may run side by side goes through `map_ordered` and `submit`,
which share one pool of threads; called from one of these threads they work at once, so that nesting never waits for itself.
A forked child starts with a budget of its own.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager

from kist.errors import InvalidInput

__all__ = ["configure", "map_ordered", "request", "submit"]

REQUESTS = 32
"""How many requests may be under way, and how many threads make them, unless `configure` says otherwise."""


class _Budget:
    """The pool and the semaphore, one size."""

    def __init__(self, requests: int) -> None:
        self.requests = requests
        self.semaphore = threading.BoundedSemaphore(requests)
        self.pool = ThreadPoolExecutor(requests, "kist-store", initializer=_enter_pool)


_here = threading.local()


def _enter_pool() -> None:
    _here.in_pool = True


_budget = _Budget(REQUESTS)


def configure(*, requests: int) -> None:
    """Allow so many requests at once from now on; work under way ends as it began.

    Raises:
        InvalidInput: less than one.
    """
    global _budget  # noqa: PLW0603  one per process is the point
    if requests < 1:
        raise InvalidInput(f"a budget of {requests} requests allows nothing: ask for 1 or more")
    _budget = _Budget(requests)


def request() -> AbstractContextManager[object]:
    """Return the context in which to make one network request; entering waits until there is room."""
    return _budget.semaphore


def submit[T](work: Callable[[], T]) -> Future[T]:
    """Start work on the pool; on a thread of the pool, do it at once."""
    if getattr(_here, "in_pool", False):
        return _done(work)
    return _budget.pool.submit(work)


def map_ordered[T, R](work: Callable[[T], R], items: Iterable[T], *, window: int = 16) -> Iterator[R]:
    """Yield ``work(item)`` for each item, in the order of the items, up to `window` of them under way or waiting to be taken.

    Items are taken lazily. After an error nothing new starts, what has not started is cancelled, what is under way is waited for, and the
    error is raised at its place.

    Raises:
        InvalidInput: the window is less than one.
    """
    if window < 1:
        raise InvalidInput(f"a window of {window} allows nothing: ask for 1 or more")
    return _in_order(work, iter(items), window)


def _in_order[T, R](work: Callable[[T], R], items: Iterator[T], window: int) -> Iterator[R]:
    if getattr(_here, "in_pool", False):
        yield from map(work, items)
        return
    waiting: deque[Future[R]] = deque()
    try:
        for item in items:
            waiting.append(_budget.pool.submit(work, item))
            if len(waiting) >= window:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        begun = [future for future in waiting if not future.cancel()]
        if not getattr(_here, "in_pool", False):  # the garbage collector may end this anywhere
            wait(begun)


def _done[T](work: Callable[[], T]) -> Future[T]:
    future: Future[T] = Future()
    try:
        future.set_result(work())
    except Exception as error:  # noqa: BLE001  it belongs to whoever asks for the result
        future.set_exception(error)
    return future


def _start_anew() -> None:
    global _budget  # noqa: PLW0603  the parent's threads do not exist in a forked child
    _here.in_pool = False
    _budget = _Budget(_budget.requests)


os.register_at_fork(after_in_child=_start_anew)
