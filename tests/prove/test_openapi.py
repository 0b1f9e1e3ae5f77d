"""Requests made from the OpenAPI document, right and wrong ones, at a real server: none makes it fail, and each answer is as documented."""

import contextlib
import functools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import BaseSchema, GenerationMode
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance
from tests.prove.scale import scaled
from tests.server.installation import Installation

from kist import wire
from kist.catalog.database import open_database
from kist.errors import Unauthenticated
from kist.models.requests import CreateKey, ModifyUser, SetMember
from kist.operations import CREATE_KEY, MODIFY_USER, OPERATIONS, SET_MEMBER
from kist.server.openapi import document
from kist.server.settings import Limits
from kist.service import authentication

REQUESTS: Final = 20_000
FREE: Final = Limits(principal_rate=1e6, principal_burst=10**6, address_rate=1e6, address_burst=10**6, login_rate=1e6, login_burst=10**6)
REAL: Final = {"org": "lab", "repo": "data", "nickname": "main", "user": "rita", "service_account": "robot", "principal": "rita"}
"""What there is, so that requests get further than to its names."""
FAILURES: Final = {500, 502, 504}
"""Not 501, for what this kist can't do, and not 503, for who tries too many passwords."""
CHECKS: Final = [content_type_conformance, response_schema_conformance, status_code_conformance]


@pytest.fixture(scope="module")
def lab(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An organisation whose admin manages the server too."""
    folder = tmp_path_factory.mktemp("openapi")
    with contextlib.closing(open_database(str(shutil.copy(migrated_file, folder)))) as database:
        made = Installation(database, folder)
        made.lab(rita="reader")
        made.do(MODIFY_USER, ModifyUser(user="ada", admin=True), "root")
        made.do(SET_MEMBER, SetMember(org="lab", user="root", role="admin"), "ada")
        yield made


@pytest.fixture(scope="module")
def url(lab: Installation) -> Iterator[str]:
    with lab.serving(limits=FREE) as client:
        yield str(client.base_url).rstrip("/")


type Case = schemathesis.Case[Any]


class Asker:
    """Asks as an admin, with a new token whenever the last one was ended by what it asked."""

    def __init__(self, lab: Installation, url: str) -> None:
        self._lab, self._url = lab, url
        self._token = ""
        self.statuses: dict[int, int] = {}

    def ask(self, case: Case) -> None:
        """Send a request, and check the answer."""
        try:
            authentication.by_token(self._lab.rooms, self._token)
        except Unauthenticated:
            self._token = self._lab.do(CREATE_KEY, CreateKey(name="more"), "ada").secret
        answer = case.call(base_url=f"{self._url}/api/v1", headers={"authorization": f"Bearer {self._token}"})
        self.statuses[answer.status_code] = self.statuses.get(answer.status_code, 0) + 1
        assert answer.status_code not in FAILURES, answer.text
        assert "Traceback" not in answer.text
        case.validate_response(answer, checks=CHECKS)


@functools.cache
def schema() -> BaseSchema:
    return schemathesis.openapi.from_dict(document())


def cases(name: str) -> st.SearchStrategy[Case]:
    """Requests of an operation: right ones, most of them about what there is, and wrong ones."""
    wanted = OPERATIONS[name]
    operation = schema()[wire.PART.sub(r"{\1}", wanted.path)][wanted.verb]
    right = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    wrong = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)

    def about_what_there_is(case: Case) -> Case:
        for part, value in REAL.items():
            if part in (case.path_parameters or {}):
                case.path_parameters[part] = value
        return case

    return right | right.map(about_what_there_is) | wrong | wrong.map(about_what_there_is)


@pytest.mark.parametrize("name", OPERATIONS)
def test_no_request_makes_the_server_fail(lab: Installation, url: str, name: str) -> None:
    asker = Asker(lab, url)

    @settings(
        max_examples=scaled(REQUESTS // len(OPERATIONS) + 1, least=5),
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases(name))
    def holds(case: Case) -> None:
        asker.ask(case)

    holds()
    assert sum(asker.statuses.values()) >= 5
