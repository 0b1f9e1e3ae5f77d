"""What callers say of credentials and places, in our words and in Arraylake's."""

import pytest

from kist.client.credentials import said_auth, said_place
from kist.errors import InvalidInput

ARN = "arn:aws:iam::123456789012:role/kist"
NOWHERE = {"uri": None, "platform": None, "name": None, "prefix": None, "extra_config": None}


def test_nothing_said_is_nothing_asked() -> None:
    assert said_place() == NOWHERE
    assert said_auth(None, None) == {"credentials": None}


def test_settings_may_be_said_by_themselves() -> None:
    place = said_place(extra_config={"use_ssl": True}, region_name="eu", endpoint_url=None)
    assert place["extra_config"] == {"use_ssl": True, "region_name": "eu"}


def test_an_empty_extra_config_is_said() -> None:
    assert said_place(extra_config={})["extra_config"] == {}


def test_what_was_given_is_not_changed() -> None:
    given: dict[str, str | bool] = {"use_ssl": True}
    said_place(extra_config=given, region_name="eu")
    assert given == {"use_ssl": True}


def test_a_setting_that_is_said_twice_must_be_the_same() -> None:
    assert said_place(extra_config={"region_name": "eu"}, region_name="eu")["extra_config"] == {"region_name": "eu"}
    with pytest.raises(InvalidInput, match="say it once"):
        said_place(extra_config={"region_name": "eu"}, region_name="us")


def test_credentials_go_as_they_are() -> None:
    assert said_auth({"access_key_id": "a"}, None) == {"credentials": {"access_key_id": "a"}}


@pytest.mark.parametrize("method", ["anonymous", "public"])
def test_a_method_may_need_nothing(method: str) -> None:
    assert said_auth(None, {"method": method}) == {"auth_method": method, "credentials": None}


def test_hmac_keys_may_be_in_the_auth_config() -> None:
    keys = {"access_key_id": "a", "secret_access_key": "b"}
    assert (
        said_auth(None, {"method": "hmac", **keys}) == said_auth(keys, {"method": "hmac"}) == {"auth_method": "hmac", "credentials": keys}
    )


@pytest.mark.parametrize(
    "said",
    [
        {"method": "customer_managed_role", "role_arn": ARN, "external_id": "id"},
        {
            "method": "aws_customer_managed_role",
            "external_customer_id": "123456789012",
            "external_role_name": "kist",
            "shared_secret": "id",
        },
    ],
)
def test_a_role_is_named_in_the_settings(said: dict[str, str]) -> None:
    assert said_place(auth_config=said)["extra_config"] == {"role_arn": ARN, "external_id": "id"}
    assert said_auth(None, said) == {"auth_method": "role", "credentials": None}


def test_a_role_may_be_taken_on_with_keys() -> None:
    assert said_auth({"access_key_id": "a"}, {"method": "customer_managed_role", "role_arn": ARN})["credentials"] == {"access_key_id": "a"}


@pytest.mark.parametrize("said", [{}, {"method": ""}, {"role_arn": ARN}])
def test_an_auth_config_says_its_method(said: dict[str, str]) -> None:
    with pytest.raises(InvalidInput, match="says no method"):
        said_auth(None, said)


def test_a_role_has_a_name() -> None:
    with pytest.raises(InvalidInput, match="role_arn"):
        said_place(auth_config={"method": "customer_managed_role"})


def test_credentials_are_said_once_and_never_repeated() -> None:
    with pytest.raises(InvalidInput, match="say them once") as refused:
        said_auth({"access_key_id": "a"}, {"method": "hmac", "secret_access_key": "canary"})
    assert "canary" not in str(refused.value)
