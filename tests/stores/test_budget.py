"""The budget of concurrency."""

import multiprocessing
import os
import signal
import threading
import time
import warnings
from collections.abc import Iterator

import pytest

from kist.errors import InvalidInput
from kist.stores import budget


@pytest.fixture(autouse=True)
def small() -> Iterator[None]:
    budget.configure(requests=4)
    yield
    budget.configure(requests=budget.REQUESTS)


class Meter:
    """Counts how many are inside at once."""

    def __init__(self) -> None:
        self.inside = self.most = self.total = 0
        self.lock = threading.Lock()

    def visit(self, item: int) -> int:
        with self.lock:
            self.inside += 1
            self.total += 1
            self.most = max(self.most, self.inside)
        time.sleep(0.005)
        with self.lock:
            self.inside -= 1
        return item

    def request(self, item: int) -> int:
        with budget.request():
            return self.visit(item)


def test_results_come_in_order() -> None:
    def work(n: int) -> int:
        time.sleep(0.002 * (n % 3))
        return n

    assert list(budget.map_ordered(work, range(50))) == list(range(50))


def test_requests_stay_within_the_budget() -> None:
    meter = Meter()
    threads = [threading.Thread(target=meter.request, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert meter.most == 4


def test_a_window_bounds_what_is_under_way() -> None:
    meter = Meter()
    assert list(budget.map_ordered(meter.visit, range(12), window=2)) == list(range(12))
    assert meter.most <= 2


def test_items_are_taken_lazily() -> None:
    items = iter(range(100))
    results = budget.map_ordered(str, items, window=3)
    assert next(results) == "0"
    assert next(items) <= 3


def test_nesting_does_not_wait_for_itself() -> None:
    def outer(n: int) -> int:
        return sum(budget.map_ordered(lambda m: n * m, range(4))) + budget.submit(lambda: n).result(10)

    assert list(budget.map_ordered(outer, range(20))) == [n * 7 for n in range(20)]


def test_an_error_comes_at_its_place_and_stops_the_rest() -> None:
    meter = Meter()

    def work(n: int) -> int:
        if n == 3:
            raise KeyError(n)
        return meter.visit(n)

    results = budget.map_ordered(work, range(1000), window=4)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(KeyError):
        next(results)
    assert meter.total < 10


def test_an_abandoned_map_starts_nothing_more() -> None:
    meter = Meter()
    results = budget.map_ordered(meter.visit, range(1000), window=4)
    next(results)
    results.close()  # type: ignore[attr-defined]  # it is a generator
    time.sleep(0.05)
    assert meter.total <= 5


def test_an_error_of_submitted_work_is_in_the_future() -> None:
    def fail() -> None:
        raise KeyError("x")

    assert isinstance(budget.submit(fail).exception(10), KeyError)
    assert isinstance(budget.submit(lambda: budget.submit(fail).exception(10)).result(10), KeyError)


def test_nothing_at_all_is_no_budget() -> None:
    with pytest.raises(InvalidInput):
        budget.configure(requests=0)
    with pytest.raises(InvalidInput):
        budget.map_ordered(str, [], window=0)


def test_a_forked_child_has_a_budget_of_its_own() -> None:
    list(budget.map_ordered(str, range(10)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python warns of what is tested here
        child = multiprocessing.get_context("fork").Process(target=_use_in_child)
        child.start()
    child.join(20)
    assert child.exitcode == 0


def _use_in_child() -> None:
    signal.alarm(10)
    good = list(budget.map_ordered(str, range(10))) == list(map(str, range(10)))
    os._exit(0 if good else 1)
