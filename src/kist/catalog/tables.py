"""The tables, once for both databases.

Times are microseconds since 1970 UTC, read and written as aware datetimes. Names that people type are unique without regard to case: beside
each stands its folded form. Secrets are never in a column as they are: passwords by argon2, tokens by a keyed hash, credentials sealed.
Indexes of some rows only, such as that of the names of repositories that are not deleted, are in `kist.catalog.indexes`.
"""

from datetime import UTC, datetime, timedelta
from typing import Final, override

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Dialect,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import TypeEngine

__all__ = [
    "ROLES",
    "audit",
    "audit_heads",
    "bucket_configs",
    "failures",
    "grants",
    "idempotency",
    "identities",
    "jobs",
    "keys",
    "links",
    "members",
    "metadata",
    "microseconds",
    "mounts",
    "orgs",
    "ref_entries",
    "repo_metadata",
    "repo_texts",
    "repos",
    "service_accounts",
    "sessions",
    "users",
]

ROLES: Final = ("reader", "writer", "admin")
"""From least to most."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HASH = LargeBinary(32)


def microseconds(time: datetime) -> int:
    """Return the whole microseconds from 1970 UTC to an aware time."""
    return (time - _EPOCH) // timedelta(microseconds=1)


class Moment(TypeDecorator[datetime]):
    """A time, to the microsecond."""

    impl = BigInteger
    cache_ok = True

    @override
    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else microseconds(value)

    @override
    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        return None if value is None else _EPOCH + timedelta(microseconds=value)


class _Json(TypeDecorator[object]):
    """JSON, on PostgreSQL in its binary form."""

    impl = JSON
    cache_ok = True

    @override
    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[object]:
        if dialect.name != "postgresql":
            return super().load_dialect_impl(dialect)
        from sqlalchemy.dialects.postgresql import JSONB  # noqa: PLC0415  a user alone needs no PostgreSQL, which takes a while to load

        return dialect.type_descriptor(JSONB())


def _text(length: int) -> String:
    """Return a type for text of up to so many characters, ordered by code points: on both databases the same, whatever the locale says."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


_ID = _text(32)
_NAME = _text(128)
_FOLDED = _text(384)  # folding makes up to three characters of one

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _role(*, nullable: bool = False) -> Column[str]:
    return Column("role", _text(8), CheckConstraint("role in ('reader', 'writer', 'admin')", name="role"), nullable=nullable)


users = Table(
    "users",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("name", _NAME, nullable=False),
    Column("folded", _FOLDED, nullable=False, unique=True),
    Column("email", _text(320)),
    Column("password", Text),
    Column("admin", Boolean, nullable=False, server_default=text("false")),
    Column("created", Moment, nullable=False),
    Column("disabled", Boolean, nullable=False, server_default=text("false")),
)

identities = Table(
    "identities",
    metadata,
    Column("issuer", _text(512), nullable=False),
    Column("subject", _text(256), nullable=False),
    Column("user_id", _ID, ForeignKey(users.c.id, ondelete="cascade"), nullable=False, index=True),
    PrimaryKeyConstraint("issuer", "subject"),
)

orgs = Table(
    "orgs",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("name", _NAME, nullable=False),
    Column("folded", _FOLDED, nullable=False, unique=True),
    Column("description", _text(255), nullable=False, server_default=""),
    Column("owner_id", _ID, ForeignKey(users.c.id), unique=True),
    Column("created", Moment, nullable=False),
    comment="owner_id: whose personal organisation it is",
)

members = Table(
    "members",
    metadata,
    Column("org_id", _ID, ForeignKey(orgs.c.id, ondelete="cascade"), nullable=False),
    Column("user_id", _ID, ForeignKey(users.c.id, ondelete="cascade"), nullable=False, index=True),
    _role(),
    Column("created", Moment, nullable=False),
    PrimaryKeyConstraint("org_id", "user_id"),
)

service_accounts = Table(
    "service_accounts",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("org_id", _ID, ForeignKey(orgs.c.id, ondelete="cascade"), nullable=False),
    Column("name", _NAME, nullable=False),
    Column("folded", _FOLDED, nullable=False),
    _role(nullable=True),
    Column("created", Moment, nullable=False),
    Column("disabled", Boolean, nullable=False, server_default=text("false")),
    UniqueConstraint("org_id", "folded"),
)

