"""The one place where it is decided what a client stands on: a server, or the service in this process; what it needs is loaded then."""

from kist.client.servers import Server
from kist.client.transport import AsyncTransport, Transport

__all__ = ["open_async_transport", "open_transport"]


def open_transport(server: Server | None) -> Transport:
    """Return a transport for threads; nothing is sent or opened yet."""
    if server is None:
        from kist.client.inside import AloneTransport  # noqa: PLC0415 - a client of a server needs no database

        return AloneTransport()
    from kist.client.http import HttpTransport  # noqa: PLC0415 - a user alone needs no HTTP

    return HttpTransport(server)


def open_async_transport(server: Server | None) -> AsyncTransport:
    """Return a transport for event loops; nothing is sent or opened yet."""
    if server is None:
        from kist.client.inside import AloneTransport, AsyncInside  # noqa: PLC0415 - see above

        return AsyncInside(AloneTransport())
    from kist.client.http import AsyncHttpTransport  # noqa: PLC0415 - see above

    return AsyncHttpTransport(server)
