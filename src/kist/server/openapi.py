"""The OpenAPI document of the REST API, made from the table of operations: ``python -m kist.server.openapi`` prints it."""

import functools
import json
import sys
from types import NoneType
from typing import Any, Final, cast

import msgspec

import kist
from kist import wire
from kist.errors import (
    AlreadyExists,
    Busy,
    Conflict,
    Denied,
    IntegrityError,
    InvalidInput,
    KistError,
    NotFound,
    SameFile,
    StoreError,
    Unauthenticated,
    Unsupported,
)
from kist.models.requests import Request
from kist.operations import OPERATIONS, Need, Operation

__all__ = ["document", "rendered"]

_REF: Final = "#/components/schemas/{name}"
_ERRORS: Final[dict[int, tuple[type[KistError], ...]]] = {
    400: (InvalidInput, SameFile),
    401: (Unauthenticated,),
    403: (Denied,),
    404: (NotFound,),
    409: (AlreadyExists, Conflict),
    413: (InvalidInput,),
    429: (Busy,),
    500: (IntegrityError, KistError),
    501: (Unsupported,),
    502: (StoreError,),
    503: (Busy,),
}
_ERROR: Final[dict[str, Any]] = {
    "type": "object",
    "description": "What went wrong, and what to do about it.",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {
                "code": {"type": "string", "examples": ["invalid-input", "not-found"]},
                "message": {"type": "string"},
            },
        }
    },
}
_IDEMPOTENCY: Final[dict[str, Any]] = {
    "name": wire.IDEMPOTENCY_KEY,
    "in": "header",
    "required": False,
    "description": "Names this change: sent again with the same name it is answered, not done again.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!-~]+$"},
}

type Json = dict[str, Any]


@functools.cache
def document() -> Json:
    """Return the document."""
    return msgspec.json.decode(rendered(), type=dict[str, Any])


@functools.cache
def rendered() -> str:
    """Return the document as it is checked in."""
    return json.dumps(_document(), indent=1, ensure_ascii=False) + "\n"


def _document() -> Json:
    kinds = [kind for one in OPERATIONS.values() for kind in (one.takes, one.gives) if kind not in {bytes, NoneType}]
    found, components = msgspec.json.schema_components(kinds, schema_hook=_any_json, ref_template=_REF)
    schemas = dict(zip(kinds, found, strict=True))
    taken = {one.takes.__name__ for one in OPERATIONS.values()}
    paths: dict[str, Json] = {}
    for one in OPERATIONS.values():
        paths.setdefault(wire.PART.sub(r"{\1}", one.path), {})[one.verb.lower()] = _described(one, schemas, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "kist",
            "version": kist.__version__,
            "summary": "Organisations, bucket configs, repositories and what belongs to them.",
            "license": {"name": "BSD-3-Clause", "identifier": "BSD-3-Clause"},
        },
        "servers": [{"url": wire.BASE}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "A key of kind `token`: kist token create makes one."}
            },
            "schemas": {name: one for name, one in sorted(components.items()) if name not in taken} | {"Error": _ERROR},
            "responses": {_response(status): _error(status) for status in _ERRORS},
        },
    }


def _any_json(kind: type) -> Json:
    if kind is object:
        return {"description": "any JSON"}
    raise NotImplementedError  # so msgspec says which type it is that has no description


def _described(operation: Operation[Request, object], schemas: dict[Any, Json], components: dict[str, Json]) -> Json:
    whole = components[operation.takes.__name__]
    properties: dict[str, Json] = whole.get("properties", {})
    required = set(whole.get("required", ()))
    described: Json = {
        "operationId": operation.name,
        "summary": operation.summary,
        "description": f"{whole.get('description', '')}\n\nNeeds: {operation.need.value}.".strip(),
        "parameters": [
            *({"name": name, "in": "path", "required": True, "schema": properties[name]} for name in operation.in_path),
            *(
                {"name": name, "in": "query", "required": name in required, "schema": _of_query(properties[name])}
                for name in wire.in_query(operation)
            ),
            *([_IDEMPOTENCY] if operation.verb != "GET" else []),
        ],
        "responses": {
            str(operation.status): _answer(operation, schemas),
            **{str(status): {"$ref": f"#/components/responses/{_response(status)}"} for status in _ERRORS},
        },
    }
    if operation.need is Need.NOTHING:
        described["security"] = []
    if wire.is_raw(operation):
        described["requestBody"] = {"required": True, "content": {wire.BINARY: {"schema": {"type": "string", "format": "binary"}}}}
    elif names := wire.in_body(operation):
        body = {"type": "object", "properties": {name: properties[name] for name in names}, "additionalProperties": False}
        needed = [name for name in names if name in required]
        schema = body | ({"required": needed} if needed else {})
        described["requestBody"] = {"required": bool(needed), "content": {wire.JSON: {"schema": schema}}}
    return described


def _of_query(schema: Json) -> Json:
    """Return the schema of a field for the query, where nothing stands for null."""
    kinds = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    if kinds:
        return cast("Json", kinds[0])
    if None in schema.get("enum", ()):
        return {"enum": [one for one in schema["enum"] if one is not None]}
    return schema


def _answer(operation: Operation[Request, object], schemas: dict[Any, Json]) -> Json:
    if operation.gives is NoneType:
        return {"description": "It is done."}
    if operation.gives is bytes:
        return {"description": "The content.", "content": {wire.BINARY: {"schema": {"type": "string", "format": "binary"}}}}
    return {
        "description": "It is done." if operation.audited else "What was asked.",
        "content": {wire.JSON: {"schema": schemas[operation.gives]}},
    }


def _response(status: int) -> str:
    return f"Error{status}"


def _error(status: int) -> Json:
    codes = ", ".join(f"`{one.code}`" for one in _ERRORS[status])
    made: Json = {"description": f"Code {codes}.", "content": {wire.JSON: {"schema": {"$ref": "#/components/schemas/Error"}}}}
    if Busy in _ERRORS[status]:
        made["headers"] = {"Retry-After": {"description": "How many seconds to wait.", "schema": {"type": "integer"}}}
    return made


if __name__ == "__main__":
    sys.stdout.write(rendered())
