"""``KEY=VALUE``."""

import pytest

from kist.cli.pairing import json_pairs, pair, text_pairs
from kist.errors import InvalidInput


def test_values_are_json_or_plain_text() -> None:
    said = ["site=A", "depth=12.5", 'words=["a","b"]', "empty=", "equation=a=b"]
    assert json_pairs(said, "--tag", "site=A") == {"site": "A", "depth": 12.5, "words": ["a", "b"], "empty": "", "equation": "a=b"}
    assert text_pairs(["depth=12.5", "on=true"], "--config", "a=b") == {"depth": "12.5", "on": "true"}
    assert json_pairs(None, "--tag", "site=A") == text_pairs(None, "--config", "a=b") == {}


@pytest.mark.parametrize("said", ["site", "=A", ""])
def test_what_is_no_pair_is_refused(said: str) -> None:
    with pytest.raises(InvalidInput, match="write KEY=VALUE, such as site=A"):
        json_pairs([said], "--tag", "site=A")
    with pytest.raises(InvalidInput, match="--config takes KEY=VALUE, such as a=b"):
        text_pairs([said], "--config", "a=b")


def test_a_key_that_is_said_twice_is_refused() -> None:
    with pytest.raises(InvalidInput, match="--config says region twice"):
        text_pairs(["region=a", "region=b"], "--config", "a=b")


def test_what_may_be_a_secret_is_not_repeated() -> None:
    with pytest.raises(InvalidInput) as caught:
        pair("vEry-secret", "--credential", "key=-")
    assert "vEry" not in str(caught.value)
