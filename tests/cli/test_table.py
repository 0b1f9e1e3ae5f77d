"""The table of commands, and what stands before a command."""

import importlib
import inspect

import pytest
from tests.cli.running import Kist

from kist.cli.app import dash_last, make_app
from kist.cli.options import Everywhere
from kist.cli.table import COMMANDS, EVERYWHERE_NAMES, headings, names, options_last, overview, short_overview

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
    page = kist.ok("--help").out
    assert all(f"\n  {name:<12}{command.summary}\n" in page for name, command in COMMANDS.items())
    assert page == kist.ok("help").out == overview(bold=False)


def test_the_first_page_names_every_command_and_fits_a_small_terminal(kist: Kist) -> None:
    page = kist.ok().out
    assert all(f" {name} " in page.replace("\n", "  ") for name in COMMANDS)
    assert page == kist.ok("-h").out == kist.ok("--json").out == short_overview(bold=False)
    assert len(page.splitlines()) < 24


@pytest.mark.parametrize("page", [short_overview(bold=False), overview(bold=False)])
def test_pages_are_as_wide_as_a_small_terminal(page: str) -> None:
    assert [line for line in page.splitlines() if len(line) > 80] == []


def test_headings_are_bold_where_somebody_sees_it() -> None:
    assert all(f"\x1b[1m{heading}\x1b[0m" in page(bold=True) for heading in headings() for page in (overview, short_overview))


@pytest.mark.parametrize("heading", headings())
def test_a_word_of_a_heading_lists_its_commands_with_their_parts(kist: Kist, heading: str) -> None:
    word = heading.rsplit(maxsplit=1)[-1].lower()
    page = kist.ok("help", word).out
    listed = {name for name, command in names() if command.heading == heading and not command.parts}
    assert page.startswith(f"{heading}\n")
    assert {name for name in listed if f"\n  {name} " in page} == listed
    assert [line for line in page.splitlines() if len(line) > 80] == []


def test_help_is_a_command_too(kist: Kist) -> None:
    assert kist.ok("help", "ls").out == kist.ok("ls", "--help").out
    assert kist.ok("help", "mount", "add").out == kist.ok("mount", "add", "--help").out
    assert kist("help", "nothing").code == 2


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
