"""A process that mounts what it is told to, and copies: one to be killed. Its arguments are JSON: mounts by name, source, target."""

import json
import sys

from kist import storage

if __name__ == "__main__":
    mounts, source, target = json.loads(sys.argv[1])
    for name, options in mounts.items():
        storage.mount(name, **options)
    storage.copy(source, target)
