"""A folder of this machine that repositories live in."""

from kist.stores.local.store import LocalStore, open_local

__all__ = ["LocalStore", "open_local"]
