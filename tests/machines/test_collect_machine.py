"""Collecting beside writers, forgetters, readers and a second collector: real code, in an order that the test decides."""

import random

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from tests.engine.parts import examples
from tests.machines.collecting import World
from tests.machines.seeded import FAULTS, KINDS, MACHINES, SeededRun
from tests.prove.scale import scaled

from kist.stores.budget import submit
from kist.testing.faulty import Fault

AUTHORITIES = ("create", "fork")
NAMES = tuple(f"{kind}{number}" for number, kind in enumerate(MACHINES))


@pytest.mark.parametrize("authority", AUTHORITIES)
@pytest.mark.parametrize("block", range(4))
def test_no_order_of_calls_that_a_seed_draws_breaks_a_promise(authority: str, block: int) -> None:
    count = scaled(300)
    for seed in range(block * count, (block + 1) * count):
        SeededRun(seed, authority).run()


class CollectMachine(RuleBasedStateMachine):
    """Three writers, two collectors, a forgetter and a reader; Hypothesis decides who acts, fails, stalls and crashes."""

    authority = "create"
    world: World

    @initialize(seed=st.integers(0, 2**32))
    def begin_world(self, seed: int) -> None:
        """Make an empty repository and its machines."""
        self.dice = random.Random(seed)
        self.world = World(seed, self.authority, machines=MACHINES)

    @rule(name=st.sampled_from(NAMES), work=st.integers(0, 100), calls=st.integers(1, 40))
    def act(self, name: str, work: int, calls: int) -> None:
        """Let a machine begin something, or go on with what it does."""
        machine = self.world.machines[name]
        kinds = KINDS[machine.kind]

        def step() -> None:
            if machine.task is None:
                self.world.begin(machine, kinds[work % len(kinds)], self.dice)
            self.world.go_on(machine, calls=calls)

        submit(step).result()

    @rule(name=st.sampled_from(NAMES), fault=st.sampled_from(FAULTS))
    def fail(self, name: str, fault: Fault) -> None:
        """Let the next call of a machine fail, or its answer be lost."""
        submit(lambda: self.world.go_on(self.world.machines[name], fault=fault)).result()

    @rule(name=st.sampled_from(NAMES))
    def crash(self, name: str) -> None:
        """End what a machine does."""
        submit(lambda: self.world.crash(self.world.machines[name])).result()

    @rule(hours=st.sampled_from([1, 11, 13, 25, 49, 80]))
    def sleep(self, hours: int) -> None:
        """Let time pass, whoever is in the middle of something."""
        self.world.clock.advance(hours=hours)

    def teardown(self) -> None:
        """Let all work end, and read all that was promised."""
        if not hasattr(self, "world"):
            return
        try:
            submit(lambda: self.world.finish(self.dice)).result()
            if not self.world.oracle.has_holes():
                submit(self.world.check_all).result()
        finally:
            self.world.__exit__()


class ForkCollectMachine(CollectMachine):
    """The same on a store without put-if-absent."""

    authority = "fork"


SETTINGS = settings(
    max_examples=examples(15),
    stateful_step_count=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestCollectMachine = CollectMachine.TestCase
TestCollectMachine.settings = SETTINGS
TestForkCollectMachine = ForkCollectMachine.TestCase
TestForkCollectMachine.settings = SETTINGS
