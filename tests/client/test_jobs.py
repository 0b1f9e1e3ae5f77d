"""Waiting for long work: until its end, and not for ever."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from kist import AsyncClient, Client
from kist.errors import Busy, StoreError
from kist.models import Job
from kist.models.requests import Request
from kist.operations import Operation

BEGUN = datetime(2026, 11, 20, tzinfo=UTC)
WAITING = Job(id="1", operation="move_repo", target="lab/cube", state="waiting", total_bytes=8, created=BEGUN, updated=BEGUN)
RUNNING = replace(WAITING, state="running", done_bytes=3, updated=BEGUN + timedelta(seconds=1))
DONE = replace(RUNNING, state="done", done_bytes=8)
FAILED = replace(RUNNING, state="failed", message="the bucket is full")


@dataclass
class States:
    """A transport that tells one state of a job after another, and the last one again and again."""

    states: Sequence[Job]
    asked: int = 0
    place: str = "a test"

    def call[In: Request, Out](self, operation: Operation[In, Out], _request: In) -> Out:
        """Answer with the next state."""
        assert operation.name == "get_job"
        self.asked += 1
        return cast("Out", self.states[min(self.asked, len(self.states)) - 1])

    def close(self) -> None:
        """Hold nothing."""


@dataclass
class AsyncStates:
    """The same for event loops."""

    blocking: States

    @property
    def place(self) -> str:
        """Say where."""
        return self.blocking.place

    async def call[In: Request, Out](self, operation: Operation[In, Out], request: In) -> Out:
        """Answer with the next state."""
        return self.blocking.call(operation, request)

    async def aclose(self) -> None:
        """Hold nothing."""


def test_whoever_waits_is_told_how_far_it_is() -> None:
    told: list[tuple[int, int]] = []
    job = Client.over(States([WAITING, RUNNING, DONE])).wait_for_job("lab", "1", progress=lambda done, total: told.append((done, total)))
    assert (job, told) == (DONE, [(0, 8), (3, 8), (8, 8)])


def test_waiting_in_an_event_loop() -> None:
    client = AsyncClient.over(AsyncStates(States([WAITING, RUNNING, DONE])))
    assert asyncio.run(client.wait_for_job("lab", "1")) == DONE


def test_a_failure_is_told_in_the_words_of_the_job() -> None:
    with pytest.raises(StoreError, match="move_repo of lab/cube failed: the bucket is full"):
        Client.over(States([RUNNING, FAILED])).wait_for_job("lab", "1")


def test_nobody_waits_for_what_stands_still() -> None:
    with pytest.raises(Busy, match="is running, and nobody works on it"):
        Client.over(States([WAITING, RUNNING])).wait_for_job("lab", "1", patience_seconds=0)
