"""``kist log`` and ``kist show``: which versions there are, and what one of them, or one thing in it, is."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from kist.cli import options
from kist.cli.completing import complete_address, complete_ref_or_address
from kist.cli.options import EVERYWHERE, Everywhere
from kist.cli.output import Column, line, note, paint, print_array, print_object, print_table
from kist.cli.places import Address, find, open_place
from kist.cli.plain import info_facts, plain, version_facts
from kist.cli.text import count, escape, iso_time, local_time, mode_text, mtime_text, size
from kist.errors import InvalidInput, NotFound
from kist.ids import parse_ref, short
from kist.models import Difference, Info, Version

if TYPE_CHECKING:
    from kist.engine.repository import Repository

__all__ = ["log", "show"]

COLUMNS = (
    Column(title="version", style="yellow"),
    Column(title="id", style="dim", spare=4),
    Column(title="time"),
    Column(title="author", spare=2),
    Column(title="files", right=True, spare=3),
    Column(title="size", right=True, spare=1),
    Column(title="new", right=True, spare=5),
    Column(title="refs", style="cyan"),
    Column(title="message", flexible=True),
)
NAME_HELP = "Only versions that changed this path; NAME@REF or @REF: only up to a ref."
WHAT_HELP = "A version (v3, a tag, a branch, an id), or what is at NAME or NAME@REF; the newest version of main if not said."
CHANGES = 10
FACT_WIDTH = 11
SIGNS = {"added": "+", "removed": "-", "modified": "~"}


def log(
    name: Annotated[str | None, Parameter(completer=complete_address, help=NAME_HELP)] = None,
    /,
    *,
    limit: options.LimitOption = None,
    branch: options.BranchOption = "main",
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """List versions, newest first.

    Files and size are those of the whole tree, new is what that version added to it. Refs are the branches and tags at a version.

    Raises:
        KistError: there is no such branch or ref, or it can't be read.
    """
    repository = open_place(everywhere)
    path, ref = find(repository, name)
    versions = repository.log(path or None, limit=limit, ref=ref, branch=branch)
    if everywhere.json:
        refs = ref_names(repository)
        print_array(version_facts(version) | {"refs": plain(refs.get(version.id, []))} for version in versions)
        return
    if not versions and not everywhere.quiet:
        note(f"kist: no version has {path!r}" if path else "kist: nothing is saved here yet; kist save PATH begins")
    if versions:
        refs = ref_names(repository)
        print_table(COLUMNS, (_row(version, refs.get(version.id, [])) for version in versions))


def show(
    what: Annotated[str | None, Parameter(completer=complete_ref_or_address, help=WHAT_HELP)] = None,
    /,
    *,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Show one version, or one thing in a version.

    Raises:
        KistError: there is no such version or path, or it can't be read.
    """
    repository = open_place(everywhere)
    found = _version_or_address(repository, what)
    if isinstance(found, Version):
        _show_version(repository, found, everywhere)
    else:
        _show_info(repository, found, everywhere)


def ref_names(repository: "Repository") -> dict[str, list[str]]:
    """Return the branches and tags at each version, by its id."""
    names: dict[str, list[str]] = {}
    for refs in (repository.branches(), repository.tags()):
        for name, version in refs.items():
            names.setdefault(version.id, []).append(name)
    return names


def message_of(version: Version) -> str:
    """Return a version's message, on one line."""
    return " ".join((("(forgotten) " if version.forgotten else "") + version.message).split())


def _row(version: Version, refs: list[str]) -> tuple[str, ...]:
    stats = version.stats
    facts = (version.name, short(version.id), local_time(version.time), version.author)
    return (*facts, f"{stats.files:,}", size(stats.bytes), size(stats.new_bytes), ", ".join(refs), message_of(version))


