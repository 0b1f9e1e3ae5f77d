"""The table of commands, and what stands before a command."""

import importlib
import inspect

import pytest
from tests.cli.running import Kist

from kist.cli.app import dash_last, make_app
from kist.cli.options import Everywhere
from kist.cli.table import COMMANDS, EVERYWHERE_NAMES, names, options_last, overview

SINGLE = {name: command for name, command in names() if not command.parts}


@pytest.mark.parametrize("name", SINGLE)
def test_a_command_says_of_itself_what_the_table_says(name: str) -> None:
    module, _, function = SINGLE[name].place.partition(":")
    told = inspect.getdoc(getattr(importlib.import_module(f"kist.cli.{module}"), function)) or ""
    words = set(SINGLE[name].summary.lower().replace(";", "").rstrip(".").split())
    assert len(words & set(told.lower().replace(";", "").replace(".", "").split())) >= len(words) / 2


@pytest.mark.parametrize("name", SINGLE)
def test_every_command_has_help(name: str, kist: Kist) -> None:
    result = kist.ok(*name.split(), "--help")
    assert f"kist {name}" in result.out
    assert "--repository" in result.out


def test_every_command_is_on_the_page(kist: Kist) -> None:
    page = kist.ok().out
    assert all(f"\n  {name} " in page for name in COMMANDS)
    assert page == kist.ok("--help").out == kist.ok("-h").out == kist.ok("help").out == overview(bold=False)


def test_help_is_a_command_too(kist: Kist) -> None:
    assert kist.ok("help", "ls").out == kist.ok("ls", "--help").out


def test_the_version_is_told(kist: Kist) -> None:
    assert kist.ok("--version").out == "kist 0.1.0\n"


def test_the_options_of_every_command_are_those_that_may_stand_before_it() -> None:
    arguments = make_app()["ls"].assemble_argument_collection()
    names = {name for one in arguments if one.field_info.name in Everywhere.__dataclass_fields__ for name in one.names}
    assert {name for name in names if not name.startswith("--no-")} == set(EVERYWHERE_NAMES)


@pytest.mark.parametrize(
    ("line", "ordered"),
    [
        ("-r /x --json ls a", "ls -r /x --json a"),
        ("--repository=/x -q ls", "ls --repository=/x -q"),
        ("ls -r /x", "ls -r /x"),
        ("--json mount -q list -r /x", "mount list --json -q -r /x"),
        ("--json mount --help", "mount --json --help"),
        ("--json", "--json"),
        ("", ""),
    ],
)
def test_options_before_a_command_go_behind_it(line: str, ordered: str) -> None:
    assert options_last(line.split()) == ordered.split()


@pytest.mark.parametrize(
    ("line", "ordered"),
    [
        ("save a - -m x", "save a -m x -- -"),
        ("save a -m -", "save a -m -"),
        ("save - -- a", "save -- a -"),
        ("save -- -", "save -- -"),
        ("ls", "ls"),
    ],
)
def test_a_lone_dash_is_no_option(line: str, ordered: str) -> None:
    assert dash_last(line.split()) == ordered.split()
