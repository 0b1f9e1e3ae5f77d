"""Which paths a save leaves out: gitignore syntax, judged item by item on the way down, as git itself does.

The rules of a folder hold for all below it. The strongest that says anything decides: the caller's patterns, then the deepest
``.kistignore``, and in each the last line that matches. A folder that is left out is not entered, so nothing below it can come back. A
pattern that can never match is dropped; what `pathspec` reads in another way than git (odd brackets, escaped slashes) is refused.

`pathspec` translates the patterns; the walk is ours. Its own `GitIgnoreSpec` asks whether a pattern covers a *file or any folder above
it*: with ``*``, ``!*/``, ``!*.py`` it leaves out the folder ``a/`` that git enters, and everything in it would be missing from the save.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kist.errors import InvalidInput

__all__ = ["IGNORE_FILE", "Rules", "is_ignored", "parse_rules"]

IGNORE_FILE = ".kistignore"
_ALL_BELOW = re.compile(r"(?<=/)\*{2,}(?=/?\s*$)")
_READ_OTHERWISE = re.compile(r"\[:|\\|--")
# What pathspec writes for a bracket, for ``*`` and for ``/**``. No other bracket holds a slash, so these are never part of something else.
_BRACKET = re.compile(r"\\.|\[\^/\]|\[(\^?)(\]?[^\]]*)\]", re.DOTALL)
_STAR = "[^/]*"
_FOLDERS = "(?:/.+)?"


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one folder; `offset` is how many characters of a path name that folder, its ``/`` included."""

    offset: int
    patterns: tuple[tuple[re.Pattern[str], bool], ...]


def parse_rules(lines: Iterable[str], folder: str = "") -> Rules | None:
    """Read gitignore lines that stand in `folder` (relative, empty for the top); None if they hold no pattern.

    Raises:
        InvalidInput: a pattern would not be read as git reads it.
    """
    written = [line.rstrip("\r\n") for line in lines if line.strip() and not line.startswith("#")]
    patterns = [pattern for line in written if (pattern := _parse(line)) is not None]
    return Rules(len(folder) + 1 if folder else 0, tuple(reversed(patterns))) if patterns else None


def is_ignored(rules: Sequence[Rules], path: str, *, folder: bool) -> bool:
    """Return whether `path` is left out; `rules` come with the strongest first."""
    for rule in rules:
        relative = path[rule.offset :] + "/" * folder
        for pattern, ignore in rule.patterns:
            if pattern.fullmatch(relative):
                return ignore
    return False


def _parse(line: str) -> tuple[re.Pattern[str], bool] | None:
    """Return what one line matches, and whether it leaves that out.

    pathspec's expression finds an item *and all below*; the whole of a path it matches only for the item itself. Two forms need help:
    one without an anchor, and ``x/**``, which pathspec takes for ``x/`` itself, so that a later ``!x/y`` would come too late.
    """
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern  # noqa: PLC0415  most trees have no pattern: 10 ms

    try:
        regex, ignore = GitIgnoreSpecPattern.pattern_to_regex(_ALL_BELOW.sub("**/*", line))
        if regex is None or ignore is None:
            return None
        regex = _without_retries(_BRACKET.sub(_within_a_name, regex))
        return re.compile(regex if regex.startswith("^") else f".*{regex}", re.DOTALL), ignore
    except ValueError as error:  # a GitIgnorePatternError
        if "\\/" in line:
            raise InvalidInput(f"the pattern {line!r} escapes a slash: write the slash alone") from error
        return None  # git never matches it either
    except re.error as error:
        raise InvalidInput(f"the pattern {line!r} has a bracket that can't be read: write it like [a-z0-9_]") from error


def _within_a_name(found: re.Match[str]) -> str:
    """Keep a bracket from matching a slash, which would take ``x[!0-9]`` for the folder ``x/``, and from Python's own set syntax."""
    negated, members = found.groups()
    if members is None:
        return found[0]
    if _READ_OTHERWISE.search(members):
        raise re.error("pathspec and git differ")
    return f"(?!/)[{negated}{re.sub(r'([\[&~|])', r'\\\1', members)}]"


def _without_retries(regex: str) -> str:
    """Match what stands between two wildcards as early as possible and never again, so that no pattern takes exponential time.

    The second wildcard takes whatever a later match would leave. Were pathspec to write wildcards otherwise, this would change nothing.
    """

    def one_run(run: str) -> str:
        first, *middle = run.split(_STAR)
        return first + "".join(f"(?>[^/]*?{part})" for part in middle[:-1]) + "".join(_STAR + part for part in middle[-1:])

    first, *middle = map(one_run, regex.split(_FOLDERS))
    return first + "".join(f"(?>(?:/.+?)??{run}(?=/))" for run in middle[:-1]) + "".join(_FOLDERS + run for run in middle[-1:])
