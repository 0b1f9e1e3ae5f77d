"""Power lost at any moment: whatever the disk kept of what was not synced, nothing acknowledged is lost, and no wrong byte is read."""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.prove.forms import form_of, unlike
from tests.prove.power import Recorder, crash
from tests.prove.program import Model, random_program
from tests.prove.scale import scaled

from kist.engine.opening import create_repository, repository_on
from kist.engine.repository import Repository
from kist.errors import KistError, NotFound
from kist.stores.local import LocalStore

SAMPLES, STEPS = 250, 6
"""Crash states of one recorded program, and its length."""


class NamedOnlyStore(LocalStore):
    """A store on a file system without nameless files."""

    def _write_nameless(self, *_: object) -> bool:
        return False


def record(root: Path, kind: type[LocalStore], seed: int) -> tuple[Recorder, list[Model]]:
    """Make a repository in an empty folder and run a random program; each of its steps ends with an event ``acknowledged``."""
    root.mkdir()
    recorder = Recorder(root)
    steps, models = random_program(Model(), random.Random(seed), steps=STEPS, number=0)
    with recorder.recording():
        create_repository(kind(root), name="recorded")
        recorder.note("created")
        repo = opened(kind(root))
        for step in steps:
            step.act(repo, lambda: opened(kind(root), grace=0))
            recorder.note("acknowledged")
    return recorder, models


def opened(store: LocalStore, *, grace: float = 3600) -> Repository:
    """Open a repository as a machine does that has no cache of it."""
    return repository_on(store, name="recorded", grace=grace, cached=False)


def moments(recorder: Recorder, chance: random.Random, count: int) -> Iterator[int]:
    """Yield moments of a recorded run; few of those before the repository was acknowledged, which are many and alike."""
    verbs = [event.verb for event in recorder.events]
    created = verbs.index("created")
    for _ in range(count):
        yield chance.randrange(created + 1, len(verbs) + 1) if chance.random() < 0.95 else chance.randrange(created + 1)


def faults(recorder: Recorder, moment: int, models: list[Model], root: Path) -> Iterator[str]:
    """Yield what is wrong with a repository that was found after power was lost at a moment."""
    verbs = [event.verb for event in recorder.events[:moment]]
    store = LocalStore(root)
    if "created" not in verbs:
        yield from _without_repository(store)
        return
    acknowledged = verbs.count("acknowledged")
    form = form_of(opened(store))
    if form not in [model.form() for model in models[acknowledged:][:2]]:
        yield f"after {acknowledged} steps: {unlike(form, models[acknowledged].form())}"
    opened(LocalStore(root)).save("later", b"later")
    if opened(store).read("later") != b"later":
        yield "a later save is not read back"
    report = opened(store).verify("data")
    if not report.ok:
        yield f"verify found {report.problems}"


def _without_repository(store: LocalStore) -> Iterator[str]:
    """Look at a folder where a repository was being made, or had just been made: it is whole or not there."""
    try:
        repo = opened(store)
    except NotFound:
        repo = create_repository(store, name="recorded")
    if repo.log():
        yield "a new repository has versions"


@pytest.mark.parametrize("kind", [LocalStore, NamedOnlyStore])
def test_nothing_acknowledged_is_lost_with_power(quick_path: Path, kind: type[LocalStore]) -> None:
    wanted = scaled(5000)
    found: list[str] = []
    for seed in range(-(-wanted // SAMPLES)):
        recorder, models = record(quick_path / f"recorded-{seed}", kind, seed)
        chance = random.Random(seed)
        for moment in moments(recorder, chance, min(SAMPLES, wanted)):
            fate = chance.random()
            crash(recorder, moment, quick_path / "found", random.Random(fate))
            try:
                wrong = list(faults(recorder, moment, models, quick_path / "found"))
            except KistError as error:
                wrong = [repr(error)]
            found += [f"seed {seed}, event {moment} of {len(recorder.events)}, fate {fate}: {fault}" for fault in wrong]
        shutil.rmtree(quick_path / f"recorded-{seed}")
    assert found == []
