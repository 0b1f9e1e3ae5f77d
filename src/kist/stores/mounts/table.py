"""What configuration says of mounts, from all places where it may say something, the first of which wins.

The environment; the files that ``KIST_CONFIG`` and ``APYFAL_CONFIG_FILE`` name; ``kist.toml`` and ``accelerator.conf`` in the working
directory; the user's own ``mounts.toml``; ``~/accelerator.conf``; rclone's remotes; fsspec's defaults. It is read again once any of
them has changed.
"""

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Final

from kist.errors import InvalidInput, KistError, NotFound
from kist.stores.mounts import fsspec, rclone
from kist.stores.mounts.files import Document, Section, environment, sections, spelled
from kist.stores.mounts.options import unknown
from kist.stores.mounts.providers import Known, Place, check_name, default_of, filed_as, place, says_where
from kist.stores.mounts.saving import own_file
from kist.stores.urls import schemes

__all__ = ["Entry", "Table", "load", "said_in"]

_NAMED: Final = ("KIST_CONFIG", "APYFAL_CONFIG_FILE")
_MOVING: Final = (*_NAMED, "HOME", "KIST_HOME", "XDG_CONFIG_HOME", "RCLONE_CONFIG", "FSSPEC_CONFIG_DIR")
_VARIABLES: Final = ("KIST_MOUNT_", "RCLONE_CONFIG", "FSSPEC_")

type Said = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is said of one name: `said` finds it out. `is_ours` tells kist's own words from those of other programs."""

    said: Callable[[], Said] = field(repr=False)
    section: Section
    origin: str
    is_ours: bool = True

    @property
    def completes(self) -> bool:
        """Say whether this is there to add to what a call says: variables that hold credentials, and name no place."""
        return not self.section.file and not says_where(self.section.said)

    def place(self, known: Known) -> tuple[Place, str]:
        """Return what it means, and what of it is not understood.

        Raises:
            InvalidInput: it makes no sense.
        """
        said = self.said()
        try:
            name = check_name(self.section.name)
        except InvalidInput as error:
            raise InvalidInput(f"{self.section.at()}: {error}") from None
        try:
            found = place(name, said, known=known)
        except InvalidInput as error:
            raise InvalidInput(f"{self.section.at(_blamed(said, str(error)))}: {error}") from None
        strange = unknown(found.scheme, found.options) if self.is_ours else []
        if not strange:
            return found, ""
        mistakes = [self.section.at(key) for key in strange if key not in self.section.inherited]
        return found.without(strange), "; ".join(f"{at} is nothing that {found.scheme} stores take, and is ignored" for at in mistakes)


@dataclass(slots=True, kw_only=True)
class Table:
    """Entries by the names of mounts, and what is wrong with where they come from."""

    entries: dict[str, Entry] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    stamp: object = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Places:
    """Where configuration may be. `ours` are files by precedence, and whether each has to belong to this user; `named` have to exist."""

    named: list[str]
    ours: dict[str, bool]
    rclone: list[str]
    fsspec: str


_lock = threading.Lock()
_table = Table()


def load() -> tuple[Table, bool]:
    """Return what configuration says now, and whether it has just been read."""
    global _table  # noqa: PLW0603  the one place that changes it
    variables = {name: os.environ.get(name, "") for name in os.environ if name.startswith(_VARIABLES)}
    places = _places(_here(), tuple(map(os.environ.get, _MOVING)))
    defaults = _in_folder(places.fsspec)
    stamp = variables, places, [_stamp(path) for path in (*places.ours, *places.rclone, *defaults)]
    with _lock:
        if _table.stamp == stamp:
            return _table, False
        table = Table(stamp=stamp)
        spoken, table.problems = environment(variables)
        for path, mine in places.ours.items():
            _take(table, _document(path, mine=mine, must_exist=path in places.named), spoken)
        _take_spoken(table, spoken)
        remotes = next(filter(os.path.exists, places.rclone), places.rclone[0])
        _take_foreign(table, partial(rclone.remotes, remotes, variables), rclone.said_by, is_named=True)
        _take_foreign(table, partial(fsspec.defaults, defaults, variables), fsspec.said_by, is_named=False)
        _table = table
        return table, True


