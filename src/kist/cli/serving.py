"""``kist up`` and ``kist serve``: kist in a browser, for you alone or for an organisation."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from kist.cli.options import EVERYWHERE, Everywhere
from kist.errors import Unsupported

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["serve", "up"]


def up(
    *,
    host: Annotated[str, Parameter(help="Where to listen: 127.0.0.1, ::1 or localhost.")] = "127.0.0.1",
    port: Annotated[int, Parameter(help="On which port; a free one if not said.")] = 0,
    open_browser: Annotated[bool, Parameter(("--open", "-o"), help="Open the page in your browser.")] = False,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Show your repositories in a browser: pages on this machine, for you alone, until Ctrl-C.

    Raises:
        KistError: they can't be served.
    """
    _server("kist up").up(everywhere.repository or os.environ.get("KIST_REPOSITORY", ""), host=host, port=port, open_browser=open_browser)


def serve(
    *,
    config: Annotated[
        Path | None, Parameter(("--config", "-c"), metavar="FILE", help="The settings, in TOML; without it KIST_SERVER_… say all.")
    ] = None,
    migrate: Annotated[
        Literal["all", "pre", "none"],
        Parameter(help="Which migrations of the database to run first: all; pre, while servers of the release before run; none."),
    ] = "all",
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Serve an organisation until SIGTERM: the API, and the pages.

    Raises:
        KistError: it can't be served.
    """
    del everywhere  # its log is written as the settings say
    _server("kist serve").serve(config, migrate=migrate)


def _server(command: str) -> "ModuleType":
    try:
        from kist.server import serve  # noqa: PLC0415 - needs the extra
    except ImportError as error:
        raise Unsupported(f"{command} needs more than is installed ({error}): pip install 'kist[server]'") from error
    return serve
