"""The indexes of some rows only, and with them the whole schema.

They are apart from the tables, for to hear of their conditions SQLAlchemy loads all that it has for PostgreSQL; and only what makes a
schema, or compares one, needs them.
"""

from sqlalchemy import Index, text

from kist.catalog.tables import bucket_configs, metadata, ref_entries, repos

__all__ = ["metadata"]

_default = text("is_default")
Index("uq_bucket_configs_default", bucket_configs.c.org_id, unique=True, sqlite_where=_default, postgresql_where=_default)

_live = text("deleted is null")
Index("uq_repos_live", repos.c.org_id, repos.c.folded, unique=True, sqlite_where=_live, postgresql_where=_live)

_deleted = text("deleted is not null")
Index("ix_repos_deleted", repos.c.deleted, sqlite_where=_deleted, postgresql_where=_deleted)

Index(
    "ix_ref_entries_unstored",
    ref_entries.c.repo_id,
    ref_entries.c.ref,
    ref_entries.c.seq,
    sqlite_where=text("stored = 0"),
    postgresql_where=text("not stored"),
)
