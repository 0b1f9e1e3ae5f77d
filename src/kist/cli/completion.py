"""``kist completion``: the Tab key in bash, zsh, fish and PowerShell."""

from typing import Annotated, Literal

from cyclopts import Parameter

from kist.cli.options import EVERYWHERE, Everywhere
from kist.cli.output import line, print_object
from kist.errors import InvalidInput

__all__ = ["completion"]


def completion(
    shell: Annotated[Literal["bash", "zsh", "fish", "powershell"] | None, Parameter(help="The shell that runs now if not said.")] = None,
    /,
    *,
    install: Annotated[bool, Parameter(help="Write it where the shell finds it, and into its start-up file.")] = False,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Print a script that completes commands, options, names and refs when you press Tab; or install it.

    Raises:
        InvalidInput: it is not known which shell runs now.
    """
    from cyclopts.completion import ShellDetectionError, detect_shell  # noqa: PLC0415 - seldom used

    from kist.cli.app import make_app  # noqa: PLC0415 - it imports this module

    try:
        shell = shell or detect_shell()
    except ShellDetectionError as error:
        raise InvalidInput("it is not known which shell runs now: kist completion bash, zsh, fish or powershell") from error
    app = make_app()
    if not install:
        script = app.generate_completion(shell=shell).rstrip()
        print_object({"shell": shell, "script": script}) if everywhere.json else line(script)
        return
    path = app.install_completion(shell=shell)
    if everywhere.json:
        print_object({"shell": shell, "path": str(path)})
    else:
        line(f"installed {path}; a new {shell} will use it")
