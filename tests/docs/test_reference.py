"""The reference is whole: every command and every public name has a heading, and what is generated is as its source says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import kist
from kist.cli.table import names

ROOT = Path(__file__).parents[2]
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
HEADINGS = {heading for page in (ROOT / "docs" / "reference").glob("*.md") for heading in HEADING.findall(page.read_text())}


@pytest.mark.parametrize("name", [name for name, _ in names()])
def test_every_command_has_a_heading(name: str) -> None:
    assert f"kist {name}" in HEADINGS


@pytest.mark.parametrize("name", kist.__all__)
def test_every_public_name_has_a_heading(name: str) -> None:
    assert name in HEADINGS


@pytest.mark.parametrize("room", ["engine", "service", "catalog", "client", "server"])
def test_every_module_is_in_the_architecture(room: str) -> None:
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text()
    section = page.split(f"## The modules of the {room}\n")[1].split("\n## ")[0]
    listed = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    modules = {path.stem for path in (ROOT / "src" / "kist" / room).glob("*.py")} - {"__init__"}
    assert sorted(listed) == sorted(modules)


def test_the_commands_are_as_the_command_line_tells_them() -> None:
    program = [sys.executable, str(ROOT / "docs" / "cli_reference.py"), "--check"]
    done = subprocess.run(program, capture_output=True, text=True, check=False, env={"PYTHONPATH": str(ROOT / "src")})
    assert done.returncode == 0, done.stderr
