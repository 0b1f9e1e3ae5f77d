"""The table of commands, and the pages that list them. Loads nothing: ``kist`` alone answers at once."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

__all__ = ["COMMANDS", "EVERYWHERE_NAMES", "Command", "group_overview", "headings", "names", "options_last", "overview", "short_overview"]


class Command(NamedTuple):
    """Where a command is (``module:function``), its heading on the page, the arguments of its usage line, and what it does.

    One with `parts` does nothing by itself: the next word says what.
    """

    place: str
    heading: str
    usage: str
    summary: str
    parts: "Mapping[str, Command]" = MappingProxyType({})


SAVE, LOOK, BACK, REFS, ANYWHERE, REPOSITORY = "Save and change", "Look", "Get back", "Tags and branches", "Any place", "The repository"
ORGANISATION, KEEPING, MACHINE = "Organisation", "Repositories and buckets", "This machine"

WHICH_REPO = "REPO"
COLUMNS, SHORTEST, WIDEST = 80, 3, 24


def _group(heading: str, summary: str, parts: Mapping[str, tuple[str, str, str]]) -> Command:
    return Command(
        "", heading, "COMMAND", summary, {name: Command(place, heading, usage, said) for name, (place, usage, said) in parts.items()}
    )


_MOUNT = {
    "add": ("mounting:add", "NAME", "Give a store a name, and keep it for later."),
    "list": ("mounting:list_mounts", "", "List all mounts."),
    "show": ("mounting:show", "NAME", "Show what a mount stands for."),
    "check": ("checking:check", "PLACE", "Find out what a place can do."),
    "remove": ("mounting:remove", "NAME", "Forget a mount that is kept."),
}
_ORG = {
    "list": ("orgs:list_orgs", "", "List your organisations."),
    "create": ("orgs:create", "NAME", "Make an organisation; you are its admin."),
    "show": ("orgs:show", "[NAME]", "Show an organisation."),
    "update": ("orgs:update", "NAME", "Change what an organisation says of itself."),
    "delete": ("orgs:delete", "NAME", "Delete an organisation that has no repositories."),
}
_MEMBER = {
    "list": ("members:list_members", "", "List the members of an organisation."),
    "set": ("members:set_member", "USER ROLE", "Give a user a role in an organisation."),
    "remove": ("members:remove", "USER", "Take a user out of an organisation."),
}
_ACCOUNT = {
    "list": ("members:list_accounts", "", "List the service accounts of an organisation."),
    "create": ("members:create_account", "NAME", "Make an account for a program."),
    "update": ("members:update_account", "NAME", "Change the role of a service account, or disable it."),
    "delete": ("members:delete_account", "NAME", "Delete a service account with its keys."),
}
_USER = {
    "list": ("users:list_users", "", "List all users of a server."),
    "create": ("users:create", "NAME", "Make a user."),
    "update": ("users:update", "NAME", "Change a user, or disable one."),
    "link": ("users:link", "NAME", "Make a link that logs a user in, once."),
    "set-password": ("users:set_password", "", "Set your own password."),
}
_KEY = {
    "create": ("keys:create_pair", "NAME", "Make an access key and its secret for S3 clients."),
    "list": ("keys:list_pairs", "", "List S3 keys."),
    "revoke": ("keys:revoke_pair", "ID", "End an S3 key."),
}
_TOKEN = {
    "create": ("keys:create_token", "NAME", "Make an API token."),
    "list": ("keys:list_tokens", "", "List API tokens."),
    "revoke": ("keys:revoke_token", "ID", "End an API token."),
}
_AUDIT = {
    "list": ("auditing:list_audit", "", "List who did what, newest first."),
    "verify": ("auditing:verify", "", "Check that no line of the audit log was changed or removed."),
}
_REPO = {
    "create": ("repos:create", WHICH_REPO, "Make a repository."),
    "list": ("repos:list_repos", "", "List repositories."),
    "show": ("repos:show", WHICH_REPO, "Show a repository's facts, and how to open it."),
    "update": ("repos:update", WHICH_REPO, "Change a repository's name, description or metadata."),
    "delete": ("repos:delete", WHICH_REPO, "Delete a repository; it can be restored for some days."),
    "restore": ("repos:restore", WHICH_REPO, "Restore a deleted repository."),
    "import": ("repos:import_repo", f"{WHICH_REPO} PREFIX", "Take in a repository that lies in a bucket already."),
    "move": ("moving:move", f"{WHICH_REPO} BUCKET", "Move a repository to another bucket config, with all its versions."),
    "grant": ("sharing:grant", f"{WHICH_REPO} WHO ROLE", "Give somebody a role for a repository."),
    "revoke": ("sharing:revoke", f"{WHICH_REPO} WHO", "Take somebody's role for a repository away."),
    "roles": ("sharing:roles", WHICH_REPO, "List who has a role for a repository."),
}
_BUCKET = {
    "create": ("buckets:create", "NICKNAME URI", "Make a bucket config: where repositories may be."),
    "list": ("buckets:list_buckets", "", "List bucket configs."),
    "show": ("buckets:show", "NICKNAME", "Show a bucket config, and the repositories that use it."),
    "update": ("buckets:update", "NICKNAME", "Change a bucket config; only its nickname while repositories use it."),
    "set-default": ("buckets:set_default", "NICKNAME", "Make a bucket config the one of new repositories."),
    "rotate": ("buckets:rotate", "NICKNAME", "Give a bucket config new credentials."),
    "check": ("buckets:check", "NICKNAME", "Try what the place of a bucket config can do."),
    "delete": ("buckets:delete", "NICKNAME", "Delete a bucket config that no repository uses; what lies in the bucket stays."),
}
_JOB = {
    "list": ("jobs:list_jobs", "", "List long work, newest first."),
    "show": ("jobs:show", "ID", "Show how far long work is."),
    "run": ("jobs:run", "", "Do the long work that waits on this machine; a server does it by itself."),
}
_CONFIG = {
    "list": ("configuring:list_settings", "", "List what is set, and the servers you are logged in to."),
    "get": ("configuring:get", "NAME", "Print one setting."),
    "set": ("configuring:set_one", "NAME VALUE", "Set the current server or organisation."),
    "unset": ("configuring:unset", "NAME", "Forget a setting."),
    "new-key": ("keyring:new_key", "FILE", "Make the file with the keys that an installation seals its secrets by."),
    "rotate-key": ("keyring:rotate_key", "", "Seal all secrets anew by a new key."),
}

COMMANDS = {
    "save": Command("saving:save", SAVE, "[NAME] PATH", "Save a file or folder as a version."),
    "mv": Command("changing:mv", SAVE, "NAME NEW-NAME", "Give a file or folder another name in a new version."),
    "rm": Command("changing:rm", SAVE, "NAME", "Remove a file or folder in a new version; earlier ones keep it."),
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
    "mount": _group(ANYWHERE, "Give stores names: add, list, show, check, remove.", _MOUNT),
    "init": Command("place:init", REPOSITORY, "[URL]", "Make a repository; one that is there already stays as it is."),
    "status": Command("place:status", REPOSITORY, "[PATH]", "Show what the repository holds, or what saving would change."),
    "verify": Command("keeping:verify", REPOSITORY, "", "Check what is stored."),
    "forget": Command("keeping:forget", REPOSITORY, "REF... --imsure", "End versions for ever."),
    "gc": Command("keeping:gc", REPOSITORY, "", "Free what no version needs."),
    "login": Command("login:login", ORGANISATION, "[SERVER]", "Log in to a server."),
    "logout": Command("login:logout", ORGANISATION, "[SERVER]", "End the login at a server."),
    "whoami": Command("login:whoami", ORGANISATION, "", "Show who you are, and your organisations."),
    "org": _group(ORGANISATION, "Organisations: list, create, show, update, delete.", _ORG),
    "member": _group(ORGANISATION, "Who belongs to an organisation: list, set, remove.", _MEMBER),
    "account": _group(ORGANISATION, "Service accounts, for programs: list, create, update, delete.", _ACCOUNT),
    "user": _group(ORGANISATION, "Users of a server: list, create, update, link, set-password.", _USER),
    "token": _group(ORGANISATION, "API tokens: create, list, revoke.", _TOKEN),
    "key": _group(ORGANISATION, "Keys for S3 clients: create, list, revoke.", _KEY),
    "audit": _group(ORGANISATION, "The audit log: list, verify.", _AUDIT),
    "repo": _group(KEEPING, "Repositories: create, list, show, delete, restore, move, ...", _REPO),
    "bucket": _group(KEEPING, "Where repositories may be: create, list, show, check, rotate, ...", _BUCKET),
    "job": _group(KEEPING, "Long work, such as moving a repository: list, show, run.", _JOB),
    "config": _group(MACHINE, "Settings: list, get, set, unset; keys of a server: new-key, ...", _CONFIG),
    "up": Command("serving:up", MACHINE, "", "Show your repositories in a browser."),
    "serve": Command("serving:serve", MACHINE, "", "Serve an organisation: the API, and the pages."),
    "completion": Command("completion:completion", MACHINE, "[SHELL]", "Print or install the script that completes a line at the Tab key."),
}

EVERYWHERE_NAMES = {"--repository": True, "-r": True, "--json": False, "--quiet": False, "-q": False}
"""The options that every command takes, and whether each takes a value."""

HEAD = """\
kist saves, versions and gives back files and folders, here or on any store.

