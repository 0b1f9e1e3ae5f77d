"""The first schema.

Like every script here, it says all by itself what it makes, and never changes once it has been released.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001_pre"
down_revision = None

moment = sa.BigInteger()
hash_ = sa.LargeBinary(32)
json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def text(length: int) -> sa.String:
    """Return the type of text that is ordered by code points."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    """Make all tables."""
    _people()
    _organisations()
    _repositories()
    _records()


def _people() -> None:
    """People, how they log in, and keys."""
    op.create_table(
        "users",
        sa.Column("id", text(32), nullable=False),
        sa.Column("name", text(128), nullable=False),
        sa.Column("folded", text(384), nullable=False),
        sa.Column("email", text(320), nullable=True),
        sa.Column("password", sa.Text(), nullable=True),
        sa.Column("admin", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created", moment, nullable=False),
        sa.Column("disabled", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("folded", name=op.f("uq_users_folded")),
    )
    op.create_table(
        "identities",
        sa.Column("issuer", text(512), nullable=False),
        sa.Column("subject", text(256), nullable=False),
        sa.Column("user_id", text(32), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_identities_user_id"), ondelete="cascade"),
        sa.PrimaryKeyConstraint("issuer", "subject", name=op.f("pk_identities")),
    )
    op.create_index(op.f("ix_identities_user_id"), "identities", ["user_id"], unique=False)
    op.create_table(
        "sessions",
        sa.Column("hash", hash_, nullable=False),
        sa.Column("user_id", text(32), nullable=False),
        sa.Column("created", moment, nullable=False),
        sa.Column("expires", moment, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sessions_user_id"), ondelete="cascade"),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_sessions")),
    )
    op.create_index(op.f("ix_sessions_expires"), "sessions", ["expires"], unique=False)
    op.create_index(op.f("ix_sessions_user_id"), "sessions", ["user_id"], unique=False)
    op.create_table(
        "links",
        sa.Column("hash", hash_, nullable=False),
        sa.Column("user_id", text(32), nullable=True),
        sa.Column("code", hash_, nullable=True),
        sa.Column("label", text(128), server_default="", nullable=False),
        sa.Column("expires", moment, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_links_user_id"), ondelete="cascade"),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_links")),
        sa.UniqueConstraint("code", name=op.f("uq_links_code")),
        comment="one-time links to log in with; with a code, the request of a terminal, whose user is whoever "
        "confirms that code in a browser",
    )
    op.create_index(op.f("ix_links_expires"), "links", ["expires"], unique=False)
    op.create_index(op.f("ix_links_user_id"), "links", ["user_id"], unique=False)
    op.create_table(
        "failures",
        sa.Column("subject", hash_, nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("until", moment, nullable=False),
        sa.Column("forget", moment, nullable=False),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_failures")),
        comment="failed logins, by the keyed hash of a user's name or an address; until: when the next one may be tried",
    )
    op.create_index(op.f("ix_failures_forget"), "failures", ["forget"], unique=False)
    op.create_table(
        "keys",
        sa.Column("id", text(32), nullable=False),
        sa.Column("kind", text(8), nullable=False),
        sa.Column("principal_id", text(32), nullable=False),
        sa.Column("name", text(128), nullable=False),
        sa.Column("hash", hash_, nullable=True),
        sa.Column("salt", sa.LargeBinary(length=16), nullable=True),
        sa.Column("master", text(16), nullable=True),
        sa.Column("scope", json, nullable=False),
        sa.Column("by_login", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created", moment, nullable=False),
        sa.Column("expires", moment, nullable=True),
        sa.Column("used", moment, nullable=True),
        sa.Column("revoked", moment, nullable=True),
        sa.CheckConstraint("kind in ('token', 's3')", name=op.f("ck_keys_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_keys")),
        sa.UniqueConstraint("hash", name=op.f("uq_keys_hash")),
        comment="of a token, a keyed hash; the secret of a pair for S3 is derived from the master key of that name, "
        "the id and the salt; by_login: made by logging in, so a new password ends it",
    )
    op.create_index(op.f("ix_keys_principal_id"), "keys", ["principal_id"], unique=False)


def _organisations() -> None:
    """Organisations and who belongs to them."""
    op.create_table(
        "orgs",
        sa.Column("id", text(32), nullable=False),
        sa.Column("name", text(128), nullable=False),
        sa.Column("folded", text(384), nullable=False),
        sa.Column("description", text(255), server_default="", nullable=False),
        sa.Column("owner_id", text(32), nullable=True),
        sa.Column("created", moment, nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_orgs_owner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orgs")),
        sa.UniqueConstraint("folded", name=op.f("uq_orgs_folded")),
        sa.UniqueConstraint("owner_id", name=op.f("uq_orgs_owner_id")),
        comment="owner_id: whose personal organisation it is",
    )
    op.create_table(
        "members",
        sa.Column("org_id", text(32), nullable=False),
        sa.Column("user_id", text(32), nullable=False),
        sa.Column("role", text(8), nullable=False),
        sa.Column("created", moment, nullable=False),
        sa.CheckConstraint("role in ('reader', 'writer', 'admin')", name=op.f("ck_members_role")),
        sa.ForeignKeyConstraint(["org_id"], ["orgs.id"], name=op.f("fk_members_org_id"), ondelete="cascade"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_members_user_id"), ondelete="cascade"),
        sa.PrimaryKeyConstraint("org_id", "user_id", name=op.f("pk_members")),
    )
    op.create_index(op.f("ix_members_user_id"), "members", ["user_id"], unique=False)
    op.create_table(
        "service_accounts",
        sa.Column("id", text(32), nullable=False),
        sa.Column("org_id", text(32), nullable=False),
        sa.Column("name", text(128), nullable=False),
        sa.Column("folded", text(384), nullable=False),
        sa.Column("role", text(8), nullable=True),
        sa.Column("created", moment, nullable=False),
        sa.Column("disabled", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.CheckConstraint("role in ('reader', 'writer', 'admin')", name=op.f("ck_service_accounts_role")),
        sa.ForeignKeyConstraint(["org_id"], ["orgs.id"], name=op.f("fk_service_accounts_org_id"), ondelete="cascade"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_service_accounts")),
        sa.UniqueConstraint("org_id", "folded", name=op.f("uq_service_accounts_org_id")),
    )
    op.create_table(
        "mounts",
        sa.Column("id", text(32), nullable=False),
        sa.Column("org_id", text(32), nullable=False),
        sa.Column("name", text(128), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("options", json, nullable=False),
        sa.Column("secrets", sa.LargeBinary(), nullable=True),
        sa.Column("created", moment, nullable=False),
        sa.Column("created_by", text(256), nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["orgs.id"], name=op.f("fk_mounts_org_id"), ondelete="cascade"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mounts")),
        sa.UniqueConstraint("org_id", "name", name=op.f("uq_mounts_org_id")),
    )


def _repositories() -> None:
    """Buckets, what lies in them, and who may."""
    op.create_table(
        "bucket_configs",
        sa.Column("id", text(32), nullable=False),
        sa.Column("org_id", text(32), nullable=False),
        sa.Column("nickname", text(64), nullable=False),
        sa.Column("folded", text(384), nullable=False),
        sa.Column("platform", text(16), nullable=False),
        sa.Column("name", text(255), nullable=False),
        sa.Column("prefix", text(256), server_default="", nullable=False),
        sa.Column("extra_config", json, nullable=False),
        sa.Column("auth_method", text(64), nullable=False),
        sa.Column("credentials", sa.LargeBinary(), nullable=True),
        sa.Column("place", text(600), nullable=False),
        sa.Column("is_default", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created", moment, nullable=False),
        sa.Column("created_by", text(256), nullable=False),
        sa.Column("updated", moment, nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["orgs.id"], name=op.f("fk_bucket_configs_org_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bucket_configs")),
        sa.UniqueConstraint("org_id", "folded", name=op.f("uq_bucket_configs_org_id")),
        comment="place: platform, endpoint, bucket and prefix in their one spelling, ending in a slash; credentials are sealed",
    )
    op.create_index("ix_bucket_configs_place", "bucket_configs", ["place"], unique=False)
    op.create_index(
        "uq_bucket_configs_default",
        "bucket_configs",
        ["org_id"],
        unique=True,
        sqlite_where=sa.text("is_default"),
        postgresql_where=sa.text("is_default"),
    )
    op.create_table(
        "repos",
        sa.Column("id", text(32), nullable=False),
        sa.Column("org_id", text(32), nullable=False),
        sa.Column("name", text(128), nullable=False),
        sa.Column("folded", text(384), nullable=False),
        sa.Column("kind", text(8), nullable=False),
        sa.Column("bucket_config_id", text(32), nullable=False),
        sa.Column("prefix", text(512), nullable=False),
        sa.Column("description", text(255), server_default="", nullable=False),
        sa.Column("metadata", json, nullable=False),
        sa.Column("created", moment, nullable=False),
        sa.Column("created_by", text(256), nullable=False),
        sa.Column("updated", moment, nullable=False),
        sa.Column("authority", text(8), nullable=False),
        sa.Column("status", text(8), server_default="online", nullable=False),
        sa.Column("deleted", moment, nullable=True),
        sa.CheckConstraint("kind in ('files', 'arrays')", name=op.f("ck_repos_kind")),
        sa.ForeignKeyConstraint(["bucket_config_id"], ["bucket_configs.id"], name=op.f("fk_repos_bucket_config_id")),
        sa.ForeignKeyConstraint(["org_id"], ["orgs.id"], name=op.f("fk_repos_org_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_repos")),
        sa.UniqueConstraint("bucket_config_id", "prefix", name=op.f("uq_repos_bucket_config_id")),
    )
    op.create_index("ix_repos_bucket", "repos", ["org_id", "bucket_config_id", "folded"], unique=False)
    op.create_index(
        "ix_repos_deleted",
        "repos",
        ["deleted"],
        unique=False,
        sqlite_where=sa.text("deleted is not null"),
        postgresql_where=sa.text("deleted is not null"),
    )
    op.create_index("ix_repos_kind", "repos", ["org_id", "kind", "folded"], unique=False)
    op.create_index("ix_repos_name", "repos", ["org_id", "folded"], unique=False)
    op.create_index(
        "uq_repos_live",
        "repos",
        ["org_id", "folded"],
        unique=True,
        sqlite_where=sa.text("deleted is null"),
        postgresql_where=sa.text("deleted is null"),
    )
    op.create_table(
        "grants",
        sa.Column("repo_id", text(32), nullable=False),
        sa.Column("principal_id", text(32), nullable=False),
        sa.Column("role", text(8), nullable=False),
        sa.Column("created", moment, nullable=False),
        sa.CheckConstraint("role in ('reader', 'writer', 'admin')", name=op.f("ck_grants_role")),
        sa.ForeignKeyConstraint(["repo_id"], ["repos.id"], name=op.f("fk_grants_repo_id"), ondelete="cascade"),
        sa.PrimaryKeyConstraint("repo_id", "principal_id", name=op.f("pk_grants")),
        comment="a role for one repository, beside that of the organisation; principal_id: a user or a service account",
    )
    op.create_index(op.f("ix_grants_principal_id"), "grants", ["principal_id"], unique=False)
    op.create_table(
        "ref_entries",
        sa.Column("repo_id", text(32), nullable=False),
        sa.Column("ref", text(128), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("txn", sa.LargeBinary(length=16), nullable=False),
        sa.Column("entry", sa.LargeBinary(), nullable=False),
        sa.Column("stored", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.ForeignKeyConstraint(["repo_id"], ["repos.id"], name=op.f("fk_ref_entries_repo_id"), ondelete="cascade"),
        sa.PrimaryKeyConstraint("repo_id", "ref", "seq", name=op.f("pk_ref_entries")),
        comment="the commit point of repositories whose store honours no conditions; stored: its object is in the bucket too",
    )
    op.create_index(
        "ix_ref_entries_unstored",
        "ref_entries",
        ["repo_id", "ref", "seq"],
        unique=False,
        sqlite_where=sa.text("stored = 0"),
        postgresql_where=sa.text("not stored"),
    )
    op.create_table(
        "repo_metadata",
        sa.Column("org_id", text(32), nullable=False),
        sa.Column("name", text(128), nullable=False),
        sa.Column("value", hash_, nullable=False),
        sa.Column("folded", text(384), nullable=False),
        sa.Column("repo_id", text(32), nullable=False),
        sa.ForeignKeyConstraint(["repo_id"], ["repos.id"], name=op.f("fk_repo_metadata_repo_id"), ondelete="cascade"),
        sa.PrimaryKeyConstraint("org_id", "name", "value", "folded", "repo_id", name=op.f("pk_repo_metadata")),
        comment="the metadata of repositories to be found by: name and hash of the value, in the order of the repositories",
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_repo_metadata_repo_id"), "repo_metadata", ["repo_id"], unique=False)
    op.create_table(
        "repo_texts",
        sa.Column("org_id", text(32), nullable=False),
        sa.Column("folded", text(384), nullable=False),
        sa.Column("repo_id", text(32), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["repo_id"], ["repos.id"], name=op.f("fk_repo_texts_repo_id"), ondelete="cascade"),
        sa.PrimaryKeyConstraint("org_id", "folded", "repo_id", name=op.f("pk_repo_texts")),
        comment="what a search looks through: folded name and description, so close together that 100,000 of them are read in 40 ms",
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_repo_texts_repo_id"), "repo_texts", ["repo_id"], unique=False)


def _records() -> None:
    """Work that goes on, and what was done."""
    op.create_table(
        "jobs",
        sa.Column("id", text(32), nullable=False),
        sa.Column("org_id", text(32), nullable=False),
        sa.Column("repo_id", text(32), nullable=True),
        sa.Column("operation", text(64), nullable=False),
        sa.Column("target", text(512), nullable=False),
        sa.Column("request", json, nullable=False),
        sa.Column("principal", text(320), nullable=False),
        sa.Column("state", text(8), nullable=False),
        sa.Column("done_bytes", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("total_bytes", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("message", sa.Text(), server_default="", nullable=False),
        sa.Column("leased_until", moment, nullable=True),
        sa.Column("leased_by", text(64), server_default="", nullable=False),
        sa.Column("created", moment, nullable=False),
        sa.Column("updated", moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
        comment="long work; whoever holds the lease does it, and another one goes on with it once the lease has run out",
    )
    op.create_index("ix_jobs_org", "jobs", ["org_id", "created", "id"], unique=False)
    op.create_index("ix_jobs_repo", "jobs", ["repo_id"], unique=False)
    op.create_index("ix_jobs_state", "jobs", ["state", "leased_until"], unique=False)
    op.create_table(
        "idempotency",
        sa.Column("principal_id", text(32), nullable=False),
        sa.Column("key", text(128), nullable=False),
        sa.Column("request", hash_, nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=True),
        sa.Column("created", moment, nullable=False),
        sa.PrimaryKeyConstraint("principal_id", "key", name=op.f("pk_idempotency")),
    )
    op.create_index(op.f("ix_idempotency_created"), "idempotency", ["created"], unique=False)
    op.create_table(
        "audit_heads",
        sa.Column("org_id", text(32), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", hash_, nullable=False),
        sa.PrimaryKeyConstraint("org_id", name=op.f("pk_audit_heads")),
        comment="the last line of each chain, without which nobody would miss it",
    )
    op.create_table(
        "audit",
        sa.Column("org_id", text(32), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("time", moment, nullable=False),
        sa.Column("principal", text(320), nullable=False),
        sa.Column("operation", text(64), nullable=False),
        sa.Column("target", text(512), nullable=False),
        sa.Column("outcome", text(32), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("previous", hash_, nullable=False),
        sa.Column("hash", hash_, nullable=False),
        sa.PrimaryKeyConstraint("org_id", "seq", name=op.f("pk_audit")),
        comment="a chain for each organisation and one without: each line holds the hash of the one before; it outlives the organisation",
    )
    op.create_index("ix_audit_operation", "audit", ["org_id", "operation", "seq"], unique=False)
    op.create_index("ix_audit_principal", "audit", ["org_id", "principal", "seq"], unique=False)
    op.create_index("ix_audit_target", "audit", ["org_id", "target", "seq"], unique=False)
