"""Runs of the world of `collecting` in which a seed decides everything."""

import random
from dataclasses import dataclass
from datetime import timedelta

from tests.machines.collecting import GRACE, Broken, Machine, World

from kist.stores.budget import submit
from kist.testing.faulty import Fault
from kist.testing.simulation import Call

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
CRASH, FAULTY, RESTART, AWAKE = 0.01, 0.02, 0.05, 0.4
IDLE = {"writer": (0.5, (0.1, 0.5, 1, 1, 12)), "collector": (0.7, (0.1, 0.8, 1.5)), "forgetter": (0.6, (0.1, 1)), "reader": (0.8, (1,))}
STALLS = (0.2, 0.45, 0.6, 1.1, 1.1, 2.2, 3.5)
READS, WRITING = ("get", "get_range", "head", "list", "list_folders"), ("put", "create")
PLACES = {
    "writer": (
        (WRITING, "refs/", 1),
        (WRITING, "refs/", 1),
        (("list",), "gc/tomb/", 3),
        (WRITING, "packs/", 2),
        (("head", "list"), "", 6),
        (READS, "", 12),
    ),
    "collector": ((WRITING, "gc/tomb/", 3), (("delete",), "packs/", 3), (WRITING, "packs/", 2), (READS, "", 100), (("delete",), "gc/", 3)),
    "forgetter": ((WRITING, "refs/", 3), (READS, "", 12)),
    "reader": ((READS, "", 12),),
}


class SeededRun:
    """One run. The same seed gives the same run, call by call."""

    def __init__(self, seed: int, authority: str = "create", *, steps: int = 600) -> None:
        self.seed, self.authority, self.steps = seed, authority, steps
        self.world: World | None = None
        self._plans: dict[str, Plan | None] = {}

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
        world.clock.advance(seconds=dice.randrange(60))
        machine = dice.choice(ready)
        machine.until = None
        plan = self._plans.get(machine.name)
        if machine.task is None:
            self._idle(world, machine, dice)
        elif plan and machine.task.pending and plan.is_at(machine.task.pending):
            self._plans[machine.name] = None
            machine.until = world.clock.now() + plan.stall
            world.simulation.note(f"{machine.name}: STALLS before {machine.task.pending} for {plan.stall / timedelta(hours=1):.0f} h")
        elif dice.random() < CRASH:
            world.crash(machine)
        else:
            fault = dice.choice(FAULTS) if dice.random() < FAULTY else None
            bursts = (1, 2, 4, 8) if machine.kind == "writer" else (1, 4, 16, 64)
            world.go_on(machine, calls=1 if fault else dice.choice(bursts), fault=fault)

    def _idle(self, world: World, machine: Machine, dice: random.Random) -> None:
        chance, graces = IDLE[machine.kind]
        if dice.random() < chance:
            machine.until = world.clock.now() + dice.random() * dice.choice(graces) * GRACE
            return
        if dice.random() < RESTART:
            world.restart(machine)
        plan = self._plans[machine.name] = draw_plan(machine, dice)
        world.begin(machine, dice.choice(KINDS[machine.kind]), dice)
        if machine.task and plan:
            machine.task.stops = plan.stops


@dataclass
class Plan:
    """Where somebody who does something falls asleep: at the how-manieth call of some verbs below some key."""

    verbs: tuple[str, ...]
    prefix: str
    skip: int
    stall: timedelta

    def stops(self, call: Call) -> bool:
        """Say whether a task is to stop before this call, to be looked at."""
        return call.verb in self.verbs and call.key.startswith(self.prefix)

    def is_at(self, call: Call) -> bool:
        """Say whether this is the place; called once for each call at which the task stopped."""
        if not self.stops(call):
            return False
        self.skip -= 1
        return self.skip < 0


def draw_plan(machine: Machine, dice: random.Random) -> Plan | None:
    """Draw where somebody stalls: rather where it hurts."""
    if dice.random() < AWAKE:
        return None
    verbs, prefix, skips = dice.choice(PLACES[machine.kind])
    return Plan(verbs, prefix, dice.randrange(skips), dice.choice(STALLS) * GRACE)


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
