"""An installation to keep repositories in: people, bucket configs on folders and in memory, and what each person would use."""

from dataclasses import replace
from pathlib import Path

from tests.service.people import People

from kist.catalog.database import Database
from kist.client.inside import InsideTransport
from kist.client.served import open_served
from kist.engine.repository import Repository
from kist.models import Repo, Role
from kist.models.requests import CreateBucketConfig, CreateRepo, GrantRole, OpenRepo, Request
from kist.operations import CREATE_BUCKET_CONFIG, CREATE_REPO, GRANT_ROLE, OPEN_REPO, Operation
from kist.service.assembly import make_service
from kist.service.rooms import Caller, Rules


class House(People):
    """The organisation `lab` of anna, its admin, with ben (writer) and cleo (reader); dora belongs to none.

    Bucket configs: `shelf`, a folder, is the default; `attic` is another one.
    """

    def __init__(self, database: Database, folder: Path, **rules: object) -> None:
        super().__init__(database)
        self.rooms = replace(self.rooms, rules=Rules(local_roots=(str(folder),), memory=True, **rules))  # type: ignore[arg-type]
        self.service = make_service(self.rooms)
        self.folder = folder
        self.anna, self.ben, self.cleo, self.dora = (self.add(name) for name in ("anna", "ben", "cleo", "dora"))
        self.org("lab", self.anna, ben="writer", cleo="reader")
        for nickname in ("shelf", "attic"):
            (folder / nickname).mkdir()
            self.bucket(nickname, platform="local", name=str(folder / nickname))

    def allow(self, **rules: object) -> None:
        """Allow something from now on."""
        self.rooms = replace(self.rooms, rules=replace(self.rooms.rules, **rules))  # type: ignore[arg-type]
        self.service = make_service(self.rooms)

    def bucket(self, nickname: str, **place: object) -> None:
        """Make a bucket config."""
        self.do(CREATE_BUCKET_CONFIG, CreateBucketConfig(org="lab", nickname=nickname, **place), self.anna)  # type: ignore[arg-type]

    def repo(self, name: str, **facts: object) -> Repo:
        """Make a repository."""
        return self.do(CREATE_REPO, CreateRepo(org="lab", name=name, **facts), self.anna)  # type: ignore[arg-type]

    def grant(self, repo: str, principal: str, role: Role) -> None:
        """Give somebody a role for one repository."""
        self.do(GRANT_ROLE, GrantRole(org="lab", repo=repo, principal=principal, role=role), self.anna)

    def opened(self, repo: str, caller: Caller, *, access: str = "write", inside: bool = False) -> Repository:
        """Open a repository as somebody would, through the server unless they are inside."""
        transport = InsideTransport(self.service, replace(caller, inside=inside))
        return open_served(transport, transport.call(OPEN_REPO, OpenRepo(org="lab", repo=repo, access=access)))  # type: ignore[arg-type]

    def refused[In: Request, Out](self, operation: Operation[In, Out], request: In, caller: Caller) -> Exception:
        """Return the error that an operation ends with."""
        try:
            answer = self.do(operation, request, caller)
        except Exception as error:  # noqa: BLE001  the test looks at it
            return error
        raise AssertionError(f"it was not refused, but answered: {answer}")
