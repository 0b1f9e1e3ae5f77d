"""An installation with two organisations, whose people are admins, writers and readers, and with rows for repositories."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Insert, insert
from tests.service.people import keyring

from kist.catalog.buckets import BucketRow, get
from kist.catalog.database import Database, open_database
from kist.catalog.tables import members, orgs, repos, users
from kist.ids import new_id
from kist.models import BucketConfig
from kist.models.requests import CreateBucketConfig, Request
from kist.operations import CREATE_BUCKET_CONFIG, Operation
from kist.service import buckets, mounts
from kist.service.dispatch import Service
from kist.service.policy import Principal
from kist.service.rooms import Caller, Rooms, Rules

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
REGION = {"region_name": "us-east-1"}
KEYS = {"access_key_id": "AKEXAMPLE", "secret_access_key": "canary-secret"}
FREE = Rules(local_roots=("/",), endpoints=("*",), ambient=True, memory=True)


class Lab:
    """The installation: `ann` is admin, `wim` writer, `rea` reader of ``earthmover``; `eve` is admin of ``other``; `root` of the server."""

    def __init__(self, database: Database, rules: Rules = FREE) -> None:
        self.rooms = Rooms(database=database, keyring=keyring(), rules=rules)
        self.service = Service(self.rooms, buckets.HANDLERS, mounts.HANDLERS)
        self.ids = {name: new_id() for name in ("earthmover", "other", "ann", "wim", "rea", "eve", "root")}
        database.change(lambda sql: [sql.execute(statement) for statement in self._rows()])
        self.ann, self.wim, self.rea, self.eve, self.root = map(self.caller, ("ann", "wim", "rea", "eve", "root"))

    def _rows(self) -> list[Insert]:
        def org(name: str) -> Insert:
            return insert(orgs).values(id=self.ids[name], name=name, folded=name, created=NOW)

        def user(name: str) -> Insert:
            return insert(users).values(id=self.ids[name], name=name, folded=name, created=NOW, admin=name == "root")

        def member(org: str, user: str, role: str) -> Insert:
            return insert(members).values(org_id=self.ids[org], user_id=self.ids[user], role=role, created=NOW)

        roles = [("ann", "admin"), ("wim", "writer"), ("rea", "reader")]
        return [
            *map(org, ("earthmover", "other")),
            *map(user, ("ann", "wim", "rea", "eve", "root")),
            *(member("earthmover", user, role) for user, role in roles),
            *(member("other", user, "admin") for user in ("eve", "root")),
        ]

    def caller(self, name: str) -> Caller:
        """Return somebody who asks."""
        return Caller(who=Principal(id=self.ids[name], name=name, kind="user", admin=name == "root"))

    def ruled(self, **rules: object) -> "Lab":
        """Return the same installation under other rules; all that is not said is forbidden."""
        made = object.__new__(Lab)
        made.__dict__.update(self.__dict__)
        made.rooms = replace(self.rooms, rules=replace(Rules(), **rules))  # type: ignore[arg-type]  # whatever a rule is
        made.service = Service(made.rooms, buckets.HANDLERS, mounts.HANDLERS)
        return made

    def do[In: Request, Out](self, operation: Operation[In, Out], request: In, caller: Caller | None = None) -> Out:
        """Do an operation as an admin of the organisation, unless said."""
        return self.service.call(operation, request, caller or self.ann)

    def create(self, nickname: str = "production", uri: str | None = "s3://my-production-data", **said: object) -> BucketConfig:
        """Make a bucket config of ``earthmover``, in Amazon's S3 unless said."""
        if uri and uri.lower().startswith(("s3:", "s3a:")):
            said.setdefault("extra_config", REGION)
        caller = said.pop("caller", self.ann)
        org = said.pop("org", "earthmover")
        request = CreateBucketConfig(org=str(org), nickname=nickname, uri=uri, **said)  # type: ignore[arg-type]  # the tests say what fits
        assert isinstance(caller, Caller)
        return self.do(CREATE_BUCKET_CONFIG, request, caller)

    def row(self, nickname: str = "production") -> BucketRow:
        """Return the catalog's line of a bucket config."""
        with self.rooms.database.reading() as sql:
            found = get(sql, self.ids["earthmover"], nickname)
        assert found is not None
        return found

    def use(self, nickname: str = "production", *names: str, deleted: bool = False) -> None:
        """Let repositories use a bucket config."""
        bucket_id = self.row(nickname).id
        for name in names or ("climate",):
            self.rooms.database.change(
                lambda sql, name=name: sql.execute(  # type: ignore[misc]  # bound at once
                    insert(repos).values(
                        id=new_id(),
                        org_id=self.ids["earthmover"],
                        name=name,
                        folded=name.casefold(),
                        kind="files",
                        bucket_config_id=bucket_id,
                        prefix=f"{new_id()[:8]}_{name}",
                        metadata={},
                        created=NOW,
                        created_by="ann",
                        updated=NOW,
                        authority="create",
                        deleted=NOW if deleted else None,
                    )
                )
            )


def small_lab(folder: Path, rules: Rules = FREE) -> Lab:
    """Make an installation on SQLite."""
    database = open_database(str(folder / "catalog.db"))
    database.migrate()
    return Lab(database, rules)
