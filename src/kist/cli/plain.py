"""Values as JSON can say them: objects with the fields of `kist.models`, sets as sorted lists, times as ISO 8601 UTC."""

import dataclasses
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from typing import TYPE_CHECKING

from kist.cli.text import NANOSECONDS, iso_time
from kist.models import Info, Report, Version

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["Json", "info_facts", "plain", "version_facts"]

type Json = str | int | float | bool | list[Json] | dict[str, Json] | None


def plain(value: object) -> Json:
    """Return a value made of nothing but what JSON knows."""
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    if isinstance(value, Version):
        return version_facts(value)
    if isinstance(value, Info):
        return info_facts(value)
    if isinstance(value, Report):
        return _fields(value) | {"ok": value.ok, "paths": plain(value.paths)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _fields(value)
    if isinstance(value, datetime):
        return iso_time(value)
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, set | frozenset):
        return [plain(one) for one in sorted(value)]
    if isinstance(value, Iterable):
        return [plain(one) for one in value]
    raise TypeError(f"JSON has no way to say {type(value).__name__}")


def version_facts(version: Version) -> dict[str, Json]:
    """Return a version's fields, and its name (``v42``)."""
    return {"name": version.name} | _fields(version)


def info_facts(info: Info) -> dict[str, Json]:
    """Return the fields of what is at a path, its name, and its time for people beside the nanoseconds."""
    return {"name": info.name} | _fields(info) | {"mtime": _moment(info.mtime_ns)}


def _fields(value: "DataclassInstance") -> dict[str, Json]:
    return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}


def _moment(mtime_ns: int | None) -> str | None:
    try:
        return None if mtime_ns is None else iso_time(datetime.fromtimestamp(mtime_ns / NANOSECONDS, UTC))
    except (OverflowError, ValueError, OSError):
        return None
