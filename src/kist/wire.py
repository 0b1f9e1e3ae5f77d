"""How an operation travels: requests and answers to HTTP and back, the same for the server and for its clients. Pure: nothing is sent here.

What the path of an operation names stands there, percent-encoded. The other fields stand in the query where the verb has no body, or where
the body is the field `content` as it is; else in a JSON body. What comes from outside is checked whole: whatever it is, it becomes a
request of the right shape or `InvalidInput`.
"""

import functools
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import NoneType
from typing import Any, Final, cast
from urllib.parse import quote, unquote_to_bytes

import msgspec
from msgspec import inspect

from kist import errors
from kist.errors import Busy, Conflict, Denied, InvalidInput, KistError, NotFound, StoreError, Unauthenticated, Unsupported
from kist.models.requests import Request
from kist.operations import OPERATIONS, Operation

__all__ = [
    "BASE",
    "BINARY",
    "IDEMPOTENCY_KEY",
    "JSON",
    "Sent",
    "check_request",
    "decode_answer",
    "decode_error",
    "decode_request",
    "encode_answer",
    "encode_error",
    "encode_request",
    "find_operation",
    "in_body",
    "in_query",
    "is_raw",
]

BASE: Final = "/api/v1"
IDEMPOTENCY_KEY: Final = "Idempotency-Key"
JSON: Final = "application/json"
BINARY: Final = "application/octet-stream"
DEPTH: Final = 32
NUMBER: Final = re.compile(r"-?[0-9]{1,18}")
PART: Final = re.compile(r"\{(\w+)(:path)?\}")
BODILESS: Final = frozenset({"GET", "DELETE"})
_AT: Final = re.compile(r"(?P<what>.*?) - at `(?P<key>key in )?\$(?P<path>.*)`", re.DOTALL)
_BY_CODE: Final = {one.code: one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, KistError)}
_BY_STATUS: Final[dict[int, type[KistError]]] = {
    401: Unauthenticated,
    403: Denied,
    404: NotFound,
    409: Conflict,
    429: Busy,
    501: Unsupported,
    503: Busy,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """An HTTP request, but for where the server is, and who asks. `target` begins with `BASE` and holds the query too."""

    verb: str
    target: str
    content_type: str = ""
    content: bytes = field(default=b"", repr=False)


def is_raw(operation: Operation[Request, object]) -> bool:
    """Say whether the body of an operation is its field `content`, as it is."""
    return "content" in operation.takes.__struct_fields__


def in_query(operation: Operation[Request, object]) -> tuple[str, ...]:
    """Return the fields that stand in the query."""
    if operation.verb not in BODILESS and not is_raw(operation):
        return ()
    return tuple(name for name in operation.takes.__struct_fields__ if name not in {*operation.in_path, "content"})


def in_body(operation: Operation[Request, object]) -> tuple[str, ...]:
    """Return the fields that stand in the JSON body."""
    if operation.verb in BODILESS or is_raw(operation):
        return ()
    return tuple(name for name in operation.takes.__struct_fields__ if name not in operation.in_path)


def check_request[In: Request](operation: Operation[In, object], request: In) -> In:
    """Return a request that was made in this process, if its values are of the right shape.

    Raises:
        InvalidInput: they are not.
    """
    try:
        values = msgspec.to_builtins(request, builtin_types=(bytes,))
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise InvalidInput(f"{operation.name} can't take this: {error}") from error
    return _made(operation, cast("dict[str, object]", values))


def encode_request[In: Request](operation: Operation[In, object], request: In) -> Sent:
    """Return what to send for a request.

    Raises:
        InvalidInput: its values are of no shape that a server would take.
    """
    line = cast("Operation[Request, object]", operation)
    values = cast("dict[str, object]", msgspec.to_builtins(check_request(operation, request), builtin_types=(bytes,)))
    target = BASE + PART.sub(lambda part: _escaped(str(values[part[1]]), whole=not part[2]), operation.path)
    defaults = {one.encode_name: one.default for one in _fields(operation.takes)}
    asked = [(name, values[name]) for name in in_query(line) if values[name] is not None and values[name] != defaults[name]]
    if asked:
        target += "?" + "&".join(f"{name}={quote(_text_of(value), safe='')}" for name, value in asked)
    if is_raw(line):
        return Sent(verb=operation.verb, target=target, content_type=BINARY, content=cast("bytes", values["content"]))
    if not in_body(line):
        return Sent(verb=operation.verb, target=target)
    body = msgspec.json.encode({name: values[name] for name in in_body(line) if name in values})
    return Sent(verb=operation.verb, target=target, content_type=JSON, content=body)


def find_operation(verb: str, raw_path: str) -> tuple[Operation[Request, object], dict[str, str]]:
    """Return the operation that a verb and a path (percent-encoded, from `BASE` on, without query) ask for, and the fields of the path.

    Raises:
        NotFound: there is nothing at this path.
        Unsupported: there is, but not for this verb; the message names those that there are.
        InvalidInput: the path is no text.
    """
    for path, pattern in _patterns().items():
        if match := pattern.fullmatch(raw_path.removeprefix(BASE)):
            here = {one.verb: one for one in OPERATIONS.values() if one.path == path}
            if verb not in here:
                raise Unsupported(f"{verb} can't be done here, but {', '.join(sorted(here))}")
            return here[cast("Any", verb)], {name: _unescaped(value) for name, value in match.groupdict().items()}
    raise NotFound("there is no such operation: the OpenAPI document names all")


def decode_request[In: Request](
    operation: Operation[In, object], fields: Mapping[str, str], query: str, content_type: str, content: bytes
) -> In:
    """Return the request that was sent: `fields` of the path, the query as sent, and the body.

    Raises:
        InvalidInput: it has not the shape that the operation takes.
    """
    line = cast("Operation[Request, object]", operation)
    values: dict[str, object] = {**fields, **_queried(line, query)}
    if is_raw(line):
        return _made(operation, values | {"content": content})
    if operation.verb in BODILESS:
        if content:
            raise InvalidInput(f"{operation.name} takes no body")
    elif content:
        values |= _body(line, content_type, content)
    return _made(operation, values)


def encode_answer(operation: Operation[Request, object], answer: object) -> tuple[str, bytes]:
    """Return the type and the content of an answer, both empty where there is nothing to say."""
    if operation.gives is NoneType:
        return "", b""
    if operation.gives is bytes:
        return BINARY, cast("bytes", answer)
    return JSON, msgspec.json.encode(answer)


def decode_answer[In: Request, Out](operation: Operation[In, Out], content: bytes) -> Out:
    """Return what an operation gave, from the body of a successful answer.

    Raises:
        StoreError: it is no answer of a kist server.
    """
    if operation.gives is NoneType:
        return cast("Out", None)
    if operation.gives is bytes:
        return cast("Out", content)
    try:
        return msgspec.json.decode(content, type=operation.gives)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise StoreError(f"{operation.name} was answered by something that is no kist server, or a newer one: {error}") from error


def encode_error(error: KistError) -> tuple[int, bytes]:
    """Return the status and the body that tell of an error."""
    message = str(error).encode(errors="backslashreplace").decode()
    return error.http_status, msgspec.json.encode({"error": {"code": error.code, "message": message}})


def decode_error(status: int, content: bytes) -> KistError:
    """Return the error that an answer with a status from 300 on tells of; a machine in between may have answered, which knows no kist."""
    try:
        told = msgspec.json.decode(content, type=_Told).error
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return _by_status(status)(f"the server answered {status}, and did not say why")
    return _BY_CODE.get(told.code, _by_status(status))(told.message)


class _Error(msgspec.Struct):
    code: str
    message: str


class _Told(msgspec.Struct):
    error: _Error


def _by_status(status: int) -> type[KistError]:
    return _BY_STATUS.get(status, InvalidInput if 400 <= status < 500 else StoreError)  # noqa: PLR2004 - client errors


def _made[In: Request](operation: Operation[In, object], values: dict[str, object]) -> In:
    """Return a request of values that may be anything."""
    try:
        made = msgspec.convert(values, operation.takes)
    except msgspec.ValidationError as error:
        raise InvalidInput(_explained(operation, str(error))) from error
    except RecursionError as error:
        raise InvalidInput("this is nested too deeply") from error
    for name, value in values.items():
        _check_plain(name, value)
    return made


def _check_plain(name: str, value: object, depth: int = 0) -> None:
    """Raise for what not every database could keep: NULs, half characters, numbers of more than 64 bits, endless nesting."""
    if depth > DEPTH:
        raise InvalidInput(f"{name} is nested too deeply: {DEPTH} levels are the most")
    if isinstance(value, str) and ("\0" in value or not _is_text(value)):
        raise InvalidInput(f"{name} has a character that no text can have")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise InvalidInput(f"{name} has a number of more than 64 bits")
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidInput(f"{name} has a number that JSON can't say: {value}")
    inner: Iterable[object] = ()
    if isinstance(value, dict):
        inner = (*value.keys(), *value.values())
    elif isinstance(value, list | tuple):
        inner = value
    for one in inner:
        _check_plain(name, one, depth + 1)


def _is_text(value: str) -> bool:
    return value.isascii() or not any("\ud800" <= char <= "\udfff" for char in value)


def _explained(operation: Operation[Request, object], message: str) -> str:
    """Return what is wrong with a request in our words: a rule of a field that has a description is told by that."""
    match = _AT.fullmatch(message)
    if match is None:
        return f"{operation.name}: {message[:1].lower()}{message[1:]}"
    name = match["path"].lstrip(".")
    told = _descriptions(operation.takes).get(name) if "regex" in match["what"] else None
    return f"{name} must be {told}" if told else f"{name}: {match['what'][:1].lower()}{match['what'][1:]}"


@functools.cache
def _descriptions(takes: type[Request]) -> dict[str, str]:
    """Return what the fields of a request must be, where that is written."""
    found: dict[str, str] = {}
    for one in _fields(takes):
        for kind in _kinds(one.type):
            if isinstance(kind, inspect.Metadata) and kind.extra_json_schema:
                found[one.encode_name] = kind.extra_json_schema.get("description", "")
    return found


@functools.cache
def _fields(takes: type[Request]) -> tuple[inspect.Field, ...]:
    return cast("inspect.StructType", inspect.type_info(takes)).fields


def _kinds(kind: inspect.Type) -> tuple[inspect.Type, ...]:
    return kind.types if isinstance(kind, inspect.UnionType) else (kind,)


@functools.cache
def _patterns() -> dict[str, re.Pattern[str]]:
    """Return a pattern for each path of the table."""
    paths = {one.path for one in OPERATIONS.values()}
    return {
        path: re.compile(PART.sub(lambda part: f"(?P<{part[1]}>{'.+' if part[2] else '[^/]+'})", path), re.DOTALL) for path in sorted(paths)
    }


def _escaped(value: str, *, whole: bool) -> str:
    """Return a value for a path; a `whole` one is one segment. A segment of dots is escaped, for clients and proxies would resolve it."""
    if not value:
        raise InvalidInput("a name must not be empty")
    parts = [value] if whole else value.split("/")
    return "/".join("%2E" * len(part) if part in {".", ".."} else quote(part, safe="") for part in parts)


def _unescaped(value: str) -> str:
    try:
        return unquote_to_bytes(value).decode()
    except UnicodeDecodeError as error:
        raise InvalidInput("the path or the query is no text in UTF-8") from error


def _text_of(value: object) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _queried(operation: Operation[Request, object], query: str) -> dict[str, object]:
    """Return the values of a query, each of the kind that its field has."""
    known = {one.encode_name: one for one in _fields(operation.takes) if one.encode_name in in_query(operation)}
    values: dict[str, object] = {}
    for pair in filter(None, query.split("&")):
        name, _, value = (_unescaped(part.replace("+", " ")) for part in pair.partition("="))
        if name not in known:
            raise InvalidInput(f"{operation.name} knows no {name!r} in its query" + (f", but {', '.join(known)}" if known else ""))
        if name in values:
            raise InvalidInput(f"the query says {name!r} twice")
        values[name] = _value(known[name], value)
    return values


def _value(known: inspect.Field, text: str) -> object:
    kinds = {type(kind.type if isinstance(kind, inspect.Metadata) else kind) for kind in _kinds(known.type)}
    if inspect.BoolType in kinds:
        if text not in {"true", "false"}:
            raise InvalidInput(f"{known.encode_name} must be true or false")
        return text == "true"
    if inspect.IntType in kinds:
        if not NUMBER.fullmatch(text):
            raise InvalidInput(f"{known.encode_name} must be a number")
        return int(text)
    return text


def _body(operation: Operation[Request, object], content_type: str, content: bytes) -> dict[str, object]:
    """Return the values of a JSON body."""
    kind, _, parameters = content_type.lower().partition(";")
    if kind.strip() != JSON or ("charset" in parameters and "utf-8" not in parameters):
        raise InvalidInput(f"{operation.name} takes a body of type {JSON}")
    try:
        values: object = msgspec.json.decode(content)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise InvalidInput(f"the body is no JSON: {error}") from error
    if not isinstance(values, dict):
        raise InvalidInput("the body must be a JSON object")
    for name in values:
        if name not in in_body(operation):
            raise InvalidInput(f"{operation.name} knows no {name!r} in its body" + ("; the path says it" * (name in operation.in_path)))
    return values
