"""``kill -9`` at every change that an operation makes on disk: nothing acknowledged is lost, or half there, or in the way."""

import os
import random
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import pytest
from tests.prove.actions import ACTIONS, Desk, furnish
from tests.prove.forms import Form, Tree, form_of, tree_on_disk, unlike, without_folders
from tests.prove.killing import Life, Say, live
from tests.prove.program import Model, Step, random_program
from tests.prove.scale import kills, scaled

from kist.engine.opening import open_repository, repository_on
from kist.engine.repository import Repository
from kist.errors import NotFound
from kist.stores.local import LocalStore, temporary
from kist.stores.local import store as local

MOST_CHANGES = 2000
PROBING, PROBE_STRIDE = scaled(60, least=20), 20
"""An action with many changes is a new repository's trial of its store, hundreds of creates: in its middle one in twenty will do."""
COLLECT_EVERY = 5
STEPS, ROUNDS = 5, 12
"""Of one random program, and of programs on one repository."""


class Outcome(NamedTuple):
    """How many processes were killed, and what was wrong afterwards."""

    killed: int
    faults: list[str]


def in_a_worker(job: Callable[..., Outcome], *args: object) -> Outcome:
    """Run a job in a process of its own, which may fork: the one of pytest has threads at work."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply_async(job, args).get(3600)


def kill_everywhere(name: str, folder: Path) -> Outcome:
    """Kill an action at each of its changes, each time on the same desk."""
    template = prepared(folder)
    before, after = _seen(template.copy_to(folder / "desk"), name), _seen_after(template.copy_to(folder / "desk"), name)
    killed, faults = 0, list[str]()
    total = live(partial(_act, name, template.copy_to(folder / "desk"))).changes
    for count in range(1, MOST_CHANGES):
        if PROBING < count < total - PROBING and count % PROBE_STRIDE:
            continue
        desk = template.copy_to(folder / "desk")
        life = live(partial(_act, name, desk), die_at=count)
        where = f"{name}, killed at change {count}: "
        faults += [where + fault for fault in _faults(name, desk, life, before, after, deep=count % COLLECT_EVERY == 0)]
        if life.finished or life.error:
            return Outcome(killed, faults)
        killed += 1
    return Outcome(killed, [*faults, f"{name} never came to its end"])


def prepared(folder: Path) -> Desk:
    """Make the desk that each process finds; the cache goes by the repository's path, so it must be used where it was made."""
    warnings.simplefilter("ignore", DeprecationWarning)  # forking beside idle threads is what this does
    os.environ["KIST_HOME"] = str(folder / "desk/home")
    return furnish(folder / "desk").copy_to(folder / "template")


class Seen(NamedTuple):
    """What a desk shows: the repository, the folder that is restored to, and whether another repository was made."""

    form: Form
    out: dict[str, str]
    another: bool


def _act(name: str, desk: Desk, say: Say) -> None:
    ACTIONS[name](desk)
    say("done")


def _seen(desk: Desk, name: str) -> Seen:
    """Look at a desk as a new process does."""
    out = {path: what for path, what in tree_on_disk(desk.out).items() if not path.rpartition("/")[2].startswith((".kist-", ".all."))}
    return Seen(form_of(desk.open()), out, name == "create" and _is_repository(desk.base / "another"))


def _seen_after(desk: Desk, name: str) -> Seen:
    ACTIONS[name](desk)
    return _seen(desk, name)


def _is_repository(folder: Path) -> bool:
    try:
        return open_repository(folder).log() == []
    except NotFound:
        return False


def _faults(name: str, desk: Desk, life: Life, before: Seen, after: Seen, *, deep: bool) -> Iterator[str]:
    """Yield all that is wrong after a process's death."""
    if life.error:
        yield f"the child failed: {life.error}"
    seen = _seen(desk, name)
    allowed = [after] if life.said else [before, after]
    if seen.form not in [one.form for one in allowed]:
        yield unlike(seen.form, after.form)
    if wrong := {path for path, what in seen.out.items() if what not in {one.out.get(path) for one in (before, after)}}:
        yield f"a restore left {wrong} wrong"
    if life.said and seen.out != after.out:
        yield f"a finished restore left {seen.out}"
    yield from _in_the_way(name, desk, after)
    report = desk.open().verify("data")
    if not report.ok:
        yield f"verify found {report.problems}"
    if deep:
        yield from _uncollected(desk)


