"""Values as JSON can say them: objects with the fields of `kist.models`, sets as sorted lists, times as ISO 8601 UTC."""

import dataclasses
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from kist.cli.text import NANOSECONDS, iso_time
from kist.models import BucketConfig, Info, Repo, Report, Version

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["Json", "bucket_facts", "info_facts", "plain", "version_facts"]

type Json = str | int | float | bool | list[Json] | dict[str, Json] | None


def plain(value: object) -> Json:
    """Return a value made of nothing but what JSON knows."""
    match value:
        case None | str() | int() | float():
            found: Json = value
        case datetime():
            found = iso_time(value)
        case Version() | Info() | Report() | BucketConfig() | Repo():
            found = _more(value)
        case Mapping():
            found = {str(name): plain(one) for name, one in value.items()}
        case set() | frozenset():
            found = [plain(one) for one in sorted(value)]
        case Iterable():
            found = [plain(one) for one in value]
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            found = _fields(value)
        case _:
            raise TypeError(f"JSON has no way to say {type(value).__name__}")
    return found


def _more(value: Version | Info | Report | BucketConfig | Repo) -> dict[str, Json]:
    """Return the fields of a value, and what can be said of it beside."""
    match value:
        case Version():
            return version_facts(value)
        case Info():
            return info_facts(value)
        case Report():
            return _fields(value) | {"ok": value.ok, "paths": plain(value.paths)}
        case BucketConfig():
            return bucket_facts(value)
        case Repo():
            return _fields(value) | {"full_name": value.full_name, "url": f"kist://{value.full_name}"}


def version_facts(version: Version) -> dict[str, Json]:
    """Return a version's fields, and its name (``v42``)."""
    return {"name": version.name} | _fields(version)


def info_facts(info: Info) -> dict[str, Json]:
    """Return the fields of what is at a path, its name, and its time for people beside the nanoseconds."""
    return {"name": info.name} | _fields(info) | {"mtime": _moment(info.mtime_ns)}


def bucket_facts(config: BucketConfig) -> dict[str, Json]:
    """Return a bucket config's fields, and its place as a URL."""
    return _fields(config) | {"uri": config.uri}


def _fields(value: "DataclassInstance") -> dict[str, Json]:
    return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}


def _moment(mtime_ns: int | None) -> str | None:
    try:
        return None if mtime_ns is None else iso_time(datetime.fromtimestamp(mtime_ns / NANOSECONDS, UTC))
    except (OverflowError, ValueError, OSError):
        return None
