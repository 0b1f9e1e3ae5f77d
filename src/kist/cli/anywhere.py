"""``kist stat`` and ``kist url``, and ``ls``, ``cat`` and ``rm`` of URLs: looking at any place, and removing what is there."""

import sys
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from kist.cli.copying import PlaceArg
from kist.cli.options import EVERYWHERE, Everywhere
from kist.cli.output import line, paint, print_array, print_object
from kist.cli.text import count, escape, local_time, size
from kist.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from kist.models import Stat

__all__ = ["cat_url", "is_url", "list_url", "remove_url", "stat", "url"]

PIECE_BYTES = 1 << 20


def is_url(text: str | None) -> bool:
    """Say whether a word on the command line is the URL of any place, and no name in the repository."""
    return text is not None and "://" in text


def stat(place: PlaceArg, /, *, everywhere: Everywhere = EVERYWHERE) -> None:
    """Show what is at a path or URL: its kind, size, time and etag.

    Raises:
        KistError: nothing is there, or the store failed.
    """
    from kist import storage  # noqa: PLC0415 - --help needs no stores

    found = storage.stat(place)
    if everywhere.json:
        print_object({"name": found.name, **asdict(found)})
        return
    facts = {"url": escape(found.url), "kind": found.kind}
    if found.kind == "file":
        facts |= {"size": f"{size(found.size_bytes)} ({found.size_bytes:,} bytes)", "etag": escape(found.etag)}
    if found.modified:
        facts["modified"] = local_time(found.modified)
    for name, value in facts.items():
        if value:
            line(f"{name:<10}{value}")


def url(
    place: PlaceArg,
    /,
    *,
    expires_in: Annotated[int, Parameter(metavar="SECONDS", help="For how long it works.")] = 3600,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Print a URL by which anybody may read a file for a while, without credentials.

    Raises:
        KistError: there is no such file, or no such URL for this kind of place.
    """
    from kist import storage  # noqa: PLC0415 - --help needs no stores

    shared = storage.shareable_url(place, expires_in)
    if everywhere.json:
        print_object({"url": shared, "expires_in_seconds": expires_in})
    else:
        line(shared)


def list_url(place: str, everywhere: Everywhere, *, long: bool, recursive: bool, limit: int | None, after: str) -> None:
    """List a folder anywhere.

    Raises:
        KistError: there is none, or it can't be listed.
    """
    found = (one for one in _below(place, recursive=recursive) if not after or one[0] > after)
    listed = islice(found, limit)
    if everywhere.json:
        print_array({"name": name, **asdict(stat)} for name, stat in listed)
        return
    for name, stat in listed:
        shown = paint(f"{escape(name)}/", "blue") if stat.kind == "folder" else escape(name)
        when = local_time(stat.modified) if stat.modified else ""
        line(f"{size(stat.size_bytes) if stat.kind == 'file' else '':>7}  {when:>16}  {shown}" if long else shown)


def cat_url(place: str, everywhere: Everywhere) -> None:
    """Write the content of a file anywhere to standard output.

    Raises:
        KistError: there is none, or it can't be read.
    """
    from kist import storage  # noqa: PLC0415 - repositories need no stores of others

    if everywhere.json:
        raise InvalidInput("cat of a URL writes the bytes as they are: leave out --json")
    sys.stdout.flush()
    with storage.open(place, "rb") as file:
        while piece := file.read(PIECE_BYTES):
            sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def remove_url(place: str, everywhere: Everywhere, *, recursive: bool) -> None:
    """Remove a file or folder anywhere.

    Raises:
        KistError: there is none, or it can't be removed.
    """
    from kist import storage  # noqa: PLC0415 - repositories need no stores of others

    removed = storage.remove(place, recursive)
    if everywhere.json:
        print_object({"url": place, "removed": removed})
    else:
        line(f"removed {escape(place)}" + (f": {count(removed, 'file')}" if recursive else ""))


def _below(place: str, *, recursive: bool) -> Iterator[tuple[str, "Stat"]]:
    """Yield names and facts, sorted."""
    from kist.models import Stat  # noqa: PLC0415 - as all of these
    from kist.storage.places import is_folder, level  # noqa: PLC0415
    from kist.storage.places import stat as look  # noqa: PLC0415
    from kist.stores.locations import locate  # noqa: PLC0415
    from kist.stores.protocols import ObjectMeta  # noqa: PLC0415

    where = locate(place)

    def file(meta: ObjectMeta) -> tuple[str, Stat]:
        name = meta.key[len(where.prefix) :]
        return name, Stat(url=where.below(name).url, kind="file", size_bytes=meta.size_bytes, modified=meta.modified, etag=meta.etag)

    if recursive:
        found: Iterator[tuple[str, Stat]] = map(file, where.store.list(where.prefix))
    else:
        files, folders = level(where)
        here = [*map(file, files), *((name, Stat(url=where.below(name).url, kind="folder")) for name in folders)]
        found = iter(sorted(here, key=lambda pair: pair[0]))
    first = next(found, None)
    if first is not None:
        yield first
        yield from found
    elif not is_folder(where):
        only = look(place)
        if only.kind != "file":
            raise NotFound(f"there is no folder {place}")
        yield only.name, only
