"""Runs of the world of `collecting` in which a seed decides everything."""

import random
from datetime import timedelta

from tests.machines.collecting import GRACE, Broken, Machine, World

from kist.stores.budget import submit
from kist.testing.faulty import Fault

MACHINES = ("writer", "writer", "writer", "collector", "collector", "forgetter", "reader")
WRITES = (
    "save",
    "save",
    "save",
    "save_folder",
    "change",
    "change",
    "change",
    "delete",
    "delete",
    "move",
    "copy",
    "copy",
    "merge",
    "fork",
    "tag",
)
KINDS = {"writer": WRITES, "collector": ("collect",), "forgetter": ("forget",), "reader": ("read",)}
FAULTS = (Fault.LOST_RESPONSE, Fault.ERROR_BEFORE, Fault.OWN_WRITE_412, Fault.SPURIOUS_409, Fault.LIST_ERROR)
TRACE_LINES = 400


class SeededRun:
    """One run. The same seed gives the same run, call by call."""

    def __init__(self, seed: int, authority: str = "create", *, steps: int = 600) -> None:
        self.seed, self.authority, self.steps = seed, authority, steps
        self.world: World | None = None

    def run(self) -> World:
        """Run to the end.

        Raises:
            AssertionError: a promise was broken; the message has the seed and what happened.
        """
        return submit(self._run).result()  # on a thread of the pool, where nested work is done at once

    def _run(self) -> World:
        dice = random.Random(self.seed)
        with World(self.seed, self.authority, machines=MACHINES) as world:
            self.world = world
            try:
                for _ in range(self.steps):
                    self._step(world, dice)
                world.finish(dice)
                if not world.oracle.has_holes():
                    world.check_all()
                    settle_down(world)
            except Exception as error:
                trace = "\n".join(world.simulation.trace[-TRACE_LINES:])
                raise Broken(f"SeededRun({self.seed}, {self.authority!r}, steps={self.steps}): {error}\n{trace}") from error
            return world

    def _step(self, world: World, dice: random.Random) -> None:
        ready = [machine for machine in world.machines.values() if machine.until is None or machine.until <= world.clock.now()]
        if not ready:
            earliest = min(machine.until for machine in world.machines.values() if machine.until)
            world.clock.advance(seconds=(earliest - world.clock.now()).total_seconds())
            return
        world.clock.advance(seconds=dice.randrange(120))
        machine = dice.choice(ready)
        machine.until = None
        if machine.task is None:
            self._idle(world, machine, dice)
        elif dice.random() < stall_chance(machine):
            machine.until = world.clock.now() + dice.choice((0.1, 0.6, 1.1, 2.3, 3.5)) * GRACE
            world.simulation.note(
                f"{machine.name}: STALLS before {machine.task.pending} for {(machine.until - world.clock.now()) / timedelta(hours=1):.0f} h"
            )
            if dice.random() < 0.2:
                world.go_on(machine)
        elif dice.random() < 0.01:
            world.crash(machine)
        else:
            fault = dice.choice(FAULTS) if dice.random() < 0.03 else None
            world.go_on(machine, calls=1 if fault else dice.choice((1, 2, 4, 8, 16)), fault=fault)

    def _idle(self, world: World, machine: Machine, dice: random.Random) -> None:
        if dice.random() < 0.3:
            machine.until = world.clock.now() + dice.random() * GRACE / 2
            return
        if dice.random() < 0.05:
            world.restart(machine)
        world.begin(machine, dice.choice(KINDS[machine.kind]), dice)


def stall_chance(machine: Machine) -> float:
    """Return how likely a machine stalls before its pending call: more likely where it hurts."""
    pending = machine.task.pending if machine.task else None
    if pending is None:
        return 0.0
    hurts = pending.verb in ("put", "create", "delete") and pending.key.startswith(("refs/", "gc/tomb/", "packs/"))
    return 0.15 if hurts else 0.01


def settle_down(world: World) -> None:
    """Forget all but the heads, let time pass, and see that collecting frees what is dead."""
    repo = world.fresh()
    heads = world.oracle.heads()
    gone = sorted({entry.version for entry in world.oracle.entries.values()} - heads)
    world.forgetting |= {version.hex() for version in gone}
    repo.forget([version.hex() for version in gone], imsure=True)
    live = dead = 0
    for _ in range(16):
        world.clock.advance(hours=25)
        found = world.fresh().collect()
        live, dead = found.live_bytes, found.dead_bytes
    world.check_all()
    packs = [meta.size_bytes for meta in world.store.list("packs/")]
    if sum(packs) > 2 * live + 300 * len(packs) + 2000:
        raise Broken(f"{sum(packs)} bytes are stored in {len(packs)} packs for {live} that are needed ({dead} dead)")
    if tombs := [meta.key for meta in world.store.list("gc/tomb/")]:
        raise Broken(f"tombstones never go away: {tombs}")
