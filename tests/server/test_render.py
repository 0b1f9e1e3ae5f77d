"""How values become text."""

from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kist.server.render import address, difference, plain, shown, site_name, size

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (999_950, "1.0 MB"), (5 * 10**17, "500.0 PB")],
)
def test_sizes(size_bytes: int, text: str) -> None:
    assert size(size_bytes) == text


def test_differences_have_a_sign() -> None:
    assert [difference(one) for one in (1500, -3, 0)] == ["+1.5 kB", "\u22123 B", "\u00b10 B"]


def test_what_can_not_be_seen_is_marked() -> None:
    assert shown("a\nb\u202ec") == 'a<span class="escape">\\n</span>b<span class="escape">\\u202e</span>c'


def test_markup_is_text() -> None:
    assert shown("<b>&\"'") == "&lt;b&gt;&amp;&#34;&#39;"


def test_words_and_emoji_stay_whole() -> None:
    assert shown("na\u00efve \u0646\u200c\u0645 \U0001f468\u200d\U0001f4bb") == "na\u00efve \u0646\u200c\u0645 \U0001f468\u200d\U0001f4bb"


@given(TEXTS)
def test_plain_text_fits_on_one_line(text: str) -> None:
    assert len(plain(text).splitlines()) <= 1


@given(TEXTS)
def test_an_address_gives_back_any_name(name: str) -> None:
    page, _, query = address("/files", path=name, ref="v1").partition("?")
    assert (page, parse_qs(query, strict_parsing=True, keep_blank_values=True)) == ("/files", {"path": [name], "ref": ["v1"]})


@pytest.mark.parametrize(
    ("place", "name"),
    [("/data/lab/", "lab"), ("s3://me:secret@bucket/lab?key=secret", "lab"), ("memory://x", "x"), ("/", "kist"), ("lab", "lab")],
)
def test_a_site_is_called_by_the_end_of_its_place(place: str, name: str) -> None:
    assert site_name(place) == name
