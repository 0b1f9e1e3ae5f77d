"""Every operation of the table, asked for by everybody, on the real app: who may, who may not, and who may not even know."""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import httpx
import pytest
from sqlalchemy import update
from tests.server.installation import PASSWORD, Installation, ask

from kist import operations as do
from kist.catalog.database import open_database
from kist.catalog.tables import keys
from kist.engine.opening import open_repository
from kist.models import Scope
from kist.models import requests as r
from kist.operations import OPERATIONS, Need
from kist.server.settings import Limits

PRINCIPALS: Final = {
    "anonymous": "",
    "reader": "rita",
    "writer": "will",
    "admin": "ada",
    "other organisation": "eve",
    "server admin": "root",
    "expired": "ada",
    "revoked": "ada",
    "scoped elsewhere": "ada",
}
PROVES_NOTHING: Final = {"anonymous", "expired", "revoked"}
RANK: Final = {"reader": 1, "writer": 2, "admin": 3}
FREE: Final = Limits(principal_rate=1e6, principal_burst=10**6, address_rate=1e6, address_burst=10**6, login_rate=1e6, login_burst=10**6)
KEY: Final = "packs/" + "0" * 32


@dataclass
class World:
    """An installation in which each operation has something to work on."""

    lab: Installation
    client: httpx.Client
    tokens: dict[str, str] = field(default_factory=dict)
    job: str = ""
    service_key: str = ""
    count: int = 0

    def new(self, what: str) -> str:
        """A name that nothing has yet."""
        self.count += 1
        return f"{what}{self.count}"

    def own_key(self, who: str) -> str:
        """The id of a new key of somebody."""
        name = PRINCIPALS[who]
        return self.lab.do(do.CREATE_KEY, r.CreateKey(name="more"), name).key.id if name else "none"


type Sample = Callable[[World, str], r.Request]

