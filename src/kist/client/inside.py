"""The service in this process as a transport: no network, no server, the same operations."""

import asyncio
import threading
from typing import TYPE_CHECKING, Final

from kist.models.requests import Request
from kist.operations import MOVE_REPO, Operation
from kist.service.alone import open_alone
from kist.service.dispatch import Service
from kist.service.rooms import Caller
from kist.wire import check_request

if TYPE_CHECKING:
    from kist.service.jobs import Worker

__all__ = ["AloneTransport", "AsyncInside", "InsideTransport"]

POLL_SECONDS: Final = 0.5


class InsideTransport:
    """Asks a service that somebody else opened, and closes, as one caller."""

    def __init__(self, service: Service, caller: Caller, *, place: str = "this process") -> None:
        """Ask `service` as `caller`."""
        self.place = place
        self._service, self._caller = service, caller

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.place}>"

    def call[In: Request, Out](self, operation: Operation[In, Out], request: In) -> Out:
        """See `kist.client.transport.Transport`; an answer can't get lost here, so no key need name a change."""
        return self._service.call(operation, check_request(operation, request), self._caller)

    def close(self) -> None:
        """See `kist.client.transport.Transport`."""


class AloneTransport:
    """Asks the service of a user alone on this machine. It is opened when it is first asked, and made if this never was before."""

    place = "this machine"

    def __init__(self) -> None:
        """Open nothing yet."""
        self._lock = threading.Lock()
        self._opened: tuple[Service, Caller] | None = None
        self._worker: Worker | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def call[In: Request, Out](self, operation: Operation[In, Out], request: In) -> Out:
        """See `kist.client.transport.Transport`."""
        checked = check_request(operation, request)
        service, caller = self._open()
        answer = service.call(operation, checked, caller)
        if operation.name == MOVE_REPO.name:
            self._work(service)
        return answer

    def close(self) -> None:
        """See `kist.client.transport.Transport`."""
        with self._lock:
            opened, self._opened = self._opened, None
            worker, self._worker = self._worker, None
        if worker:
            worker.stop()
        if opened:
            opened[0].rooms.database.close()

    def _work(self, service: Service) -> None:
        """Have a thread do long work, for there is no server that would. What it leaves undone, the next one takes up."""
        from kist.service.jobs import Worker  # noqa: PLC0415 - needed by one operation

        with self._lock:
            if self._worker is None and self._opened is not None:
                self._worker = Worker(service, poll_seconds=POLL_SECONDS)
                self._worker.start()

    def _open(self) -> tuple[Service, Caller]:
        with self._lock:
            if self._opened is None:
                self._opened = open_alone()
            return self._opened


class AsyncInside:
    """The same for event loops: the service blocks, so it works in threads."""

    def __init__(self, blocking: InsideTransport | AloneTransport) -> None:
        """Ask through `blocking`."""
        self.blocking = blocking

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.place}>"

    @property
    def place(self) -> str:
        """See `kist.client.transport.Transport`."""
        return self.blocking.place

    async def call[In: Request, Out](self, operation: Operation[In, Out], request: In) -> Out:
        """See `kist.client.transport.AsyncTransport`."""
        return await asyncio.to_thread(self.blocking.call, operation, request)

    async def aclose(self) -> None:
        """See `kist.client.transport.AsyncTransport`."""
        await asyncio.to_thread(self.blocking.close)
