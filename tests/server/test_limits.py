"""Rates."""

import pytest

from kist.server.limits import Rates, TooMany


class Clock:
    """A time that goes on when it is told to."""

    time = 0.0

    def __call__(self) -> float:
        return self.time


def allowed(rates: Rates, key: str) -> bool:
    try:
        rates.take(key, "this test")
    except TooMany:
        return False
    return True


def test_a_burst_is_allowed_and_then_a_rate() -> None:
    clock = Clock()
    rates = Rates(2.0, 3, clock=clock)
    assert [allowed(rates, "a") for _ in range(4)] == [True, True, True, False]
    clock.time += 0.5
    assert [allowed(rates, "a") for _ in range(2)] == [True, False]
    clock.time += 1000
    assert [allowed(rates, "a") for _ in range(4)] == [True, True, True, False]


def test_one_does_not_pay_for_another() -> None:
    rates = Rates(1.0, 1, clock=Clock())
    assert [allowed(rates, key) for key in "aab"] == [True, False, True]


def test_what_is_refused_says_when_to_come_again() -> None:
    rates = Rates(0.25, 1, clock=Clock())
    rates.take("a", "this test")
    with pytest.raises(TooMany, match=r"wait 4\.0 s") as caught:
        rates.take("a", "this test")
    assert caught.value.seconds == 4.0


def test_asking_in_vain_does_not_make_it_longer() -> None:
    clock = Clock()
    rates = Rates(1.0, 1, clock=clock)
    assert [allowed(rates, "a") for _ in range(50)] == [True] + [False] * 49
    clock.time += 1
    assert allowed(rates, "a")


def test_no_more_keys_are_remembered_than_fit() -> None:
    rates = Rates(0.001, 1, keys=2, clock=Clock())
    assert [allowed(rates, key) for key in "abca"] == [True, True, True, True]
    assert not allowed(rates, "c")
