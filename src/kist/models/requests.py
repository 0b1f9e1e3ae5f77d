"""What operations take: the shape of each request, checked where it comes from outside.

A field that the path of an operation names comes from there; the others from the query (GET, DELETE) or from the JSON body, and `content`
is the body as it is. A field of a change that is `UNSET` stays as it was.
"""

from datetime import datetime
from typing import Annotated, Literal, override

from msgspec import UNSET, Meta, Struct, UnsetType

from kist.models.organisation import KeyKind, Platform, RepoKind, Role, Scope

__all__ = [
    "AccountName",
    "BucketName",
    "CollectRepo",
    "CreateBucketConfig",
    "CreateKey",
    "CreateOrg",
    "CreateRepo",
    "CreateServiceAccount",
    "CreateServiceKey",
    "CreateUser",
    "DeleteBucketConfig",
    "DeleteOrg",
    "DeleteRepo",
    "ForgetVersions",
    "GrantRole",
    "ImportRepo",
    "JobName",
    "KeyName",
    "ListAudit",
    "ListBucketRepos",
    "ListBuckets",
    "ListInOrg",
    "ListJobs",
    "ListKeys",
    "ListObjects",
    "ListOrgs",
    "ListRepos",
    "ListServiceKeys",
    "ListUsers",
    "LogIn",
    "MemberName",
    "ModifyBucketConfig",
    "ModifyOrg",
    "ModifyRepo",
    "ModifyServiceAccount",
    "ModifyUser",
    "MountName",
    "MoveRepo",
    "Nothing",
    "ObjectName",
    "OpenRepo",
    "OrgName",
    "Page",
    "PutObject",
    "PutRefEntry",
    "ReadObject",
    "RefState",
    "RepoName",
    "Request",
    "RoleName",
    "RotateCredentials",
    "ServiceKeyName",
    "SetMember",
    "SetMount",
    "SetPassword",
    "Stored",
    "StoredPage",
    "UserName",
]

# In Python ``$`` also fits before a last newline, so that is refused; in other languages the patterns mean the same.
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}(?!\n)$", description="1 to 100 letters, digits, '.', '_' or '-'")]
Nickname = Annotated[str, Meta(pattern=r"^\s*\w[\w.-]{2,63}\s*$", description="3 to 64 letters, digits, '.', '_' or '-'")]
Person = Annotated[str, Meta(pattern=r"^[^\s/\x00-\x1f\x7f]{1,128}(?!\n)$", description="a user's name")]
Grantee = Annotated[
    str,
    Meta(pattern=r"^[^\s/\x00-\x1f\x7f]{1,128}(?:/[^\s/\x00-\x1f\x7f]{1,128})?(?!\n)$", description="a user's name, or org/account"),
]
Text = Annotated[str, Meta(max_length=255)]
Label = Annotated[str, Meta(max_length=128)]
Limit = Annotated[int, Meta(ge=1, le=1000)]
After = Annotated[str, Meta(max_length=1024, description="`next` of the page before")]
Secret = Annotated[str, Meta(min_length=1, max_length=16_384, description="a key, a token, or the content of a key file")]
Password = Annotated[str, Meta(min_length=12, max_length=1024)]
ObjectKey = Annotated[str, Meta(min_length=1, max_length=1024)]
Id = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}(?!\n)$")]
Days = Annotated[int, Meta(ge=1, le=3650)]


