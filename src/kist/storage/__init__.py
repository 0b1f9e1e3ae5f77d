"""Files anywhere, by URL: on this machine, in any cloud, behind http, sftp, ftp or webdav, and in kist repositories.

What `open`, `os`, `os.path` and `shutil` do for paths, these do for URLs, mounts (``my_storage://…``) and paths alike. What is written
appears whole or not at all. Errors are those of `kist.errors`, each of which is the built-in one that it means too.

>>> from kist import storage
>>> with storage.open("memory://notes/today.txt", "w") as file:
...     _ = file.write("sunny")
>>> storage.copy("memory://notes/today.txt", "memory://backup/").files
1
"""

from kist.storage.copying import copy, copy_async, move, sync, sync_async
from kist.storage.files import open  # noqa: A004 - it is the same for URLs
from kist.storage.places import exists, glob, isdir, isfile, listdir, makedirs, remove, shareable_url, stat, walk
from kist.stores.mounts import mount, mounts, unmount

__all__ = [
    "copy",
    "copy_async",
    "exists",
    "glob",
    "isdir",
    "isfile",
    "listdir",
    "makedirs",
    "mount",
    "mounts",
    "move",
    "open",
    "remove",
    "shareable_url",
    "stat",
    "sync",
    "sync_async",
    "unmount",
    "walk",
]
