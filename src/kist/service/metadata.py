"""Metadata of repositories: what they may be, what a change makes of them, what a filter asks for. Pure."""

import json
from collections.abc import Mapping
from typing import Final, cast

from kist.errors import AlreadyExists, InvalidInput, NotFound
from kist.models.requests import ModifyRepo

__all__ = ["changed_metadata", "check_metadata", "wanted_metadata"]

METADATA_BYTES: Final = 4096
NAME_CHARS: Final = 128
GREATEST: Final = 2**63


def check_metadata(metadata: Mapping[str, object]) -> None:
    """Refuse metadata that are too long, or no JSON.

    Raises:
        InvalidInput: they are.
    """
    for name in metadata:
        if not 1 <= len(name) <= NAME_CHARS:
            raise InvalidInput(f"metadata {name[:20]!r}…: a name has 1 to {NAME_CHARS} characters")
    try:
        said = json.dumps(metadata, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"metadata are JSON: {error}") from error
    if len(said) > METADATA_BYTES:
        raise InvalidInput(f"the metadata of a repository have {len(said)} bytes: {METADATA_BYTES} are the most; keep long ones in a file")
    _check_numbers(metadata)


def _check_numbers(value: object) -> None:
    """Refuse integers that no database holds, and texts that PostgreSQL can't.

    Raises:
        InvalidInput: there is one.
    """
    if isinstance(value, Mapping):
        for name, one in value.items():
            _check_numbers(name)
            _check_numbers(one)
    elif isinstance(value, list | tuple):
        for one in value:
            _check_numbers(one)
    elif isinstance(value, int) and not -GREATEST <= value < GREATEST:
        raise InvalidInput("metadata have a whole number of more than 64 bits: write it as text")
    elif isinstance(value, str) and "\0" in value:
        raise InvalidInput("metadata have a text with a zero character")


def changed_metadata(old: Mapping[str, object], request: ModifyRepo) -> dict[str, object]:
    """Return the metadata that a change makes of others.

    Raises:
        InvalidInput: a name is in more than one of the three.
        AlreadyExists: what is added is there.
        NotFound: what is removed or updated is not.
    """
    added, removed, updated = request.add_metadata, request.remove_metadata, request.update_metadata
    twice = sorted((added.keys() & updated.keys()) | (added.keys() & set(removed)) | (updated.keys() & set(removed)))
    if twice:
        raise InvalidInput(f"the metadata {', '.join(map(repr, twice))} can't be changed in two ways at once: add, remove or update")
    if there := sorted(added.keys() & old.keys()):
        raise AlreadyExists(f"there are metadata {', '.join(map(repr, there))} already: update them instead")
    if missing := sorted((updated.keys() | set(removed)) - old.keys()):
        raise NotFound(f"there are no metadata {', '.join(map(repr, missing))}: add them instead")
    return {**{name: value for name, value in old.items() if name not in set(removed)}, **added, **updated}


def wanted_metadata(text: str) -> dict[str, object]:
    """Return what a filter by metadata says.

    Raises:
        InvalidInput: it is no JSON object.
    """
    if not text:
        return {}
    try:
        wanted = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f'a filter by metadata is a JSON object, such as {{"site": "A"}}: {error}') from error
    if not isinstance(wanted, dict):
        raise InvalidInput('a filter by metadata is a JSON object, such as {"site": "A"}')
    check_metadata(wanted)
    return cast("dict[str, object]", wanted)
