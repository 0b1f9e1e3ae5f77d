"""``kist mount check``: what a place can do, found out by doing it there, below a random name that is removed again."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from kist.cli.completing import complete_mount
from kist.cli.options import EVERYWHERE, Everywhere
from kist.cli.output import Column, note, print_array, print_table
from kist.cli.text import escape

if TYPE_CHECKING:
    from kist.stores.protocols import ReadableStore

__all__ = ["check"]

COLUMNS = (Column(title="ABILITY", style="cyan"), Column(title="HAS"), Column(title="NOTE", flexible=True, spare=1))
WORDS = {True: "yes", False: "no", None: "?"}


def check(
    place: Annotated[str, Parameter(completer=complete_mount, help="A mount, or the URL of a bucket, folder or file.")],
    /,
    *,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Find out what a place can do, by doing it there below a random name.

    Raises:
        KistError: there is no such place, or nobody answers there.
    """
    from kist.stores.abilities import measure  # noqa: PLC0415 - --help needs no stores

    url = place if "://" in place else _meant(place)
    if not everywhere.quiet:
        note(f"kist: trying it out at {escape(url.partition('?')[0])}; this takes a moment")
    found = measure(*_opened(url))
    if everywhere.json:
        print_array({"name": one.name, "has": one.has, "note": one.note} for one in found)
        return
    print_table(COLUMNS, ([one.name, WORDS[one.has], one.note] for one in found))


def _meant(place: str) -> str:
    """Return the URL of a mount's name, or a path as it is."""
    from kist.stores import mounts  # noqa: PLC0415 - --help needs no stores
    from kist.stores.urls import scheme_of  # noqa: PLC0415

    if scheme_of(f"{place}://") != "file" and mounts.find(place) is not None:
        return f"{place}://"
    return place


def _opened(url: str) -> "tuple[ReadableStore, str]":
    """Open what can be written at its root, and what can only be read where the file is."""
    from kist.stores.locations import locate, open_root  # noqa: PLC0415 - --help needs no stores
    from kist.stores.protocols import Put  # noqa: PLC0415

    there = locate(url)
    return (open_root(url), "") if isinstance(there.store, Put) else (there.store, there.key)
