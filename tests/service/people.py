"""An installation to test with: its clock stands still until it is told to go on, and users are made by one line."""

import threading
from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from kist.catalog import orgs as catalog_orgs
from kist.catalog import people as catalog_people
from kist.catalog.database import Database
from kist.catalog.sealing import Keyring
from kist.errors import KistError
from kist.models import Role
from kist.models.requests import CreateOrg, CreateUser, ModifyUser, Request, SetMember
from kist.operations import CREATE_ORG, CREATE_USER, MODIFY_USER, SET_MEMBER, Operation
from kist.service import accounts, auditing, authentication, keys, orgs
from kist.service.dispatch import Service
from kist.service.policy import Principal
from kist.service.rooms import Caller, Rooms

PASSWORD = "correct horse battery"


@dataclass
class Clock:
    """A time that only goes on when it is told to."""

    time: datetime = field(default_factory=lambda: datetime(2026, 11, 20, 12, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.time

    def wait(self, **units: float) -> None:
        """Let time pass."""
        self.time += timedelta(**units)


def keyring(*names: str) -> Keyring:
    """A keyring whose keys are known by their names."""
    return Keyring({name: name.encode().ljust(32, b".") for name in names or ("one",)})


class People:
    """An installation with a first admin, `root`."""

    def __init__(self, database: Database) -> None:
        self.clock = Clock()
        self.rooms = Rooms(database=database, keyring=keyring(), now=self.clock)
        self.service = self._service(self.rooms)
        link = accounts.first_admin(self.rooms, "root")
        assert link is not None
        self.root = self.user("root", authentication.use_link(self.rooms, link.token))

    @staticmethod
    def _service(rooms: Rooms) -> Service:
        return Service(rooms, accounts.HANDLERS, auditing.HANDLERS, keys.HANDLERS, orgs.HANDLERS)

    def user(self, name: str, user_id: str) -> Caller:
        """Somebody who is logged in."""
        return Caller(who=Principal(id=user_id, name=name, kind="user", admin=name == "root"), address="192.0.2.7")

    def add(self, name: str, *, password: str | None = None, email: str = "") -> Caller:
        """Make a user."""
        made = self.do(CREATE_USER, CreateUser(name=name, password=password, email=email), self.root)
        return self.user(name, made.id)

    def org(self, name: str, owner: Caller, **members: Role) -> None:
        """Make an organisation with members who are there already."""
        self.do(CREATE_ORG, CreateOrg(name=name), owner)
        for user, role in members.items():
            self.do(SET_MEMBER, SetMember(org=name, user=user, role=role), owner)

    def org_id(self, name: str) -> str:
        """The id of an organisation."""
        with self.rooms.database.reading() as sql:
            found = catalog_orgs.find(sql, name)
        assert found is not None
        return found.id

    def member_id(self, org: str, name: str) -> str:
        """The id of a member of an organisation."""
        with self.rooms.database.reading() as sql:
            found = catalog_orgs.member_page(sql, self.org_id(org), after="", limit=100)
        return next(one.user_id for one in found if one.name == name)

    def named(self, user_id: str) -> tuple[str, str]:
        """Name and e-mail address of a user."""
        with self.rooms.database.reading() as sql:
            found = catalog_people.by_id(sql, user_id)
        assert found is not None
        return found.name, found.email

    def disable(self, name: str) -> None:
        """Let a user do nothing any more."""
        self.do(MODIFY_USER, ModifyUser(user=name, disabled=True), self.root)

    def with_rules(self, **rules: object) -> "People":
        """The same installation by other rules."""
        other = copy(self)
        other.rooms = replace(self.rooms, rules=replace(self.rooms.rules, **rules))  # type: ignore[arg-type]
        other.service = self._service(other.rooms)
        return other

    def do[In: Request, Out](self, operation: Operation[In, Out], request: In, caller: Caller) -> Out:
        """Do an operation."""
        return self.service.call(operation, request, caller)


def at_once(works: Iterable[Callable[[], object]]) -> list[str]:
    """Do all of it in threads that begin together, and return how each ended: ``done``, or the name of its error."""
    given = list(works)
    outcomes: list[str] = []
    begin = threading.Barrier(len(given))

    def run(work: Callable[[], object]) -> None:
        begin.wait()
        try:
            work()
            outcomes.append("done")
        except KistError as error:
            outcomes.append(type(error).__name__)

    threads = [threading.Thread(target=run, args=(work,)) for work in given]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(outcomes)
