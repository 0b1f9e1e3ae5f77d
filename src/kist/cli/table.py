"""The table of commands, and the page that lists them. Loads nothing: ``kist`` alone answers at once."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

__all__ = ["COMMANDS", "EVERYWHERE_NAMES", "Command", "names", "options_last", "overview"]


class Command(NamedTuple):
    """Where a command is (``module:function``), its heading on the page, the arguments of its usage line, and what it does.

    One with `parts` does nothing by itself: the next word says what.
    """

    place: str
    heading: str
    usage: str
    summary: str
    parts: "Mapping[str, Command]" = MappingProxyType({})


SAVE, LOOK, BACK, REFS, ANYWHERE, REPOSITORY = "Save", "Look", "Get back", "Tags and branches", "Any place", "The repository"

COMMANDS = {
    "save": Command("saving:save", SAVE, "[NAME] PATH", "Save a file or folder as a version."),
    "mv": Command("changing:mv", SAVE, "NAME NEW-NAME", "Give a file or folder another name in a new version."),
    "rm": Command("changing:rm", SAVE, "NAME", "Remove a file or folder in a new version; earlier versions keep it."),
    "log": Command("history:log", LOOK, "[NAME]", "List versions, newest first."),
    "ls": Command("listing:ls", LOOK, "[NAME[@REF]]", "List what lies in a folder."),
    "cat": Command("listing:cat", LOOK, "NAME[@REF]", "Write a file's content to standard output."),
    "show": Command("history:show", LOOK, "[REF | NAME[@REF]]", "Show one version, or one thing in a version."),
    "diff": Command("comparing:diff", LOOK, "A [B] [PATH]", "List what differs between two versions."),
    "restore": Command("restoring:restore", BACK, "NAME[@REF] DESTINATION", "Write a file or folder of a version to this machine."),
    "export": Command("restoring:export", BACK, "NAME[@REF] FILE", "Write a file or folder of a version as one archive."),
    "tag": Command("refs:tag", REFS, "[NAME [REF]]", "Give a version a name that never moves, or list these names."),
    "branch": Command("refs:branch", REFS, "[NAME [REF]]", "Start a branch at a version, or list the branches."),
    "merge": Command("refs:merge", REFS, "REF", "Bring what another branch or version changed into a branch."),
    "cp": Command("copying:cp", ANYWHERE, "SOURCE DESTINATION", "Copy a file or folder between any two places."),
    "sync": Command("copying:sync", ANYWHERE, "SOURCE DESTINATION", "Make a folder hold what another one holds."),
    "stat": Command("anywhere:stat", ANYWHERE, "PLACE", "Show what is at a path or URL."),
    "url": Command("anywhere:url", ANYWHERE, "PLACE", "Print a URL by which anybody may read a file for a while."),
    "mount": Command(
        "",
        ANYWHERE,
        "COMMAND",
        "Give stores names: add, list, show, check, remove.",
        {
            "add": Command("mounting:add", ANYWHERE, "NAME", "Give a store a name, and keep it for later."),
            "list": Command("mounting:list_mounts", ANYWHERE, "", "List all mounts."),
            "show": Command("mounting:show", ANYWHERE, "NAME", "Show what a mount stands for."),
            "check": Command("checking:check", ANYWHERE, "PLACE", "Find out what a place can do."),
            "remove": Command("mounting:remove", ANYWHERE, "NAME", "Forget a mount that is kept."),
        },
    ),
    "init": Command("place:init", REPOSITORY, "[URL]", "Make a repository; one that is there already stays as it is."),
    "status": Command("place:status", REPOSITORY, "[PATH]", "Show what the repository holds, or what saving a PATH would change."),
    "verify": Command("keeping:verify", REPOSITORY, "", "Check what is stored."),
    "forget": Command("keeping:forget", REPOSITORY, "REF... --imsure", "End versions for ever."),
    "gc": Command("keeping:gc", REPOSITORY, "", "Free what no version needs."),
    "up": Command("place:up", REPOSITORY, "", "Show the repository in a browser."),
    "completion": Command(
        "completion:completion", REPOSITORY, "[SHELL]", "Print or install the script that completes a line at the Tab key."
    ),
}

EVERYWHERE_NAMES = {"--repository": True, "-r": True, "--json": False, "--quiet": False, "-q": False}
"""The options that every command takes, and whether each takes a value."""

HEAD = """\
kist saves, versions and gives back files and folders, on this machine or on any object store.

{usage} kist [OPTIONS] COMMAND ...
"""

FOOT = """\
  -r, --repository URL   which repository: a folder, s3://bucket/prefix, ...; else KIST_REPOSITORY, else one of your own
      --json             print JSON: an array for a listing, an object for one thing
  -q, --quiet            no progress, no notes
  -V, --version          print kist's version

A PLACE is a path on this machine or a URL: s3://bucket/key, sftp://host/path, https://..., kist://org/repo@ref/path, or a mount's;
ls, cat, rm and mv take URLs too. A NAME is a path in the repository. NAME@REF is that path in some version; a REF is
a number (v3), a tag, a branch, 8 or more digits of an id, or as-of:2026-11-20T10:00Z. Begin with kist save PATH;
kist COMMAND --help says more.
"""


def names() -> Iterator[tuple[str, Command]]:
    """Yield all commands by their whole names, ``mount`` and ``mount add`` too."""
    for name, command in COMMANDS.items():
        yield name, command
        for part, one in command.parts.items():
            yield f"{name} {part}", one


def overview(*, bold: bool) -> str:
    """Return the page that lists all commands; headings are bold where somebody can see it."""

    def heading(text: str) -> str:
        return f"\x1b[1m{text}\x1b[0m" if bold else text

    parts = [HEAD.format(usage=heading("Usage:"))]
    last = ""
    for name, command in COMMANDS.items():
        if command.heading != last:
            last = command.heading
            parts.append(f"\n{heading(last)}\n")
        parts.append(f"  {name:<12}{command.summary}\n")
    return "".join([*parts, f"\n{heading('Options')}\n", FOOT])


def options_last(words: Sequence[str]) -> list[str]:
    """Return the line with the options that every command takes behind the command, where they stood before it, or before its part."""
    rest, command, options = list(words), list[str](), list[str]()
    while True:
        while len(rest) > 1 and (takes := EVERYWHERE_NAMES.get(rest[0].partition("=")[0])) is not None:
            number = 2 if takes and "=" not in rest[0] else 1
            options += rest[:number]
            del rest[:number]
        has_parts = len(command) == 1 and command[0] in COMMANDS and bool(COMMANDS[command[0]].parts)
        if not rest or (command and (not has_parts or rest[0].startswith("-"))):
            return [*command, *options, *rest]
        command.append(rest.pop(0))
