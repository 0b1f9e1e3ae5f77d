"""The chunker: both implementations against the published vectors, a third one written by the letter, and each other."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from kist.engine import chunker as subject
from kist.engine.chunker import (
    AVERAGE_SIZE,
    MAX_SIZE,
    MIN_SIZE,
    Chunker,
    chunker,
    fast_chunker,
    gear_table,
    numpy_chunker,
)

SPEC = json.loads((Path(__file__).parents[1] / "vectors" / "chunker.json").read_text())
CHUNKERS = [fast_chunker(), numpy_chunker()]

each_chunker = pytest.mark.parametrize("cutter", CHUNKERS, ids=["pyfastcdc", "numpy"])
each_vector = pytest.mark.parametrize("vector", SPEC["vectors"], ids=lambda vector: vector["name"])


def build(parts: list[dict[str, Any]]) -> bytes:
    """Return the input that a vector describes."""
    makers: dict[str, Callable[[dict[str, Any]], bytes]] = {
        "xof": lambda part: blake3(part["xof"].encode()).digest(length=part["bytes"]),
        "repeat": lambda part: bytes.fromhex(part["repeat"]) * part["times"],
        "decimals": lambda part: b"".join(b"%d\n" % number for number in range(part["decimals"])),
    }
    return b"".join(makers[next(iter(part))](part) for part in parts)


def cuts_by_the_letter(data: bytes) -> list[int]:
    """Cut `data` one byte at a time, as the specification says it."""
    gear, ends, start = gear_table(), [], 0
    while start < len(data):
        rest = min(len(data) - start, MAX_SIZE)
        stop, fingerprint = rest, 0
        for position in range(MIN_SIZE, rest - rest % 2):
            fingerprint = (fingerprint << 1) + gear[data[start + position]] & 0xFFFFFFFFFFFFFFFF
            if not fingerprint & (subject.MASK_SMALL if position < AVERAGE_SIZE else subject.MASK_LARGE):
                stop = position
                break
        start += stop
        ends.append(start)
    return ends


def cuts_of_stream(cutter: Chunker, data: bytes, reads: list[int]) -> list[int]:
    """Hand `data` over in buffers that grow by `reads` in turn; what is not cut is carried to the next buffer."""
    ends, start, end, turn = [], 0, 0, 0
    while end < len(data):
        end = min(len(data), end + reads[turn % len(reads)])
        turn += 1
        ends += [start + cut for cut in cutter.cuts(data[start:end], final=end == len(data))]
        start = ends[-1] if ends else 0
    return ends


@each_vector
def test_vector_describes_the_input_whose_hash_it_gives(vector: dict[str, Any]) -> None:
    data = build(vector["parts"])
    assert (len(data), blake3(data).hexdigest()) == (vector["bytes"], vector["blake3"])


@each_vector
@each_chunker
def test_cuts_are_those_of_the_vectors(cutter: Chunker, vector: dict[str, Any]) -> None:
    assert cutter.cuts(build(vector["parts"]), final=True) == vector["cuts"]


@each_vector
def test_vectors_follow_the_letter_of_the_specification(vector: dict[str, Any]) -> None:
    assert cuts_by_the_letter(build(vector["parts"])) == vector["cuts"]


def test_parameters_are_those_of_the_vectors() -> None:
    sizes = (
        SPEC["min_size"],
        SPEC["average_size"],
        SPEC["max_size"],
        SPEC["normalisation"],
    )
    masks = (int(SPEC["mask_small"], 16), int(SPEC["mask_large"], 16))
    assert sizes == (MIN_SIZE, AVERAGE_SIZE, MAX_SIZE, subject.NORMALISATION)
    assert masks == (subject.MASK_SMALL, subject.MASK_LARGE)


def test_gear_table_is_that_of_the_vectors() -> None:
    table = b"".join(number.to_bytes(8, "big") for number in gear_table())
    assert blake3(table).hexdigest() == SPEC["gear_blake3"]


@settings(max_examples=40, deadline=None)
@given(
    length=st.integers(0, 1_500_000),
    repeat=st.integers(1, 4),
    reads=st.lists(st.integers(1, 700_000), min_size=1, max_size=5),
    seed=st.integers(0, 2**32),
)
@each_chunker
def test_cuts_do_not_depend_on_how_a_stream_arrives(cutter: Chunker, length: int, repeat: int, reads: list[int], seed: int) -> None:
    data = (blake3(b"%d" % seed).digest(length=length // repeat) + b"\0" * (seed % 400_000)) * repeat
    # Reads of a byte each only repeat one question; it is their number that costs.
    reads = [max(read, len(data) // 20) for read in reads]
    assert cuts_of_stream(cutter, data, reads) == cutter.cuts(data, final=True)


@settings(max_examples=60, deadline=None)
@given(
    length=st.integers(0, 600_000),
    seed=st.integers(0, 2**32),
    alphabet=st.sampled_from([1, 2, 7, 256]),
    final=st.booleans(),
)
def test_both_implementations_give_the_same_cuts(*, length: int, seed: int, alphabet: int, final: bool) -> None:
    table = bytes(value % alphabet for value in range(256))
    data = blake3(b"%d" % seed).digest(length=length).translate(table)
    fast, twin = (cutter.cuts(data, final=final) for cutter in CHUNKERS)
    assert fast == twin


@pytest.mark.parametrize(
    "length",
    [
        MIN_SIZE - 1,
        MIN_SIZE,
        MIN_SIZE + 1,
        AVERAGE_SIZE - 1,
        AVERAGE_SIZE,
        AVERAGE_SIZE + 1,
        MAX_SIZE - 1,
        MAX_SIZE,
        MAX_SIZE + 1,
    ],
)
@each_chunker
def test_cuts_at_the_limits_follow_the_letter(cutter: Chunker, length: int) -> None:
    for data in (bytes(length), blake3(b"limits").digest(length=length)):
        assert cutter.cuts(data, final=True) == cuts_by_the_letter(data)


@each_chunker
def test_last_chunk_of_a_buffer_that_is_not_final_is_left(cutter: Chunker) -> None:
    data = build([{"xof": "rest", "bytes": 1_000_000}])
    whole = cutter.cuts(data, final=True)
    assert cutter.cuts(data, final=False) == whole[:-1]


@each_chunker
def test_cut_at_the_end_of_a_buffer_is_certain_only_at_the_greatest_size(
    cutter: Chunker,
) -> None:
    assert cutter.cuts(bytes(MAX_SIZE - 1), final=False) == []
    assert cutter.cuts(bytes(MAX_SIZE), final=False) == [MAX_SIZE]


@each_chunker
def test_true_cut_is_left_until_the_byte_that_made_it_is_there(cutter: Chunker) -> None:
    data = build([{"xof": "rest", "bytes": 1_000_000}])
    first = cutter.cuts(data, final=True)[0]
    assert cutter.cuts(data[:first], final=False) == []
    assert cutter.cuts(data[: first + 2], final=False) == [first]


@each_chunker
def test_any_buffer_of_bytes_will_do(cutter: Chunker) -> None:
    data = build([{"xof": "rest", "bytes": 300_001}])
    padded = memoryview(bytearray(b"..." + data + b"..."))
    assert cutter.cuts(padded[3:-3], final=True) == cutter.cuts(bytearray(data), final=True) == cutter.cuts(data, final=True)


@each_chunker
def test_buffer_can_be_reused_as_soon_as_the_cuts_are_known(cutter: Chunker) -> None:
    buffer = bytearray(500_000)
    cutter.cuts(buffer, final=True)
    buffer.clear()
    assert cutter.cuts(buffer, final=True) == []


@each_chunker
def test_insertion_moves_only_the_cuts_around_it(cutter: Chunker) -> None:
    data = build([{"xof": "shift", "bytes": 4_000_000}])
    changed = data[:2_000_000] + b"inserted" * 125 + data[2_000_000:]
    before, after = cutter.cuts(data, final=True), cutter.cuts(changed, final=True)
    assert len(set(before) - set(after) - {cut - 1000 for cut in after}) <= 4


def test_compiled_chunker_is_chosen() -> None:
    assert type(chunker()) is type(fast_chunker())


def test_numpy_is_chosen_where_pyfastcdc_is_missing_and_only_then_loaded() -> None:
    program = (
        "import sys; sys.modules['pyfastcdc'] = None\n"
        "from kist.engine.chunker import chunker\n"
        "assert 'numpy' not in sys.modules\n"
        "assert chunker().cuts(bytes(300_000), final=True) == [262_144, 300_000]\n"
        "assert 'numpy' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
