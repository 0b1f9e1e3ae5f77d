"""The console sessions in the documentation: each page's commands run in one shell, in an empty folder, and print what the page says.

Ids, times and compressed sizes differ and are not compared; ``...`` stands for anything.
"""

import doctest
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"^\$ (.*(?:\n> .*)*)\n", re.MULTILINE)
IDS = r"\b[0-9a-f]{64}\b|\b[0-9a-f]{32}\b|\b[0-9a-f]{12}\b"
TIMES = r"\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::[\d.]+Z)?"
COMPRESSED = r"[\d.]+ [kM]?B (?=read)|(?<=^stored:)\s+[\d.]+ [kM]?B$"
CHANGING = re.compile(f"{IDS}|{TIMES}|{COMPRESSED}", re.MULTILINE)
MARK = "@@ end of command @@"
PAGES = sorted(page for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")] if "```console\n" in page.read_text())


def told(page: Path) -> list[tuple[str, str]]:
    """Return the commands of a page, each with what it prints."""
    text = "".join(BLOCK.findall(page.read_text()))
    parts = COMMAND.split(text)
    return [(command.replace("\n> ", "\n"), output) for command, output in zip(parts[1::2], parts[2::2], strict=True)]


def printed(commands: list[str], folder: Path) -> list[str]:
    """Return what each command of a shell prints; the reader is mara, and new to kist."""
    (folder / "bin").mkdir()
    (folder / "home" / "mara").mkdir(parents=True)
    kist = folder / "bin" / "kist"
    kist.write_text(f'#!/bin/sh\nexec {sys.executable} -m kist "$@"\n')
    kist.chmod(0o755)
    variables = {"HOME": f"{folder}/home/mara", "KIST_AUTHOR": "mara", "LC_ALL": "C.UTF-8", "PATH": f"{folder}/bin:{os.environ['PATH']}"}
    script = "umask 022\n" + "".join(f"{command}\necho '{MARK}'\n" for command in commands)
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder / "home" / "mara",
        env=variables | {"PYTHONPATH": str(ROOT / "src"), "TERM": "dumb", "TZ": "UTC"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout.replace(str(folder), "").split(f"{MARK}\n")[:-1]


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_print_what_the_page_says(page: Path, tmp_path: Path) -> None:
    session = told(page)
    found = printed([command for command, _ in session], tmp_path)
    assert len(found) == len(session)
    checker = doctest.OutputChecker()
    for (command, wanted), got in zip(session, found, strict=True):
        want, was = CHANGING.sub("#", wanted), CHANGING.sub("#", got)
        assert checker.check_output(want, was, doctest.ELLIPSIS), f"$ {command}\n{got}"
