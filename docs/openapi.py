"""Writes ``docs/reference/openapi.json``, as the table of operations tells it: ``PYTHONPATH=src python docs/openapi.py``.

With ``--check`` nothing is written, and the exit code says whether the file is as it should be.
"""

import sys
from pathlib import Path

from kist.server.openapi import rendered

PAGE = Path(__file__).parent / "reference" / "openapi.json"


def main() -> int:
    """Write the file, or compare; return the exit code."""
    wanted = rendered()
    if PAGE.is_file() and PAGE.read_text() == wanted:
        return 0
    if "--check" in sys.argv:
        sys.stderr.write(f"{PAGE} is not what the table of operations says: run python docs/openapi.py\n")
        return 1
    PAGE.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