def _in_the_way(name: str, desk: Desk, after: Seen) -> Iterator[str]:
    """Do something afterwards: what the dead left must not hinder, and what it left in the store is swept."""
    if name == "create":
        open_repository(desk.base / "another", create=True).save("x", b"x")
    elif name.startswith("restore"):
        desk.open().restore("docs" if name == "restore" else "", desk.out / ("docs" if name == "restore" else ""), ref="v1", overwrite=True)
        again = _seen(desk, name).out
        if without_folders(again) != without_folders(after.out):
            yield f"a second restore left {again}"
    desk.open().save("later", b"later")
    if desk.open().read("later") != b"later":
        yield "a later save is not read back"
    debris = desk.repo / os.fsdecode(temporary.FOLDER)
    if debris.exists() and any(debris.iterdir()):
        yield f"left {list(debris.iterdir())}"


def _uncollected(desk: Desk) -> Iterator[str]:
    """Collect, and look whether anything was left or lost."""
    before = form_of(desk.open())
    for _ in range(3):
        desk.collector().collect()
    left = desk.collector().collect(dry_run=True)
    if left.marked or left.deleted or left.waiting:
        yield f"three collections left {left}"
    fresh = repository_on(LocalStore(desk.repo), name=str(desk.repo), cached=False)
    if wrong := unlike(form_of(fresh), before):
        yield f"collecting changed something: {wrong}"
    if not (report := fresh.verify("data")).ok:
        yield f"after collecting, verify found {report.problems}"


def kill_everywhere_with_names(name: str, folder: Path) -> Outcome:
    """Do the same on a file system without nameless files, where debris has names."""
    with mock.patch.object(local, "_NAMELESS", 0):
        return kill_everywhere(name, folder)


@pytest.mark.parametrize("name", ["save a folder", "save on a branch", "tag", "collect twice", "repair"])
def test_killed_at_every_change_where_files_need_names(quick_path: Path, name: str) -> None:
    killed, faults = in_a_worker(kill_everywhere_with_names, name, quick_path)
    assert faults == []
    assert killed >= 3


@pytest.mark.parametrize("name", ACTIONS)
def test_killed_at_every_change(quick_path: Path, name: str) -> None:
    killed, faults = in_a_worker(kill_everywhere, name, quick_path)
    assert faults == []
    assert killed >= 3


def kill_at_random(total: int, folder: Path, seed: int) -> Outcome:
    """Kill random programs until so many died, half of them at a change and half at any moment, on repositories that live on."""
    warnings.simplefilter("ignore", DeprecationWarning)
    os.environ["KIST_HOME"] = str(folder / "home")
    chance, faults, killed, number = random.Random(seed), list[str](), 0, 0
    while killed < total and len(faults) < 10:
        number += 1
        root = folder / f"{number}"
        open_repository(root, create=True)
        model, known = Model(), dict[str, Tree]()
        for round_ in range(ROUNDS):
            steps, models = random_program(model, chance, steps=STEPS, number=STEPS * round_)
            die_at, kill_after = (chance.randrange(1, 90), 0.0) if chance.random() < 0.5 else (0, chance.uniform(0.0, 0.08))
            life = live(partial(_run, root, steps), die_at=die_at, kill_after=kill_after)
            killed += not life.finished
            repo = open_repository(root)
            form = form_of(repo, known)
            possible = [one for one in models[len(life.said) :][:2] if one.form() == form]
            if life.error or not possible:
                wrong = unlike(form, models[len(life.said)].form())
                where = f"seed {seed}, repository {number}, round {round_}, killed at {die_at or kill_after}"
                faults.append(f"{where}, after {len(life.said)} of {steps}: {life.error} {wrong}")
                break
            model = possible[0]
        faults += [f"seed {seed}, repository {number}: {fault}" for fault in _at_the_end(root, model)]
    return Outcome(killed, faults)


def _run(root: Path, steps: list[Step], say: Say) -> None:
    repo = open_repository(root)
    for step in steps:
        step.act(repo, lambda: _collector(root))
        say("done")


def _collector(root: Path) -> Repository:
    return repository_on(LocalStore(root), name=str(root), grace=0)


def _at_the_end(root: Path, model: Model) -> Iterator[str]:
    repo: Repository = repository_on(LocalStore(root), name=str(root), grace=0, cached=False)
    if not (report := repo.verify("data")).ok:
        yield f"verify found {report.problems}"
    for _ in range(3):
        repo.collect()
    if form_of(repository_on(LocalStore(root), name=str(root), cached=False)) != model.form():
        yield "collecting lost something"


def test_killed_at_any_moment(quick_path: Path) -> None:
    total = kills()
    killed, faults = in_a_worker(kill_at_random, total, quick_path, 20261120)
    assert faults == []
    assert killed >= total
