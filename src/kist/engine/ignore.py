"""Which paths a save leaves out: gitignore syntax, judged item by item on the way down, as git itself does.

The rules of a folder hold for all below it. The strongest that says anything decides: the caller's patterns, then the deepest
``.kistignore``, and in each the last line that matches. A folder that is left out is not entered, so nothing below it can come back. A
pattern that git would never match is dropped.

Why not a package: `pathspec` asks whether a pattern covers a *file or any folder above it*. With ``*``, ``!*/``, ``!*.py`` it leaves out
the folder ``a/`` that git enters, and everything in it would be missing from the save.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

__all__ = ["IGNORE_FILE", "Rules", "is_ignored", "parse_rules"]

IGNORE_FILE = ".kistignore"
_UNESCAPED_TRAILING_SPACES = re.compile(r"((?:\\.|[^\\])*?) *", re.DOTALL)
_CLASSES = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "blank": " \\t",
    "cntrl": "\\x00-\\x1f\\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": "!-/:-@\\[-`{-~",
    "space": " \\t-\\r",
    "upper": "A-Z",
    "xdigit": "0-9a-fA-F",
}


class _NeverMatches(Exception):
    """A pattern that git accepts and never matches, such as an open bracket."""


@dataclass(frozen=True, slots=True)
class _Line:
    ignore: bool
    folders_only: bool
    whole_path: bool
    regex: str


@dataclass(frozen=True, slots=True)
class _Group:
    """Neighbouring lines with one verdict, in four expressions: a tree of a million paths can't afford a loop over lines."""

    ignore: bool
    file_names: re.Pattern[str] | None
    file_paths: re.Pattern[str] | None
    folder_names: re.Pattern[str] | None
    folder_paths: re.Pattern[str] | None


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one folder; `offset` is how many characters of a path name that folder, its ``/`` included."""

    offset: int
    groups: tuple[_Group, ...]


def parse_rules(lines: Iterable[str], folder: str = "") -> Rules | None:
    """Read gitignore lines that stand in `folder` (relative, empty for the top); None if they hold no pattern."""
    patterns = [pattern for line in lines if (pattern := _parse_line(line)) is not None]
    if not patterns:
        return None
    groups = [_group(list(same), ignore=ignore) for ignore, same in groupby(patterns, key=lambda pattern: pattern.ignore)]
    return Rules(len(folder) + 1 if folder else 0, tuple(reversed(groups)))


def is_ignored(rules: Sequence[Rules], path: str, name: str, *, folder: bool) -> bool:
    """Return whether `path`, whose last segment is `name`, is left out; `rules` come with the strongest first."""
    for rule in rules:
        relative = path[rule.offset :]
        for group in rule.groups:
            names = group.folder_names if folder else group.file_names
            paths = group.folder_paths if folder else group.file_paths
            if (names is not None and names.fullmatch(name)) or (paths is not None and paths.fullmatch(relative)):
                return group.ignore
    return False


def _group(lines: list[_Line], *, ignore: bool) -> _Group:
    def union(*, folders: bool, paths: bool) -> re.Pattern[str] | None:
        wanted = {line.regex: None for line in lines if line.whole_path is paths and (folders or not line.folders_only)}
        return re.compile("|".join(wanted), re.DOTALL) if wanted else None

    return _Group(
        ignore,
        file_names=union(folders=False, paths=False),
        file_paths=union(folders=False, paths=True),
        folder_names=union(folders=True, paths=False),
        folder_paths=union(folders=True, paths=True),
    )


def _parse_line(line: str) -> _Line | None:
    line = line.removesuffix("\n").removesuffix("\r")
    if line.startswith("#"):
        return None
    trimmed = _UNESCAPED_TRAILING_SPACES.fullmatch(line)
    line = trimmed[1] if trimmed else line
    ignore = not line.startswith("!")
    line = line if ignore else line[1:]
    folders_only = line.endswith("/")
    line = line.removesuffix("/")
    whole_path = "/" in line
    line = line.removeprefix("/")
    if not line:
        return None
    try:
        return _Line(ignore, folders_only, whole_path, _translate(line))
    except _NeverMatches:
        return None


def _translate(pattern: str) -> str:
    """Return an expression for whole paths.

    What follows a wildcard up to the next one is matched as early as possible and never tried again (an atomic group): the next wildcard
    can take whatever a later match would have left. So no pattern, however hostile, takes exponential time.
    """
    runs: list[list[str]] = [[]]
    for segment in pattern.split("/"):
        if not segment:
            raise _NeverMatches
        if len(segment) > 1 and not segment.strip("*"):
            runs.append([])
        else:
            runs[-1].append(_translate_segment(segment))
    first, *rest = ["/".join(run) for run in runs]
    if not rest:
        return first
    last = rest.pop()
    middle = "".join(f"(?>(?:[^/]+/)*?{run}/)" for run in rest if run)
    return (f"{first}/" if first else "") + middle + (f"(?:[^/]+/)*{last}" if last else ".+")


def _translate_segment(glob: str) -> str:
    done, fixed, starred, at = "", "", False, 0
    while at < len(glob):
        char = glob[at]
        if char == "*":
            done += f"(?>[^/]*?{fixed})" if starred else fixed
            fixed, starred = "", True
        elif char == "[":
            bracket, at = _translate_bracket(glob, at + 1)
            fixed += bracket
        elif char == "?":
            fixed += "[^/]"
        else:
            at += char == "\\"
            if at == len(glob):
                raise _NeverMatches
            fixed += re.escape(glob[at])
        at += 1
    return done + ("[^/]*" if starred else "") + fixed


def _translate_bracket(glob: str, at: int) -> tuple[str, int]:
    """Translate what follows the ``[`` before `at`; return the expression and where its ``]`` stands."""
    negated = glob[at : at + 1] in ("!", "^")
    start = at = at + negated
    members: list[str] = []
    while True:
        char = glob[at : at + 1]
        if not char:
            raise _NeverMatches
        if char == "]" and at > start:
            break
        if char == "[" and (name := re.compile(r"\[:([^\]]*):\]").match(glob, at)):
            if name[1] not in _CLASSES:
                raise _NeverMatches
            members.append(_CLASSES[name[1]])
            at = name.end()
            continue
        low, at = _bracket_character(glob, at)
        if glob[at : at + 1] == "-" and glob[at + 1 : at + 2] not in ("", "]"):
            high, at = _bracket_character(glob, at + 1)
            if low <= high:
                members.append(f"{re.escape(low)}-{re.escape(high)}")
            # git takes the first end of a range that is the wrong way round as a member, and nothing else of it
            else:
                members.append(re.escape(low))
        else:
            members.append(re.escape(low))
    return f"(?!/)[{'^' if negated else ''}{''.join(members)}]", at


def _bracket_character(glob: str, at: int) -> tuple[str, int]:
    at += glob[at : at + 1] == "\\"
    if at >= len(glob):
        raise _NeverMatches
    return glob[at], at + 1
