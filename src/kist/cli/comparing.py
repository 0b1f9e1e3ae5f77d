"""``kist diff``: what one version has and another has not."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from kist.cli.completing import complete_name, complete_ref_or_address
from kist.cli.options import EVERYWHERE, Everywhere
from kist.cli.output import Style, line, paint, print_array
from kist.cli.places import Address, find, open_place, tidy
from kist.cli.text import count, name_with_slash, size
from kist.errors import InvalidInput
from kist.models import Difference

if TYPE_CHECKING:
    from kist.engine.repository import Repository

__all__ = ["diff"]

SIGNS: dict[str, tuple[str, Style]] = {"added": ("+", "green"), "removed": ("-", "red"), "modified": ("~", "yellow")}


def diff(
    a: Annotated[str, Parameter(completer=complete_ref_or_address, help="The older side: REF or NAME@REF.")],
    b: Annotated[str, Parameter(completer=complete_ref_or_address, help="The newer side: REF or NAME@REF.")] = "main",
    path: Annotated[str, Parameter(completer=complete_name, help="Only this path and what lies below it.")] = "",
    /,
    *,
    patch: Annotated[bool, Parameter(("--patch", "-p"), help="Show how text files differ, line by line.")] = False,
    stat: Annotated[bool, Parameter(help="Show sizes, and the sums.")] = False,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """List what differs between two versions: + added, - removed, ~ modified. Changes of times alone are none.

    Raises:
        KistError: there is no such ref, or it can't be read.
    """
    repository = open_place(everywhere)
    old, new, where = _sides(repository, a, b, tidy(path))
    differences = repository.diff(old, new, where)
    if everywhere.json:
        print_array(differences)
        return
    if patch:
        from kist.cli.patches import print_patches  # noqa: PLC0415 - seldom used

        print_patches(repository, differences, old=old, new=new)
        return
    width = max((len(_sizes(one)) for one in differences), default=0)
    for one in differences:
        sign, style = SIGNS[one.change]
        line(paint(sign, style) + (f" {_sizes(one):>{width}}" if stat else "") + f" {name_with_slash(one.path, one.kind)}")
    if stat:
        line(_sums(differences))


def _sides(repository: "Repository", a: str, b: str, path: str) -> tuple[str, str, str]:
    """Return both refs, and the path that is compared.

    Raises:
        InvalidInput: the two sides name different paths.
    """
    one, two = _side(repository, a, b), _side(repository, b, a)
    paths = {where for where in (one.path, two.path, path) if where}
    if len(paths) > 1:
        raise InvalidInput(f"{' and '.join(map(repr, sorted(paths)))} are different paths: kist diff compares one path in two versions")
    return one.ref or "main", two.ref or "main", paths.pop() if paths else ""


def _side(repository: "Repository", text: str, other: str) -> Address:
    """A name without a ref is welcome beside the same name with one."""
    if "@" in text or other.startswith(f"{tidy(text)}@"):
        return find(repository, text)
    return Address("", text)


def _sizes(one: Difference) -> str:
    if one.kind == "folder":
        return ""
    sides = [size(side) for side in (one.old_size, one.new_size) if side is not None]
    return " → ".join(dict.fromkeys(sides))


def _sums(differences: list[Difference]) -> str:
    files = [one for one in differences if one.kind != "folder"]
    numbers = [f"{sum(one.change == change for one in files):,} {change}" for change in SIGNS]
    grown = sum((one.new_size or 0) - (one.old_size or 0) for one in files)
    return f"{count(len(files), 'file differs', 'files differ')}: {', '.join(numbers)}; {'+' if grown >= 0 else ''}{size(grown)}"