SAMPLES: Final[dict[str, Sample]] = {
    "log_in": lambda _w, _who: r.LogIn(user="ada", password=PASSWORD),
    "log_out": lambda _w, _who: r.Nothing(),
    "get_me": lambda _w, _who: r.Nothing(),
    "set_password": lambda _w, who: r.SetPassword(password=PASSWORD, old_password=PASSWORD if who == "admin" else ""),
    "list_keys": lambda _w, _who: r.ListKeys(),
    "create_key": lambda _w, _who: r.CreateKey(name="more"),
    "revoke_key": lambda w, who: r.KeyName(id=w.own_key(who)),
    "list_users": lambda _w, _who: r.ListUsers(),
    "create_user": lambda w, _who: r.CreateUser(name=w.new("user")),
    "modify_user": lambda _w, _who: r.ModifyUser(user="zoe", email="zoe@example.org"),
    "create_login_link": lambda _w, _who: r.UserName(user="zoe"),
    "list_orgs": lambda _w, _who: r.ListOrgs(),
    "create_org": lambda w, _who: r.CreateOrg(name=w.new("org")),
    "get_org": lambda _w, _who: r.OrgName(org="lab"),
    "modify_org": lambda _w, _who: r.ModifyOrg(org="lab", description="about us"),
    "delete_org": lambda _w, _who: r.DeleteOrg(org="lab"),
    "list_members": lambda _w, _who: r.ListInOrg(org="lab"),
    "set_member": lambda _w, _who: r.SetMember(org="lab", user="zoe", role="reader"),
    "remove_member": lambda _w, _who: r.MemberName(org="lab", user="zoe"),
    "list_service_accounts": lambda _w, _who: r.ListInOrg(org="lab"),
    "create_service_account": lambda w, _who: r.CreateServiceAccount(org="lab", name=w.new("robot")),
    "modify_service_account": lambda _w, _who: r.ModifyServiceAccount(org="lab", service_account="robot", role="reader"),
    "delete_service_account": lambda _w, _who: r.AccountName(org="lab", service_account="spare"),
    "list_service_keys": lambda _w, _who: r.ListServiceKeys(org="lab", service_account="robot"),
    "create_service_key": lambda _w, _who: r.CreateServiceKey(org="lab", service_account="robot", name="more"),
    "revoke_service_key": lambda w, _who: r.ServiceKeyName(org="lab", service_account="robot", id=w.service_key),
    "list_audit": lambda _w, _who: r.ListAudit(org="lab"),
    "verify_audit": lambda _w, _who: r.OrgName(org="lab"),
    "list_bucket_configs": lambda _w, _who: r.ListBuckets(org="lab"),
    "create_bucket_config": lambda w, _who: r.CreateBucketConfig(
        org="lab", nickname=w.new("bucket"), uri=f"file://{w.lab.folder}/{w.new('place')}"
    ),
    "get_bucket_config": lambda _w, _who: r.BucketName(org="lab", nickname="main"),
    "modify_bucket_config": lambda _w, _who: r.ModifyBucketConfig(org="lab", nickname="third", new_nickname="third"),
    "set_default_bucket_config": lambda _w, _who: r.BucketName(org="lab", nickname="main"),
    "delete_bucket_config": lambda _w, _who: r.DeleteBucketConfig(org="lab", nickname="third", imsure=True, imreallysure=True),
    "rotate_credentials": lambda _w, _who: r.RotateCredentials(org="lab", nickname="main", auth_method="ambient"),
    "check_bucket_config": lambda _w, _who: r.BucketName(org="lab", nickname="main"),
    "list_repos_for_bucket_config": lambda _w, _who: r.BucketName(org="lab", nickname="main"),
    "list_repos": lambda _w, _who: r.ListRepos(org="lab"),
    "create_repo": lambda w, _who: r.CreateRepo(org="lab", name=w.new("repo")),
    "import_repo": lambda _w, _who: r.ImportRepo(org="lab", name="brought", prefix="brought"),
    "describe_repo": lambda _w, _who: r.RepoName(org="lab", repo="data"),
    "modify_repo": lambda _w, _who: r.ModifyRepo(org="lab", repo="data", description="numbers"),
    "delete_repo": lambda _w, _who: r.DeleteRepo(org="lab", repo="spare", imsure=True, imreallysure=True),
    "restore_repo": lambda _w, _who: r.RepoName(org="lab", repo="spare"),
    "move_repo": lambda _w, _who: r.MoveRepo(org="lab", repo="spare", bucket_config_nickname="second"),
    "list_roles": lambda _w, _who: r.RepoName(org="lab", repo="data"),
    "grant_role": lambda _w, _who: r.GrantRole(org="lab", repo="data", principal="zoe", role="reader"),
    "revoke_role": lambda _w, _who: r.RoleName(org="lab", repo="data", principal="zoe"),
    "open_repo": lambda _w, _who: r.OpenRepo(org="lab", repo="data"),
    "list_objects": lambda _w, _who: r.ListObjects(org="lab", repo="data"),
    "head_object": lambda _w, _who: r.ObjectName(org="lab", repo="data", key=KEY),
    "read_object": lambda _w, _who: r.ReadObject(org="lab", repo="data", key=KEY),
    "put_object": lambda w, _who: r.PutObject(org="lab", repo="data", key=f"packs/{w.new('f' * 30)}", content=b"x"),
    "put_ref_entry": lambda _w, _who: r.PutRefEntry(org="lab", repo="data", content=b"x"),
    "forget_versions": lambda _w, _who: r.ForgetVersions(org="lab", repo="data", refs=["v1"]),
    "collect_repo": lambda _w, _who: r.RepoName(org="lab", repo="data"),
    "list_mounts": lambda _w, _who: r.ListInOrg(org="lab"),
    "set_mount": lambda _w, _who: r.SetMount(org="lab", name="outside", url="https://data.example.org/"),
    "remove_mount": lambda _w, _who: r.MountName(org="lab", name="outside"),
    "list_jobs": lambda _w, _who: r.ListJobs(org="lab"),
    "get_job": lambda w, _who: r.JobName(org="lab", id=w.job),
}
OTHERWISE: Final = {
    "delete_org": 400,  # neither flag is said
    "put_ref_entry": 400,  # no entry
    "forget_versions": 400,  # the flag is not said
}
"""What those get who may, where what they ask makes no sense on purpose."""


