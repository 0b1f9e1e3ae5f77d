"""How far long work is; the bar is tested in a terminal, in `test_process`."""

import pytest

from kist.cli.options import Everywhere
from kist.cli.progress import Lines, Meter, Total, watching


def meter(*steps: tuple[float, int], total: int | None = None) -> Meter:
    made = Meter(total=None if total is None else Total(items=1, size_bytes=total))
    for now, size_bytes in steps:
        made.add(1, size_bytes, now=now)
    return made


def test_facts_are_counted_up() -> None:
    assert meter((0, 500), (2, 2_000_000)).facts() == "2 items, 2.0 MB, 1.0 MB/s"


def test_a_total_tells_what_is_left() -> None:
    assert meter((0, 0), (2, 2_000_000), total=10_000_000).facts() == "2 items, 2.0 MB of 10 MB, 1.0 MB/s, 0:08 left"


def test_the_rate_is_that_of_the_last_ten_seconds() -> None:
    assert meter((0, 0), (1, 10**9), (2, 0), (11, 10**6), (12, 10**6)).rate == pytest.approx(2e5)


def test_nothing_left_is_no_negative_time() -> None:
    assert meter((0, 0), (1, 20), total=10).remaining_seconds == 0


def test_at_first_nobody_knows_the_rate() -> None:
    assert (meter().facts(), meter((0, 5), total=10).remaining_seconds) == ("0 items, 0 B", None)


def test_a_line_from_time_to_time_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    often, seldom = Lines("saving a", None, every_seconds=0), Lines("saving b", None, every_seconds=60)
    often.tell(1, 1000)
    seldom.tell(1, 1000)
    assert capsys.readouterr().err == "saving a: 1 item, 1.0 kB\n"


@pytest.mark.parametrize("quiet", [True, False])
def test_short_work_says_nothing(capsys: pytest.CaptureFixture[str], *, quiet: bool) -> None:
    with watching("saving", Everywhere(quiet=quiet)) as progress:
        progress(1, 1)
    assert capsys.readouterr().err == ""
