"""Several processes that serve one socket. One that dies is replaced; all end together, even if this one is killed."""

import logging
import multiprocessing
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from typing import Final

from prometheus_client.multiprocess import mark_process_dead

from kist.errors import StoreError
from kist.server import logs
from kist.server.metrics import SHARED
from kist.server.settings import ServerSettings

__all__ = ["Processes", "Work"]

LATE_SECONDS: Final = 10
EARLY_SECONDS: Final = 5
EARLY_DEATHS: Final = 5
TICK_SECONDS: Final = 0.2
log = logging.getLogger(__name__)

type Work = Callable[[ServerSettings, socket.socket], None]


class Processes:
    """Processes that do the same work."""

    def __init__(self, work: Work, settings: ServerSettings, listener: socket.socket) -> None:
        """Take what each does."""
        self._work, self._settings, self._listener = work, settings, listener
        self._context = multiprocessing.get_context("spawn")
        self._running: dict[SpawnProcess, float] = {}
        self._ending = threading.Event()

    def run(self) -> None:
        """Run them until SIGTERM or SIGINT.

        Raises:
            StoreError: they die as soon as they are started.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: self._ending.set())
        with tempfile.TemporaryDirectory(prefix="kist-metrics-") as shared:
            os.environ[SHARED] = shared
            try:
                self._keep()
            finally:
                self._end()

    def _keep(self) -> None:
        early = 0
        while not self._ending.is_set():
            while len(self._running) < self._settings.workers:
                process = self._context.Process(target=_child, args=(self._work, self._settings, self._listener))
                process.start()
                self._running[process] = time.monotonic()
            wait([process.sentinel for process in self._running], TICK_SECONDS)
            for process in [process for process in self._running if not process.is_alive()]:
                began = self._running.pop(process)
                mark_process_dead(process.pid)  # type: ignore[no-untyped-call]
                if self._ending.is_set():
                    continue
                log.error("a process ended by itself, with %s: another one takes its place", process.exitcode)
                early = early + 1 if time.monotonic() - began < EARLY_SECONDS else 0
                if early >= EARLY_DEATHS:
                    raise StoreError("the processes of the server end as soon as they are started: its log says why")
                self._ending.wait(early * TICK_SECONDS)

    def _end(self) -> None:
        for process in self._running:
            process.terminate()
        end = time.monotonic() + self._settings.limits.stop_seconds + LATE_SECONDS
        for process in self._running:
            process.join(max(0.0, end - time.monotonic()))
            if process.is_alive():
                log.error("a process did not end in time: it is killed")
                process.kill()
                process.join()


def _child(work: Work, settings: ServerSettings, listener: socket.socket) -> None:
    """Do the work in a process of its own, which does not outlive the one that started it."""
    logs.set_up(lines=settings.log.format, level=settings.log.level)
    threading.Thread(target=_follow, args=(settings.limits.stop_seconds + LATE_SECONDS,), daemon=True).start()
    work(settings, listener)


def _follow(seconds: float) -> None:
    """End this process when the one that started it is gone: gently at first."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(seconds)
        os._exit(os.EX_SOFTWARE)
