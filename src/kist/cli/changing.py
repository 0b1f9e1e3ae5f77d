"""``kist rm`` and ``kist mv``: changes of the tree that need nothing from this machine, and the same for URLs."""

from typing import Annotated

from cyclopts import Parameter

from kist.cli import options
from kist.cli.anywhere import is_url, remove_url
from kist.cli.completing import complete_name
from kist.cli.copying import move_url
from kist.cli.options import EVERYWHERE, Everywhere
from kist.cli.output import line, print_object
from kist.cli.places import open_place, tidy
from kist.cli.text import escape
from kist.ids import short

__all__ = ["mv", "rm"]


def rm(
    name: Annotated[str, Parameter(completer=complete_name, help="What to remove.")],
    /,
    *,
    recursive: Annotated[bool, Parameter(("--recursive", "-R"), help="Remove a folder at a URL with all that is in it.")] = False,
    message: options.MessageOption = "",
    author: options.AuthorOption = None,
    branch: options.BranchOption = "main",
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Remove a file or folder in a new version, and earlier versions keep it; or what is at a URL, for good.

    Raises:
        KistError: there is no such path, or another writer changed it meanwhile.
    """
    if is_url(name):
        remove_url(name, everywhere, recursive=recursive)
        return
    repository = open_place(everywhere)
    version = repository.delete(tidy(name), message=message, author=author, branch=branch)
    if everywhere.json:
        print_object(version)
    else:
        line(f"removed {escape(tidy(name))} in {version.name} ({short(version.id)}); earlier versions keep it")


def mv(
    source: Annotated[str, Parameter(completer=complete_name, help="What to move.")],
    destination: Annotated[str, Parameter(completer=complete_name, help="Its new name.")],
    /,
    *,
    message: options.MessageOption = "",
    author: options.AuthorOption = None,
    branch: options.BranchOption = "main",
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Give a file or folder another name in a new version; or move it between any two places, if one of them is a URL.

    Raises:
        KistError: there is no such path, or the new name is taken.
    """
    if is_url(source) or is_url(destination):
        move_url(source, destination, everywhere)
        return
    repository = open_place(everywhere)
    version = repository.move(tidy(source), tidy(destination), message=message, author=author, branch=branch)
    if everywhere.json:
        print_object(version)
    else:
        line(f"moved {escape(tidy(source))} to {escape(tidy(destination))} in {version.name} ({short(version.id)})")
