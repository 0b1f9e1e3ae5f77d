"""``kist verify``, ``kist gc`` and ``kist forget``: what is kept, whether it is sound, and what may go."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from kist.cli.completing import complete_ref
from kist.cli.options import EVERYWHERE, Everywhere
from kist.cli.output import line, note, paint, print_array, print_object
from kist.cli.places import open_place
from kist.cli.plain import plain
from kist.cli.progress import Total, watching
from kist.cli.text import count, escape, size
from kist.errors import IntegrityError, InvalidInput
from kist.ids import short
from kist.models import Collected, Report

if TYPE_CHECKING:
    from kist.engine.repository import Repository

__all__ = ["forget", "gc", "verify"]

PATHS = 20


def verify(
    *,
    data: Annotated[bool, Parameter(help="Read and check every byte, not only what describes it.")] = False,
    repair: Annotated[bool, Parameter(help="First rebuild what can be derived: the index, and the footers of packs.")] = False,
    everywhere: Everywhere = EVERYWHERE,
) -> int:
    """Check what is stored. The exit code is 8 if something is damaged, and the paths that are hit are listed.

    Raises:
        KistError: the repository can't be read.
    """
    repository = open_place(everywhere)
    done = repository.repair() if repair else []
    total = _stored(repository) if data else None
    with watching("verifying", everywhere, total=total) as progress:
        report = repository.verify("data" if data else "metadata", progress=progress)
    if everywhere.json:
        facts = plain(report)
        print_object({**(facts if isinstance(facts, dict) else {}), "repaired": done})
    else:
        for what in done:
            line(f"repaired: {escape(what)}")
        _print_report(report)
    return 0 if report.ok else IntegrityError.exit_code


def gc(
    *,
    dry_run: Annotated[bool, Parameter(("--dry-run", "-n"), help="Only say what would be done.")] = False,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Free what no version needs: it is marked now, and deleted by a later run when the mark is a day old.

    Raises:
        KistError: something is damaged, or the store failed.
    """
    repository = open_place(everywhere)
    collected = repository.collect(dry_run=dry_run)
    if everywhere.json:
        print_object(collected)
    else:
        _print_collected(collected, dry_run=dry_run)


def forget(
    *refs: Annotated[str, Parameter(completer=complete_ref, help="Which versions.")],
    imsure: Annotated[bool, Parameter(help="Must be said: it can't be undone.")] = False,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """End versions for ever: they stay in the log, but their content is not kept. kist gc then frees what nothing else uses.

    Raises:
        KistError: it was not said, or one of the versions is the head of a branch.
    """
    if not refs:
        raise InvalidInput("say which versions: kist forget v3 v4 --imsure")
    if not imsure:
        raise InvalidInput(f"forgetting can't be undone: kist forget {' '.join(refs)} --imsure")
    repository = open_place(everywhere)
    versions = repository.forget(refs, imsure=True)
    if everywhere.json:
        print_array(versions)
        return
    for version in versions:
        line(f"forgot {version.name} ({short(version.id)})")
    if not everywhere.quiet:
        note("kist: kist gc frees what nothing else uses")


def _stored(repository: "Repository") -> Total:
    """Return how many packs there are, and their bytes."""
    sizes = list(repository.stored("packs/"))
    return Total(items=len(sizes), size_bytes=sum(sizes))


def _print_report(report: Report) -> None:
    checked = f"{count(report.versions, 'version')}, {count(report.packs, 'pack')}, {count(report.frames, 'frame')}"
    checked += f", {size(report.bytes_read)} read" if report.level == "data" else ""
    if report.ok:
        line(f"{paint('ok', 'green')}: {checked}" + ("" if report.level == "data" else " (--data reads every byte)"))
        return
    for problem in report.problems:
        line(f"{paint('damaged', 'red')}: {escape(problem.key)}: {escape(problem.what)}")
        for path in problem.paths[:PATHS]:
            line(f"  hits {escape(path)}")
        if len(problem.paths) > PATHS:
            line(f"  and {count(len(problem.paths) - PATHS, 'more path')}")
    line(f"{count(len(report.problems), 'problem')} in {checked}")


def _print_collected(collected: Collected, *, dry_run: bool) -> None:
    if not (collected.marked or collected.repacked or collected.deleted or collected.waiting):
        rest = f", {size(collected.dead_bytes)} not: too little or too young to free (24 hours)" if collected.dead_bytes else ""
        line(f"nothing to free: {size(collected.live_bytes)} in use{rest}")
        return
    would = "would be " if dry_run else ""
    line(f"{count(collected.deleted, 'pack')} {would}deleted, {size(collected.freed_bytes)} {would}freed")
    line(f"{count(collected.marked, 'pack')} {would}marked, to be deleted by a run in 24 hours; {collected.repacked:,} {would}packed anew")
    if collected.waiting:
        line(f"{count(collected.waiting, 'pack')} marked earlier and waiting")
    line(f"{size(collected.live_bytes)} in use, {size(collected.dead_bytes)} not")
