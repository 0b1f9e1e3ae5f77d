"""Errors: what they are besides ours, and the codes by which others know them."""

import builtins
import io
import pickle
import shutil

import pytest

from kist import errors
from kist.errors import KistError

ALL = [getattr(errors, name) for name in errors.__all__ if name != "ConfigWarning"]


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_has_the_one_root(kind: type[KistError]) -> None:
    assert issubclass(kind, KistError)


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (errors.NotFound, FileNotFoundError),
        (errors.NotFound, KeyError),
        (errors.NotFound, OSError),
        (errors.AlreadyExists, FileExistsError),
        (errors.InvalidInput, ValueError),
        (errors.Denied, PermissionError),
        (errors.Unsupported, io.UnsupportedOperation),
        (errors.SameFile, shutil.SameFileError),
        (errors.StoreError, OSError),
    ],
)
def test_an_error_also_is_what_python_calls_it(kind: type[KistError], builtin: type[builtins.BaseException]) -> None:
    with pytest.raises(builtin, match="why"):
        raise kind("why")


def test_codes_are_one_each_and_stable() -> None:
    assert {kind.code: (kind.http_status, kind.exit_code) for kind in ALL} == {
        "error": (500, 1),
        "invalid-input": (400, 2),
        "not-found": (404, 3),
        "already-exists": (409, 4),
        "conflict": (409, 5),
        "denied": (403, 6),
        "unauthenticated": (401, 7),
        "integrity": (500, 8),
        "unsupported": (501, 9),
        "same-file": (400, 10),
        "store": (502, 11),
        "busy": (503, 12),
    }


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_the_message_is_shown_as_it_was_written(kind: type[KistError]) -> None:
    assert str(kind("there is no 'a': look")) == "there is no 'a': look"


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_an_error_survives_the_way_to_another_process(kind: type[KistError]) -> None:
    copy = pickle.loads(pickle.dumps(kind("why")))
    assert (type(copy), str(copy)) == (kind, "why")
