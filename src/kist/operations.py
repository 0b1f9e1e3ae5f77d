"""All that can be done with an organisation, in one table.

From it come the routes and the OpenAPI document of a server, the calls of the clients, what the policy asks for, the permission tests and
the names of the audit lines. What an operation takes and gives is in `kist.models`; what it does is in `kist.service`.
"""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal, cast

from kist import models
from kist.models import requests as ask
from kist.models.requests import Page

__all__ = ["OPERATIONS", "Need", "Operation", "Verb", "Work"]

Verb = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


class Need(Enum):
    """What the policy asks for before an operation; those of organisations and repositories are about what the request names."""

    NOTHING = "nothing"
    LOGIN = "login"
    OWNER = "a user, by a key that reaches everything"
    SERVER_ADMIN = "server admin"
    ORG_GUEST = "a role in the organisation, or for one of its repositories"
    ORG_READER = "reader in the organisation"
    ORG_WRITER = "writer in the organisation"
    ORG_ADMIN = "admin in the organisation"
    REPO_READER = "reader of the repository"
    REPO_WRITER = "writer of the repository"
    REPO_ADMIN = "admin of the repository"


class Work(Enum):
    """How an operation works: it looks; it is one change of the catalog; or it works with a store, whose state a transaction can't hold."""

    LOOK = "look"
    CHANGE = "change"
    STORE = "store"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation[In: ask.Request, Out]:
    """One line of the table. `path` is below ``/api/v1``; a part in braces is a field of `takes`, ``{key:path}`` takes all that is left.

    `status` is that of success. Everything but looking leaves a line in the audit log, unless `audited` says otherwise.
    """

    name: str
    verb: Verb
    path: str
    need: Need
    takes: type[In]
    gives: type[Out]
    summary: str
    work: Work
    audited: bool
    status: int = 200

    @property
    def in_path(self) -> tuple[str, ...]:
        """The fields that the path names."""
        return tuple(re.findall(r"\{(\w+)", self.path))


OPERATIONS: Final[dict[str, Operation[ask.Request, object]]] = {}
"""The table, by names."""


def _operation[In: ask.Request, Out](  # noqa: PLR0917 - a line of the table
    name: str,
    route: str,
    need: Need,
    takes: type[In],
    gives: type[Out],
    summary: str,
    *,
    work: Work | None = None,
    audited: bool | None = None,
) -> Operation[In, Out]:
    verb, _, path = route.partition(" ")
    work = work or (Work.LOOK if verb == "GET" else Work.CHANGE)
    status = 204 if gives is _NOTHING else 201 if verb == "POST" and name.startswith(("create_", "import_")) else 200
    made: Operation[In, Out] = Operation(
        name=name,
        verb=cast("Verb", verb),
        path=path,
        need=need,
        takes=takes,
        gives=gives,
        summary=summary,
        work=work,
        audited=verb != "GET" if audited is None else audited,
        status=status,
    )
    OPERATIONS[name] = cast("Operation[ask.Request, object]", made)
    return made


_NOTHING = type(None)
_ = Need

# People and their keys
LOG_IN = _operation("log_in", "POST /login", _.NOTHING, ask.LogIn, models.IssuedKey, "Log in with a password.")
LOG_OUT = _operation("log_out", "POST /logout", _.LOGIN, ask.Nothing, _NOTHING, "End the key that this request carries.")
GET_ME = _operation("get_me", "GET /me", _.LOGIN, ask.Nothing, models.Me, "Tell who asks.")
SET_PASSWORD = _operation("set_password", "PUT /me/password", _.OWNER, ask.SetPassword, _NOTHING, "Set one's own password.")
LIST_KEYS = _operation("list_keys", "GET /me/keys", _.OWNER, ask.ListKeys, Page[models.Key], "List one's own keys.")
CREATE_KEY = _operation("create_key", "POST /me/keys", _.OWNER, ask.CreateKey, models.IssuedKey, "Make a key of one's own.")
REVOKE_KEY = _operation("revoke_key", "DELETE /me/keys/{id}", _.OWNER, ask.KeyName, _NOTHING, "End a key of one's own.")
LIST_USERS = _operation("list_users", "GET /users", _.SERVER_ADMIN, ask.ListUsers, Page[models.User], "List all users.")
CREATE_USER = _operation("create_user", "POST /users", _.SERVER_ADMIN, ask.CreateUser, models.User, "Make a user.")
MODIFY_USER = _operation("modify_user", "PATCH /users/{user}", _.SERVER_ADMIN, ask.ModifyUser, models.User, "Change a user.")
CREATE_LOGIN_LINK = _operation(
    "create_login_link", "POST /users/{user}/link", _.SERVER_ADMIN, ask.UserName, models.LoginLink, "Make a link that logs a user in, once."
)

