"""Brings the schema up to date, in one transaction: all of it or nothing.

Scripts are called ``NNNN_pre_*`` and ``NNNN_post_*``, where NNNN counts the releases that changed the schema; at most one of each. After a
pre script, servers of release NNNN and of the one before it can run; after its post script, only those of NNNN.
"""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from sqlalchemy import Connection, inspect

from kist.catalog import postgresql, sqlite
from kist.errors import Conflict

__all__ = ["SCRIPTS", "Stage", "migrate", "pending"]

Stage = Literal["all", "pre", "post"]

SCRIPTS: Final = Path(__file__).parent / "migrations"
_VERSIONS: Final = "alembic_version"
_PATIENCE: Final = "10min"
_LOCK: Final = 7521046  # any number that nobody else takes
_alembic: Final = threading.Lock()  # its context belongs to the whole process


def migrate(connection: Connection, stage: Stage = "all", *, scripts: Path = SCRIPTS) -> None:
    """Run the migrations of a stage in the transaction of a connection.

    Raises:
        Conflict: a newer kist wrote the database, or servers of more than one older release could be running.
    """
    if connection.dialect.name == "postgresql":
        postgresql.allow_long_work(connection)
        connection.exec_driver_sql(f"set local lock_timeout = '{_PATIENCE}'")
        connection.exec_driver_sql(f"select pg_advisory_xact_lock({_LOCK})")
        connection.exec_driver_sql("set local lock_timeout = '30s'")  # who waits for a table keeps all others waiting
    names = pending(connection, scripts=scripts)
    if wanted := _of_stage(names, stage):
        from alembic import command  # noqa: PLC0415  it takes a fifth of a second, and is seldom needed
        from alembic.config import Config  # noqa: PLC0415

        config = Config()
        config.set_main_option("script_location", str(scripts).replace("%", "%%"))
        config.set_main_option("path_separator", "newline")
        config.attributes["connection"] = connection
        with _alembic:
            command.upgrade(config, wanted[-1])
        if connection.dialect.name == "sqlite":
            sqlite.check_foreign_keys(connection)


def pending(connection: Connection, *, scripts: Path = SCRIPTS) -> tuple[str, ...]:
    """Return the names of the migrations that have not been run yet, the first one first.

    Raises:
        Conflict: a newer kist wrote the database.
    """
    known = sorted((_revision(script) for script in (scripts / "versions").glob("[0-9]*.py")), key=_place)
    found = _current(connection)
    if found is None:
        return tuple(known)
    if found in known:
        return tuple(known[known.index(found) + 1 :])
    if found == f"{_number(known[-1]) + 1:04}_pre":
        return ()  # the next kist is being brought in, and what it made so far does not hurt
    raise Conflict(f"the database was written by a newer kist (schema {found}, this one knows up to {known[-1]}): update this one")


def _of_stage(names: Sequence[str], stage: Stage) -> Sequence[str]:
    """Return the migrations to run now."""
    if stage != "pre":
        return names
    last = max((place for place, name in enumerate(names) if name.endswith("_pre")), default=-1)
    wanted = names[: last + 1]
    first = next((place for place, name in enumerate(wanted) if name.endswith("_pre")), 0)
    if any(name.endswith("_post") for name in wanted[first:]) and not _is_new(names):
        raise Conflict(
            f"the running servers are older than the release before this one: end them, then migrate everything ({', '.join(names)})"
        )
    return wanted


def _is_new(names: Sequence[str]) -> bool:
    """Say whether nothing has been run yet, so that no server can be running."""
    return _number(names[0]) == 1 and names[0].endswith("_pre")


def _current(connection: Connection) -> str | None:
    """Return the migration that was run last."""
    if not inspect(connection).has_table(_VERSIONS):
        return None
    found: str | None = connection.exec_driver_sql(f"select version_num from {_VERSIONS}").scalar_one_or_none()  # noqa: S608  a constant
    return found


def _revision(script: Path) -> str:
    """Return the name that a script's migration goes by: ``0001_pre`` of ``0001_pre_schema.py``."""
    return "_".join(script.stem.split("_")[:2])


def _place(name: str) -> tuple[int, bool]:
    return _number(name), name.endswith("_post")


def _number(name: str) -> int:
    return int(name.partition("_")[0])
