"""The command line. `main` runs one command: results go to stdout, all else to stderr, and programs can rely on the exit code.

0 done; 1 something unexpected; 2 asked wrongly; 3 and more as `kist.errors` says; 130 interrupted; 141 nobody reads the output any more.
"""

import contextlib
import gc
import os
import sys
import warnings
from collections.abc import Sequence

__all__ = ["main"]

INTERRUPTED, BROKEN_PIPE = 130, 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``kist`` with arguments (those of this process if none are given) and return the exit code.

    Raises:
        Exception: what went wrong, only where KIST_DEBUG is set; else it is told on stderr.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if argv is None:
        warnings.showwarning = _warned
    gc.disable()  # loading code leaves no garbage; looking for some takes a tenth of the time until `open_place` enables it
    try:
        return _told(words)
    finally:
        gc.enable()
        if argv is None:
            gc.freeze()  # nothing needs to be taken apart where the process ends


def _told(words: Sequence[str]) -> int:
    """Run a command, say how it went wrong if it did, and return the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # no name may end a listing
    try:
        code = _run(words)
        sys.stdout.flush()
    except BrokenPipeError:
        _forget_stdout()
        code = BROKEN_PIPE
    except KeyboardInterrupt as stop:
        sys.stderr.write(f"\nkist: {stop.args[0] if stop.args else 'interrupted'}\n")
        code = INTERRUPTED
    except Exception as error:
        if os.environ.get("KIST_DEBUG"):
            raise
        from kist.cli.failing import tell  # noqa: PLC0415 - most commands do well

        code = tell(error, words)
    return code


def _run(words: Sequence[str]) -> int:
    from kist.cli.table import options_last  # noqa: PLC0415 - an interrupt while something is loaded is told like any other

    completing = words[:1] == ["__complete"]  # a shell asks on behalf of the Tab key
    ordered = [*words[:1], *options_last(words[1:])] if completing else options_last(words)
    if (page := _page(ordered)) is not None:
        sys.stdout.write(page)
        return 0
    if ordered[0] == "help":
        ordered = [*ordered[1:], "--help"]
    if ordered[0] in {"--version", "-V"}:
        from kist import __version__  # noqa: PLC0415

        sys.stdout.write(f"kist {__version__}\n")
        return 0
    from kist.cli.app import run  # noqa: PLC0415 - costs a tenth of a second

    return run(ordered)


def _page(words: Sequence[str]) -> str | None:
    """Return the page about several commands that a line asks for, if it asks for one."""
    from kist.cli.table import EVERYWHERE_NAMES, group_overview, overview, short_overview  # noqa: PLC0415

    bold = sys.stdout.isatty()
    if not words or words[0].partition("=")[0] in {"-h", *EVERYWHERE_NAMES}:
        return short_overview(bold=bold)
    if words[0] == "--help" or list(words) == ["help"]:
        return overview(bold=bold)
    return (group_overview(words[1], bold=bold) or None) if words[0] == "help" else None


def _warned(message: Warning | str, *_: object, **__: object) -> None:
    """Write a warning, of a configuration file say, as one line that can't steer a terminal."""
    from kist.cli.output import warn  # noqa: PLC0415 - most commands do well

    warn(str(message))


def _forget_stdout() -> None:
    """Let the interpreter flush what is left to nowhere."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
