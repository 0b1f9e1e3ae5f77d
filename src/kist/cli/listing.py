"""``kist ls`` and ``kist cat``: what a version holds, or any other place."""

import base64
import sys
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from kist.cli import options
from kist.cli.anywhere import cat_url, is_url, list_url
from kist.cli.options import EVERYWHERE, Everywhere
from kist.cli.output import line, note, paint, print_array, print_object
from kist.cli.places import find, open_place, tidy
from kist.cli.plain import info_facts
from kist.cli.text import escape, mode_text, mtime_text, size
from kist.errors import InvalidInput
from kist.models import Info

if TYPE_CHECKING:
    from kist.engine.repository import Repository

__all__ = ["cat", "ls"]

PIECE_BYTES = 1 << 20
JSON_BYTES = 64 << 20


def ls(
    name: options.AddressArg | None = None,
    /,
    *,
    long: Annotated[
        bool, Parameter(("--long", "-l"), help="Also mode, size and time; a folder's size is that of all files below it.")
    ] = False,
    recursive: Annotated[bool, Parameter(("--recursive", "-R"), help="Also what lies in its folders.")] = False,
    limit: options.LimitOption = None,
    after: Annotated[str, Parameter(metavar="NAME", help="Only what comes behind this one, the last of the page before.")] = "",
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """List what lies in a folder of the repository, or at a URL.

    Raises:
        KistError: there is no such path or ref, or it can't be read.
    """
    if limit is not None and limit < 0:
        raise InvalidInput(f"a limit of {limit} entries makes no sense")
    if is_url(name):
        list_url(str(name), everywhere, long=long, recursive=recursive, limit=limit, after=after)
        return
    repository = open_place(everywhere)
    path, ref = find(repository, name)
    after = tidy(after)
    infos: Iterator[Info]
    if recursive:
        from kist.cli.recursion import below  # noqa: PLC0415 - seldom used

        infos = islice(below(repository, path, ref=ref, after=after), limit)
    else:
        infos = iter(repository.tree(path, ref=ref, after=after, limit=limit))
    if everywhere.json:
        print_array(infos)
        return
    listed = 0
    for info in infos:
        line(_line(info, path, long=long))
        listed += 1
    if not listed and not path and not after and limit != 0 and not everywhere.quiet:
        note("kist: nothing is saved here yet; kist save PATH begins")


def cat(name: options.AddressArg, /, *, everywhere: Everywhere = EVERYWHERE) -> None:
    """Write the content of a file of the repository, or at a URL, to standard output.

    Raises:
        KistError: there is no such file, or it is damaged.
    """
    if is_url(name):
        cat_url(name, everywhere)
        return
    repository = open_place(everywhere)
    path, ref = find(repository, name)
    if everywhere.json:
        _print_content(repository, path, ref)
        return
    sys.stdout.flush()
    with repository.open(path, ref=ref) as file:
        while piece := file.read(PIECE_BYTES):
            sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def _line(info: Info, folder: str, *, long: bool) -> str:
    name = escape(info.path[len(folder) + 1 :] if folder and info.path.startswith(f"{folder}/") else info.path)
    if info.kind == "folder":
        name = paint(f"{name}/", "blue")
    elif info.kind == "link":
        name = paint(name, "cyan") + (f" -> {escape(info.target)}" if long else "")
    if not long:
        return name
    return f"{mode_text(info.kind, info.mode)}  {size(info.size):>7}  {mtime_text(info.mtime_ns):>16}  {name}"


def _print_content(repository: "Repository", path: str, ref: str | None) -> None:
    info = repository.stat(path, ref=ref)
    if info.size > JSON_BYTES:
        raise InvalidInput(f"{path!r} has {size(info.size)}, too much for JSON: leave out --json")
    data = repository.read(path, ref=ref)
    try:
        content, encoding = data.decode(), "utf-8"
    except UnicodeDecodeError:
        content, encoding = base64.b64encode(data).decode(), "base64"
    print_object(info_facts(info) | {"encoding": encoding, "content": content})
