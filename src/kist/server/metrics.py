"""Figures of a server for Prometheus, of all its processes together."""

import os
from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

__all__ = ["MEDIA_TYPE", "SHARED", "Figures"]

SHARED: Final = "PROMETHEUS_MULTIPROC_DIR"
"""The variable that names the folder by which processes share their figures; it is set before this module is imported."""
MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Figures:
    """Counts and times of requests; the names of operations are their only labels, so there are few."""

    def __init__(self, connections: Callable[[], int]) -> None:
        """Begin at zero; `connections` tells how many of the database are in use."""
        self._registry = registry = CollectorRegistry()
        self._requests = Counter("kist_requests", "Requests that were answered.", ["operation", "status"], registry=registry)
        self._seconds = Histogram("kist_request_seconds", "How long answers took.", ["operation"], buckets=_SECONDS, registry=registry)
        self._under_way = Gauge("kist_requests_in_flight", "Requests under way.", registry=registry, multiprocess_mode="livesum")
        self._connections = Gauge(
            "kist_database_connections", "Connections to the database in use.", registry=registry, multiprocess_mode="livesum"
        )
        self._count_connections = connections

    def begin(self) -> None:
        """Count a request that begins."""
        self._under_way.inc()

    def end(self, operation: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._under_way.dec()
        self._requests.labels(operation or "other", str(status)).inc()
        self._seconds.labels(operation or "other").observe(seconds)

    def text(self) -> bytes:
        """Return all figures as Prometheus reads them."""
        self._connections.set(self._count_connections())
        if not os.environ.get(SHARED):
            return generate_latest(self._registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)
