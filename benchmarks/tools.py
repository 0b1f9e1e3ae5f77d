"""The tools that are compared: the commands with which each saves and restores a folder.

Nothing runs here: a tool says what to run, `benchmarks.engine` runs and measures it. Every tool works as its manual tells a beginner,
with a home, a configuration and a cache of its own.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

__all__ = ["Borg", "Dvc", "Kist", "Place", "Restic", "Step", "Tar", "Tool"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one tool works on one data set: `project` holds the folder ``data``; the others are the tool's, and empty at first."""

    project: Path
    repository: Path
    home: Path
    out: Path


@dataclass(frozen=True, slots=True)
class Step:
    """A command to run in a folder; what only sets the stage is not `timed`."""

    command: list[str]
    cwd: Path
    timed: bool = field(default=True, kw_only=True)


class Tool(Protocol):
    """A way to keep versions of a folder."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    @property
    def version(self) -> list[str]:
        """The command that prints its version."""
        ...

    def environment(self, place: Place) -> Mapping[str, str]:
        """Return the environment variables that it needs."""
        ...

    def create(self, place: Place) -> list[Step]:
        """Return how an empty repository is made."""
        ...

    def save(self, place: Place, number: int) -> list[Step]:
        """Return how ``data`` is saved for the `number`-th time."""
        ...

    def restore(self, place: Place, number: int) -> list[Step]:
        """Return how the version of the `number`-th save is restored below `place.out`."""
        ...

    def restored(self, place: Place) -> Path:
        """Return the folder that must then be equal to ``data``."""
        ...


@dataclass(frozen=True, slots=True)
class Kist:
    """This project, through its command line."""

    program: str
    name: str = "kist"

    @property
    def version(self) -> list[str]:
        return [*shlex.split(self.program), "--version"]

    def environment(self, place: Place) -> Mapping[str, str]:
        return {"KIST_HOME": str(place.home)}

    def create(self, place: Place) -> list[Step]:
        return [Step(self._command(place, "init"), place.project)]

    def save(self, place: Place, number: int) -> list[Step]:
        del number
        return [Step(self._command(place, "save", "data", str(place.project / "data")), place.project)]

    def restore(self, place: Place, number: int) -> list[Step]:
        del number
        return [Step(self._command(place, "restore", "data", str(self.restored(place))), place.project)]

    def restored(self, place: Place) -> Path:
        return place.out / "data"

    def _command(self, place: Place, *words: str) -> list[str]:
        return [*shlex.split(self.program), "-r", place.repository.as_uri(), *words]


@dataclass(frozen=True, slots=True)
class Restic:
    """restic: always encrypts; its default compression."""

    name: str = "restic"
    version: list[str] = field(default_factory=lambda: ["restic", "version"])

    def environment(self, place: Place) -> Mapping[str, str]:
        return {
            "RESTIC_REPOSITORY": str(place.repository),
            "RESTIC_CACHE_DIR": str(place.home / "cache"),
            "RESTIC_PASSWORD_FILE": str(place.home / "password"),
        }

    def create(self, place: Place) -> list[Step]:
        password = Step(["sh", "-c", 'echo benchmark > "$RESTIC_PASSWORD_FILE"'], place.project)
        return [password, Step(["restic", "init", "--repository-version", "2"], place.project)]

    def save(self, place: Place, number: int) -> list[Step]:
        del number
        return [Step(["restic", "backup", "--quiet", "data"], place.project)]

    def restore(self, place: Place, number: int) -> list[Step]:
        del number
        return [Step(["restic", "restore", "--quiet", "latest", "--target", str(place.out)], place.project)]

    def restored(self, place: Place) -> Path:
        return place.out / "data"


@dataclass(frozen=True, slots=True)
class Borg:
    """borg without encryption."""

    compression: str
    version: list[str] = field(default_factory=lambda: ["borg", "--version"])

    @property
    def name(self) -> str:
        return f"borg {self.compression}"

    def environment(self, place: Place) -> Mapping[str, str]:
        return {"BORG_BASE_DIR": str(place.home), "BORG_REPO": str(place.repository)}

    def create(self, place: Place) -> list[Step]:
        return [Step(["borg", "init", "--encryption", "none"], place.project)]

    def save(self, place: Place, number: int) -> list[Step]:
        return [Step(["borg", "create", "--compression", self.compression, f"::{number}", "data"], place.project)]

    def restore(self, place: Place, number: int) -> list[Step]:
        return [Step(["borg", "extract", f"::{number}"], place.out)]

    def restored(self, place: Place) -> Path:
        return place.out / "data"


@dataclass(frozen=True, slots=True)
class Dvc:
    """DVC with a folder as remote; what it stores there counts, not its cache beside the data."""

    name: str = "dvc add+push"
    version: list[str] = field(default_factory=lambda: ["dvc", "--version"])

    def environment(self, place: Place) -> Mapping[str, str]:
        folders = {
            name: str(place.home / name.lower()) for name in ("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR", "DVC_SITE_CACHE_DIR")
        }
        return {"DVC_NO_ANALYTICS": "1", **folders}

    def create(self, place: Place) -> list[Step]:
        commands = [
            ["dvc", "init", "--no-scm", "--quiet"],
            ["dvc", "config", "core.check_update", "false"],
            ["dvc", "remote", "add", "--default", "store", str(place.repository)],
        ]
        return [Step(command, place.project) for command in commands]

    def save(self, place: Place, number: int) -> list[Step]:
        del number
        return [Step(["dvc", "add", "--quiet", "data"], place.project), Step(["dvc", "push", "--quiet"], place.project)]

    def restore(self, place: Place, number: int) -> list[Step]:
        del number
        clone = 'mkdir .dvc && cp "$1/.dvc/config" .dvc/ && cp "$1/data.dvc" .'
        return [
            Step(["sh", "-c", clone, "clone", str(place.project)], place.out, timed=False),
            Step(["dvc", "pull", "--quiet"], place.out),
        ]

    def restored(self, place: Place) -> Path:
        return place.out / "data"


@dataclass(frozen=True, slots=True)
class Tar:
    """What people do without a tool: ``tar czf``, and the archive is copied to where it is kept."""

    name: str = "tar czf + copy"
    version: list[str] = field(default_factory=lambda: ["tar", "--version"])

    def environment(self, place: Place) -> Mapping[str, str]:
        del place
        return {}

    def create(self, place: Place) -> list[Step]:
        return [Step(["mkdir", "-p", str(place.repository)], place.project)]

    def save(self, place: Place, number: int) -> list[Step]:
        archive = str(place.home / f"{number}.tar.gz")
        return [
            Step(["tar", "czf", archive, "data"], place.project),
            Step(["cp", archive, str(place.repository)], place.project),
            Step(["rm", archive], place.project, timed=False),
        ]

    def restore(self, place: Place, number: int) -> list[Step]:
        name = f"{number}.tar.gz"
        return [Step(["cp", str(place.repository / name), name], place.out), Step(["tar", "xzf", name], place.out)]

    def restored(self, place: Place) -> Path:
        return place.out / "data"
