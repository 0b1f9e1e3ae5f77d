"""Files behind ``http`` and ``https``, to be read."""

from kist.stores.web.store import WebStore, open_web, split

__all__ = ["WebStore", "open_web", "split"]