bucket_configs = Table(
    "bucket_configs",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("org_id", _ID, ForeignKey(orgs.c.id), nullable=False),
    Column("nickname", _text(64), nullable=False),
    Column("folded", _FOLDED, nullable=False),
    Column("platform", _text(16), nullable=False),
    Column("name", _text(255), nullable=False),
    Column("prefix", _text(256), nullable=False, server_default=""),
    Column("extra_config", _Json, nullable=False),
    Column("auth_method", _text(64), nullable=False),
    Column("credentials", LargeBinary),
    Column("place", _text(600), nullable=False),
    Column("is_default", Boolean, nullable=False, server_default=text("false")),
    Column("created", Moment, nullable=False),
    Column("created_by", _text(256), nullable=False),
    Column("updated", Moment, nullable=False),
    UniqueConstraint("org_id", "folded"),
    Index("ix_bucket_configs_place", "place"),
    comment="place: platform, endpoint, bucket and prefix in their one spelling, ending in a slash; credentials are sealed",
)

repos = Table(
    "repos",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("org_id", _ID, ForeignKey(orgs.c.id), nullable=False),
    Column("name", _NAME, nullable=False),
    Column("folded", _FOLDED, nullable=False),
    Column("kind", _text(8), CheckConstraint("kind in ('files', 'arrays')", name="kind"), nullable=False),
    Column("bucket_config_id", _ID, ForeignKey(bucket_configs.c.id), nullable=False),
    Column("prefix", _text(512), nullable=False),
    Column("description", _text(255), nullable=False, server_default=""),
    Column("metadata", _Json, nullable=False),
    Column("created", Moment, nullable=False),
    Column("created_by", _text(256), nullable=False),
    Column("updated", Moment, nullable=False),
    Column("authority", _text(8), nullable=False),
    Column("status", _text(8), nullable=False, server_default="online"),
    Column("deleted", Moment),
    Index("ix_repos_name", "org_id", "folded"),
    UniqueConstraint("bucket_config_id", "prefix"),
    Index("ix_repos_bucket", "org_id", "bucket_config_id", "folded"),
    Index("ix_repos_kind", "org_id", "kind", "folded"),
)

repo_texts = Table(
    "repo_texts",
    metadata,
    Column("org_id", _ID, nullable=False),
    Column("folded", _FOLDED, nullable=False),
    Column("repo_id", _ID, ForeignKey(repos.c.id, ondelete="cascade"), nullable=False, index=True),
    Column("text", Text, nullable=False),
    PrimaryKeyConstraint("org_id", "folded", "repo_id"),
    sqlite_with_rowid=False,
    comment="what a search looks through: folded name and description, so close together that 100,000 of them are read in 40 ms",
)

repo_metadata = Table(
    "repo_metadata",
    metadata,
    Column("org_id", _ID, nullable=False),
    Column("name", _text(128), nullable=False),
    Column("value", _HASH, nullable=False),
    Column("folded", _FOLDED, nullable=False),
    Column("repo_id", _ID, ForeignKey(repos.c.id, ondelete="cascade"), nullable=False, index=True),
    PrimaryKeyConstraint("org_id", "name", "value", "folded", "repo_id"),
    sqlite_with_rowid=False,
    comment="the metadata of repositories to be found by: name and hash of the value, in the order of the repositories",
)

grants = Table(
    "grants",
    metadata,
    Column("repo_id", _ID, ForeignKey(repos.c.id, ondelete="cascade"), nullable=False),
    Column("principal_id", _ID, nullable=False, index=True),
    _role(),
    Column("created", Moment, nullable=False),
    PrimaryKeyConstraint("repo_id", "principal_id"),
    comment="a role for one repository, beside that of the organisation; principal_id: a user or a service account",
)

keys = Table(
    "keys",
    metadata,
    Column("id", _text(32), primary_key=True),
    Column("kind", _text(8), CheckConstraint("kind in ('token', 's3')", name="kind"), nullable=False),
    Column("principal_id", _ID, nullable=False, index=True),
    Column("name", _NAME, nullable=False),
    Column("hash", _HASH, unique=True),
    Column("salt", LargeBinary(16)),
    Column("master", _text(16)),
    Column("scope", _Json, nullable=False),
    Column("by_login", Boolean, nullable=False, server_default=text("false")),
    Column("created", Moment, nullable=False),
    Column("expires", Moment),
    Column("used", Moment),
    Column("revoked", Moment),
    comment="of a token, a keyed hash; the secret of a pair for S3 is derived from the master key of that name, the id and the salt; "
    "by_login: made by logging in, so a new password ends it",
)

