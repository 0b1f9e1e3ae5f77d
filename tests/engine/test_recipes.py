"""Recipes: which chunks make a file, in parts; bytes that are no recipe are an integrity error."""

import contextlib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.parts import examples

from kist.engine.entries import Place
from kist.engine.objects import Objects, Writer
from kist.engine.packs import FrameKind
from kist.engine.recipes import PART_MAX, Part, Recipe, RecipeBuilder, decode_recipe, encode_recipe, load_recipe, walk_chunks, walk_frames
from kist.engine.records import digest
from kist.errors import IntegrityError
from kist.stores.memory import MemoryStore

PARTS: list[Part] = [(digest(b"%d" % n), Place(b"%016d" % (n % 3), n, 10, 20), 20) for n in range(10)]
RAW = encode_recipe(0, PARTS)


def a_child(number: int, *, ends: bool) -> Part:
    """Return a chunk after which a part ends, or does not."""
    head = (number * 1024 + (0 if ends else 1 + number % 1000)).to_bytes(4, "little")
    return head + number.to_bytes(28, "big"), Place(b"p" * 16, number, 4, 4), 4


def built(children: list[Part]) -> tuple[Writer, Objects, Recipe, bytes]:
    store = MemoryStore()
    writer = Writer(store, None)
    recipe = RecipeBuilder(writer)
    for child in children:
        recipe.add(*child)
    recipe_id, place = recipe.finish()
    writer.flush()
    objects = Objects(store)
    return writer, objects, load_recipe(objects, recipe_id, place), recipe_id


def sizes_of_parts(children: list[Part]) -> list[int]:
    """Return how many chunks each part of level 0 lists."""
    _, objects, top, _ = built(children)
    assert top.level <= 1
    return [len(top.raw)] if top.level == 0 else [len(load_recipe(objects, one, place, level=0).raw) for one, place, _ in top.children()]


def altered(body: bytes, /, **members: object) -> bytes:
    return msgspec.msgpack.encode({**msgspec.msgpack.decode(body), **members})


def test_children_come_back() -> None:
    assert list(decode_recipe(RAW, what="it").children()) == PARTS


def test_packs_are_listed_once_in_the_order_of_their_use() -> None:
    assert decode_recipe(RAW, what="it").packs == (b"%016d" % 0, b"%016d" % 1, b"%016d" % 2)


@pytest.mark.parametrize(
    "raw",
    [
        altered(RAW, level=-1),
        altered(RAW, level=9),
        altered(RAW, ids=bytes(31)),
        altered(RAW, raw=[1]),
        altered(RAW, pack=[3] * 10),
        altered(RAW, pack=[-1] * 10),
        altered(RAW, offset=[2**32] * 10),
        altered(RAW, stored=[-1] * 10),
        altered(RAW, size=[-1] * 10),
        altered(RAW, packs=[b"short"] * 3),
        altered(RAW, raw=[], pack=[], offset=[], stored=[], size=[], ids=b""),
        altered(RAW, more=1),
    ],
    ids=range(12),
)
def test_a_recipe_that_contradicts_itself_is_refused(raw: bytes) -> None:
    with pytest.raises(IntegrityError):
        decode_recipe(raw, what="it")


@settings(max_examples=examples(200))
@given(st.data())
def test_a_recipe_with_changed_bytes_is_a_recipe_or_an_integrity_error(data: st.DataObject) -> None:
    body = bytearray(RAW)
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(IntegrityError):
        assert len(list(decode_recipe(bytes(body), what="it").children())) == 10


@given(st.binary(max_size=300))
def test_garbage_is_an_integrity_error(garbage: bytes) -> None:
    with pytest.raises(IntegrityError):
        decode_recipe(garbage, what="it")


def test_a_part_has_the_level_that_its_parent_promised() -> None:
    _, objects, top, recipe_id = built(PARTS)
    assert top.level == 0
    with pytest.raises(IntegrityError, match="promised"):
        load_recipe(objects, recipe_id, built(PARTS)[0].written[recipe_id], level=1)


def test_few_chunks_make_one_part() -> None:
    assert sizes_of_parts([a_child(n, ends=False) for n in range(100)]) == [100]


def test_a_part_ends_after_a_chunk_whose_id_says_so() -> None:
    assert sizes_of_parts([a_child(n, ends=n in {5, 20, 21}) for n in range(30)]) == [6, 15, 9]


def test_a_part_has_two_chunks_at_least_unless_it_is_the_last() -> None:
    assert sizes_of_parts([a_child(n, ends=True) for n in range(5)]) == [2, 2, 1]


def test_a_part_ends_at_its_greatest_length() -> None:
    assert sizes_of_parts([a_child(n, ends=False) for n in range(PART_MAX + 10)]) == [PART_MAX, 10]


def test_a_recipe_that_ends_where_a_part_ends_has_no_empty_part() -> None:
    assert sizes_of_parts([a_child(n, ends=n == 9) for n in range(10)]) == [10]


def test_one_changed_chunk_changes_one_part() -> None:
    before = [a_child(n, ends=n % 50 == 49) for n in range(500)]
    after = [*before[:123], a_child(7777, ends=False), *before[124:]]
    old, new = ({one for one, kind in built(parts)[0].kinds.items() if kind is FrameKind.RECIPE} for parts in (before, after))
    assert len(old) == 11
    assert len(new - old) == 2


@settings(max_examples=examples(25), deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(1, 30))
def test_chunks_come_back_in_order_from_a_recipe_of_any_depth(ends: list[bool], repeat: int) -> None:
    children = [a_child(number, ends=end) for number, end in enumerate(ends * repeat)]
    _, objects, top, _ = built(children)
    assert list(walk_chunks(objects, top)) == children
    assert sum(top.size) == sum(size for _, _, size in children)


def test_all_frames_of_a_recipe_are_named_parts_before_what_they_list() -> None:
    children = [a_child(n, ends=n % 10 == 9) for n in range(35)]
    writer, objects, top, recipe_id = built(children)
    frames = list(walk_frames(objects, top))
    assert {one for kind, one, _ in frames if kind is FrameKind.RECIPE} == {one for one in writer.kinds if one != recipe_id}
    assert [one for kind, one, _ in frames if kind is FrameKind.DATA] == [one for one, _, _ in children]
    assert frames[0][0] is FrameKind.RECIPE
