"""Runs the app: ``kist up`` for the user of this machine, ``kist serve`` for many, until it is told to end.

Nothing that matters is in the memory of a process: any number of them, on any number of machines, may serve one database, and each may be
killed at any time.
"""

import contextlib
import logging
import os
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Iterator
from typing import Literal, override

import uvicorn

from kist.catalog.database import open_database
from kist.catalog.keyrings import following, load_keyring
from kist.engine.opening import open_repository
from kist.errors import Conflict, InvalidInput
from kist.models.requests import UserName
from kist.operations import CREATE_LOGIN_LINK
from kist.server import logs
from kist.server.app import make_app
from kist.server.connections import protocol
from kist.server.listening import LOOPBACK, listen
from kist.server.processes import Processes
from kist.server.render import site_name
from kist.server.settings import Keys, Limits, Listen, Metrics, ServerSettings, load_settings
from kist.server.sites import HERE
from kist.service import accounts
from kist.service.alone import open_alone
from kist.service.assembly import load_rooms, make_service
from kist.service.dispatch import Service
from kist.service.jobs import Worker
from kist.service.rooms import Rooms

__all__ = ["Migrate", "configure", "open_service", "serve", "up", "work"]

GRACE_SECONDS = 3
LATE_SECONDS = 5
POOL = 10

log = logging.getLogger(__name__)

Migrate = Literal["all", "pre", "none"]
"""Which migrations a server runs when it starts: all, those that servers of the release before can live with, or none."""


def up(
    repository_url: str = "",
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    open_browser: bool = False,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve the user of this machine until Ctrl-C; downloads that still run then are given a few seconds.

    Args:
        repository_url: a repository to be shown beside those of the catalog.
        host: an address of this machine by which only this machine reaches it.
        port: where to listen; 0 is the first free one from 7878 on.
        open_browser: whether to open the login link in the user's browser.
        ready: is given the login link, which works once, when it works; the rule is to print it.

    Raises:
        InvalidInput: other machines could reach that host.
        Busy: no port is free.
        KistError: what opening the catalog or the repository raises.
    """
    if host not in LOOPBACK:
        raise InvalidInput(f"kist up serves this machine alone, so its host is one of {', '.join(LOOPBACK)}, not {host!r}")
    here = {site_name(repository_url): open_repository(repository_url)} if repository_url else {}
    load_rooms()
    service, caller = open_alone()
    with contextlib.closing(service.rooms.database), listen(host, port) as listener:
        settings = ServerSettings(
            database="",
            keys=Keys(),
            listen=Listen(host=host, port=listener.getsockname()[1]),
            limits=Limits(principal_rate=1000, principal_burst=5000, address_rate=1000, address_burst=5000, stop_seconds=GRACE_SECONDS),
            metrics=Metrics(enabled=False),
        )
        link = service.call(CREATE_LOGIN_LINK, UserName(user=caller.who.name), caller)
        address = f"{settings.url}/login?token={link.token}"

        def started() -> None:
            home = f"{settings.url}/{HERE}/{next(iter(here))}" if here else f"{settings.url}/"
            (ready or _announce(repository_url or "kist", home))(address)
            if open_browser:
                threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()

        app = make_app(service, settings, here=here, by_link=True)
        with contextlib.suppress(KeyboardInterrupt), _jobs(service, 1):
            _Server(configure(app, settings), started).run(sockets=[listener])


def serve(path: str | os.PathLike[str] | None, *, migrate: Migrate = "all") -> None:
    """Serve an organisation until SIGTERM or Ctrl-C; answers under way are given their time.

    Args:
        path: the file of settings; without one the environment says all.
        migrate: which migrations to run first.

    Raises:
        InvalidInput: the settings make no sense.
        Conflict: the database needs migrations, and they were not to be run.
        Busy: the port is taken.
        KistError: what opening the database and the keyring raises.
    """
    settings = load_settings(path)
    logs.set_up(lines=settings.log.format, level=settings.log.level)
    service = open_service(settings)
    with contextlib.closing(service.rooms.database):
        if migrate != "none":
            service.rooms.database.migrate(migrate)
        if missing := [name for name in service.rooms.database.pending() if name.endswith("_pre")]:
            raise Conflict(
                f"the database at {service.rooms.database.url} needs {', '.join(missing)}: start a server without --migrate none"
            )
        link = accounts.first_admin(service.rooms)
    with listen(settings.listen.host, settings.listen.port) as listener:
        if link:
            sys.stdout.write(
                f"The first user is {link.user}, who manages the server: log in once with {settings.url}/login?token={link.token}\n"
            )
            sys.stdout.flush()
        log.info("kist serves at %s, processes: %d", settings.url, settings.workers)
        if settings.workers == 1:
            work(settings, listener)
        else:
            Processes(work, settings, listener).run()


def work(settings: ServerSettings, listener: socket.socket) -> None:
    """Serve in this process until it is told to end."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: ended.set())  # what comes before uvicorn listens, and again once it has ended
    load_rooms()
    service = open_service(settings)
    keys = following(service.rooms.keyring, settings.keys.file) if settings.keys.file else contextlib.nullcontext()
    with contextlib.closing(service.rooms.database), keys, _jobs(service, settings.jobs):
        _Server(configure(make_app(service, settings), settings), ended=ended).run(sockets=[listener])


def open_service(settings: ServerSettings) -> Service:
    """Return the service that the settings describe; nothing is sent yet.

    Raises:
        KistError: the database or the keyring can't be opened.
    """
    database = open_database(settings.database, pool_size=POOL)
    return make_service(Rooms(database=database, keyring=load_keyring(settings.keys.source), rules=settings.rules))


class _Server(uvicorn.Server):
    """Tells when it accepts connections, and ends in time whatever its threads do."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None] | None = None, *, ended: threading.Event | None = None) -> None:
        super().__init__(config)
        self._started, self._ended = started, ended

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._started:
            self._started()
        if self._ended and self._ended.is_set():
            self.should_exit = True

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        late = threading.Timer((self.config.timeout_graceful_shutdown or 0) + LATE_SECONDS, os._exit, (os.EX_SOFTWARE,))
        late.daemon = True  # a thread that waits for a store can't be ended
        late.start()
        await super().shutdown(sockets)


def configure(app: object, settings: ServerSettings) -> uvicorn.Config:
    """Return how uvicorn serves an app."""
    limits = settings.limits
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        http=protocol(header_bytes=limits.header_bytes, header_seconds=limits.header_seconds),
        lifespan="off",
        ws="none",
        proxy_headers=False,  # the guard reads them
        server_header=False,
        access_log=False,
        log_config=None,
        log_level="critical",  # the app tells all that goes wrong
        limit_concurrency=limits.connections,
        timeout_graceful_shutdown=int(limits.stop_seconds),
        ssl_certfile=settings.listen.tls_certificate or None,
        ssl_keyfile=settings.listen.tls_key or None,
    )


@contextlib.contextmanager
def _jobs(service: Service, count: int) -> Iterator[None]:
    """Do long work beside the requests, in threads of this process. What is not done when it ends, another process takes up."""
    workers = [Worker(service) for _ in range(count)]
    for one in workers:
        one.start()
    try:
        yield
    finally:
        for one in workers:
            one.stop(timeout_seconds=GRACE_SECONDS)


def _announce(what: str, home: str) -> Callable[[str], None]:
    def announce(link: str) -> None:
        sys.stdout.write(f"{what} is at {home}\nLog in once with {link}\nCtrl-C ends it.\n")
        sys.stdout.flush()

    return announce
