"""Writes the commands into ``docs/reference/cli.md``, as the command line tells them: ``PYTHONPATH=src python docs/cli_reference.py``.

With ``--check`` nothing is written, and the exit code says whether the page is as it should be.
"""

import re
import sys
from pathlib import Path

from kist.cli.app import make_app
from kist.cli.table import Command, names

PAGE = Path(__file__).parent / "reference" / "cli.md"
BEGIN, END = "<!-- begin: written by docs/cli_reference.py -->\n", "<!-- end -->\n"
EVERYWHERE = re.compile(r"\n\*\*Everywhere\*\*:\n\n.*\Z", re.DOTALL)


def commands() -> str:
    """Return the headings and options of all commands, in the order and under the headings of ``kist --help``."""
    whole = make_app().generate_docs(output_format="markdown")
    told = dict(re.findall(r"^##+ kist ([\w -]+)\n(.*?)(?=^##+ kist |\Z)", whole, flags=re.DOTALL | re.MULTILINE))
    parts, last = [], ""
    for name, command in names():
        if command.heading != last:
            last = command.heading
            parts.append(f"## {last}\n")
        parts.append(section(name, command, told[name]))
    return "\n".join(parts)


def section(name: str, command: Command, told: str) -> str:
    """Return what there is to say of one command; what every command takes is said once, by hand."""
    if command.parts:
        return f"### kist {name}\n\n{command.summary}\n"
    usage = f"kist {name} {command.usage}".rstrip() + " [OPTIONS]"
    body = EVERYWHERE.sub("\n", told.split("```\n", 1)[1])
    lines = re.sub(r"\n\*\*(Arguments|Options)\*\*:\n", "", body).replace("\n\n* `", "\n* `").strip()
    return f"{'####' if ' ' in name else '###'} kist {name}\n\n```text\n{usage}\n```\n\n{lines.replace('\n* `', '\n\n* `', 1)}\n"


def main() -> int:
    """Write the page, or compare; return the exit code."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    written = rest.partition(END)[0]
    wanted = commands()
    if written == wanted:
        return 0
    if "--check" in sys.argv:
        sys.stderr.write(f"{PAGE} is not what the command line says: run python docs/cli_reference.py\n")
        return 1
    PAGE.write_text(before + BEGIN + wanted + END + rest.partition(END)[2])
    return 0


if __name__ == "__main__":
    sys.exit(main())
