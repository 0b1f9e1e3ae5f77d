"""Containers of OpenStack Swift, and OVH's."""

from kist.stores.swift.opening import open_swift

__all__ = ["open_swift"]
