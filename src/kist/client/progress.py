"""Whom the calls of a client tell how far long work is."""

from collections.abc import Callable

__all__ = ["Told", "told_nobody"]

Told = Callable[[int, int], object]
"""Is told how many bytes are done, and of how many."""


def told_nobody(_done_bytes: int, _total_bytes: int) -> None:
    """Tell nobody."""
