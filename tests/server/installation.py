"""An installation of many people on a real server, and how they ask it."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from tests.server.serving import running

from kist import wire
from kist.catalog.database import Database
from kist.catalog.sealing import Keyring
from kist.models import Role, Scope
from kist.models.requests import CreateBucketConfig, CreateKey, CreateOrg, CreateRepo, CreateUser, Request, SetMember
from kist.operations import CREATE_BUCKET_CONFIG, CREATE_KEY, CREATE_ORG, CREATE_REPO, CREATE_USER, SET_MEMBER, Operation
from kist.server.app import make_app
from kist.service import accounts, authentication
from kist.service.assembly import make_service
from kist.service.policy import Principal
from kist.service.rooms import Caller, Rooms, Rules

PASSWORD = "correct horse battery"


@dataclass
class Installation:
    """A service with an admin of the server, `root`, and the organisation ``lab`` with a bucket and a repository ``data``."""

    database: Database
    folder: Path
    callers: dict[str, Caller] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rules = Rules(local_roots=(str(self.folder),))
        self.rooms = Rooms(database=self.database, keyring=Keyring.parse(Keyring.new_line("one")), rules=rules)
        self.service = make_service(self.rooms)
        link = accounts.first_admin(self.rooms, "root")
        assert link is not None
        self._know("root", authentication.use_link(self.rooms, link.token), admin=True)

    def add(self, name: str, *, password: str | None = None) -> Caller:
        """Make a user."""
        made = self.do(CREATE_USER, CreateUser(name=name, password=password), "root")
        return self._know(name, made.id)

    def lab(self, **members: Role) -> None:
        """Make the organisation, by its admin `ada`, with these members."""
        self.add("ada")
        self.do(CREATE_ORG, CreateOrg(name="lab"), "ada")
        for name, role in members.items():
            self.add(name)
            self.do(SET_MEMBER, SetMember(org="lab", user=name, role=role), "ada")
        place = self.folder / "lab"
        place.mkdir()
        self.do(CREATE_BUCKET_CONFIG, CreateBucketConfig(org="lab", nickname="main", uri=f"file://{place}"), "ada")
        self.do(CREATE_REPO, CreateRepo(org="lab", name="data"), "ada")

    def token(self, name: str, scope: Scope | None = None) -> str:
        """Make an API token."""
        return self.do(CREATE_KEY, CreateKey(name="test", scope=scope or Scope()), name).secret

    def do[In: Request, Out](self, operation: Operation[In, Out], request: In, name: str) -> Out:
        """Do an operation in this process."""
        return self.service.call(operation, request, self.callers[name])

    @contextlib.contextmanager
    def serving(self, **changes: object) -> Iterator[httpx.Client]:
        """Run the app on it, and yield a client of nobody."""
        with (
            running(lambda settings: make_app(self.service, settings), **changes) as url,
            httpx.Client(base_url=url, timeout=30, verify=False, trust_env=False) as client,
        ):
            yield client

    def _know(self, name: str, user_id: str, *, admin: bool = False) -> Caller:
        who = Principal(id=user_id, name=name, kind="user", admin=admin)
        self.callers[name] = Caller(who=who, address="192.0.2.7")
        return self.callers[name]


def ask(client: httpx.Client, operation: Operation[Request, object], request: Request, token: str = "", **headers: str) -> httpx.Response:
    """Send a request as a client does."""
    sent = wire.encode_request(operation, request)
    said = {"authorization": f"Bearer {token}"} if token else {}
    kind = {"content-type": sent.content_type} if sent.content_type else {}
    return client.request(sent.verb, sent.target, content=sent.content, headers={**said, **kind, **headers})
