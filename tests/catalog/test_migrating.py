"""How migrations are run, shown by scripts of their own: a schema of three releases."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from kist.catalog.database import Database, open_database
from kist.catalog.migrating import SCRIPTS
from kist.errors import Conflict, IntegrityError, KistError

ALL = ("0001_pre", "0001_post", "0002_pre", "0002_post", "0003_pre")
_SCRIPT = """\
from alembic import op
revision = "{name}"
down_revision = {before!r}
def upgrade():
    {work}
"""


def _scripts(folder: Path, names: tuple[str, ...], **work: str) -> Path:
    """Make a folder of scripts; each makes a table that is called as it is, or does `work`."""
    versions = folder / f"migrations-{len(names)}" / "versions"
    versions.mkdir(parents=True)
    shutil.copy(SCRIPTS / "env.py", versions.parent)
    for before, name in zip((None, *names), names, strict=False):
        does = work.get(f"at_{name}", f'op.execute("create table m{name} (id int)")')
        (versions / f"{name}_x.py").write_text(_SCRIPT.format(name=name, before=before, work=does))
    return versions.parent


def _made(database: Database) -> set[str]:
    with database.reading() as sql:
        return {name.removeprefix("m") for name in inspect(sql).get_table_names() if name.startswith("m0")}


def test_all_migrations_are_run_once(empty: Database, tmp_path: Path) -> None:
    scripts = _scripts(tmp_path, ALL)
    empty.migrate(scripts=scripts)
    empty.migrate(scripts=scripts)
    assert _made(empty) == set(ALL)
    assert empty.pending(scripts=scripts) == ()


def test_the_pending_ones_are_told_in_their_order(empty: Database, tmp_path: Path) -> None:
    empty.migrate(scripts=_scripts(tmp_path, ALL[:2]))
    assert empty.pending(scripts=_scripts(tmp_path, ALL)) == ALL[2:]


def test_pre_leaves_out_what_running_servers_of_the_old_release_need(empty: Database, tmp_path: Path) -> None:
    empty.migrate(scripts=_scripts(tmp_path, ALL[:2]))
    newer = _scripts(tmp_path, ALL[:4])
    empty.migrate("pre", scripts=newer)
    assert empty.pending(scripts=newer) == ("0002_post",)
    empty.migrate("post", scripts=newer)
    assert empty.pending(scripts=newer) == ()


def test_pre_makes_up_for_a_forgotten_post_of_the_release_that_runs(empty: Database, tmp_path: Path) -> None:
    empty.migrate("pre", scripts=_scripts(tmp_path, ALL[:3]))
    empty.migrate("pre", scripts=_scripts(tmp_path, ALL))
    assert _made(empty) == set(ALL)


def test_pre_refuses_to_pass_over_a_release_whose_servers_could_still_run(empty: Database, tmp_path: Path) -> None:
    empty.migrate(scripts=_scripts(tmp_path, ALL[:2]))
    newest = _scripts(tmp_path, ALL)
    with pytest.raises(Conflict, match="older than the release before"):
        empty.migrate("pre", scripts=newest)
    assert empty.pending(scripts=newest) == ALL[2:]
    empty.migrate(scripts=newest)


def test_pre_makes_a_new_database(empty: Database, tmp_path: Path) -> None:
    empty.migrate("pre", scripts=_scripts(tmp_path, ALL))
    assert _made(empty) == set(ALL)


def test_a_server_of_the_old_release_lives_with_the_pre_migration_of_the_next(empty: Database, tmp_path: Path) -> None:
    old = _scripts(tmp_path, ALL[:2])
    empty.migrate(scripts=old)
    empty.migrate("pre", scripts=_scripts(tmp_path, ALL[:4]))
    empty.migrate(scripts=old)
    assert empty.pending(scripts=old) == ()


@pytest.mark.parametrize("newer", [ALL[:4], ALL])
def test_a_database_of_a_newer_kist_is_refused(empty: Database, tmp_path: Path, newer: tuple[str, ...]) -> None:
    empty.migrate(scripts=_scripts(tmp_path, newer))
    with pytest.raises(Conflict, match=f"newer kist .schema {newer[-1]}"):
        empty.migrate(scripts=_scripts(tmp_path, ALL[:2]))


def test_a_migration_that_fails_leaves_the_database_as_it_was(empty: Database, tmp_path: Path) -> None:
    empty.migrate(scripts=_scripts(tmp_path, ALL[:2]))
    broken = _scripts(tmp_path, ALL, at_0003_pre='op.execute("nonsense")')
    with pytest.raises(KistError, match="nothing was changed"):
        empty.migrate(scripts=broken)
    assert _made(empty) == {"0001_pre", "0001_post"}
    assert empty.pending(scripts=broken) == ALL[2:]


def test_servers_that_start_at_once_migrate_once(empty_url: str) -> None:
    program = (
        f"from kist.catalog.database import open_database as o; d = o({empty_url!r}); d.migrate(); assert d.pending() == (); d.close()"
    )
    servers = [subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [server.communicate(timeout=60)[1] for server in servers]
    assert ([server.returncode for server in servers], said) == ([0, 0], ["", ""])


_PARENT = """op.execute("create table m1 (id int primary key)")
    op.execute("create table m2 (parent int references m1 (id) on delete cascade)")
    op.execute("insert into m1 values (1)")
    op.execute("insert into m2 values (1)")"""
_ANEW = """import sqlalchemy as sa
    with op.batch_alter_table("m1", recreate="always" if op.get_bind().dialect.name == "sqlite" else "auto") as table:
        table.add_column(sa.Column("more", sa.Integer))"""


def test_a_table_that_is_made_anew_keeps_what_refers_to_it(empty: Database, tmp_path: Path) -> None:
    empty.migrate(scripts=_scripts(tmp_path, ALL[:2], at_0001_pre=_PARENT, at_0001_post=_ANEW))
    with empty.reading() as sql:
        assert sql.execute(text("select parent from m2")).scalars().all() == [1]
        assert sql.execute(text("select more from m1")).scalars().all() == [None]


def test_a_migration_that_leaves_dangling_rows_is_undone_on_sqlite(tmp_path: Path) -> None:
    database = open_database(str(tmp_path / "catalog.db"))
    scripts = _scripts(tmp_path, ALL[:2], at_0001_pre=_PARENT, at_0001_post='op.execute("delete from m1")')
    with pytest.raises(IntegrityError, match="'m2' refer to rows of 'm1'"):
        database.migrate(scripts=scripts)
    assert database.pending(scripts=scripts) == ALL[:2]
    database.close()


def test_foreign_keys_hold_again_after_a_migration(tmp_path: Path) -> None:
    database = open_database(str(tmp_path / "catalog.db"), pool_size=1)
    database.migrate(scripts=_scripts(tmp_path, ALL[:1], at_0001_pre=_PARENT))
    with pytest.raises(Conflict):
        database.change(lambda sql: sql.execute(text("insert into m2 values (9)")))
    database.close()
