"""How much of the long proofs one run does: ``KIST_SCALE`` is ``full`` or a fraction; ``KIST_KILLS`` counts random kills."""

import os
from fractions import Fraction


def scaled(full: int, *, least: int = 1) -> int:
    """Return what this run does of what a full one does."""
    said = os.environ.get("KIST_SCALE", "1/20")
    share = Fraction(1) if said == "full" else Fraction(said)
    return max(least, int(full * share))


def kills() -> int:
    """Return how many random kills this run does."""
    said = os.environ.get("KIST_KILLS")
    if said:
        return int(said)
    return 2000 if os.environ.get("CI") == "true" else scaled(2000)
