"""Time as the engine needs it: one to write down, one to measure with. Tests bring their own."""

import time
from typing import Protocol

__all__ = ["Clock", "SystemClock"]


class Clock(Protocol):
    """Two clocks and a way to wait."""

    def now(self) -> int:
        """Return microseconds since 1970 UTC; may jump."""
        ...

    def elapsed(self) -> float:
        """Return seconds since some fixed moment; never jumps, and goes on while the machine sleeps."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """The clocks of this machine."""

    def now(self) -> int:
        """Return microseconds since 1970 UTC."""
        return time.time_ns() // 1000

    def elapsed(self) -> float:
        """Return seconds by CLOCK_BOOTTIME, which counts a laptop's sleep; CLOCK_MONOTONIC where there is none."""
        return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)
