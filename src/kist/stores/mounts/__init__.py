"""Mounts: names for stores, with what opens them."""

from kist.stores.mounts.registry import Mount, find, mount, mounts, saved_in, unmount

__all__ = ["Mount", "find", "mount", "mounts", "saved_in", "unmount"]
