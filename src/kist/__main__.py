"""``python -m kist``: the command line."""

import sys

from kist.cli import main

if __name__ == "__main__":
    sys.exit(main())
