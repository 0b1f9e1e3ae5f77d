"""``kist cp`` and ``kist sync``, and ``kist mv`` of URLs: between any two places."""

import sys
from typing import TYPE_CHECKING, Annotated, BinaryIO

from cyclopts import Parameter

from kist.cli.completing import complete_place
from kist.cli.options import EVERYWHERE, Everywhere
from kist.cli.output import line, print_object
from kist.cli.progress import watching
from kist.cli.text import count, escape, size

if TYPE_CHECKING:
    from kist.models import Copied

__all__ = ["PlaceArg", "cp", "move_url", "sync"]

STDIN, STDOUT = "/dev/stdin", "/dev/stdout"

PlaceArg = Annotated[
    str, Parameter(completer=complete_place, help="A path, or a URL: s3://bucket/key, kist://org/repo/path, my_mount://...")
]


def cp(
    source: PlaceArg,
    destination: PlaceArg,
    /,
    *,
    recursive: Annotated[bool, Parameter(("--recursive", "-R"), help="Copy a folder with all that is in it.")] = False,
    no_overwrite: Annotated[bool, Parameter(help="Leave files alone that are there.")] = False,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Copy a file or folder between any two places: this machine, any cloud, http, sftp, ftp, webdav, repositories, mounts.

    Each file appears whole or not at all. Within one service nothing passes through this machine. A big file whose copying was
    interrupted goes on where it was. /dev/stdin and /dev/stdout are the standard streams.

    Raises:
        KistError: it could not be copied.
    """
    from kist import storage  # noqa: PLC0415 - --help needs no stores

    src: str | BinaryIO = sys.stdin.buffer if source == STDIN else source
    dst: str | BinaryIO = sys.stdout.buffer if destination == STDOUT else destination
    with watching(f"copying {source}", everywhere) as progress:
        copied = storage.copy(src, dst, recursive, overwrite=not no_overwrite, progress=progress)
    if destination == STDOUT:
        sys.stdout.buffer.flush()
    else:
        _report("copied", copied, destination, everywhere)


def sync(
    source: PlaceArg,
    destination: PlaceArg,
    /,
    *,
    delete: Annotated[bool, Parameter(help="Delete what SOURCE lacks, once all is copied.")] = False,
    checksum: Annotated[bool, Parameter(("--checksum", "-c"), help="Compare contents, not just sizes and times.")] = False,
    dry_run: Annotated[bool, Parameter(("--dry-run", "-n"), help="Only say what would be done.")] = False,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Make a folder hold what another one holds, between any two places; only what differs is copied.

    Raises:
        KistError: not all could be copied; nothing was deleted then.
    """
    from kist import storage  # noqa: PLC0415 - --help needs no stores

    with watching(f"syncing {source}", everywhere) as progress:
        copied = storage.sync(source, destination, delete, checksum=checksum, dry_run=dry_run, progress=progress)
    _report("would copy" if dry_run else "copied", copied, destination, everywhere)


def move_url(source: str, destination: str, everywhere: Everywhere) -> None:
    """Move a file or folder between any two places.

    Raises:
        KistError: it could not be moved, and is still where it was.
    """
    from kist import storage  # noqa: PLC0415 - repositories need no stores of others

    with watching(f"moving {source}", everywhere) as progress:
        copied = storage.move(source, destination, progress=progress)
    _report("moved", copied, destination, everywhere)


def _report(what: str, copied: "Copied", destination: str, everywhere: Everywhere) -> None:
    if everywhere.json:
        print_object(copied)
        return
    facts = [f"{what} {count(copied.files, 'file')}, {size(copied.bytes)}, to {escape(destination)}"]
    if copied.server_side:
        facts.append("within the service" if copied.server_side == copied.files else f"{copied.server_side:,} within the service")
    if copied.skipped:
        facts.append(f"{copied.skipped:,} {'was' if copied.skipped == 1 else 'were'} there already")
    if copied.deleted:
        facts.append(f"{copied.deleted:,} deleted")
    line("; ".join(facts))
