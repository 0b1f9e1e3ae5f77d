"""A terminal that is logged in by a browser."""

import pytest
from sqlalchemy import select
from tests.service.people import People, at_once

from kist.catalog.tables import links
from kist.errors import Busy, NotFound, Unauthenticated
from kist.service import authentication, devices
from kist.service.tokens import typed_code


def test_a_terminal_gets_a_token_of_whoever_confirms_its_code(people: People) -> None:
    ann = people.add("ann")
    asked = devices.ask(people.rooms, "laptop")

    assert devices.take(people.rooms, asked.device_code) is None
    assert devices.look(people.rooms, ann.who, asked.user_code) == "laptop"
    devices.allow(people.rooms, ann.who, asked.user_code)
    issued = devices.take(people.rooms, asked.device_code)

    assert issued is not None
    assert (issued.key.owner, issued.key.name) == ("ann", "laptop")
    assert authentication.by_token(people.rooms, issued.secret).name == "ann"


def test_a_token_is_fetched_once(people: People) -> None:
    asked = devices.ask(people.rooms, "")
    devices.allow(people.rooms, people.root.who, asked.user_code)
    assert devices.take(people.rooms, asked.device_code)

    with pytest.raises(Unauthenticated, match="begin anew"):
        devices.take(people.rooms, asked.device_code)


def test_of_many_who_fetch_a_token_at_once_one_gets_it(people: People) -> None:
    asked = devices.ask(people.rooms, "")
    devices.allow(people.rooms, people.root.who, asked.user_code)
    outcomes = at_once([lambda: devices.take(people.rooms, asked.device_code)] * 8)

    assert outcomes == ["Unauthenticated"] * 7 + ["done"]


def test_a_code_is_confirmed_once(people: People) -> None:
    asked = devices.ask(people.rooms, "")
    devices.allow(people.rooms, people.root.who, asked.user_code)

    with pytest.raises(NotFound):
        devices.allow(people.rooms, people.add("ann").who, asked.user_code)


def test_a_terminal_that_is_refused_gets_nothing(people: People) -> None:
    asked = devices.ask(people.rooms, "")
    devices.refuse(people.rooms, people.root.who, asked.user_code)

    with pytest.raises(Unauthenticated, match="refused"):
        devices.take(people.rooms, asked.device_code)


def test_a_code_ends_after_ten_minutes(people: People) -> None:
    asked = devices.ask(people.rooms, "")
    people.clock.wait(minutes=10)

    with pytest.raises(NotFound, match="ten minutes"):
        devices.look(people.rooms, people.root.who, asked.user_code)
    with pytest.raises(Unauthenticated):
        devices.take(people.rooms, asked.device_code)


def test_a_disabled_user_gets_no_token_though_the_code_was_confirmed(people: People) -> None:
    asked = devices.ask(people.rooms, "")
    devices.allow(people.rooms, people.add("ann").who, asked.user_code)
    people.disable("ann")

    with pytest.raises(Unauthenticated):
        devices.take(people.rooms, asked.device_code)


def test_a_terminals_secret_logs_no_browser_in(people: People) -> None:
    asked = devices.ask(people.rooms, "")
    devices.allow(people.rooms, people.root.who, asked.user_code)

    with pytest.raises(Unauthenticated):
        authentication.use_link(people.rooms, asked.device_code)


def test_codes_can_not_be_guessed_one_after_the_other(people: People) -> None:
    for _ in range(5):
        with pytest.raises(NotFound):
            devices.look(people.rooms, people.root.who, "BBBB-BBBB")

    with pytest.raises(Busy):
        devices.look(people.rooms, people.root.who, "BBBB-BBBB")


def test_an_address_can_not_ask_without_end(people: People) -> None:
    for _ in range(5):
        devices.ask(people.rooms, "", address="192.0.2.1")

    with pytest.raises(Busy):
        devices.ask(people.rooms, "", address="192.0.2.1")
    assert devices.ask(people.rooms, "", address="192.0.2.2").user_code


def test_a_name_of_a_terminal_can_hide_nothing(people: People) -> None:
    asked = devices.ask(people.rooms, "lap\u202etop\n\0" + "x" * 500)

    label = devices.look(people.rooms, people.root.who, asked.user_code)

    assert label == "lap?top??" + "x" * 91


def test_neither_secret_nor_code_is_kept_or_shown(people: People) -> None:
    asked = devices.ask(people.rooms, "laptop")

    with people.rooms.database.reading() as sql:
        kept = repr(sql.execute(select(links)).all())
    assert asked.device_code not in kept + repr(asked)
    assert asked.user_code not in kept


@pytest.mark.parametrize("typed", ["bcdf-ghjk", "BCDFGHJK", " bcdf ghjk ", "BCDF\u2013GHJK"])
def test_a_code_may_be_typed_in_any_way(typed: str) -> None:
    assert typed_code(typed) == "BCDF-GHJK"