{usage} kist [OPTIONS] COMMAND ...
"""

SHORT_FOOT = """
-r, --repository URL  which repository: a folder, s3://bucket/prefix, ...
    --json            print JSON
-q, --quiet           no progress, no notes

kist save PATH begins. kist --help says in a line what each command does,
kist help look (or any other word on the left) those of one kind in full,
kist COMMAND --help all of one.
"""

FOOT = """\
  -r, --repository URL  which repository: a folder, s3://bucket/prefix,
                        kist://org/repo; else KIST_REPOSITORY, else your own
      --json            print JSON: an array for a listing, else an object
  -q, --quiet           no progress, no notes
  -V, --version         print kist's version

A PLACE is a path on this machine or a URL: s3://bucket/key, https://...,
sftp://host/path, kist://org/repo@ref/path, or a mount's; ls, cat, rm and mv
take URLs too. A NAME is a path in the repository, NAME@REF that path in some
version. A REF is a number (v3), a tag, a branch, 8 or more digits of an id, or
as-of:2026-11-20T10:00Z.

Begin with kist save PATH; kist COMMAND --help says more.
"""


def names() -> Iterator[tuple[str, Command]]:
    """Yield all commands by their whole names, ``mount`` and ``mount add`` too."""
    for name, command in COMMANDS.items():
        yield name, command
        for part, one in command.parts.items():
            yield f"{name} {part}", one


def short_overview(*, bold: bool) -> str:
    """Return the page that names all commands, each heading in a line or two: it fits a terminal of 80 by 24."""
    width = max(map(len, headings())) + 2
    parts = [HEAD.format(usage=_heading("Usage:", bold=bold)), "\n"]
    for heading, commands in headings().items():
        lines = [""]
        for name in commands:
            if len(lines[-1]) + len(name) > COLUMNS - width:
                lines.append("")
            lines[-1] += f"{name}  "
        parts += [f"{_heading(heading, bold=bold)}{' ' * (width - len(heading))}{lines[0].rstrip()}\n"]
        parts += [f"{' ' * width}{line.rstrip()}\n" for line in lines[1:]]
    return "".join([*parts, SHORT_FOOT])


def overview(*, bold: bool) -> str:
    """Return the page that lists all commands with what they do; headings are bold where somebody can see it."""
    parts = [HEAD.format(usage=_heading("Usage:", bold=bold))]
    for heading, commands in headings().items():
        parts.append(f"\n{_heading(heading, bold=bold)}\n")
        parts += [f"  {name:<12}{command.summary}\n" for name, command in commands.items()]
    return "".join([*parts, f"\n{_heading('Options', bold=bold)}\n", FOOT])


def group_overview(word: str, *, bold: bool) -> str:
    """Return the page that lists the commands below a heading, with their parts; empty if no heading has this word, or a command does."""
    from textwrap import wrap  # noqa: PLC0415 - only here

    if word in COMMANDS:
        return ""
    found = [heading for heading in headings() if len(word) >= SHORTEST and word.casefold() in heading.casefold().split()]
    parts = []
    for heading in found:
        listed = [(f"{name} {one.usage}".rstrip(), one.summary) for name, one in names() if one.heading == heading and not one.parts]
        width = max(len(usage) for usage, _ in listed if len(usage) <= WIDEST) + 2
        parts.append(f"{_heading(heading, bold=bold)}\n")
        for usage, summary in listed:
            first, *rest = wrap(summary, COLUMNS - width - 2) if len(usage) <= WIDEST else ["", *wrap(summary, COLUMNS - width - 2)]
            parts.append(f"  {usage:<{width}}{first}".rstrip() + "\n")
            parts += [f"  {'':<{width}}{line}\n" for line in rest]
    return "".join(parts)


def headings() -> dict[str, dict[str, Command]]:
    """Return the commands by their headings."""
    found = dict[str, dict[str, Command]]()
    for name, command in COMMANDS.items():
        found.setdefault(command.heading, {})[name] = command
    return found


def _heading(text: str, *, bold: bool) -> str:
    return f"\x1b[1m{text}\x1b[0m" if bold else text


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
