"""``kist tag``, ``kist branch`` and ``kist merge``: names for versions, and lines of them."""

from collections.abc import Callable
from typing import Annotated

from cyclopts import Parameter

from kist.cli import options
from kist.cli.completing import complete_ref
from kist.cli.history import message_of
from kist.cli.options import EVERYWHERE, Everywhere
from kist.cli.output import Column, line, print_array, print_object, print_table
from kist.cli.places import open_place
from kist.cli.plain import version_facts
from kist.cli.text import escape, local_time
from kist.ids import short
from kist.models import Version

__all__ = ["branch", "merge", "tag"]


Which = Annotated[str | None, Parameter(completer=complete_ref, help="Which version; the newest of main if not said.")]


def tag(
    name: Annotated[str | None, Parameter(help="The new tag.")] = None,
    ref: Which = None,
    /,
    *,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Give a version a name that never moves; without arguments list these names.

    Raises:
        KistError: the name is taken or is none, or there is no such version.
    """
    repository = open_place(everywhere)
    if name is None:
        _list("tag", repository.tags(), everywhere)
    else:
        _tell("tag", name, repository.tag, ref, everywhere)


def branch(
    name: Annotated[str | None, Parameter(help="The new branch.")] = None,
    ref: Which = None,
    /,
    *,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Start a branch at a version; without arguments list the branches.

    Raises:
        KistError: the name is taken or is none, or there is no such version.
    """
    repository = open_place(everywhere)
    if name is None:
        _list("branch", repository.branches(), everywhere)
    else:
        _tell("branch", name, repository.branch, ref, everywhere)


def merge(
    ref: Annotated[str, Parameter(completer=complete_ref, help="What to merge.")],
    /,
    *,
    message: options.MessageOption = "",
    author: options.AuthorOption = None,
    branch: options.BranchOption = "main",
    on_conflict: options.ConflictOption = "conflict",
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Bring what another branch or version changed into a branch, as one version.

    Raises:
        KistError: there is no such ref, or both changed the same path.
    """
    repository = open_place(everywhere)
    before = repository.version(branch).id
    version = repository.merge(ref, message=message, author=author, branch=branch, concurrent=on_conflict)
    if everywhere.json:
        print_object(version_facts(version) | {"changed": version.id != before})
    elif version.id == before:
        line(f"{branch} already has all of {ref}: {version.name} ({short(version.id)})")
    else:
        line(f"merged {ref} into {branch} as {version.name} ({short(version.id)})")


def _list(what: str, refs: dict[str, Version], everywhere: Everywhere) -> None:
    if everywhere.json:
        print_array({what: name, "version": version_facts(version)} for name, version in refs.items())
        return
    columns = (
        Column(title=what, style="cyan"),
        Column(title="version", style="yellow"),
        Column(title="id", style="dim", spare=2),
        Column(title="time"),
        Column(title="author", spare=1),
        Column(title="message", flexible=True),
    )
    rows = [(name, one.name, short(one.id), local_time(one.time), one.author, message_of(one)) for name, one in refs.items()]
    print_table(columns, rows)


def _tell(what: str, name: str, make: Callable[[str, str | None], Version], ref: str | None, everywhere: Everywhere) -> None:
    version = make(name, ref)
    if everywhere.json:
        print_object({what: name, "version": version_facts(version)})
    else:
        line(f"{what} {escape(name)} is {version.name} ({short(version.id)})")