@pytest.fixture(scope="module")
def world(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("permissions")
    with contextlib.closing(open_database(str(shutil.copy(migrated_file, folder)))) as database:
        lab = Installation(database, folder)
        lab.lab(rita="reader", will="writer")
        lab.do(do.SET_PASSWORD, r.SetPassword(password=PASSWORD), "ada")
        lab.add("eve")
        lab.add("zoe")
        lab.do(do.CREATE_ORG, r.CreateOrg(name="elsewhere"), "ada")
        for name in ("robot", "spare"):
            lab.do(do.CREATE_SERVICE_ACCOUNT, r.CreateServiceAccount(org="lab", name=name), "ada")
        for name in ("second", "third"):
            lab.do(do.CREATE_BUCKET_CONFIG, r.CreateBucketConfig(org="lab", nickname=name, uri=f"file://{folder}/{name}"), "ada")
        for name in ("spare", "moved"):
            lab.do(do.CREATE_REPO, r.CreateRepo(org="lab", name=name), "ada")
        open_repository(folder / "lab" / "brought", create=True)
        lab.do(do.PUT_OBJECT, r.PutObject(org="lab", repo="data", key=KEY, content=b"x"), "ada")
        with lab.serving(limits=FREE) as client:
            made = World(lab, client)
            made.service_key = lab.do(do.CREATE_SERVICE_KEY, r.CreateServiceKey(org="lab", service_account="robot", name="k"), "ada").key.id
            made.job = lab.do(do.MOVE_REPO, r.MoveRepo(org="lab", repo="moved", bucket_config_nickname="second"), "ada").id
            made.tokens = {who: token_of(lab, who) for who in PRINCIPALS}
            yield made


def token_of(lab: Installation, who: str) -> str:
    """A token of a principal, in the state that its name says."""
    name = PRINCIPALS[who]
    if not name:
        return ""
    scope = Scope(org="elsewhere") if who == "scoped elsewhere" else Scope()
    issued = lab.do(do.CREATE_KEY, r.CreateKey(name="test", scope=scope), name)
    if who == "revoked":
        lab.do(do.REVOKE_KEY, r.KeyName(id=issued.key.id), name)
    if who == "expired":
        past = datetime.now(UTC) - timedelta(seconds=1)
        lab.database.change(lambda sql: sql.execute(update(keys).where(keys.c.id == issued.key.id).values(expires=past)))
    return issued.secret


def refusal(need: Need, who: str) -> int:
    """The status of a refusal, 0 if there is none: what the words of the need mean, said once more."""
    if need is Need.NOTHING or (need is Need.LOGIN and who not in PROVES_NOTHING):
        return 0
    if who in PROVES_NOTHING:
        return 401
    if need in {Need.OWNER, Need.SERVER_ADMIN}:
        refused = who == "scoped elsewhere" if need is Need.OWNER else who != "server admin"
        return 403 if refused else 0
    if who not in RANK:
        return 404
    needed = {"GUEST": 1, "READER": 1, "WRITER": 2, "ADMIN": 3}[need.name.partition("_")[2]]
    return 0 if RANK[who] >= needed else 403


def test_every_operation_has_a_sample() -> None:
    assert set(SAMPLES) == set(OPERATIONS)


@pytest.mark.parametrize("who", PRINCIPALS)
@pytest.mark.parametrize("name", OPERATIONS)
def test_each_may_what_the_table_says(world: World, name: str, who: str) -> None:
    operation = OPERATIONS[name]
    token = token_of(world.lab, who) if name == "log_out" else world.tokens[who]
    answer = ask(world.client, operation, SAMPLES[name](world, who), token)
    expected = refusal(operation.need, who) or OTHERWISE.get(name, operation.status)
    assert answer.status_code == expected, answer.text
