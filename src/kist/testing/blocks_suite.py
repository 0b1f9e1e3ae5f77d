# ruff: noqa: S101  a suite asserts
"""What stores do that read parts in blocks."""

from typing import Protocol

import pytest

from kist.errors import Conflict, InvalidInput, NotFound
from kist.stores import budget
from kist.stores.protocols import GetBlocks, Store
from kist.testing.transfer_suite import pattern

__all__ = ["GetBlocksSuite"]


class Blocked(Store, GetBlocks, Protocol):
    """A store for `GetBlocksSuite`."""


class GetBlocksSuite:
    """Reading parts of one state in blocks."""

    @pytest.mark.parametrize(
        ("start", "end"), [(0, 3 << 20), (1, 2), (700_000, 2_000_001), (3_000_000, 9 << 20), (9 << 20, 10 << 20), (7, 7), (0, 0)]
    )
    def test_blocks_fit_together(self, store: Blocked, start: int, end: int) -> None:
        """They are the bytes of the part, of which there may be fewer than were asked for, or none."""
        content = pattern(3 << 20)
        store.put("a b/c%20é", content)
        [meta] = store.list()
        assert b"".join(map(bytes, store.get_blocks(meta, start=start, end=end))) == content[start:end]

    def test_a_block_holds_up_nobody(self, store: Blocked) -> None:
        """Whoever has one may ask for other things, with a budget of one too, or stop."""
        content = pattern(3 << 20)
        store.put("a", content)
        budget.configure(requests=1)
        try:
            blocks = store.get_blocks(store.head("a"), start=0, end=len(content))
            assert [content.startswith(bytes(next(blocks))), store.head("a").size_bytes] == [True, len(content)]
            del blocks
            assert store.get("a") == content
        finally:
            budget.configure(requests=budget.REQUESTS)

    @pytest.mark.parametrize(("new", "kind"), [(b"9876543210", Conflict), (b"0", Conflict), (b"0123456789+", Conflict), (None, NotFound)])
    def test_blocks_of_what_has_changed_or_is_gone(self, store: Blocked, new: bytes | None, kind: type[Exception]) -> None:
        """Are refused at the first step."""
        store.put("a", b"0123456789")
        meta = store.head("a")
        store.delete("a") if new is None else store.put("a", new)
        for start, end in ((0, 5), (5, 10), (5, 5)):
            blocks = store.get_blocks(meta, start=start, end=end)
            with pytest.raises(kind):
                next(blocks)

    @pytest.mark.parametrize(("start", "end"), [(-1, 3), (5, 4)])
    def test_what_are_no_blocks_is_refused(self, store: Blocked, start: int, end: int) -> None:
        """At once."""
        store.put("a", b"0123456789")
        with pytest.raises(InvalidInput):
            store.get_blocks(store.head("a"), start=start, end=end)
