"""Power lost at any moment: whatever the disk kept of what was not synced, nothing acknowledged is lost, and no wrong byte is read."""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.prove.forms import form_of, unlike
from tests.prove.power import Recorder, crash
from tests.prove.program import PATHS, Model, Step, random_program
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


def record(root: Path, kind: type[LocalStore], seed: int, home: Path) -> tuple[Recorder, list[Step], list[Model]]:
    """Make a repository in an empty folder and run a random program; each of its steps ends with an event ``acknowledged``.

    What the machine's cache holds then is kept beside the home, by the number of steps.
    """
    root.mkdir()
    recorder = Recorder(root)
    steps, models = random_program(Model(), random.Random(seed), steps=STEPS, number=0)
    with recorder.recording():
        create_repository(kind(root), name="recorded")
        recorder.note("created")
        repo = opened(kind(root))
        for number, step in enumerate(steps, 1):
            step.act(repo, lambda: opened(kind(root), grace=0))
            recorder.note("acknowledged")
            shutil.copytree(home, home.with_name(f"home-{number}"))
    return recorder, steps, models


def opened(store: LocalStore, *, grace: float = 3600, cached: bool = True) -> Repository:
    """Open a repository."""
    return repository_on(store, name="recorded", grace=grace, cached=cached)


def moments(recorder: Recorder, chance: random.Random, count: int) -> Iterator[int]:
    """Yield moments of a recorded run; few of those before the repository was acknowledged, which are many and alike."""
    verbs = [event.verb for event in recorder.events]
    created = verbs.index("created")
    for _ in range(count):
        yield chance.randrange(created + 1, len(verbs) + 1) if chance.random() < 0.95 else chance.randrange(1, created + 1)


def remember(home: Path, steps: int) -> None:
    """Let the machine's cache hold what it held after so many steps; nothing before the first."""
    shutil.rmtree(home, ignore_errors=True)
    if steps:
        shutil.copytree(home.with_name(f"home-{steps}"), home)


def faults(recorder: Recorder, moment: int, steps: list[Step], models: list[Model], root: Path) -> Iterator[str]:
    """Yield what is wrong with a repository that was found after power was lost at a moment."""
    verbs = [event.verb for event in recorder.events[:moment]]
    store = LocalStore(root)
    if "created" not in verbs:
        yield from _without_repository(store)
        return
    acknowledged = verbs.count("acknowledged")
    form = form_of(opened(store))
    reached = [number for number in range(acknowledged, len(models))[:2] if form == models[number].form()]
    if not reached:
        yield f"after {acknowledged} steps: {unlike(form, models[acknowledged].form())}"
        return
    for step, model in list(zip(steps, models[1:], strict=True))[reached[0] :][:2]:  # what was lost is done again
        step.act(opened(LocalStore(root)), lambda: opened(LocalStore(root), grace=0))
        if unlikeness := unlike(form_of(opened(store, cached=False)), model.form()):
            yield f"after {step} was repeated: {unlikeness}"
    opened(LocalStore(root)).save("later", b"later")
    repo, sober = opened(store), opened(store, cached=False)
    if sober.read("later") != b"later":
        yield "a later save is not read back"
    if wrong := [path for path in PATHS if repo.log(path) != sober.log(path)]:
        yield f"the log of {wrong} tells of what was lost"
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
def test_nothing_acknowledged_is_lost_with_power(quick_path: Path, kind: type[LocalStore], monkeypatch: pytest.MonkeyPatch) -> None:
    wanted, home = scaled(5000), quick_path / "home"
    monkeypatch.setenv("KIST_HOME", str(home))
    found: list[str] = []
    for seed in range(-(-wanted // SAMPLES)):
        shutil.rmtree(home, ignore_errors=True)
        recorder, steps, models = record(quick_path / f"recorded-{seed}", kind, seed, home)
        chance = random.Random(seed)
        for moment in moments(recorder, chance, min(SAMPLES, wanted)):
            fate = chance.random()
            crash(recorder, moment, quick_path / "found", random.Random(fate))
            acknowledged = sum(event.verb == "acknowledged" for event in recorder.events[:moment])
            remember(
                home, random.Random(fate).randint(acknowledged, STEPS)
            )  # it may even know what the disk lost: others read that meanwhile
            try:
                wrong = list(faults(recorder, moment, steps, models, quick_path / "found"))
            except KistError as error:
                wrong = [repr(error)]
            found += [f"seed {seed}, event {moment} of {len(recorder.events)}, fate {fate}: {fault}" for fault in wrong]
        for folder in (quick_path / f"recorded-{seed}", *quick_path.glob("home-*")):
            shutil.rmtree(folder)
    assert found == []
