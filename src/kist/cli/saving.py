"""``kist save``."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

from cyclopts import Parameter

from kist.cli.options import EVERYWHERE, AuthorOption, BranchOption, ConflictOption, Everywhere, IgnoreOption, MessageOption
from kist.cli.output import line, note, print_object, warn
from kist.cli.pairing import json_pairs
from kist.cli.places import last_part, open_place, tidy
from kist.cli.plain import version_facts
from kist.cli.progress import watching
from kist.cli.text import count, escape, size
from kist.errors import InvalidInput, NotFound
from kist.ids import short
from kist.models import Version

if TYPE_CHECKING:
    from kist.engine.repository import Repository

__all__ = ["save"]

REPEATED = "may be repeated. Without any, NAME keeps those that it has."
LISTED = 10
STDIN = "-"
ABANDONED = "interrupted: nothing was committed; what was stored already is not stored again next time"
UNKNOWN = "interrupted while it was committed: kist log says whether the version is there"


def save(
    name: Annotated[Path | None, Parameter(help="What it is called in the repository; the last part of PATH if not said.")] = None,
    path: Annotated[Path | None, Parameter(help="A file or folder of this machine; - reads a file from standard input.")] = None,
    /,
    *,
    message: MessageOption = "",
    author: AuthorOption = None,
    label: Annotated[list[str] | None, Parameter(("--label", "-l"), metavar="WORD", help=f"A word for NAME; {REPEATED}")] = None,
    tag: Annotated[
        list[str] | None, Parameter(("--tag", "-t"), metavar="KEY=VALUE", help=f"A fact about NAME, in JSON or plain text; {REPEATED}")
    ] = None,
    ignore: IgnoreOption = None,
    branch: BranchOption = "main",
    always: Annotated[bool, Parameter(help="Make a version even if nothing changed.")] = False,
    on_conflict: ConflictOption = "conflict",
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Save a file or folder as a version.

    NAME becomes equal to what lies at PATH: what is gone there is gone in the new version too; earlier versions keep it.
    If nothing changed, no version is made.

    Raises:
        KistError: it could not be saved; no version was made.
    """
    where, source = _where_and_source(None if name is None else str(name), None if path is None else str(path))
    repository = open_place(everywhere)
    before = _head(repository, branch)
    skipped: list[tuple[str, str]] = []
    try:
        with watching(f"saving {where or 'the whole tree'}", everywhere, sizes=lambda: _sizes(source, ignore or ())) as progress:
            version = repository.save(
                where,
                source,
                message=message,
                author=author,
                labels=label,
                tags=json_pairs(tag, "--tag", "site=A or depth=12.5") if tag is not None else None,
                ignore=ignore or (),
                branch=branch,
                always=always,
                concurrent=on_conflict,
                progress=progress,
                skipped=lambda where, why: skipped.append((where, why)),
            )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(ABANDONED if _head(repository, branch) == before else UNKNOWN) from None
    _report(repository, where, version, skipped, changed=version.id != before, everywhere=everywhere)


def _where_and_source(name: str | None, path: str | None) -> tuple[str, str | BinaryIO]:
    if name is None:
        raise InvalidInput("say what to save: kist save PATH, or kist save NAME PATH")
    if path is None:
        if name == STDIN:
            raise InvalidInput("what comes from standard input needs a name: kist save NAME -")
        name, path = last_part(name), name
        if not name:
            raise InvalidInput(f"{path!r} has no name of its own: kist save NAME {path}")
    return tidy(name), sys.stdin.buffer if path == STDIN else path


def _head(repository: "Repository", branch: str) -> str:
    """Return the id of the newest version; empty if there is none yet."""
    try:
        return repository.version(branch).id
    except NotFound:
        return ""


def _sizes(source: str | BinaryIO, ignore: Sequence[str]) -> Iterator[int]:
    from kist.engine.folders import scan  # noqa: PLC0415 - only for a save that takes long

    if isinstance(source, str):
        yield from (item.size for item in scan(source, ignore=ignore, skipped=lambda _where, _why: None))


def _report(
    repository: "Repository", name: str, version: Version, skipped: list[tuple[str, str]], *, changed: bool, everywhere: Everywhere
) -> None:
    if everywhere.json:
        left_out = [{"path": where, "reason": why} for where, why in skipped]
        print_object(version_facts(version) | {"path": name, "changed": changed, "skipped": left_out})
        return
    what = escape(name) or "the whole tree"
    if changed:
        info = repository.stat(name, ref=version.id)
        new = f"{size(version.stats.new_bytes)} new" if version.stats.new_bytes else "nothing new to store"
        line(f"saved {what} as {version.name} ({short(version.id)}): {count(info.files, 'file')}, {size(info.size)}; {new}")
    else:
        line(f"{what} is unchanged: {version.name} ({short(version.id)})")
    for where, why in skipped[:LISTED]:
        warn(f"{where} {why}")
    if len(skipped) > LISTED:
        note(f"kist: and {count(len(skipped) - LISTED, 'more thing')} not kept, or not for sure")
