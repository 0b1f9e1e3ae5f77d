"""Which repository a command means, and what ``NAME@REF`` says in it."""

import gc
import os
from typing import TYPE_CHECKING, NamedTuple

from kist import settings
from kist.cli.options import Everywhere
from kist.cli.output import note
from kist.errors import InvalidInput, NotFound
from kist.ids import parse_ref

if TYPE_CHECKING:
    from kist.engine.repository import Repository

__all__ = ["Address", "find", "last_part", "open_place", "place_of", "tidy"]


class Address(NamedTuple):
    """A path in a repository, empty for the whole tree, and a ref; None is the head of main."""

    path: str
    ref: str | None

    def __str__(self) -> str:
        """Write it as a user would."""
        return self.path if self.ref is None and self.path else f"{self.path}@{self.ref or 'main'}"


def place_of(everywhere: Everywhere) -> str:
    """Return the URL of the repository that a command means."""
    return everywhere.repository or settings.default_repository()


def open_place(everywhere: Everywhere) -> "Repository":
    """Open the repository that a command means. The one that is meant where nobody named any is made when it is first used.

    Raises:
        NotFound: there is none.
        KistError: it can't be opened.
    """
    from kist.engine.opening import open_repository  # noqa: PLC0415 - --help needs no engine

    gc.enable()
    place = place_of(everywhere)
    try:
        return open_repository(place)
    except NotFound as error:
        if everywhere.repository or os.environ.get("KIST_REPOSITORY"):
            raise NotFound(f"there is no repository at {place}: kist init {place} makes one") from error
    repository = open_repository(place, create=True)
    if not everywhere.quiet:
        note(f"kist: your repository is made at {place} (-r URL or KIST_REPOSITORY choose another)")
    return repository


def last_part(path: str) -> str:
    """Return the name that something on this machine goes by: that of the folder itself for ``.`` and ``..``, nothing for the root."""
    return os.path.basename(os.path.abspath(path))  # noqa: PTH100, PTH119 - pathlib has nothing that leaves links alone


def tidy(name: str) -> str:
    """Return a path as repositories write it: a shell's completion leaves a ``/`` behind a folder."""
    return name.rstrip("/")


def find(repository: "Repository", text: str | None) -> Address:
    """Return what ``NAME``, ``NAME@REF`` or ``@REF`` means; the last ``@`` counts only where a ref follows and no such path exists.

    Raises:
        NotFound: neither the path nor the ref exists.
        KistError: the repository can't be read.
    """
    name, at, ref = (text or "").rpartition("@")
    if not at:
        return Address(tidy(ref), None)
    whole = tidy(name + at + ref)
    try:
        kind = parse_ref(ref).kind
    except InvalidInput:
        return Address(whole, None)
    if name and _exists(repository, whole):
        return Address(whole, None)
    if kind == "name":
        try:
            repository.version(ref)
        except NotFound as error:
            raise NotFound(f"there is nothing at {whole!r} in main, and no branch or tag {ref!r}") from error
    return Address(tidy(name), ref)


def _exists(repository: "Repository", path: str) -> bool:
    try:
        repository.stat(path)
    except (NotFound, InvalidInput):
        return False
    return True
