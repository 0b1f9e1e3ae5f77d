"""What each of several processes does to one repository at the same time; here, so that a new process can import it."""

from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier

from kist.engine.commits import Concurrent
from kist.engine.opening import open_repository
from kist.errors import Conflict

PROCESSES = 4
_together: list[Barrier] = []


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a repository is, and what its store takes beside a URL."""

    url: str
    options: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Work:
    """So many saves by the process with a number: of one path that all save, or of paths of its own."""

    place: Place
    saves: int
    shared: bool
    concurrent: Concurrent
    number: int = 0


def _meet(barrier: Barrier) -> None:
    """Give a new process what it starts with the others by."""
    _together.append(barrier)


def content_of(number: int, save: int) -> bytes:
    """Return what a process saves."""
    return f"process {number}, save {save}".encode() * 20


def saved(work: Work) -> list[str]:
    """Save, and return the ids of the versions that were acknowledged; empty for each conflict."""
    repo = open_repository(work.place.url, create=False, **work.place.options)
    _together[0].wait(60)
    done = []
    for save in range(work.saves):
        path = "shared" if work.shared else f"own/{work.number}/{save}"
        try:
            done.append(repo.save(path, content_of(work.number, save), concurrent=work.concurrent).id)
        except Conflict:
            done.append("")
    return done


def at_once(place: Place, saves: int, *, shared: bool, concurrent: Concurrent = "conflict") -> list[list[str]]:
    """Let all processes save at once; return what each was told."""
    context = get_context("spawn")
    with context.Pool(PROCESSES, initializer=_meet, initargs=(context.Barrier(PROCESSES),)) as pool:
        works = [Work(place=place, saves=saves, shared=shared, concurrent=concurrent, number=number) for number in range(PROCESSES)]
        return pool.map_async(saved, works, chunksize=1).get(3600)
