"""How often logging in may fail, counted in the database."""

import pytest
from tests.service.people import People, at_once

from kist.errors import Busy
from kist.service.throttle import attempt, forgive

HERE = "198.51.100.1"


def waits(people: People, tries: int, *, name: str = "ann", address: str = "") -> list[int]:
    """Fail so often, wait as long as is said each time, and return for how long."""
    found = []
    for _ in range(tries):
        try:
            attempt(people.rooms, name, address)
        except Busy as error:
            found.append(int(str(error).split()[-2]))
            people.clock.wait(seconds=found[-1])
    return found


def test_after_a_few_failures_the_next_has_to_wait_ever_longer(people: People) -> None:
    assert waits(people, 12) == [1, 2, 4, 8]


def test_a_wait_for_a_name_is_no_longer_than_a_minute(people: People) -> None:
    assert max(waits(people, 30)) == 60


def test_however_often_it_failed_the_count_goes_on(people: People) -> None:
    assert waits(people, 200)[-3:] == [60, 60, 60]


def test_the_name_counts_whatever_its_case(people: People) -> None:
    for name in ("ann", "Ann", "ANN", "aNN", "anN"):
        attempt(people.rooms, name, "")

    with pytest.raises(Busy):
        attempt(people.rooms, "ann", "")


def test_a_login_that_succeeds_ends_the_count_of_its_name(people: People) -> None:
    waits(people, 5)
    people.clock.wait(seconds=1)
    attempt(people.rooms, "ann", HERE)
    forgive(people.rooms, "ann", HERE)

    assert waits(people, 4) == []


def test_a_login_that_succeeds_forgives_its_address_nothing_else(people: People) -> None:
    for number in range(18):
        attempt(people.rooms, f"somebody-{number}", HERE)
    attempt(people.rooms, "ann", HERE)
    forgive(people.rooms, "ann", HERE)
    attempt(people.rooms, "bob", HERE)
    attempt(people.rooms, "cy", HERE)

    with pytest.raises(Busy):
        attempt(people.rooms, "dan", HERE)


@pytest.mark.parametrize("other", ["2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:0:1::%eth0"])
def test_a_network_of_one_customer_counts_as_one_address(people: People, other: str) -> None:
    for number in range(20):
        attempt(people.rooms, f"somebody-{number}", "2001:db8::5")

    with pytest.raises(Busy, match="try again in"):
        attempt(people.rooms, "somebody-else", other)


def test_an_address_of_the_old_kind_is_one_however_it_is_written(people: People) -> None:
    for number in range(20):
        attempt(people.rooms, f"somebody-{number}", HERE)

    with pytest.raises(Busy, match="try again in"):
        attempt(people.rooms, "somebody-else", f"::ffff:{HERE}")


def test_other_addresses_have_counts_of_their_own(people: People) -> None:
    for number in range(20):
        attempt(people.rooms, f"somebody-{number}", HERE)

    assert waits(people, 1, name="somebody-else", address="198.51.100.2") == []


def test_an_hour_later_failures_are_forgotten(people: People) -> None:
    waits(people, 5)
    people.clock.wait(hours=1, seconds=1)

    assert waits(people, 5) == []


def test_what_is_refused_is_not_counted(people: People) -> None:
    waits(people, 5)
    for _ in range(50):
        with pytest.raises(Busy, match="in 1 s"):
            attempt(people.rooms, "ann", "")


def test_many_attempts_at_once_are_counted_one_by_one(people: People) -> None:
    outcomes = at_once([lambda: attempt(people.rooms, "ann", HERE)] * 8)

    assert outcomes == ["TooOften"] * 3 + ["done"] * 5
