"""The network fails in the middle of a transfer: the target is complete and right, or as it was, and the next try succeeds."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.prove.scale import scaled
from tests.prove.transferring import KINDS, Trial, Ways, two_ways
from tests.servers.proxy import proxying
from tests.servers.s3 import S3Server

FAULTS = 1000


@pytest.fixture
def ways(ministack: S3Server) -> Iterator[Ways]:
    with proxying(ministack.port) as proxy, two_ways(ministack, proxy) as made:
        yield made


@pytest.mark.peer("MiniStack")
@pytest.mark.parametrize("kind", KINDS)
def test_whatever_fails_the_target_is_never_half_done(kind: str, ways: Ways, quick_path: Path) -> None:
    for number in range(scaled(FAULTS // len(KINDS) + 1)):
        trial = Trial(kind=KINDS[kind], seed=f"{kind} {number}", ways=ways, folder=quick_path)
        try:
            trial.run()
        except BaseException as error:
            error.add_note("\n".join(trial.told))
            raise
        shutil.rmtree(quick_path / trial.name)
