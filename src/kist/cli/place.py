"""``kist init`` and ``kist status``: the repository itself."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from kist.cli.options import EVERYWHERE, Everywhere, IgnoreOption
from kist.cli.output import line, note, print_object
from kist.cli.places import last_part, open_place, place_of, tidy
from kist.cli.plain import version_facts
from kist.cli.text import count, escape, local_time, size
from kist.errors import InvalidInput, NotFound
from kist.ids import short

if TYPE_CHECKING:
    from kist.cli.unsaved import Unsaved
    from kist.engine.repository import Repository
    from kist.models import Version

__all__ = ["init", "status"]

URL_HELP = "A folder, or s3://bucket/prefix and the like; else what -r or KIST_REPOSITORY name, else one of your own."
WIDTH = 12
LISTED = 20


def init(url: Annotated[str | None, Parameter(help=URL_HELP)] = None, /, *, everywhere: Everywhere = EVERYWHERE) -> None:
    """Make a repository; one that is there already stays as it is.

    Raises:
        KistError: it could not be made.
    """
    from kist.engine.opening import open_repository  # noqa: PLC0415 - --help needs no engine

    if url and everywhere.repository and url != everywhere.repository:
        raise InvalidInput(f"make {url} or {everywhere.repository}: name one of them")
    place = url or place_of(everywhere)
    try:
        repository, created = open_repository(place), False
    except NotFound:
        repository, created = open_repository(place, create=True), True
    if everywhere.json:
        print_object({"repository": repository.name, "id": repository.id, "authority": repository.authority, "created": created})
        return
    line(f"{'made a repository at' if created else 'there already is a repository at'} {escape(repository.name)} ({repository.id[:12]})")
    if created and repository.authority == "fork":
        note("kist: this store has no put-if-absent: writers who commit at once fork the branch, and it is the merge of what they saved")


def status(
    path: Annotated[Path | None, Parameter(help="A file or folder of this machine.")] = None,
    /,
    *,
    name: Annotated[str | None, Parameter(help="Its name in the repository; the last part of PATH if not said.")] = None,
    ignore: IgnoreOption = None,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Show what the repository is and holds; or with a PATH, what saving it would change.

    Raises:
        KistError: the repository or the path can't be read.
    """
    repository = open_place(everywhere)
    if path is None:
        _print_status(repository, place_of(everywhere), everywhere)
        return
    from kist.cli.unsaved import unsaved  # noqa: PLC0415 - seldom used

    name = tidy(name if name is not None else last_part(str(path)))
    _print_unsaved(unsaved(repository, name, str(path), ignore=ignore or ()), name, everywhere)


def _print_status(repository: "Repository", place: str, everywhere: Everywhere) -> None:
    branches, tags = repository.branches(), repository.tags()
    tree = repository.stat("")
    stored = sum(repository.stored())
    facts: dict[str, object] = {"repository": place, "id": repository.id, "authority": repository.authority}
    if everywhere.json:
        refs = {
            "branches": {name: version_facts(one) for name, one in branches.items()},
            "tags": {name: version_facts(one) for name, one in tags.items()},
        }
        sums = {"versions": _versions(branches), "files": tree.files, "size_bytes": tree.size, "stored_bytes": stored}
        print_object(facts | refs | sums)
        return
    facts["versions"] = f"{_versions(branches):,} on main" if branches else "none yet: kist save PATH begins"
    for name, version in branches.items():
        facts[f"branch {name}"] = f"{version.name} ({short(version.id)}), {local_time(version.time)}, {version.author}"
    if tags:
        facts["tags"] = ", ".join(tags)
    facts["tree"] = f"{count(tree.files, 'file')}, {size(tree.size)}"
    facts["stored"] = size(stored)
    width = max(WIDTH, *(len(name) + 2 for name in facts))
    for name, fact in facts.items():
        line(f"{name + ':':<{width}}{escape(str(fact))}")


def _versions(branches: dict[str, "Version"]) -> int:
    return branches["main"].number if "main" in branches else 0


def _print_unsaved(found: "Unsaved", name: str, everywhere: Everywhere) -> None:
    if everywhere.json:
        print_object(found)
        return
    if not found.differs:
        line(f"{escape(name)} is saved as it is")
        return
    sides: tuple[tuple[Literal["+", "-", "~"], tuple[str, ...]], ...] = (("+", found.added), ("-", found.removed), ("~", found.modified))
    changes = sorted((path, sign) for sign, paths in sides for path in paths)
    for path, sign in changes[:LISTED]:
        line(f"{sign} {escape(path)}")
    if len(changes) > LISTED:
        line(f"and {count(len(changes) - LISTED, 'more change')}")
    numbers = f"{len(found.added):,} added, {len(found.removed):,} removed, {len(found.modified):,} modified"
    line(f"{escape(name)} differs: {numbers}; {size(found.size_bytes)} of new content")
