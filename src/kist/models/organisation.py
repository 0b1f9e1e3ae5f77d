"""Organisations and what belongs to them: people, keys, bucket configs, repositories, the audit log. No secret is ever shown by a repr."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

__all__ = [
    "Access",
    "AuditLine",
    "AuditReport",
    "BucketCheck",
    "BucketConfig",
    "IssuedKey",
    "Job",
    "Key",
    "KeyKind",
    "LoginLink",
    "Me",
    "Member",
    "Mount",
    "Org",
    "Platform",
    "Repo",
    "RepoKind",
    "RepoRole",
    "Role",
    "Scope",
    "ServiceAccount",
    "User",
]

Role = Literal["reader", "writer", "admin"]
"""What somebody may do, from least to most: read; save too; manage too."""

KeyKind = Literal["token", "s3"]
"""An API token, or an access key with its secret for S3 clients."""

Platform = Literal["s3", "s3-compatible", "minio", "garage", "gs", "azure", "local", "memory"]
"""Where a bucket is."""

RepoKind = Literal["files", "arrays"]
"""What a repository holds: a tree of files in kist's own format, or arrays in Icechunk's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody who may log in. An `admin` manages the server: users, not what organisations keep."""

    id: str
    name: str
    email: str = ""
    admin: bool = False
    disabled: bool = False
    created: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Org:
    """An organisation. `role` is that of whoever asks, None for a guest, who sees only repositories shared with them."""

    id: str
    name: str
    description: str = ""
    personal: bool = False
    role: Role | None = None
    created: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Somebody's place in an organisation."""

    name: str
    email: str = ""
    role: Role
    created: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccount:
    """A program's place in an organisation; `role` is None where it has roles for single repositories only."""

    id: str
    name: str
    role: Role | None
    disabled: bool = False
    created: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """How far a key reaches: at most `role`, only in `org` and only for `repo` where these are said."""

    role: Role = "admin"
    org: str = ""
    repo: str = ""

    @property
    def everything(self) -> bool:
        """Whether a key with this scope may do all that its owner may do."""
        return self == Scope()


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key of a user or a service account, without its secret. The `id` of a pair for S3 clients is its access key."""

    id: str
    kind: KeyKind
    name: str
    owner: str
    scope: Scope
    created: datetime
    expires: datetime | None = None
    used: datetime | None = None
    revoked: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedKey:
    """A key that was just made; the only time that its secret is shown."""

    key: Key
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginLink:
    """A token that logs one browser in, once: open ``/login?token=…``."""

    user: str
    token: str = field(repr=False)
    expires: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Me:
    """Whoever asks: a user, or a service account (then with the organisation it belongs to)."""

    name: str
    kind: Literal["user", "service-account"]
    org: str = ""
    email: str = ""
    admin: bool = False
    scope: Scope
    orgs: tuple[Org, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketConfig:
    """Where repositories of an organisation may be: a bucket of a platform, and a prefix in it. Its credentials are never told.

    `name` is the bucket's; a folder's absolute path where the platform is ``local``. `auth_method` says what kind of credentials there are:
    ``ambient`` (those of the machine), ``public`` (none), ``keys`` or ``role``. `repos` counts those that use it; while there are any,
    only the nickname and the credentials can be changed.
    """

    id: str
    org: str
    nickname: str
    platform: Platform
    name: str
    prefix: str = ""
    extra_config: dict[str, str | bool] = field(default_factory=dict)
    auth_method: str = "ambient"
    is_default: bool = False
    repos: int = 0
    created: datetime
    created_by: str
    updated: datetime

    @property
    def uri(self) -> str:
        """The place as a URL."""
        scheme = {"gs": "gs", "azure": "az", "local": "file", "memory": "memory"}.get(self.platform, "s3")
        return f"{scheme}://{self.name}" + (f"/{self.prefix}" if self.prefix else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketCheck:
    """What trying a bucket config found; `problems` say what to do; `abilities` are told as by ``kist mount check``."""

    nickname: str
    ok: bool
    problems: tuple[str, ...] = ()
    abilities: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Repo:
    """A repository as the catalog knows it. It lies under its own `prefix` of the bucket config's place.

    `status`: ``online``; ``moving`` while it is copied to another place, when it can be read only; ``deleted`` until `purge_at`.
    """

    id: str
    org: str
    name: str
    kind: RepoKind
    bucket_config: str
    prefix: str
    description: str = ""
    metadata: dict[str, object] = field(default_factory=dict)
    status: Literal["online", "moving", "deleted"] = "online"
    created: datetime
    created_by: str
    updated: datetime
    purge_at: datetime | None = None

    @property
    def full_name(self) -> str:
        """``org/name``."""
        return f"{self.org}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RepoRole:
    """Somebody's role for one repository, beside that which they have in its organisation."""

    principal: str
    kind: Literal["user", "service-account"]
    role: Role
    created: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How to reach a repository's objects until `expires` (None: no end).

    With a `url`, directly, by the store's `options`, which may hold short-lived credentials; with none, through the server.
    Commits always are an operation of the server. `author` is whoever asks, as the server knows them.
    """

    repo: Repo
    url: str = ""
    options: dict[str, str] = field(default_factory=dict, repr=False)
    expires: datetime | None = None
    writable: bool = False
    author: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A name for a place outside of any repository, shared in an organisation. Its secrets are never told."""

    org: str
    name: str
    url: str
    options: dict[str, str] = field(default_factory=dict)
    created: datetime
    created_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Long work that goes on by itself: `done` of `total` bytes, and how it ended."""

    id: str
    operation: str
    target: str
    state: Literal["waiting", "running", "done", "failed"]
    done_bytes: int = 0
    total_bytes: int = 0
    message: str = ""
    created: datetime
    updated: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLine:
    """Who did what to what, and when. Each line's hash covers the one before it, so none can be changed or removed unnoticed."""

    seq: int
    time: datetime
    org: str
    principal: str
    operation: str
    target: str
    outcome: str
    details: dict[str, object] = field(default_factory=dict)
    hash: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """What checking an audit log found: how many lines are good, from the first one on, and which number is the first that is not.

    `head` is the hash of the last good line. Whoever keeps it elsewhere can later see whether the log has been written anew.
    """

    lines: int
    first_bad: int | None = None
    ok: bool
    head: str = ""
