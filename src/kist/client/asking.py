"""From what a caller says to the request that an operation takes. Its shape is checked by the transport, in process as on a server."""

from collections.abc import Mapping

import msgspec
from msgspec import UNSET

from kist.errors import InvalidInput
from kist.ids import REF_NAME
from kist.models.requests import Request

__all__ = ["full_name", "json_text", "request_for"]


def request_for[In: Request](takes: type[In], said: Mapping[str, object]) -> In:
    """Return the request that says this; what is `UNSET` was not said."""
    return takes(**{name: value for name, value in said.items() if value is not UNSET})


def full_name(name: str) -> dict[str, object]:
    """Return the organisation and the repository that ``org/name`` names, as fields of a request.

    Raises:
        InvalidInput: it is no such name.
    """
    org, slash, repo = str(name).partition("/")
    if not slash or not REF_NAME.fullmatch(org) or not REF_NAME.fullmatch(repo):
        raise InvalidInput(f"{name!r} names no repository: write org/name, such as 'lab/cube'")
    return {"org": org, "repo": repo}


def json_text(values: Mapping[str, object] | None) -> str:
    """Return names and values as a JSON object; nothing, where there are none.

    Raises:
        InvalidInput: JSON has no such values.
    """
    try:
        return msgspec.json.encode(dict(values)).decode() if values else ""
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise InvalidInput(f"metadata are names with JSON values: {error}") from error
