"""What the Tab key offers: names and refs of the repository that the line means so far. Where that fails, nothing."""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from kist import settings
from kist.errors import KistError

if TYPE_CHECKING:
    from cyclopts.completion import CompletionContext

    from kist.client.client import Client
    from kist.engine.repository import Repository

__all__ = [
    "complete_address",
    "complete_branch",
    "complete_bucket",
    "complete_mount",
    "complete_name",
    "complete_org",
    "complete_place",
    "complete_ref",
    "complete_ref_or_address",
    "complete_repo",
]

OFFERED = 500
PATIENCE_SECONDS = 4.0
VERSIONS = 20


def complete_name(context: "CompletionContext") -> list[str]:
    """Offer the names in the folder that is being typed."""
    return _offer(context, lambda repository: _names(repository, context.incomplete))


def complete_address(context: "CompletionContext") -> list[str]:
    """Offer names, and behind an ``@`` refs."""
    name, at, _ = context.incomplete.rpartition("@")

    def offered(repository: "Repository") -> Iterator[str]:
        yield from _names(repository, context.incomplete)
        if at:
            yield from (f"{name}@{ref}" for ref in _refs(repository, name.rstrip("/")))

    return _offer(context, offered)


def complete_place(context: "CompletionContext") -> list[str]:
    """Offer paths of this machine and mounts; behind ``://`` what is there."""
    from kist.storage.places import level  # noqa: PLC0415 - only when Tab is pressed
    from kist.stores import mounts  # noqa: PLC0415
    from kist.stores.locations import locate  # noqa: PLC0415

    typed = context.incomplete
    folder = typed[: typed.rfind("/") + 1]
    try:
        metas, folders = level(locate(folder or "./"))
        found = [folder + name for name in (*(f"{name}/" for name in folders), *(meta.key.rpartition("/")[2] for meta in metas))]
        named = [] if folder else [f"{name}://" for name in mounts.mounts()]
    except (KistError, OSError):
        return []
    return [one for one in (*named, *found) if one.startswith(typed) and one.isprintable()][:OFFERED]


def complete_mount(context: "CompletionContext") -> list[str]:
    """Offer mounts."""
    from kist.stores import mounts  # noqa: PLC0415 - only when Tab is pressed

    return [name for name in mounts.mounts() if name.startswith(context.incomplete)]


def complete_ref(context: "CompletionContext") -> list[str]:
    """Offer branches, tags and the newest versions."""
    return _offer(context, lambda repository: _refs(repository, ""))


def complete_ref_or_address(context: "CompletionContext") -> list[str]:
    """Offer refs first, then what `complete_address` offers."""
    return complete_ref(context) + complete_address(context)


def complete_branch(context: "CompletionContext") -> list[str]:
    """Offer branches."""
    return _offer(context, lambda repository: iter(repository.branches()))


def complete_org(context: "CompletionContext") -> list[str]:
    """Offer one's organisations."""
    return _ask(context, lambda client, _org: (one.name for one in client.list_orgs()))


def complete_bucket(context: "CompletionContext") -> list[str]:
    """Offer the nicknames of the bucket configs of the organisation that is meant."""
    return _ask(context, lambda client, org: (one.nickname for one in client.list_bucket_configs(org)))


def complete_repo(context: "CompletionContext") -> list[str]:
    """Offer the repositories of the organisation that is meant, or of the one that is typed; and organisations."""
    typed, slash, _ = context.incomplete.rpartition("/")
    if slash:
        return _ask(context, lambda client, _org: (one.full_name for one in client.iter_repos(typed)))
    names = _ask(context, lambda client, org: (one.name for one in client.iter_repos(org)))
    return names + [f"{name}/" for name in complete_org(context)]


def _ask(context: "CompletionContext", offered: "Callable[[Client, str], Iterable[str]]") -> list[str]:
    """Return what the server, or this machine, says; nothing where that fails."""
    from kist.cli.connecting import connected, org_of  # noqa: PLC0415 - only when Tab is pressed

    said = context.get("--org")

    def ask() -> Iterator[str]:
        with connected() as client:
            yield from offered(client, org_of(client, said.raw if said else None))

    return _in_time(context, ask)


def _names(repository: "Repository", typed: str) -> Iterator[str]:
    folder = typed.rpartition("/")[0]
    for info in repository.tree(folder, limit=OFFERED):
        yield info.path + ("/" if info.kind == "folder" else "")


def _refs(repository: "Repository", path: str) -> Iterator[str]:
    yield from repository.branches()
    yield from repository.tags()
    yield from (version.name for version in repository.log(path or None, limit=VERSIONS))


def _offer(context: "CompletionContext", offered: Callable[["Repository"], Iterator[str]]) -> list[str]:
    from kist.engine.opening import open_repository  # noqa: PLC0415 - only when Tab is pressed

    said = context.get("--repository")
    place = (said.raw if said else None) or settings.default_repository()
    return _in_time(context, lambda: offered(open_repository(place)))


def _in_time(context: "CompletionContext", offered: Callable[[], Iterator[str]]) -> list[str]:
    """Return what begins as it is typed, as far as it is known soon: nobody waits at the Tab key for a server that is gone."""
    found: list[str] = []

    def look() -> None:
        with contextlib.suppress(KistError, OSError):
            found.extend(islice((one for one in offered() if one.startswith(context.incomplete) and one.isprintable()), OFFERED))

    looking = threading.Thread(target=look, name="kist-offer", daemon=True)
    looking.start()
    looking.join(PATIENCE_SECONDS)
    return list(found)
