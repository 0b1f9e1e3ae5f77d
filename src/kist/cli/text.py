"""How values read in a terminal. Pure; what a repository says is hostile: nothing that it says may steer a terminal."""

import stat
import unicodedata
from datetime import UTC, datetime

__all__ = ["count", "duration", "escape", "iso_time", "local_time", "mode_text", "mtime_text", "name_with_slash", "size"]

UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
STEP, EXACT_BELOW, NEXT_UNIT = 1000, 9.95, 999.5
UNSAFE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
JOINERS = "\u200c\u200d"
FORMS = {"file": stat.S_IFREG, "folder": stat.S_IFDIR, "link": stat.S_IFLNK}
NANOSECONDS = 1_000_000_000


def escape(text: str) -> str:
    r"""Return text with all spelled out (``\x1b``) that would move a cursor, colour, break a line or turn the direction of writing."""
    if text.isprintable():
        return text
    return "".join(
        one if unicodedata.category(one) not in UNSAFE or one in JOINERS else one.encode("unicode_escape").decode() for one in text
    )


def size(size_bytes: float) -> str:
    """Return bytes in decimal units: ``120 B``, ``3.4 MB``, ``12 kB``."""
    if size_bytes < 0:
        return f"-{size(-size_bytes)}"
    number, unit = float(size_bytes), 0
    while number >= NEXT_UNIT and unit < len(UNITS) - 1:
        number, unit = number / STEP, unit + 1
    return f"{number:.1f} {UNITS[unit]}" if unit and number < EXACT_BELOW else f"{number:.0f} {UNITS[unit]}"


def count(number: int, noun: str, plural: str = "") -> str:
    """Return ``1 file``, ``1,234 files``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def duration(seconds: float) -> str:
    """Return ``0:42``, ``12:05`` or ``1:02:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def local_time(moment: datetime) -> str:
    """Return a time where the reader is, to the minute."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M}"


def iso_time(moment: datetime) -> str:
    """Return a time for programs: ISO 8601, UTC, to the microsecond."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def mtime_text(mtime_ns: int | None) -> str:
    """Return when a file was changed, to the minute; nothing where that is unknown or no calendar has it."""
    if mtime_ns is None:
        return ""
    try:
        return local_time(datetime.fromtimestamp(mtime_ns // NANOSECONDS, UTC))
    except (OverflowError, ValueError, OSError):
        return "?"


def mode_text(kind: str, mode: int | None) -> str:
    """Return kind and permissions as ``ls -l`` writes them: ``drwxr-xr-x``."""
    return stat.filemode(FORMS[kind] | (mode or 0)) if mode is not None else stat.filemode(FORMS[kind])[0] + "?" * 9


def name_with_slash(path: str, kind: str) -> str:
    """Return a path as listings show it: escaped, with a ``/`` behind a folder."""
    return escape(path) + ("/" if kind == "folder" else "")
