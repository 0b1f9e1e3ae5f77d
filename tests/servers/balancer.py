"""What stands in front of several servers: each connection goes to the next one that accepts it, and ends when either side does."""

import contextlib
import itertools
import socket
import threading
from collections.abc import Iterator, Sequence

BLOCK_BYTES = 64 << 10
PATIENCE_SECONDS = 30.0


@contextlib.contextmanager
def balancing(ports: Sequence[int]) -> Iterator[int]:
    """Stand in front of what listens at these ports of 127.0.0.1, and yield the port of one's own."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        turns = itertools.cycle(range(len(ports)))
        threading.Thread(target=_accept, args=(listener, ports, turns), daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, ports: Sequence[int], turns: Iterator[int]) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = listener.accept()
            first = next(turns)
            threading.Thread(target=_join, args=(client, [*ports[first:], *ports[:first]]), daemon=True).start()


def _join(client: socket.socket, ports: Sequence[int]) -> None:
    """Join a connection to the first server that takes it; one that nobody takes just ends."""
    for port in ports:
        with contextlib.suppress(OSError):
            server = socket.create_connection(("127.0.0.1", port), timeout=1)
            break
    else:
        client.close()
        return
    server.settimeout(PATIENCE_SECONDS)
    client.settimeout(PATIENCE_SECONDS)
    back = threading.Thread(target=_pump, args=(server, client), daemon=True)
    back.start()
    _pump(client, server)
    back.join()
    client.close()
    server.close()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while block := source.recv(BLOCK_BYTES):
            target.sendall(block)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
