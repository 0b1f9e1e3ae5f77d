"""The scripts that kist ships: they make what the tables say, and keep the rows of every earlier schema."""

import ast
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Boolean, Column, Connection, Integer, LargeBinary, MetaData, Table, insert, inspect, select
from sqlalchemy.types import TypeEngine

from kist.catalog.database import Database
from kist.catalog.indexes import metadata
from kist.catalog.migrating import SCRIPTS
from kist.errors import Conflict

_REVISIONS = [script.revision for script in ScriptDirectory(str(SCRIPTS)).walk_revisions()][::-1]
_SHIPPED = sorted(path for path in (SCRIPTS / "versions").glob("*.py") if path.name != "__init__.py")
_NAMED = {"role": "reader", "repos.kind": "files", "keys.kind": "token"}


def test_migrations_make_what_the_tables_say(database: Database) -> None:
    postgresql = database.dialect == "postgresql"  # on SQLite alembic takes '' and "''" for different defaults
    with database.reading() as sql:
        context = MigrationContext.configure(sql, opts={"compare_type": True, "compare_server_default": postgresql})
        assert compare_metadata(context, metadata) == []


def test_migrations_make_the_same_as_the_tables_to_the_letter(empty: Database) -> None:
    """What alembic does not compare: checks, the order of text, conditions of indexes, rules of foreign keys."""
    empty.migrate()
    with empty.reading() as sql:
        migrated = _described(sql)
    empty.change(metadata.drop_all)
    empty.change(metadata.create_all)
    with empty.reading() as sql:
        assert migrated == _described(sql)


def _described(sql: Connection) -> Mapping[str, object]:
    found = inspect(sql)
    described: dict[str, object] = {}
    for name in sorted(set(found.get_table_names()) - {"alembic_version"}):
        for kind in ("columns", "pk_constraint", "table_options", "indexes", "unique_constraints", "check_constraints", "foreign_keys"):
            described[f"{name} {kind}"] = _plain(getattr(found, f"get_{kind}")(name))
    return described


def _plain(value: object) -> object:
    """Return something that can be compared: by its text, and lists without their order."""
    match value:
        case Mapping():
            return {str(name): _plain(one) for name, one in value.items()}
        case list():
            return sorted((_plain(one) for one in value), key=str)
        case TypeEngine():
            return repr(value)
        case _:
            return str(value)


@pytest.mark.parametrize("revision", _REVISIONS)
def test_rows_of_every_earlier_schema_are_kept(empty: Database, tmp_path: Path, revision: str) -> None:
    earlier = shutil.copytree(SCRIPTS, tmp_path / "migrations", ignore=shutil.ignore_patterns("__pycache__"))
    for script in earlier.joinpath("versions").glob("0*.py"):
        if _REVISIONS.index("_".join(script.name.split("_")[:2])) > _REVISIONS.index(revision):
            script.unlink()
    empty.migrate(scripts=earlier)
    before = empty.change(_fill)
    empty.migrate()
    with empty.reading() as sql:
        after = _rows(sql)
    assert before
    assert {name: _common(row, after[name]) for name, row in before.items() if name in after} == {
        name: _common(after[name], row) for name, row in before.items() if name in after
    }


def _fill(sql: Connection) -> Mapping[str, Mapping[str, object]]:
    """Add one row to each table, as it is in the database, and return them."""
    found = MetaData()
    found.reflect(sql)
    for table in found.sorted_tables:
        if table.name != "alembic_version":
            sql.execute(insert(table).values({column.name: _value(table, column) for column in table.columns}))
    return _rows(sql)


def _value(table: Table, column: Column[object]) -> object:
    if said := _NAMED.get(column.name) or _NAMED.get(f"{table.name}.{column.name}"):
        return said
    match column.type:
        case Boolean():
            return False
        case Integer():
            return 1
        case LargeBinary():
            return b"x"
        case kind if "JSON" in str(kind):
            return {"x": 1}
        case _:
            return "x"


def _rows(sql: Connection) -> Mapping[str, Mapping[str, object]]:
    found = MetaData()
    found.reflect(sql)
    return {
        table.name: dict(sql.execute(select(table)).mappings().one()) for table in found.sorted_tables if table.name != "alembic_version"
    }


def _common(row: Mapping[str, object], other: Mapping[str, object]) -> Mapping[str, object]:
    return {name: value for name, value in row.items() if name in other}


@pytest.mark.parametrize("script", _SHIPPED, ids=lambda path: path.stem)
def test_a_script_stands_on_its_own(script: Path) -> None:
    imported = [node for node in ast.walk(ast.parse(script.read_text())) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = [alias.name for node in imported if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in imported if isinstance(node, ast.ImportFrom)]
    assert {name.partition(".")[0] for name in names} <= {"alembic", "sqlalchemy"}


def test_scripts_are_called_after_their_release_and_stage() -> None:
    assert ["_".join(path.name.split("_")[:2]) for path in _SHIPPED] == sorted(_REVISIONS)
    numbers = [int(revision.partition("_")[0]) for revision in _REVISIONS]
    assert numbers == sorted(numbers)
    assert {revision.partition("_")[2] for revision in _REVISIONS} <= {"pre", "post"}


def test_a_live_repository_has_its_name_alone(database: Database) -> None:
    database.change(_fill)
    live: dict[str, object] = {"name": "n", "folded": "n", "kind": "files", "metadata": {}, "created": None, "deleted": None}
    rows = [{"id": str(number), "prefix": str(number)} for number in range(3)]

    def add(sql: Connection, row: Mapping[str, object]) -> None:
        found = MetaData()
        found.reflect(sql)
        repos = found.tables["repos"]
        plain = dict(sql.execute(select(repos).where(repos.c.id == "x")).mappings().one())
        sql.execute(insert(repos).values({**plain, **live, "created": 1, **row}))

    database.change(lambda sql: add(sql, rows[0]))
    database.change(lambda sql: add(sql, {**rows[1], "deleted": 5}))
    with pytest.raises(Conflict):
        database.change(lambda sql: add(sql, rows[2]))