# Organisations
LIST_ORGS = _operation("list_orgs", "GET /orgs", _.LOGIN, ask.ListOrgs, Page[models.Org], "List one's organisations.")
CREATE_ORG = _operation("create_org", "POST /orgs", _.OWNER, ask.CreateOrg, models.Org, "Make an organisation.")
GET_ORG = _operation("get_org", "GET /orgs/{org}", _.ORG_GUEST, ask.OrgName, models.Org, "Get an organisation.")
MODIFY_ORG = _operation("modify_org", "PATCH /orgs/{org}", _.ORG_ADMIN, ask.ModifyOrg, models.Org, "Change an organisation.")
DELETE_ORG = _operation("delete_org", "DELETE /orgs/{org}", _.ORG_ADMIN, ask.DeleteOrg, _NOTHING, "Delete an empty organisation.")
LIST_MEMBERS = _operation(
    "list_members", "GET /orgs/{org}/members", _.ORG_READER, ask.ListInOrg, Page[models.Member], "List the members of an organisation."
)
SET_MEMBER = _operation(
    "set_member", "PUT /orgs/{org}/members/{user}", _.ORG_ADMIN, ask.SetMember, models.Member, "Give a user a role in an organisation."
)
REMOVE_MEMBER = _operation(
    "remove_member", "DELETE /orgs/{org}/members/{user}", _.ORG_ADMIN, ask.MemberName, _NOTHING, "Take a user out of an organisation."
)
LIST_SERVICE_ACCOUNTS = _operation(
    "list_service_accounts",
    "GET /orgs/{org}/service-accounts",
    _.ORG_READER,
    ask.ListInOrg,
    Page[models.ServiceAccount],
    "List the service accounts of an organisation.",
)
CREATE_SERVICE_ACCOUNT = _operation(
    "create_service_account",
    "POST /orgs/{org}/service-accounts",
    _.ORG_ADMIN,
    ask.CreateServiceAccount,
    models.ServiceAccount,
    "Make a service account.",
)
MODIFY_SERVICE_ACCOUNT = _operation(
    "modify_service_account",
    "PATCH /orgs/{org}/service-accounts/{service_account}",
    _.ORG_ADMIN,
    ask.ModifyServiceAccount,
    models.ServiceAccount,
    "Change a service account.",
)
DELETE_SERVICE_ACCOUNT = _operation(
    "delete_service_account",
    "DELETE /orgs/{org}/service-accounts/{service_account}",
    _.ORG_ADMIN,
    ask.AccountName,
    _NOTHING,
    "Delete a service account with its keys.",
)
LIST_SERVICE_KEYS = _operation(
    "list_service_keys",
    "GET /orgs/{org}/service-accounts/{service_account}/keys",
    _.ORG_ADMIN,
    ask.ListServiceKeys,
    Page[models.Key],
    "List the keys of a service account.",
)
CREATE_SERVICE_KEY = _operation(
    "create_service_key",
    "POST /orgs/{org}/service-accounts/{service_account}/keys",
    _.ORG_ADMIN,
    ask.CreateServiceKey,
    models.IssuedKey,
    "Make a key of a service account.",
)
REVOKE_SERVICE_KEY = _operation(
    "revoke_service_key",
    "DELETE /orgs/{org}/service-accounts/{service_account}/keys/{id}",
    _.ORG_ADMIN,
    ask.ServiceKeyName,
    _NOTHING,
    "End a key of a service account.",
)
LIST_AUDIT = _operation(
    "list_audit", "GET /orgs/{org}/audit", _.ORG_ADMIN, ask.ListAudit, Page[models.AuditLine], "List the audit log, newest first."
)
VERIFY_AUDIT = _operation(
    "verify_audit",
    "GET /orgs/{org}/audit/verify",
    _.ORG_ADMIN,
    ask.OrgName,
    models.AuditReport,
    "Check that no line was changed or removed.",
)