def said_in(path: str, name: str, *, variables: Mapping[str, str] = os.environ) -> tuple[Entry | None, list[str]]:
    """Return what one file says of a name, with what variables add, and what is wrong with the file.

    Raises:
        NotFound: there is no such file.
    """
    table = Table()
    _take(table, sections(path), environment(variables)[0])
    return table.entries.get(name) or table.entries.get(default_of(name)), table.problems


def _here() -> str:
    try:
        return os.getcwd()
    except OSError:
        return ""  # it was removed


@lru_cache(maxsize=8)
def _places(here: str, _: tuple[str | None, ...]) -> _Places:
    """Return where configuration may be; found out anew only if the working directory or one of the variables is another."""
    named = [os.path.abspath(os.path.expanduser(path)) for path in map(os.environ.get, _NAMED) if path]
    ours = dict.fromkeys(named, False)
    for path, mine in (
        *((os.path.join(here, name), True) for name in ("kist.toml", "accelerator.conf") if here),
        (own_file(), False),
        (os.path.expanduser("~/accelerator.conf"), False),
    ):
        ours.setdefault(path, mine)
    return _Places(named=named, ours=ours, rclone=rclone.config_paths(), fsspec=fsspec.config_folder())


def _in_folder(folder: str) -> list[str]:
    try:
        return [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.endswith((".json", ".ini"))]
    except OSError:
        return []


def _stamp(path: str) -> tuple[str, int, int, int] | str:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return path
    return path, found.st_ino, found.st_size, found.st_mtime_ns


def _document(path: str, *, mine: bool, must_exist: bool) -> Document:
    try:
        return sections(path, mine=mine)
    except NotFound:
        problem = f"there is no configuration file {path}, though the environment names it"
        return Document(file=path, problems=[problem] if must_exist else [])


def _take(table: Table, document: Document, spoken: Mapping[str, Mapping[str, str]]) -> None:
    """Take over the sections of a file; the variables of a name go before its section."""
    table.problems += document.problems
    for said_name, section in document.sections.items():
        name = filed_as(said_name, section.said)
        if name in table.entries:
            continue
        more = spoken.get(spelled(said_name), {})
        if says_where(more):
            continue
        said = {**section.said, **more}
        table.entries[name] = Entry(said=partial(dict, said), section=section, origin=section.file)


def _take_spoken(table: Table, spoken: Mapping[str, Mapping[str, str]]) -> None:
    """Take over the variables that belong to no section."""
    taken = {spelled(entry.section.name) for entry in table.entries.values()}
    for name, said in spoken.items():
        if name not in taken:
            section = Section(name=name.lower(), said=said, file="", title=f"KIST_MOUNT_{name}")
            table.entries[filed_as(name.lower(), said)] = Entry(said=partial(dict, said), section=section, origin="environment")


def _take_foreign(table: Table, read: Callable[[], Document], said_by: Callable[[Section], Said], *, is_named: bool) -> None:
    """Take over what another program's configuration says; names that can't be those of mounts are passed over."""
    try:
        document = read()
    except KistError as error:
        table.problems.append(str(error))
        return
    table.problems += document.problems
    for name, section in document.sections.items():
        try:
            check_name(name)
        except InvalidInput:
            continue
        if is_named and name in schemes():
            continue  # a remote that is called s3 is one of many places, not what all s3:// URLs mean
        origin = section.file or "environment"
        table.entries.setdefault(name, Entry(said=partial(said_by, section), section=section, origin=origin, is_ours=False))


def _blamed(said: Said, message: str) -> str:
    """Return the key that an error is about, where that is plain."""
    for key, value in said.items():
        if f"{key!r}" in message or (
            key in {"provider", "url", "bucket"} and isinstance(value, str) and repr(value.lower()) in message.lower()
        ):
            return key
    return "url" if "url" in said and "URL" in message else ""