def _version_or_address(repository: "Repository", what: str | None) -> Version | Address:
    """A ref goes before a path of the same name: NAME@main always is the path."""
    address = find(repository, what)
    if address.ref is not None and address.path:
        return address
    if address.ref is None and not _is_ref(address.path):
        return address
    try:
        return repository.version(address.ref or address.path or None)
    except NotFound:
        if address.ref is not None or not address.path:
            raise
    try:
        repository.stat(address.path)
    except NotFound as error:
        raise NotFound(f"{what!r} is neither a version nor a path in main: kist log and kist ls list what there is") from error
    return address


def _is_ref(text: str) -> bool:
    try:
        parse_ref(text or "main")
    except InvalidInput:
        return False
    return True


def _show_version(repository: "Repository", version: Version, everywhere: Everywhere) -> None:
    changes = _changes(repository, version)
    refs = ref_names(repository).get(version.id, [])
    if everywhere.json:
        print_object(version_facts(version) | {"refs": plain(refs), "changes": plain(changes)})
        return
    stats = version.stats
    line(
        paint(f"version {version.name}", "yellow")
        + (f" ({', '.join(refs)})" if refs else "")
        + (" (forgotten)" if version.forgotten else "")
    )
    facts = {
        "id": version.id,
        "parents": ", ".join(short(parent) for parent in version.parents) or "none: the first version",
        "time": f"{local_time(version.time)} ({iso_time(version.time)})",
        "author": version.author,
        "tree": f"{count(stats.files, 'file')}, {size(stats.bytes)}",
        "stored": f"{size(stats.new_bytes)} new, {size(stats.reused_bytes)} were stored already",
    }
    _print_facts(facts)
    for text in version.message.splitlines():
        line(f"    {escape(text)}")
    if changes is not None and version.parents:
        _print_changes(changes, version)


def _changes(repository: "Repository", version: Version) -> list[Difference] | None:
    """Return what a version changed; None where its content, or that of the one before, is not kept."""
    if not version.parents:
        return None
    try:
        return repository.diff(version.parents[0], version.id)
    except NotFound:
        return None


def _print_changes(changes: list[Difference], version: Version) -> None:
    line()
    for change in changes[:CHANGES]:
        line(f"{SIGNS[change.change]} {escape(change.path)}{'/' if change.kind == 'folder' else ''}")
    if len(changes) > CHANGES:
        line(f"and {count(len(changes) - CHANGES, 'more change')}: kist diff {short(version.parents[0])} {version.name}")
    if not changes:
        line("no changes but in times")


def _show_info(repository: "Repository", address: Address, everywhere: Everywhere) -> None:
    info = repository.stat(address.path, ref=address.ref)
    last = next(iter(repository.log(address.path, ref=address.ref, limit=1)), None)
    if everywhere.json:
        print_object(info_facts(info) | {"version": plain(last)})
        return
    line(paint(f"{info.kind} {escape(info.path)}", "yellow"))
    _print_facts(_info_facts(info) | {"version": f"{last.name} ({short(last.id)}), {local_time(last.time)}, {last.author}" if last else ""})


def _info_facts(info: Info) -> dict[str, str]:
    return {
        "size": f"{size(info.size)} ({info.size:,} bytes)" + (f" in {count(info.files, 'file')}" if info.kind == "folder" else ""),
        "target": info.target,
        "mode": mode_text(info.kind, info.mode) if info.mode is not None else "",
        "changed": mtime_text(info.mtime_ns),
        "blake3": info.hash,
        "crc32c": f"{info.crc32c:08x}" if info.crc32c is not None else "",
        "sha256": info.sha256,
        "id": info.id,
        "timestamp": info.timestamp,
        "labels": ", ".join(sorted(info.labels)),
        "tags": ", ".join(f"{key}={value}" for key, value in sorted(info.tags.items())),
    }


def _print_facts(facts: dict[str, str]) -> None:
    for name, fact in facts.items():
        if fact:
            line(paint(f"{name + ':':<{FACT_WIDTH}}", "dim") + escape(fact))