sessions = Table(
    "sessions",
    metadata,
    Column("hash", _HASH, primary_key=True),
    Column("user_id", _ID, ForeignKey(users.c.id, ondelete="cascade"), nullable=False, index=True),
    Column("created", Moment, nullable=False),
    Column("expires", Moment, nullable=False, index=True),
)

links = Table(
    "links",
    metadata,
    Column("hash", _HASH, primary_key=True),
    Column("user_id", _ID, ForeignKey(users.c.id, ondelete="cascade"), index=True),
    Column("code", _HASH, unique=True),
    Column("label", _text(128), nullable=False, server_default=""),
    Column("expires", Moment, nullable=False, index=True),
    comment="one-time links to log in with; with a code, the request of a terminal, whose user is whoever confirms that code in a browser",
)

failures = Table(
    "failures",
    metadata,
    Column("subject", _HASH, primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("until", Moment, nullable=False),
    Column("forget", Moment, nullable=False, index=True),
    comment="failed logins, by the keyed hash of a user's name or an address; until: when the next one may be tried",
)

ref_entries = Table(
    "ref_entries",
    metadata,
    Column("repo_id", _ID, ForeignKey(repos.c.id, ondelete="cascade"), nullable=False),
    Column("ref", _text(128), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("txn", LargeBinary(16), nullable=False),
    Column("entry", LargeBinary, nullable=False),
    Column("stored", Boolean, nullable=False, server_default=text("false")),
    PrimaryKeyConstraint("repo_id", "ref", "seq"),
    comment="the commit point of repositories whose store honours no conditions; stored: its object is in the bucket too",
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("principal_id", _ID, nullable=False),
    Column("key", _text(128), nullable=False),
    Column("request", _HASH, nullable=False),
    Column("answer", LargeBinary),
    Column("created", Moment, nullable=False, index=True),
    PrimaryKeyConstraint("principal_id", "key"),
)

mounts = Table(
    "mounts",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("org_id", _ID, ForeignKey(orgs.c.id, ondelete="cascade"), nullable=False),
    Column("name", _NAME, nullable=False),
    Column("url", Text, nullable=False),
    Column("options", _Json, nullable=False),
    Column("secrets", LargeBinary),
    Column("created", Moment, nullable=False),
    Column("created_by", _text(256), nullable=False),
    UniqueConstraint("org_id", "name"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("org_id", _ID, nullable=False),
    Column("repo_id", _ID),
    Column("operation", _text(64), nullable=False),
    Column("target", _text(512), nullable=False),
    Column("request", _Json, nullable=False),
    Column("principal", _text(320), nullable=False),
    Column("state", _text(8), nullable=False),
    Column("done_bytes", BigInteger, nullable=False, server_default=text("0")),
    Column("total_bytes", BigInteger, nullable=False, server_default=text("0")),
    Column("message", Text, nullable=False, server_default=""),
    Column("leased_until", Moment),
    Column("leased_by", _text(64), nullable=False, server_default=""),
    Column("created", Moment, nullable=False),
    Column("updated", Moment, nullable=False),
    Index("ix_jobs_state", "state", "leased_until"),
    Index("ix_jobs_org", "org_id", "created", "id"),
    Index("ix_jobs_repo", "repo_id"),
    comment="long work; whoever holds the lease does it, and another one goes on with it once the lease has run out",
)

audit = Table(
    "audit",
    metadata,
    Column("org_id", _ID, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("time", Moment, nullable=False),
    Column("principal", _text(320), nullable=False),
    Column("operation", _text(64), nullable=False),
    Column("target", _text(512), nullable=False),
    Column("outcome", _text(32), nullable=False),
    Column("details", Text, nullable=False),
    Column("previous", _HASH, nullable=False),
    Column("hash", _HASH, nullable=False),
    PrimaryKeyConstraint("org_id", "seq"),
    Index("ix_audit_operation", "org_id", "operation", "seq"),
    Index("ix_audit_principal", "org_id", "principal", "seq"),
    Index("ix_audit_target", "org_id", "target", "seq"),
    comment="a chain for each organisation and one without: each line holds the hash of the one before; it outlives the organisation",
)

audit_heads = Table(
    "audit_heads",
    metadata,
    Column("org_id", _ID, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("hash", _HASH, nullable=False),
    comment="the last line of each chain, without which nobody would miss it",
)
