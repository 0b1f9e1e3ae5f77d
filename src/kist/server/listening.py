"""The socket that a server listens at."""

import errno
import socket
from typing import Final

from kist.errors import Busy, InvalidInput

__all__ = ["FIRST_PORT", "LOOPBACK", "listen"]

FIRST_PORT: Final = 7878
PORTS: Final = 100
LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


def listen(host: str, port: int) -> socket.socket:
    """Return a socket bound to the port, or to the first free one from 7878 on.

    Raises:
        InvalidInput: there is no such host.
        Busy: the port is taken, or all are.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise InvalidInput(f"there is no host {host!r} to listen at: {error.strerror}") from error
    for candidate in (port,) if port else range(FIRST_PORT, FIRST_PORT + PORTS):
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address[0], candidate))
            listener.listen()
        except OSError as error:
            listener.close()
            if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
                raise Busy(f"can't listen at {host}:{candidate}: {error.strerror}") from error
        else:
            return listener
    raise Busy(
        f"port {port} of {host} is taken: choose another"
        if port
        else f"ports {FIRST_PORT} to {FIRST_PORT + PORTS - 1} of {host} are all taken"
    )