class Request(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every request is. Its repr shows no value that could be secret."""

    @override
    def __repr__(self) -> str:
        named = (f"{name}={getattr(self, name)!r}" for name in ("org", "repo", "nickname", "name", "user") if hasattr(self, name))
        return f"{type(self).__name__}({', '.join(named)})"


class Page[T](Struct, frozen=True, kw_only=True):
    """Part of a list; `next` is where the next part begins, empty at the end."""

    items: list[T]
    next: str = ""


class Nothing(Request, frozen=True, kw_only=True):
    """Nothing need be said."""


class _List(Request, frozen=True, kw_only=True):
    limit: Limit = 100
    after: After = ""


# People and their keys


class LogIn(Request, frozen=True, kw_only=True):
    """A user's name or e-mail address, and the password."""

    user: Annotated[str, Meta(min_length=1, max_length=320)]
    password: Annotated[str, Meta(max_length=1024)]
    key_name: Label = "login"


class SetPassword(Request, frozen=True, kw_only=True):
    """A new password, and the one that is valid now, if there is one."""

    password: Password
    old_password: Annotated[str, Meta(max_length=1024)] = ""


class ListUsers(_List, frozen=True, kw_only=True):
    """All users."""


class UserName(Request, frozen=True, kw_only=True):
    """One user."""

    user: Person


class CreateUser(Request, frozen=True, kw_only=True):
    """A new user; without a password, only a link or another service logs them in."""

    name: Name
    email: Annotated[str, Meta(max_length=320)] = ""
    password: Password | None = None
    admin: bool = False


class ModifyUser(Request, frozen=True, kw_only=True):
    """What changes of a user."""

    user: Person
    email: Annotated[str, Meta(max_length=320)] | UnsetType = UNSET
    password: Password | UnsetType = UNSET
    admin: bool | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET


class ListKeys(_List, frozen=True, kw_only=True):
    """Keys of one's own."""


class CreateKey(Request, frozen=True, kw_only=True):
    """A key of one's own. It ends after `days`, never with None."""

    name: Label
    kind: KeyKind = "token"
    days: Days | None = 90
    scope: Scope = Scope()


class KeyName(Request, frozen=True, kw_only=True):
    """A key of one's own."""

    id: Id


class ListServiceKeys(_List, frozen=True, kw_only=True):
    """Keys of a service account."""

    org: Name
    service_account: Name


class ServiceKeyName(Request, frozen=True, kw_only=True):
    """A key of a service account."""

    org: Name
    service_account: Name
    id: Id


class CreateServiceKey(Request, frozen=True, kw_only=True):
    """A new key of a service account."""

    org: Name
    service_account: Name
    name: Label
    kind: KeyKind = "token"
    days: Days | None = 90
    scope: Scope = Scope()


# Organisations


class ListOrgs(_List, frozen=True, kw_only=True):
    """Organisations of whoever asks."""


class OrgName(Request, frozen=True, kw_only=True):
    """One organisation."""

    org: Name


class CreateOrg(Request, frozen=True, kw_only=True):
    """A new organisation; whoever makes it is its admin."""

    name: Name
    description: Text = ""


class ModifyOrg(Request, frozen=True, kw_only=True):
    """What changes of an organisation."""

    org: Name
    description: Text | UnsetType = UNSET


class DeleteOrg(Request, frozen=True, kw_only=True):
    """An organisation that has no repositories, deleted ones neither."""

    org: Name
    imsure: bool = False
    imreallysure: bool = False


class ListInOrg(_List, frozen=True, kw_only=True):
    """A list of what is in an organisation."""

    org: Name


class SetMember(Request, frozen=True, kw_only=True):
    """A user's role in an organisation."""

    org: Name
    user: Person
    role: Role


class MemberName(Request, frozen=True, kw_only=True):
    """One member."""

    org: Name
    user: Person


class CreateServiceAccount(Request, frozen=True, kw_only=True):
    """A new account for a program; without a role it sees only the repositories that it gets a role for."""

    org: Name
    name: Name
    role: Role | None = None


class AccountName(Request, frozen=True, kw_only=True):
    """One service account."""

    org: Name
    service_account: Name


class ModifyServiceAccount(Request, frozen=True, kw_only=True):
    """What changes of a service account."""

    org: Name
    service_account: Name
    role: Role | UnsetType | None = UNSET
    disabled: bool | UnsetType = UNSET


class ListAudit(_List, frozen=True, kw_only=True):
    """Lines of the audit log, newest first; `operation` and `principal` are exact, `target` is what a line's target begins with."""

    org: Name
    operation: Label = ""
    principal: Label = ""
    target: Annotated[str, Meta(max_length=512)] = ""


# Bucket configs


class BucketName(Request, frozen=True, kw_only=True):
    """One bucket config."""

    org: Name
    nickname: Nickname


class ListBuckets(_List, frozen=True, kw_only=True):
    """Bucket configs of an organisation."""

    org: Name


class ListBucketRepos(_List, frozen=True, kw_only=True):
    """Repositories that use a bucket config, deleted ones too."""

    org: Name
    nickname: Nickname


class _Place(Request, frozen=True, kw_only=True):
    """Where: a `uri`, or platform, name and prefix."""

    uri: Annotated[str, Meta(max_length=1024)] | None = None
    platform: Platform | None = None
    name: Annotated[str, Meta(max_length=1024)] | None = None
    prefix: Annotated[str, Meta(max_length=1024)] | None = None
    extra_config: dict[str, str | bool] | None = None
    allow_nested: bool = False


class CreateBucketConfig(_Place, frozen=True, kw_only=True):
    """A new bucket config. With `allow_nested` its place may lie in another one's, or the other way round."""

    org: Name
    nickname: Nickname
    auth_method: Label = ""
    credentials: dict[str, Secret] | None = None


class ModifyBucketConfig(_Place, frozen=True, kw_only=True):
    """What changes of a bucket config; while repositories use it, only the nickname can."""

    org: Name
    nickname: Nickname
    new_nickname: Nickname | None = None


class RotateCredentials(Request, frozen=True, kw_only=True):
    """New credentials of a bucket config; always allowed."""

    org: Name
    nickname: Nickname
    auth_method: Label = ""
    credentials: dict[str, Secret] | None = None


class DeleteBucketConfig(Request, frozen=True, kw_only=True):
    """A bucket config that no repository uses; what lies in the bucket stays."""

    org: Name
    nickname: Nickname
    imsure: bool = False
    imreallysure: bool = False


# Repositories


class ListRepos(_List, frozen=True, kw_only=True):
    """Repositories of an organisation: whose name or description has `search` in it, of a kind, with all of these metadata."""

    org: Name
    search: Label = ""
    kind: RepoKind | None = None
    metadata: Annotated[str, Meta(max_length=1024, description="a JSON object")] = ""
    bucket_config: Label = ""
    deleted: bool = False


class RepoName(Request, frozen=True, kw_only=True):
    """One repository."""

    org: Name
    repo: Name


class CreateRepo(Request, frozen=True, kw_only=True):
    """A new repository, on the default bucket config unless said. `authority`: what decides its commits; found by a trial unless said."""

    org: Name
    name: Name
    kind: RepoKind = "files"
    bucket_config_nickname: Nickname | None = None
    description: Text = ""
    metadata: dict[str, object] = {}
    authority: Literal["create", "catalog"] | None = None


class ImportRepo(Request, frozen=True, kw_only=True):
    """A repository that lies under a prefix of a bucket config already."""

    org: Name
    name: Name
    prefix: Annotated[str, Meta(max_length=512)]
    bucket_config_nickname: Nickname | None = None
    description: Text = ""
    metadata: dict[str, object] = {}


class ModifyRepo(Request, frozen=True, kw_only=True):
    """What changes of a repository. Metadata is added to, removed from by name, and updated; no name in more than one of these."""

    org: Name
    repo: Name
    new_name: Name | UnsetType = UNSET
    description: Text | UnsetType = UNSET
    add_metadata: dict[str, object] = {}
    remove_metadata: list[str] = []
    update_metadata: dict[str, object] = {}


class DeleteRepo(Request, frozen=True, kw_only=True):
    """A repository to be deleted; it can be restored for 7 days."""

    org: Name
    repo: Name
    imsure: bool = False
    imreallysure: bool = False


class MoveRepo(Request, frozen=True, kw_only=True):
    """A repository, and the bucket config it shall lie at."""

    org: Name
    repo: Name
    bucket_config_nickname: Nickname


class OpenRepo(Request, frozen=True, kw_only=True):
    """A repository, and whether it shall be written; ``most``: if whoever asks may."""

    org: Name
    repo: Name
    access: Literal["read", "write", "most"] = "read"


class GrantRole(Request, frozen=True, kw_only=True):
    """A role of a user, or of a service account of the organisation, for one repository."""

    org: Name
    repo: Name
    principal: Grantee
    role: Role


class RoleName(Request, frozen=True, kw_only=True):
    """Somebody's role for one repository."""

    org: Name
    repo: Name
    principal: Grantee


class ObjectName(Request, frozen=True, kw_only=True):
    """One object of a repository."""

    org: Name
    repo: Name
    key: ObjectKey


class ReadObject(Request, frozen=True, kw_only=True):
    """An object, or its bytes from `start` to before `end`."""

    org: Name
    repo: Name
    key: ObjectKey
    start: Annotated[int, Meta(ge=0)] = 0
    end: Annotated[int, Meta(ge=0)] | None = None


class PutObject(Request, frozen=True, kw_only=True):
    """An object's whole content."""

    org: Name
    repo: Name
    key: ObjectKey
    content: bytes


class ListObjects(Request, frozen=True, kw_only=True):
    """Objects whose keys begin with `prefix`; with `folders`, only the names of the folders right below it."""

    org: Name
    repo: Name
    prefix: Annotated[str, Meta(max_length=1024)] = ""
    start_after: Annotated[str, Meta(max_length=1024)] = ""
    folders: bool = False
    limit: Limit = 1000


class Stored(Struct, frozen=True, kw_only=True):
    """What a store knows of an object."""

    key: str
    size_bytes: int
    modified: datetime
    etag: str = ""


class StoredPage(Struct, frozen=True, kw_only=True):
    """Objects, or names of folders; `more` says whether others follow."""

    objects: list[Stored] = []
    folders: list[str] = []
    more: bool = False


class PutRefEntry(Request, frozen=True, kw_only=True):
    """An entry of a ref, in the bytes of format 1, §8."""

    org: Name
    repo: Name
    content: bytes


class RefState(Struct, frozen=True, kw_only=True):
    """What became of an entry: it stands, or its number went to another writer, or it must be committed anew."""

    state: Literal["stands", "taken", "dropped"]


class ForgetVersions(Request, frozen=True, kw_only=True):
    """Versions that end for ever."""

    org: Name
    repo: Name
    refs: Annotated[list[str], Meta(min_length=1, max_length=1000)]
    imsure: bool = False


class CollectRepo(Request, frozen=True, kw_only=True):
    """A repository, and whether it shall only be told what would be freed."""

    org: Name
    repo: Name
    dry_run: bool = False


# Mounts and jobs


class SetMount(Request, frozen=True, kw_only=True):
    """A mount of an organisation."""

    org: Name
    name: Name
    url: Annotated[str, Meta(max_length=1024)]
    options: dict[str, str] = {}
    secrets: dict[str, Secret] = {}


class MountName(Request, frozen=True, kw_only=True):
    """One mount."""

    org: Name
    name: Name


class ListJobs(_List, frozen=True, kw_only=True):
    """Long work in an organisation, newest first."""

    org: Name


class JobName(Request, frozen=True, kw_only=True):
    """One job."""

    org: Name
    id: Id
