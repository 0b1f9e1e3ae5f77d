"""The user's own files, as `kist.storage` sees them."""

from kist.stores.disk.store import Disk, open_disk, path_of, split

__all__ = ["Disk", "open_disk", "path_of", "split"]
