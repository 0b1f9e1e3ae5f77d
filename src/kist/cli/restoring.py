"""``kist restore`` and ``kist export``: a version, or part of one, comes back to this machine."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from kist.cli import options
from kist.cli.options import EVERYWHERE, Everywhere
from kist.cli.output import line, print_object
from kist.cli.places import Address, find, open_place
from kist.cli.plain import plain
from kist.cli.progress import Total, watching
from kist.cli.text import count, escape, size
from kist.errors import InvalidInput

if TYPE_CHECKING:
    from kist.engine.repository import Repository

__all__ = ["export", "restore"]

FILE_HELP = "Ends in .tar.gz, .tgz, .tar or .zip; - writes a .tar.gz to standard output."
STDOUT = "-"


def restore(
    name: options.AddressArg,
    destination: Annotated[Path, Parameter(help="Where to; missing folders are made.")],
    /,
    *,
    overwrite: options.OverwriteOption = False,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Write a file or folder of a version to this machine.

    The content of a folder goes into DESTINATION; a file becomes DESTINATION, or goes into it if that is a folder.
    Nothing outside DESTINATION is touched.

    Raises:
        KistError: it could not be restored; files that were done stay.
    """
    repository = open_place(everywhere)
    address = find(repository, name)
    try:
        with watching(f"restoring {address}", everywhere, total=_total(repository, address)) as progress:
            report = repository.restore(address.path, destination, ref=address.ref, overwrite=overwrite, progress=progress)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"interrupted: files that were done are in {destination}; --overwrite replaces them next time") from None
    if everywhere.json:
        print_object(report)
    else:
        line(f"restored {escape(str(address))} to {escape(report.local)}: {count(report.files, 'file')}, {size(report.size_bytes)}")


def export(
    name: options.AddressArg,
    file: Annotated[Path, Parameter(help=FILE_HELP)],
    /,
    *,
    overwrite: options.OverwriteOption = False,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Write a file or folder of a version as one archive. The same version always gives the same bytes.

    Raises:
        KistError: it could not be exported; no file is left.
    """
    to_stdout = str(file) == STDOUT
    if to_stdout and everywhere.json:
        raise InvalidInput("an archive on standard output leaves no room for JSON: give a file, or leave out --json")
    repository = open_place(everywhere)
    address = find(repository, name)
    total = _total(repository, address)
    target = sys.stdout.buffer if to_stdout else file
    try:
        with watching(f"exporting {address}", everywhere, total=total) as progress:
            repository.export(address.path, target, ref=address.ref, overwrite=overwrite, progress=progress)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("interrupted: no file is left") from None
    if everywhere.json:
        print_object({"file": str(file), "path": address.path, "ref": address.ref, "total": plain(total)})
    elif not to_stdout:
        line(f"exported {escape(str(address))} to {escape(str(file))}: {count(total.items, 'file')}, {size(total.size_bytes)}")


def _total(repository: "Repository", address: Address) -> Total:
    info = repository.stat(address.path, ref=address.ref)
    return Total(items=info.files, size_bytes=info.size)
