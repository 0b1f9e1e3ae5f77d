"""Where kist keeps what it keeps on a machine: one home that `KIST_HOME` moves, else the user's own folders by the XDG rules."""

import getpass
import os
from pathlib import Path

__all__ = ["author", "cache_home", "config_home", "data_home", "default_repository", "repository_place"]


def data_home() -> Path:
    """Return the folder for what must not be lost."""
    return _home("XDG_DATA_HOME", ".local/share", "data")


def cache_home() -> Path:
    """Return the folder for what may be lost."""
    return _home("XDG_CACHE_HOME", ".cache", "cache")


def config_home() -> Path:
    """Return the folder for what the user has set."""
    return _home("XDG_CONFIG_HOME", ".config", "config")


def default_repository() -> str:
    """Return the URL of the repository that is meant where none is named: `KIST_REPOSITORY`, else the folder of ``local/default``."""
    return os.environ.get("KIST_REPOSITORY") or repository_place("local", "default")


def repository_place(org: str, repo: str) -> str:
    """Return the folder of a repository of this machine that no catalog knows."""
    return str(data_home() / "repositories" / org / repo)


def author(known: str = "") -> str:
    """Return who saves: `KIST_AUTHOR`, else as whom somebody is known where they save, else the user's name on this machine."""
    if said := os.environ.get("KIST_AUTHOR") or known:
        return said
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"


def _home(variable: str, fallback: str, name: str) -> Path:
    if home := os.environ.get("KIST_HOME"):
        return Path(home).expanduser() / name
    base = os.environ.get(variable)
    return (Path(base) if base and Path(base).is_absolute() else Path.home() / fallback) / "kist"
