"""The OpenAPI document: valid, whole, and as it is checked in."""

import subprocess
import sys
from pathlib import Path

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from kist import wire
from kist.operations import OPERATIONS, Need
from kist.server.openapi import document

ROOT = Path(__file__).parents[2]


def test_it_is_valid() -> None:
    assert list(OpenAPIV31SpecValidator(document()).iter_errors()) == []


def test_it_is_checked_in_as_the_table_says() -> None:
    program = [sys.executable, str(ROOT / "docs" / "openapi.py"), "--check"]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", OPERATIONS)
def test_it_has_every_operation_with_all_its_fields(name: str) -> None:
    operation = OPERATIONS[name]
    told = document()["paths"][wire.PART.sub(r"{\1}", operation.path)][operation.verb.lower()]
    assert told["operationId"] == name
    assert str(operation.status) in told["responses"]
    assert ("security" in told) == (operation.need is Need.NOTHING)
    parameters = {one["name"] for one in told["parameters"] if one["in"] != "header"}
    body = told.get("requestBody", {}).get("content", {})
    fields = set(body.get(wire.JSON, {}).get("schema", {}).get("properties", {})) | ({"content"} if wire.BINARY in body else set())
    assert parameters | fields == set(operation.takes.__struct_fields__)


def test_every_need_is_told() -> None:
    told = {one["description"].rpartition("Needs: ")[2] for path in document()["paths"].values() for one in path.values()}
    assert told == {f"{operation.need.value}." for operation in OPERATIONS.values()}
