"""A wire between a client and a server that a test can cut, listen to, and spoil."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class Wire:
    """Connections to `port` go to the server; `spoil` replaces words of the client by others."""

    port: int = 0
    downloaded: int = 0
    connections: int = 0
    spoil: tuple[bytes, bytes] = (b"", b"")
    _open: list[socket.socket] = field(default_factory=list)

    def cut(self) -> None:
        """End every connection, as a server does that restarts."""
        for end in self._open:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._open.clear()

    def carry(self, client: socket.socket, server: socket.socket) -> None:
        """Connect two ends."""
        self.connections += 1
        self._open += [client, server]
        threading.Thread(target=self._pump, args=(client, server), daemon=True).start()
        threading.Thread(target=self._pump, args=(server, client), kwargs={"down": True}, daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, *, down: bool = False) -> None:
        with contextlib.suppress(OSError):
            while part := source.recv(1 << 16):
                if down:
                    self.downloaded += len(part)
                elif self.spoil[0]:
                    part = part.replace(*self.spoil)
                target.sendall(part)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@contextlib.contextmanager
def wire_to(port: int) -> Iterator[Wire]:
    """Lend a wire to a port of this machine."""
    wire = Wire()
    with socket.create_server(("127.0.0.1", 0)) as door:
        wire.port = door.getsockname()[1]
        thread = threading.Thread(target=_accept, args=(door, wire, port), daemon=True)
        thread.start()
        try:
            yield wire
        finally:
            wire.cut()
            door.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def _accept(door: socket.socket, wire: Wire, port: int) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = door.accept()
            wire.carry(client, socket.create_connection(("127.0.0.1", port), timeout=60))


@contextlib.contextmanager
def silence() -> Iterator[int]:
    """Lend a port where somebody accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        yield door.getsockname()[1]
