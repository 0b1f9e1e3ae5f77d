"""Stores: bytes under keys, reached by URL.

`kist.stores.protocols` says what a store promises, `kist.stores.urls.open_store` opens one. Importing this package costs nothing.
"""
