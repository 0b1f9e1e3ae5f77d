"""A clock that tests move."""

import threading
from datetime import UTC, datetime, timedelta

__all__ = ["VirtualClock"]


class VirtualClock:
    """Time that stands still until it is advanced; `now` fits `kist.stores.memory.MemoryStore(clock=…)`."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = start
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Return the time, in UTC."""
        return self._now

    def advance(self, **by: float) -> datetime:
        """Move the clock, forwards or backwards, by ``hours=1``, ``seconds=-5``, …, and return the new time."""
        with self._lock:
            self._now += timedelta(**by)
            return self._now
