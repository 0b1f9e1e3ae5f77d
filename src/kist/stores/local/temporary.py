"""Temporary files of a local store: hidden under the root, and swept when whoever made them has died.

Most writes need none: Linux makes files without a name (``O_TMPFILE``), which vanish with their process. Names are needed to replace
an object, and where the file system lacks nameless files. A name says who made it (this boot, pid namespace, pid and start time), so that
any process can tell debris from work in progress. Sweeping too much would fail a write loudly, never lose one.
"""

import contextlib
import hashlib
import os
import secrets
import time
from pathlib import Path
from typing import Final

__all__ = ["FOLDER", "new_name", "sweep"]

FOLDER: Final = b".kist-tmp"
"""Name of the folder under the root of a store; no key starts with it."""

STRANGER_SECONDS: Final = 7 * 24 * 3600
"""Age from which the files of another machine, or of an earlier boot, are debris."""


def new_name() -> bytes:
    """Return a name that nobody has used, and that says which process is at work."""
    pid = os.getpid()
    return f"{_machine()}.{pid}.{_started(pid)}.{secrets.token_hex(8)}".encode()


def sweep(folder: int) -> int:
    """Remove debris from the temporary folder that is open as `folder`; return how many files.

    Files that vanish meanwhile, or may not be removed, are left to others.
    """
    removed = 0
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries]
    for name in names:
        with contextlib.suppress(OSError):
            if _is_debris(folder, name):
                os.unlink(name, dir_fd=folder)
                removed += 1
    return removed


def _is_debris(folder: int, name: str) -> bool:
    machine, pid, started, *_ = [*name.split("."), "", "", ""]
    if machine == _machine() and pid.isdecimal() and started:
        return _started(int(pid)) != started and not _hidden(int(pid))
    return time.time() - os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime > STRANGER_SECONDS


def _hidden(pid: int) -> bool:
    """Say whether there is such a process although ``/proc`` does not show it, as on machines that hide those of other users."""
    if _started(pid):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _machine() -> str:
    """Name this boot of this machine and this pid namespace: where a pid means one process."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii") if os.path.exists("/proc/sys") else os.uname().nodename
    try:
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        space = ""
    return hashlib.blake2b(f"{boot}{space}".encode(), digest_size=8).hexdigest()


def _started(pid: int) -> str:
    """Return when a process started, in clock ticks after the boot; empty if there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]
