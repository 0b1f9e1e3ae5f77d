"""Sizes, times and names as people read them."""

from datetime import datetime, timedelta, timezone

import pytest

from kist.cli.text import count, duration, escape, iso_time, mode_text, mtime_text, name_with_slash, size


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (9_949, "9.9 kB"),
        (9_950, "10 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (5 * 10**21, "5000 EB"),
        (-12_345, "-12 kB"),
    ],
)
def test_a_size_has_two_or_three_digits_and_a_decimal_unit(size_bytes: int, text: str) -> None:
    assert size(size_bytes) == text


def test_a_count_agrees_with_its_noun() -> None:
    assert (count(1, "file"), count(0, "file"), count(1234, "file"), count(2, "entry", "entries")) == (
        "1 file",
        "0 files",
        "1,234 files",
        "2 entries",
    )


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (42.4, "0:42"), (725, "12:05"), (3723, "1:02:03")])
def test_a_duration_reads_like_a_clock(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("plain naïve 日本語 😀", "plain naïve 日本語 😀"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("new\nline\ttab\r", r"new\nline\ttab\r"),
        ("\x9b31m", r"\x9b31m"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("a\u2028b", r"a\u2028b"),
        ("half \ud800", r"half \ud800"),
        ("\u0645\u06cc\u200c\u062e \u3000wide", "\u0645\u06cc\u200c\u062e \u3000wide"),
    ],
)
def test_nothing_that_steers_a_terminal_gets_through(name: str, text: str) -> None:
    assert escape(name) == text


def test_a_time_for_programs_is_utc() -> None:
    moment = datetime(2026, 11, 20, 12, 0, 0, 5, timezone(timedelta(hours=2)))
    assert iso_time(moment) == "2026-11-20T10:00:00.000005Z"


def test_a_time_that_no_calendar_has_is_a_question() -> None:
    assert (mtime_text(10**30), mtime_text(None)) == ("?", "")


def test_a_mode_reads_as_in_ls() -> None:
    assert (mode_text("folder", 0o755), mode_text("link", 0o777), mode_text("file", None)) == ("drwxr-xr-x", "lrwxrwxrwx", "-?????????")


def test_a_folder_ends_in_a_slash() -> None:
    assert (name_with_slash("a\nb", "folder"), name_with_slash("c", "file")) == (r"a\nb/", "c")
