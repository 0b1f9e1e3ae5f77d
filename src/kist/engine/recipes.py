"""Recipes: the list of chunks that make a file (format 1, §5). Whatever is decoded here may be hostile."""

from collections.abc import Iterator, Sequence

import msgspec

from kist.engine.entries import Place, are_places
from kist.engine.objects import Objects, Wanted, Writer
from kist.engine.packs import FrameKind
from kist.engine.records import decode, encode
from kist.errors import IntegrityError

__all__ = ["Part", "Recipe", "RecipeBuilder", "decode_recipe", "load_recipe", "walk_chunks", "walk_frames"]

PART_MODULUS, PART_MAX = 1024, 4096
MAX_LEVEL = 8

Part = tuple[bytes, Place, int]
"""Id, place and bytes of content of a chunk or of a part of a recipe."""


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A recipe as it is stored: columns, one row for each child. Sizes in bytes."""

    level: int
    packs: tuple[bytes, ...]
    ids: bytes
    raw: list[int]
    pack: list[int]
    offset: list[int]
    stored: list[int]
    size: list[int]

    def children(self) -> Iterator[Part]:
        """Yield id, place and bytes of content of each child."""
        rows = zip(self.raw, self.pack, self.offset, self.stored, self.size, strict=True)
        for row, (raw, pack, offset, stored, size) in enumerate(rows):
            yield self.ids[32 * row : 32 * row + 32], Place(self.packs[pack], offset, stored, raw), size


def encode_recipe(level: int, children: Sequence[Part]) -> bytes:
    """Return the canonical bytes of one recipe frame."""
    packs: dict[bytes, int] = {}
    numbers = [packs.setdefault(place.pack, len(packs)) for _, place, _ in children]
    return encode(
        Recipe(
            level=level,
            packs=tuple(packs),
            ids=b"".join([child for child, _, _ in children]),
            raw=[place.raw for _, place, _ in children],
            pack=numbers,
            offset=[place.offset for _, place, _ in children],
            stored=[place.stored for _, place, _ in children],
            size=[size for _, _, size in children],
        )
    )


def decode_recipe(raw: bytes, *, what: str) -> Recipe:
    """Return a recipe, checked whatever it says.

    Raises:
        IntegrityError: it is not what format 1 says.
    """
    recipe = decode(raw, Recipe, what=what)
    count = len(recipe.raw)
    columns = (recipe.raw, recipe.pack, recipe.offset, recipe.stored, recipe.size)
    fits = count and all(len(column) == count for column in columns) and len(recipe.ids) == 32 * count
    if not fits or min(map(min, columns)) < 0 or max(recipe.pack) >= len(recipe.packs) or not 0 <= recipe.level <= MAX_LEVEL:
        raise IntegrityError(f"{what} has columns that do not fit each other")
    if not are_places(recipe.packs, recipe.offset, recipe.stored, recipe.raw):
        raise IntegrityError(f"{what} names a place that no pack has")
    return recipe


class RecipeBuilder:
    """Cuts a list of children into parts and those into a tree of parts, in memory of one part for each level."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._levels: list[list[Part]] = [[]]

    def add(self, child: bytes, place: Place, size: int, level: int = 0) -> None:
        """Append a child at a level."""
        if level == len(self._levels):
            self._levels.append([])
        children = self._levels[level]
        children.append((child, place, size))
        if (len(children) > 1 and int.from_bytes(child[:4], "little") % PART_MODULUS == 0) or len(children) == PART_MAX:
            self._end(level)

    def finish(self) -> Wanted:
        """Return id and place of the recipe."""
        level = 0
        while level < len(self._levels):
            above = level + 1 < len(self._levels)
            children = self._levels[level]
            if not above and len(children) == 1 and level > 0:
                return children[0][0], children[0][1]
            if children and not above:
                return self._writer.add_metadata(FrameKind.RECIPE, encode_recipe(level, children))
            if children:
                self._end(level)
            level += 1
        raise AssertionError("a recipe has children")

    def _end(self, level: int) -> None:
        children, self._levels[level] = self._levels[level], []
        size = sum(size for _, _, size in children)
        part = self._writer.add_metadata(FrameKind.RECIPE, encode_recipe(level, children))
        self.add(*part, size, level + 1)


def load_recipe(objects: Objects, recipe_id: bytes, place: Place, *, level: int | None = None) -> Recipe:
    """Return a recipe, or a part of one that must have a certain level.

    Raises:
        IntegrityError: it is damaged.
        StoreError: the store failed.
    """
    what = f"recipe {recipe_id.hex()}"
    recipe = decode_recipe(objects.metadata(recipe_id, place), what=what)
    if level is not None and recipe.level != level:
        raise IntegrityError(f"{what} has level {recipe.level}, its parent promised {level}")
    return recipe


def walk_chunks(objects: Objects, recipe: Recipe) -> Iterator[Part]:
    """Yield the chunks of a recipe in the order of the content, reading its parts as they are needed.

    Raises:
        IntegrityError: a part is damaged.
        StoreError: the store failed.
    """
    for child, place, size in recipe.children():
        if recipe.level == 0:
            yield child, place, size
        else:
            yield from walk_chunks(objects, load_recipe(objects, child, place, level=recipe.level - 1))


def walk_frames(objects: Objects, recipe: Recipe) -> Iterator[tuple[FrameKind, bytes, Place]]:
    """Yield kind, id and place of every frame below a recipe, parts before what they list.

    Raises:
        IntegrityError: a part is damaged.
        StoreError: the store failed.
    """
    for child, place, _ in recipe.children():
        yield FrameKind.RECIPE if recipe.level else FrameKind.DATA, child, place
        if recipe.level:
            yield from walk_frames(objects, load_recipe(objects, child, place, level=recipe.level - 1))
