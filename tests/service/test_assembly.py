"""The rooms of a service: each does the operations that the list says, and is loaded when one of them is asked for."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from kist.operations import OPERATIONS
from kist.service import assembly
from kist.service.assembly import ROOMS
from kist.service.handlers import Handlers

FOLDER = Path(assembly.__file__).parent
WITH_HANDLERS = {path.stem for path in FOLDER.glob("*.py") if "\nHANDLERS" in path.read_text()}
LOOKS = """
import sys
from kist.models import requests as ask
from kist.operations import LIST_BUCKET_CONFIGS, LIST_ORGS, LIST_REPOS
from kist.service.alone import open_alone

service, caller = open_alone()
service.call({0}, {1}, caller)
service.rooms.database.close()
print(*sys.modules)
"""


def handlers(room: str) -> Handlers:
    found: Handlers = import_module(f"kist.service.{room}").HANDLERS
    return found


def test_the_list_names_all_rooms() -> None:
    assert set(ROOMS) == WITH_HANDLERS


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_has_handlers_of_what_it_is_said_to_do(room: str) -> None:
    assert set(ROOMS[room]) == handlers(room).operations | handlers(room).afters.keys()


def test_every_operation_is_done_by_one_room() -> None:
    done = [name for room in ROOMS for name in handlers(room).operations]
    assert sorted(done) == sorted(OPERATIONS)


def loaded_by(home: Path, operation: str, request: str) -> set[str]:
    """Return the modules that a new process has after a user alone asked something."""
    program = [sys.executable, "-c", LOOKS.format(operation, request)]
    env = {"KIST_HOME": str(home), "PYTHONPATH": str(FOLDER.parents[1]), "USER": "anna"}
    shown = subprocess.run(program, capture_output=True, text=True, check=True, env=env)
    return set(shown.stdout.split())


@pytest.mark.parametrize(
    ("operation", "request_", "needed"),
    [
        ("LIST_ORGS", "ask.ListOrgs()", "orgs"),
        ("LIST_REPOS", 'ask.ListRepos(org="local")', "repos"),
        ("LIST_BUCKET_CONFIGS", 'ask.ListBuckets(org="local")', "buckets"),
    ],
)
def test_what_is_asked_of_the_catalog_loads_its_room_and_no_client_of_a_store(
    tmp_path: Path, operation: str, request_: str, needed: str
) -> None:
    loaded_by(tmp_path, operation, request_)  # it is made
    loaded = loaded_by(tmp_path, operation, request_)
    unwanted = {"alembic", "boto3", "fsspec", "httpx", "numpy", "obstore", "psycopg", "rich", "sqlalchemy.dialects.postgresql"}
    assert [room for room in ROOMS if f"kist.service.{room}" in loaded] == [needed]
    assert sorted(unwanted & loaded) == []
