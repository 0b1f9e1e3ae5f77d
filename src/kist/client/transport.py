"""What a client stands on: something that does an operation of the table, wherever that is done.

An answer, or an error of `kist.errors`, is the same from a server and from the service in this process.
"""

from typing import Protocol

from kist.models.requests import Request
from kist.operations import Operation

__all__ = ["AsyncTransport", "Transport"]


class Transport(Protocol):
    """Does operations and waits for their ends. Threads may share one."""

    @property
    def place(self) -> str:
        """What people call it: a server's URL, or ``this machine``."""
        ...

    def call[In: Request, Out](self, operation: Operation[In, Out], request: In) -> Out:
        """Do an operation.

        A change whose answer got lost is asked for again with the same idempotency key, so it is done once.

        Raises:
            KistError: what the operation raises.
            StoreError: there was no answer; whether a change was made is unknown.
        """
        ...

    def close(self) -> None:
        """Give back what it holds; more than once is no error."""
        ...


class AsyncTransport(Protocol):
    """The same for event loops."""

    @property
    def blocking(self) -> Transport:
        """The same place for threads, such as those of an opened repository."""
        ...

    @property
    def place(self) -> str:
        """See `Transport.place`."""
        ...

    async def call[In: Request, Out](self, operation: Operation[In, Out], request: In) -> Out:
        """See `Transport.call`."""
        ...

    async def aclose(self) -> None:
        """See `Transport.close`."""
        ...
