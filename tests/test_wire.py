"""Requests and answers as HTTP, and back."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import inspect

from kist import errors, operations, wire
from kist.errors import InvalidInput, KistError, NotFound, StoreError, Unsupported
from kist.models import IssuedKey, Key, Scope
from kist.models import requests as ask
from kist.operations import OPERATIONS, Operation

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
PLAIN: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


def values_of(kind: inspect.Type) -> st.SearchStrategy[Any]:
    """Values that msgspec takes for a type."""
    return OF_KIND[type(kind)](kind)


def texts_of(kind: inspect.StrType) -> st.SearchStrategy[str]:
    if kind.pattern:
        return st.from_regex(kind.pattern, fullmatch=True).filter(lambda text: "\0" not in text)
    longest = min(kind.max_length or 40, 40)
    return st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=kind.min_length or 0, max_size=longest)


OF_KIND: dict[type, Callable[[Any], st.SearchStrategy[Any]]] = {
    inspect.Metadata: lambda kind: values_of(kind.type),
    inspect.UnionType: lambda kind: st.one_of(*map(values_of, kind.types)),
    inspect.StrType: texts_of,
    inspect.IntType: lambda kind: st.integers(kind.ge, kind.le or 10**17),
    inspect.BoolType: lambda _kind: st.booleans(),
    inspect.NoneType: lambda _kind: st.none(),
    inspect.BytesType: lambda _kind: st.binary(max_size=64),
    inspect.LiteralType: lambda kind: st.sampled_from(kind.values),
    inspect.ListType: lambda kind: st.lists(values_of(kind.item_type), min_size=kind.min_length or 0, max_size=4),
    inspect.DictType: lambda kind: st.dictionaries(values_of(kind.key_type), values_of(kind.value_type), max_size=3),
    inspect.DataclassType: lambda kind: st.builds(kind.cls, **{one.name: values_of(one.type) for one in kind.fields}),
    inspect.CustomType: lambda _kind: PLAIN,  # `object`
}


def requests_of(operation: Operation[Any, Any]) -> st.SearchStrategy[Any]:
    kind = inspect.type_info(operation.takes)
    assert isinstance(kind, inspect.StructType)
    made = {}
    for one in kind.fields:
        can_be_unset = not one.required and one.default is one.default_factory
        made[one.name] = values_of(one.type) | st.just(msgspec.UNSET) if can_be_unset else values_of(one.type)
    return st.builds(operation.takes, **made)


def received(sent: wire.Sent) -> tuple[Operation[Any, Any], Any]:
    path, _, query = sent.target.partition("?")
    operation, fields = wire.find_operation(sent.verb, path)
    return operation, wire.decode_request(operation, fields, query, sent.content_type, sent.content)


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_request_arrives_as_it_was_sent(name: str) -> None:
    operation = OPERATIONS[name]

    @settings(max_examples=10)
    @given(requests_of(operation))
    def arrives(request: ask.Request) -> None:
        found, arrived = received(wire.encode_request(operation, request))
        assert found is operation
        assert msgspec.structs.asdict(arrived) == msgspec.structs.asdict(request)

    arrives()


@pytest.mark.parametrize("name", OPERATIONS)
def test_whatever_arrives_becomes_a_request_or_is_refused(name: str) -> None:
    operation = OPERATIONS[name]

    @settings(max_examples=10)
    @given(st.binary(max_size=200) | PLAIN.map(msgspec.json.encode), TEXT, TEXT, st.sampled_from(["", "application/json", "text/plain; x"]))
    def is_told(content: bytes, query: str, value: str, content_type: str) -> None:
        try:
            made = wire.decode_request(operation, dict.fromkeys(operation.in_path, value), query, content_type, content)
        except InvalidInput:
            return
        assert isinstance(made, operation.takes)

    is_told()


@given(st.text())
def test_whatever_a_path_is_it_is_found_or_refused(path: str) -> None:
    with pytest.raises(KistError) as caught:
        wire.find_operation("GET", wire.BASE + "/none" + path)
    assert isinstance(caught.value, (NotFound, InvalidInput))


def test_no_two_paths_of_the_table_can_be_taken_for_each_other() -> None:
    for operation in OPERATIONS.values():
        path = wire.PART.sub(lambda part: "a/b" if part[2] else "a", operation.path)
        assert wire.find_operation(operation.verb, wire.BASE + path)[0] is operation


def test_a_slash_in_a_name_is_not_one_of_the_path() -> None:
    operation, fields = wire.find_operation("GET", "/api/v1/orgs/a%2Fmembers")
    assert operation is operations.GET_ORG
    assert fields == {"org": "a/members"}


def test_segments_of_dots_stay_in_a_key() -> None:
    sent = wire.encode_request(operations.HEAD_OBJECT, ask.ObjectName(org="lab", repo="r", key="../x/./y"))
    assert sent.target == "/api/v1/repos/lab/r/stat/%2E%2E/x/%2E/y"


def test_what_is_the_default_is_not_said_in_a_query() -> None:
    assert wire.encode_request(operations.LIST_REPOS, ask.ListRepos(org="lab")).target == "/api/v1/orgs/lab/repos"


def test_a_verb_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(Unsupported, match="DELETE, GET, PATCH"):
        wire.find_operation("PUT", "/api/v1/orgs/lab")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("limit=1&limit=2", "twice"),
        ("limit=x", "must be a number"),
        ("limit=" + "9" * 400, "must be a number"),
        ("limit=0", "limit"),
        ("deleted=1", "true or false"),
        ("search=%ff", "UTF-8"),
        ("search=%00", "no text can have"),
        ("org=lab", "knows no 'org'"),
        ("color=red", "knows no 'color' in its query, but"),
    ],
)
def test_a_query_that_makes_no_sense_is_told(query: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        wire.decode_request(operations.LIST_REPOS, {"org": "lab"}, query, "", b"")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "no JSON"),
        (b"[]", "JSON object"),
        (b'{"name": 1}', "name: expected `str`, got `int`"),
        (b'{"name": "-"}', "name must be 1 to 100 letters"),
        (b'{"name": "a", "org": "b"}', "the path says it"),
        (b'{"name": "a", "color": "red"}', "knows no 'color'"),
        (b'{"name": "a", "metadata": {"a": ' + b"[" * 40 + b"]" * 40 + b"}}", "too deeply"),
        (b'{"name": "a", "metadata": {"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}", "no JSON"),
        (b'{"name": "a", "metadata": {"a": 18446744073709551616}}', "64 bits|no JSON"),
        (b'{"name": "a", "metadata": {"a": "\\u0000"}}', "no text can have"),
        (b'{"name": "a", "metadata": {"a": "\\ud800"}}', "no JSON"),
        (b'{"name": "a\xff"}', "no JSON"),
    ],
)
def test_a_body_that_makes_no_sense_is_told(content: bytes, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        wire.decode_request(operations.CREATE_REPO, {"org": "lab"}, "", "application/json", content)


def test_a_name_with_a_newline_at_its_end_is_refused() -> None:
    with pytest.raises(InvalidInput, match="org must be"):
        wire.decode_request(operations.GET_ORG, {"org": "lab\n"}, "", "", b"")


def test_a_body_of_another_type_is_refused() -> None:
    with pytest.raises(InvalidInput, match="application/json"):
        wire.decode_request(operations.CREATE_ORG, {}, "", "application/x-www-form-urlencoded", b'{"name": "a"}')


def test_a_request_that_no_server_would_take_is_not_sent() -> None:
    with pytest.raises(InvalidInput, match="org must be 1 to 100 letters"):
        wire.encode_request(operations.GET_ORG, ask.OrgName(org="a b"))


def test_an_answer_arrives_as_it_was_given() -> None:
    key = Key(id="a", kind="token", name="n", owner="o", scope=Scope(org="lab"), created=datetime(2026, 1, 2, 3, 4, 5, 678901, UTC))
    given_ = IssuedKey(key=key, secret="s")
    kind, content = wire.encode_answer(operations.CREATE_KEY, given_)
    assert kind == "application/json"
    assert wire.decode_answer(operations.CREATE_KEY, content) == given_
    page = ask.Page(items=[key], next="b")
    assert wire.decode_answer(operations.LIST_KEYS, wire.encode_answer(operations.LIST_KEYS, page)[1]) == page


def test_content_arrives_as_it_is_and_nothing_as_nothing() -> None:
    assert wire.encode_answer(operations.READ_OBJECT, b"\0\xff") == ("application/octet-stream", b"\0\xff")
    assert wire.decode_answer(operations.READ_OBJECT, b"\0\xff") == b"\0\xff"
    assert wire.encode_answer(operations.LOG_OUT, None) == ("", b"")
    assert wire.decode_answer(operations.LOG_OUT, b"") is None


def test_what_no_kist_server_would_answer_is_told() -> None:
    with pytest.raises(StoreError, match="no kist server"):
        wire.decode_answer(operations.GET_ORG, b"<html>")


@pytest.mark.parametrize("name", [name for name in errors.__all__ if name != "ConfigWarning"])
def test_an_error_arrives_as_it_was_raised(name: str) -> None:
    raised: KistError = getattr(errors, name)("what to do: \ud800")
    status, content = wire.encode_error(raised)
    assert status == raised.http_status
    arrived = wire.decode_error(status, content)
    assert type(arrived) is type(raised)
    assert str(arrived) == "what to do: \\ud800"


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (302, "StoreError"),
        (400, "InvalidInput"),
        (401, "Unauthenticated"),
        (403, "Denied"),
        (404, "NotFound"),
        (409, "Conflict"),
        (413, "InvalidInput"),
        (429, "Busy"),
        (500, "StoreError"),
        (501, "Unsupported"),
        (502, "StoreError"),
        (503, "Busy"),
    ],
)
def test_an_error_of_another_machine_is_known_by_its_status(status: int, name: str) -> None:
    assert type(wire.decode_error(status, b"<html>")).__name__ == name
    assert type(wire.decode_error(status, b'{"error": {"code": "new-in-2030", "message": "m"}}')).__name__ == name
