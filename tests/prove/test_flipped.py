"""One byte of one object is wrong: `verify` finds it, and nobody ever reads anything wrong, only what is right or an error that says so."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from tests.prove.actions import noise
from tests.prove.scale import scaled
from tests.prove.stores import SteppingClock, WithoutCreate, decided, forked

from kist.engine.opening import create_repository
from kist.engine.repository import Repository
from kist.errors import KistError
from kist.stores.memory import MemoryStore

MASKS = (0x01, 0x80, 0xFF)
EVERY = max(1, 20 // scaled(20))
CHECKPOINTS = 3


GRACE = 0.001
OPENERS: dict[str, Callable[[MemoryStore], Repository]] = {
    "create": lambda store: decided(store, SteppingClock(), grace=GRACE),
    "fork": lambda store: forked(WithoutCreate(store), SteppingClock(), every=CHECKPOINTS, grace=GRACE),
}
KINDS = ("format", "packs/", "index/", "refs/heads/", "refs/tags/", "refs/forgotten/", "gc/tomb/", "gc/run/")


def filled(authority: str) -> MemoryStore:
    """Make a repository that has at least one object of every kind."""
    store = MemoryStore()
    create_repository(store if authority == "create" else WithoutCreate(store), name="flipped", clock=SteppingClock())
    repo = OPENERS[authority](store)
    with repo.transaction("first") as change:
        for path, data in {"a.txt": b"a" * 300, "docs/b.txt": noise("b", 60), "docs/big": noise("big", 64) * 6000, "empty": b""}.items():
            change.put(path, data)
    repo.tag("first")
    repo.save("docs/b.txt", noise("b again", 70), labels=["raw"], tags={"site": "A"})
    repo.save("junk", noise("junk", 90))
    repo.delete("junk")
    repo.branch("dev", "v2")
    repo.save("dev.txt", b"dev", branch="dev")
    repo.forget(["v3"], imsure=True)
    repo.collect()
    repo.repair()
    for kind in [*KINDS, *(["refs/checkpoints"] if authority == "fork" else [])]:
        assert next(store.list(kind), None), f"this repository has no {kind}"
    return store


@dataclass(frozen=True)
class Question:
    """Something that people ask a repository; `path` is what is read, if something is."""

    name: str
    ask: Callable[[Repository], object]
    path: str = ""


def questions(repo: Repository) -> list[Question]:
    """Return all that can be asked."""
    asked = [
        Question("log", lambda repo: repo.log()),
        Question("log of a path", lambda repo: repo.log("docs")),
        Question("log of dev", lambda repo: repo.log(branch="dev")),
        Question("tags", lambda repo: repo.tags()),
        Question("branches", lambda repo: repo.branches()),
        Question("tree", lambda repo: repo.tree("docs")),
        Question("diff", lambda repo: repo.diff("v1", "main")),
    ]
    for ref in ("v1", "v2", "v4", "dev"):
        asked.append(Question(f"walk {ref}", lambda repo, ref=ref: list(repo.walk(ref=ref))))  # type: ignore[misc]  # mypy can't infer a default's type
        for info in repo.walk(ref=ref):
            read = lambda repo, ref=ref, path=info.path: repo.read(path, ref=ref)  # noqa: E731
            asked.append(Question(f"read {info.path} of {ref}", read, info.path))
    return asked


def answer(question: Question, repo: Repository) -> object:
    """Return what a repository answers, or that it refuses."""
    try:
        return question.ask(repo)
    except KistError as error:
        return error


def flips(store: MemoryStore) -> Iterator[tuple[str, bytes, int, int]]:
    """Yield key and bytes of an object, a place in it and a mask; leave every object as it was."""
    number = 0
    for key in [meta.key for meta in store.list()]:
        data = store.get(key)
        for at in range(len(data)):
            number += 1
            if number % EVERY == 0:
                masks = MASKS if EVERY == 1 else [MASKS[number // EVERY % len(MASKS)]]
                yield from ((key, data, at, mask) for mask in masks)


def faults(authority: str, store: MemoryStore, right: dict[str, object], asked: list[Question], key: str) -> Iterator[str]:
    """Yield what is wrong with a repository in which an object is damaged."""
    try:
        repo = OPENERS[authority](store)
        report = repo.verify("data")
    except KistError:
        if key != "format":
            yield "verify gave up"
        return
    if report.ok:
        yield "verify found nothing"
    named = {path.rpartition("@")[0] for path in report.paths}
    fresh = OPENERS[authority](store)
    for question in asked:
        found = answer(question, fresh)
        if isinstance(found, KistError):
            if (
                key.startswith("packs/")
                and question.path
                and question.path not in named
                and not any("…" in one or not one for one in named)
            ):
                yield f"{question.name} failed, and verify names only {named}: {found}"
        elif found != right[question.name]:
            yield f"{question.name} answered {found!r:.300}"


@pytest.mark.parametrize("authority", OPENERS)
def test_a_flipped_byte_is_found_and_never_read(authority: str) -> None:
    store = filled(authority)
    repo = OPENERS[authority](store)
    assert repo.verify("data").ok
    asked = questions(repo)
    right = {question.name: question.ask(repo) for question in asked}
    found: list[str] = []
    for key, data, at, mask in flips(store):
        store.put(key, data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :])
        found += [f"{key}, byte {at} of {len(data)}, mask {mask:#x}: {fault}" for fault in faults(authority, store, right, asked, key)]
        store.put(key, data)
    assert found == []
