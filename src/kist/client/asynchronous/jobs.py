"""Long work of an organisation."""

import asyncio
import time
from typing import Final

from kist.client.asynchronous.asking import Asking
from kist.client.progress import Told, told_nobody
from kist.errors import Busy, StoreError
from kist.models import Job
from kist.operations import GET_JOB, LIST_JOBS

__all__ = ["Jobs"]

FIRST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 2.0
PATIENCE_SECONDS: Final = 600.0


class Jobs(Asking):
    """Calls about long work."""

    async def list_jobs(self, org: str) -> list[Job]:
        """Return the long work in an organisation, newest first.

        Raises:
            NotFound: there is no such organisation, or you have no role there.
        """
        return await self._all(LIST_JOBS, org=org)

    async def get_job(self, org: str, job_id: str) -> Job:
        """Return how far a job is.

        Raises:
            NotFound: there is none with this id.
        """
        return await self._ask(GET_JOB, org=org, id=job_id)

    async def wait_for_job(self, org: str, job_id: str, *, progress: Told = told_nobody, patience_seconds: float = PATIENCE_SECONDS) -> Job:
        """Return a job when it is done. Whoever stops waiting does not stop the job.

        Args:
            org: of which organisation.
            job_id: which job.
            progress: is told how many bytes are done, and of how many.
            patience_seconds: how long it may stand still before nobody waits for it any more.

        Raises:
            NotFound: there is none with this id.
            StoreError: it failed; the message is the job's.
            Busy: it stands still; it goes on once somebody works on it.
        """
        pause, seen, since = FIRST_PAUSE, None, time.monotonic()
        while True:
            job = await self._ask(GET_JOB, org=org, id=job_id)
            progress(job.done_bytes, job.total_bytes)
            if job.state == "failed":
                raise StoreError(f"{job.operation} of {job.target} failed: {job.message}")
            if job.state == "done":
                return job
            if job != seen:
                seen, since = job, time.monotonic()
            elif time.monotonic() - since > patience_seconds:
                raise Busy(f"{job.operation} of {job.target} is {job.state}, and nobody works on it: a server would, or kist job run")
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)