# Bucket configs
LIST_BUCKET_CONFIGS = _operation(
    "list_bucket_configs", "GET /orgs/{org}/buckets", _.ORG_READER, ask.ListBuckets, Page[models.BucketConfig], "List bucket configs."
)
CREATE_BUCKET_CONFIG = _operation(
    "create_bucket_config", "POST /orgs/{org}/buckets", _.ORG_ADMIN, ask.CreateBucketConfig, models.BucketConfig, "Make a bucket config."
)
GET_BUCKET_CONFIG = _operation(
    "get_bucket_config",
    "GET /orgs/{org}/buckets/{nickname}",
    _.ORG_READER,
    ask.BucketName,
    models.BucketConfig,
    "Get a bucket config.",
)
MODIFY_BUCKET_CONFIG = _operation(
    "modify_bucket_config",
    "PATCH /orgs/{org}/buckets/{nickname}",
    _.ORG_ADMIN,
    ask.ModifyBucketConfig,
    models.BucketConfig,
    "Change a bucket config; only its nickname while repositories use it.",
)
SET_DEFAULT_BUCKET_CONFIG = _operation(
    "set_default_bucket_config",
    "PUT /orgs/{org}/buckets/{nickname}/default",
    _.ORG_ADMIN,
    ask.BucketName,
    models.BucketConfig,
    "Make a bucket config the one of new repositories.",
)
DELETE_BUCKET_CONFIG = _operation(
    "delete_bucket_config",
    "DELETE /orgs/{org}/buckets/{nickname}",
    _.ORG_ADMIN,
    ask.DeleteBucketConfig,
    _NOTHING,
    "Delete a bucket config that no repository uses.",
)
ROTATE_CREDENTIALS = _operation(
    "rotate_credentials",
    "PUT /orgs/{org}/buckets/{nickname}/credentials",
    _.ORG_ADMIN,
    ask.RotateCredentials,
    models.BucketConfig,
    "Give a bucket config new credentials.",
)
CHECK_BUCKET_CONFIG = _operation(
    "check_bucket_config",
    "POST /orgs/{org}/buckets/{nickname}/check",
    _.ORG_ADMIN,
    ask.BucketName,
    models.BucketCheck,
    "Try what a bucket config's place can do.",
    work=Work.STORE,
)
LIST_REPOS_FOR_BUCKET_CONFIG = _operation(
    "list_repos_for_bucket_config",
    "GET /orgs/{org}/buckets/{nickname}/repos",
    _.ORG_READER,
    ask.ListBucketRepos,
    Page[models.Repo],
    "List the repositories that use a bucket config.",
)

