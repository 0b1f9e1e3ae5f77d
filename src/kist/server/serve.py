"""Run the site of one repository on this machine, until it is interrupted."""

import contextlib
import errno
import secrets
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable

import uvicorn

from kist.engine.opening import open_repository
from kist.errors import Busy, InvalidInput
from kist.server.app import make_app

__all__ = ["serve"]

FIRST_PORT = 7878
PORTS = 100
GRACE_SECONDS = 3
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def serve(
    repository_url: str,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    open_browser: bool = False,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve a repository, which is made if there is none, until Ctrl-C; downloads that still run then are given a few seconds.

    Args:
        repository_url: where it is.
        host: an address of this machine by which only this machine reaches it.
        port: where to listen; 0 is the first free one from 7878 on.
        open_browser: whether to open the login link in the user's browser.
        ready: is given the login link, which works once, when it works; the rule is to print it.

    Raises:
        InvalidInput: other machines could reach that host.
        Busy: no port is free.
        KistError: what opening the repository raises.
    """
    if host not in LOOPBACK:
        raise InvalidInput(f"kist up serves this machine alone, so its host is one of {', '.join(LOOPBACK)}, not {host!r}")
    repository = open_repository(repository_url)
    token = secrets.token_urlsafe(32)
    with _listen(host, port) as listener:
        home = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}/"
        link = f"{home}login?token={token}"

        def started() -> None:
            (ready or _announce(repository_url, home))(link)
            if open_browser:
                threading.Thread(target=webbrowser.open, args=(link,), daemon=True).start()

        config = uvicorn.Config(
            make_app(repository, login_token=token),
            lifespan="off",
            ws="none",
            proxy_headers=False,
            server_header=False,
            access_log=False,
            log_level="critical",  # the app tells all that goes wrong
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        with contextlib.suppress(KeyboardInterrupt):
            _Server(config, started).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Tells when it accepts connections."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._started()


def _announce(repository_url: str, home: str) -> Callable[[str], None]:
    def announce(link: str) -> None:
        sys.stdout.write(f"{repository_url} is at {home}\nLog in once with {link}\nCtrl-C ends it.\n")
        sys.stdout.flush()

    return announce


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket bound to the port, or to the first free one.

    Raises:
        Busy: it is taken, or all are.
    """
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
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
