"""The table of operations holds together."""

from typing import get_args

import msgspec
import pytest

from kist.models import requests
from kist.models.requests import CreateBucketConfig, CreateUser, LogIn, Request
from kist.operations import OPERATIONS, Need, Operation, Verb, Work

every = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)


@every
def test_the_fields_that_a_path_names_are_fields_of_the_request(operation: Operation[Request, object]) -> None:
    assert set(operation.in_path) <= set(operation.takes.__struct_fields__)


@every
def test_a_get_changes_nothing_and_a_change_is_no_get(operation: Operation[Request, object]) -> None:
    assert operation.verb in get_args(Verb)
    assert operation.work is not (Work.CHANGE if operation.verb == "GET" else Work.LOOK)
    assert not (operation.audited and operation.verb == "GET")


@every
def test_what_the_policy_asks_about_is_named_by_the_request(operation: Operation[Request, object]) -> None:
    fields = operation.takes.__struct_fields__
    assert operation.need.name.startswith(("ORG", "REPO")) == ("org" in fields)
    assert operation.need.name.startswith("REPO") <= ("repo" in fields)


def test_no_two_operations_share_a_verb_and_a_path() -> None:
    routes = [(operation.verb, operation.path) for operation in OPERATIONS.values()]

    assert len(set(routes)) == len(routes)


def test_only_logging_in_needs_nothing() -> None:
    assert [name for name, operation in OPERATIONS.items() if operation.need is Need.NOTHING] == ["log_in"]


@pytest.mark.parametrize(
    "request_",
    [
        LogIn(user="ada", password="canary"),
        CreateUser(name="ada", password="canary-canary"),
        CreateBucketConfig(org="lab", nickname="here", credentials={"secret_access_key": "canary"}),
    ],
    ids=lambda request: type(request).__name__,
)
def test_a_request_does_not_show_its_secrets(request_: Request) -> None:
    assert "canary" not in repr(request_)
    assert "canary" not in f"{request_}"


def test_a_request_refuses_what_it_does_not_know() -> None:
    with pytest.raises(msgspec.ValidationError, match="oops"):
        msgspec.json.decode(b'{"org": "lab", "oops": 1}', type=requests.OrgName)
