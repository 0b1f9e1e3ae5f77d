"""Understands a command line. A command's module is imported when it is run or asked for help."""

from collections.abc import Sequence
from functools import partial

from cyclopts import App, Group, Parameter

from kist.cli.table import COMMANDS, Command

__all__ = ["dash_last", "make_app", "run"]

DASH = "-"
TEXTS = {"-m", "--message", "--password", "--secret-id", "--token"}


def run(words: Sequence[str]) -> int:
    """Run one command line, the command first, and return its exit code.

    Raises:
        CycloptsError: the line makes no sense.
        KistError: the command failed.
    """
    code = make_app(words)(dash_last(words), exit_on_error=False, print_error=False, result_action="return_value")
    return code if isinstance(code, int) else 0


def make_app(words: Sequence[str] | None = None) -> App:
    """Return the command line.

    Args:
        words: the line that will be run. What it does not name is told by the table alone, and not imported.
    """
    new_app = partial(
        App,
        help_format="markdown",
        version_flags=(),
        default_parameter=Parameter(negative=(), show_default=_shown),
        group_parameters=Group("Options", sort_key=5),
        suppress_keyboard_interrupt=False,
    )
    app = new_app(name="kist")
    for order, (name, command) in enumerate(COMMANDS.items()):
        if command.parts:
            group = new_app(name=name, help=command.summary, sort_key=order, usage=usage_of(name, command))
            for place, (part, one) in enumerate(command.parts.items()):
                said = None if words is None or list(words[:2]) == [name, part] else one.summary
                group.command(f"kist.cli.{one.place}", name=part, help=said, usage=usage_of(f"{name} {part}", one), sort_key=place)
            app.command(group)
        else:
            app.command(f"kist.cli.{command.place}", name=name, usage=usage_of(name, command), sort_key=order)
    return app


def usage_of(name: str, command: Command) -> str:
    """Return the usage line of a command."""
    return f"Usage: kist {name} {command.usage}".rstrip() + " [OPTIONS]"


def dash_last(words: Sequence[str]) -> list[str]:
    """Return the line with a lone ``-``, standard input or output, at its end behind ``--``: else it would be taken for an option."""
    options = list(words[: words.index("--")] if "--" in words else words)
    names = list(words[len(options) + 1 :])
    dashes = [at for at, word in enumerate(options) if word == DASH and options[at - 1] not in TEXTS]
    if not dashes:
        return list(words)
    return [*(word for at, word in enumerate(options) if at not in dashes), "--", *names, *(DASH for _ in dashes)]


def _shown(default: object) -> str | None:
    """Return what help says of a default: nothing where leaving an option out says it all."""
    return str(default) if default else None