# Repositories
LIST_REPOS = _operation("list_repos", "GET /orgs/{org}/repos", _.ORG_GUEST, ask.ListRepos, Page[models.Repo], "List repositories.")
CREATE_REPO = _operation("create_repo", "POST /orgs/{org}/repos", _.ORG_WRITER, ask.CreateRepo, models.Repo, "Make a repository.")
IMPORT_REPO = _operation(
    "import_repo", "POST /orgs/{org}/repos/import", _.ORG_ADMIN, ask.ImportRepo, models.Repo, "Take in a repository that exists already."
)
DESCRIBE_REPO = _operation(
    "describe_repo", "GET /repos/{org}/{repo}", _.REPO_READER, ask.RepoName, models.Repo, "Get a repository's facts."
)
MODIFY_REPO = _operation(
    "modify_repo", "PATCH /repos/{org}/{repo}", _.REPO_ADMIN, ask.ModifyRepo, models.Repo, "Change a repository's facts."
)
DELETE_REPO = _operation(
    "delete_repo",
    "DELETE /repos/{org}/{repo}",
    _.REPO_ADMIN,
    ask.DeleteRepo,
    models.Repo,
    "Delete a repository; it can be restored for 7 days.",
)
RESTORE_REPO = _operation(
    "restore_repo", "POST /repos/{org}/{repo}/restore", _.REPO_ADMIN, ask.RepoName, models.Repo, "Restore a deleted repository."
)
MOVE_REPO = _operation(
    "move_repo",
    "POST /repos/{org}/{repo}/move",
    _.REPO_ADMIN,
    ask.MoveRepo,
    models.Job,
    "Move a repository to another bucket config, with all its versions.",
)
LIST_ROLES = _operation(
    "list_roles", "GET /repos/{org}/{repo}/roles", _.REPO_READER, ask.RepoName, Page[models.RepoRole], "List roles for a repository."
)
GRANT_ROLE = _operation(
    "grant_role",
    "PUT /repos/{org}/{repo}/roles/{principal:path}",
    _.REPO_ADMIN,
    ask.GrantRole,
    models.RepoRole,
    "Give a role for a repository.",
)
REVOKE_ROLE = _operation(
    "revoke_role",
    "DELETE /repos/{org}/{repo}/roles/{principal:path}",
    _.REPO_ADMIN,
    ask.RoleName,
    _NOTHING,
    "Take a role for a repository away.",
)
OPEN_REPO = _operation(
    "open_repo",
    "POST /repos/{org}/{repo}/access",
    _.REPO_READER,
    ask.OpenRepo,
    models.Access,
    "Get access to a repository's objects.",
    work=Work.STORE,
)
LIST_OBJECTS = _operation(
    "list_objects", "GET /repos/{org}/{repo}/objects", _.REPO_READER, ask.ListObjects, ask.StoredPage, "List objects.", work=Work.STORE
)
HEAD_OBJECT = _operation(
    "head_object",
    "GET /repos/{org}/{repo}/stat/{key:path}",
    _.REPO_READER,
    ask.ObjectName,
    ask.Stored,
    "Look at an object.",
    work=Work.STORE,
)
READ_OBJECT = _operation(
    "read_object", "GET /repos/{org}/{repo}/objects/{key:path}", _.REPO_READER, ask.ReadObject, bytes, "Read an object.", work=Work.STORE
)
PUT_OBJECT = _operation(
    "put_object",
    "PUT /repos/{org}/{repo}/objects/{key:path}",
    _.REPO_WRITER,
    ask.PutObject,
    _NOTHING,
    "Store an object below packs/, index/ or sessions/.",
    work=Work.STORE,
    audited=False,  # it counts for nothing until an entry of a ref names it
)
PUT_REF_ENTRY = _operation(
    "put_ref_entry", "POST /repos/{org}/{repo}/refs", _.REPO_WRITER, ask.PutRefEntry, ask.RefState, "Commit.", work=Work.STORE
)
FORGET_VERSIONS = _operation(
    "forget_versions",
    "POST /repos/{org}/{repo}/forget",
    _.REPO_ADMIN,
    ask.ForgetVersions,
    _NOTHING,
    "End versions for ever.",
    work=Work.STORE,
)
COLLECT_REPO = _operation(
    "collect_repo",
    "POST /repos/{org}/{repo}/collect",
    _.REPO_ADMIN,
    ask.CollectRepo,
    models.Collected,
    "Free what no version needs.",
    work=Work.STORE,
)

# Mounts and jobs
LIST_MOUNTS = _operation("list_mounts", "GET /orgs/{org}/mounts", _.ORG_READER, ask.ListInOrg, Page[models.Mount], "List mounts.")
SET_MOUNT = _operation("set_mount", "PUT /orgs/{org}/mounts/{name}", _.ORG_ADMIN, ask.SetMount, models.Mount, "Give a place a name.")
REMOVE_MOUNT = _operation("remove_mount", "DELETE /orgs/{org}/mounts/{name}", _.ORG_ADMIN, ask.MountName, _NOTHING, "Forget a mount.")
LIST_JOBS = _operation("list_jobs", "GET /orgs/{org}/jobs", _.ORG_READER, ask.ListJobs, Page[models.Job], "List long work, newest first.")
GET_JOB = _operation("get_job", "GET /orgs/{org}/jobs/{id}", _.ORG_READER, ask.JobName, models.Job, "See how far long work is.")
