"""The one door: every operation, of whoever asks, passes here. Policy first, then the deed, then the audit line.

A change, its audit line and its idempotency key are one transaction: an acknowledged change is whole, and one that is asked for again
with the same key is answered, not done again.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import cast

import msgspec
from sqlalchemy import Connection

from kist.catalog import audit, idempotency, standing
from kist.errors import Denied, KistError, NotFound, StoreError
from kist.models import Org
from kist.models.requests import Request
from kist.operations import RESTORE_REPO, Operation, Work
from kist.service import policy
from kist.service.handlers import Handlers
from kist.service.rooms import Act, Caller, Rooms

__all__ = ["Service"]

_NAMES = ("repo", "nickname", "service_account", "name", "user", "principal", "id", "key")


class Service:
    """All operations of one installation. Threads share it."""

    def __init__(self, rooms: Rooms, *handlers: Handlers, later: Mapping[str, Callable[[], Iterable[Handlers]]] | None = None) -> None:
        """Put the rooms and the handlers of each subject together; `later` gives those of an operation when that is first called."""
        self.rooms = rooms
        self._tied = Handlers()
        for one in handlers:
            self._tied.take(one)
        self._later = dict(later or {})
        self._came: set[str] = set()
        self.operations = self._tied.operations | frozenset(self._later)
        """The names of the operations that this service can do."""

    def call[In: Request, Out](self, operation: Operation[In, Out], request: In, caller: Caller) -> Out:
        """Do an operation.

        Raises:
            Unauthenticated: nobody proved who asks.
            Denied: they may not do this.
            NotFound: there is no such thing, or they may not know of it.
            KistError: what the operation raises.
        """
        try:
            return self._call(operation, request, caller)
        except Denied:
            if operation.audited:
                self.rooms.database.change(lambda sql: self._write_denied(sql, operation, request, caller))
            raise

    def _call[In: Request, Out](self, operation: Operation[In, Out], request: In, caller: Caller) -> Out:
        handlers = self._handlers(operation.name)
        if operation.work is Work.LOOK:
            with self.rooms.database.reading() as sql:
                act = self._admitted(sql, operation, request, caller)
                return cast("Out", handlers.looks[operation.name](act, sql, request))
        if operation.work is Work.CHANGE:
            answer = self._change(operation, request, caller)
            if operation.name in handlers.afters:
                handlers.afters[operation.name](self.rooms, caller)
            return answer
        return self._work(operation, request, caller)

    def _handlers(self, name: str) -> Handlers:
        """Return what an operation is tied in. Threads that ask for the same one at once all get it: each takes it in, which is no harm."""
        if name in self._later and name not in self._came:
            for one in self._later[name]():
                self._tied.take(one)
            self._came.add(name)
        return self._tied

    def _work[In: Request, Out](self, operation: Operation[In, Out], request: In, caller: Caller) -> Out:
        with self.rooms.database.reading() as sql:
            act = self._admitted(sql, operation, request, caller)
        answer = self._tied.works[operation.name](act, request)
        if operation.audited:
            self.rooms.database.change(lambda sql: _write_line(sql, operation, request, act, "done"))
        return cast("Out", answer)

    def _change[In: Request, Out](self, operation: Operation[In, Out], request: In, caller: Caller) -> Out:
        key = _Once.of(operation, request, caller, self.rooms)
        with self.rooms.database.reading() as sql:
            if key and (done := key.answered(sql, self.rooms)) is not None:
                return _decoded(operation, done)  # first of all: what was done may have taken away what it needed
            act = self._admitted(sql, operation, request, caller)
        if operation.name not in self._tied.prepares:
            return self._transact(operation, request, caller, key, ready=None)[0]
        undo = self._tied.undoes.get(operation.name, _keep)
        ready = self._tied.prepares[operation.name](act, request)
        try:
            answer, needed = self._transact(operation, request, caller, key, ready=ready)
        except StoreError:
            raise  # whether the change was made is unknown: nothing is taken back
        except KistError:
            undo(ready)
            raise
        if not needed:
            undo(ready)
        return answer

    def _transact[In: Request, Out](
        self, operation: Operation[In, Out], request: In, caller: Caller, key: "_Once | None", *, ready: object
    ) -> tuple[Out, bool]:
        """Return the answer, and whether it was done now."""
        rooms, name = self.rooms, operation.name

        def change(sql: Connection) -> tuple[Out, bool]:
            if key and (recorded := key.begin(sql, rooms)) is not None:
                return _decoded(operation, recorded), False
            act = self._admitted(sql, operation, request, caller)  # roles may have changed since
            answer = self._tied.changes[name](act, sql, request, ready)
            if operation.audited:
                _write_line(sql, operation, request, _within(act, answer), "done")
            if key:
                key.finish(sql, rooms, msgspec.json.encode(answer))
            return cast("Out", answer), True

        return rooms.database.change(change)

    def _write_denied(self, sql: Connection, operation: Operation[Request, object], request: Request, caller: Caller) -> None:
        org = str(getattr(request, "org", ""))
        found = standing.find(sql, caller.who.id, org) if org else standing.Standing()
        _write_line(sql, operation, request, Act(rooms=self.rooms, caller=caller, standing=found, now=self.rooms.now()), "denied")

    def _admitted(self, sql: Connection, operation: Operation[Request, object], request: Request, caller: Caller) -> Act:
        """Return what the operation gets, if the policy lets it pass."""
        org, repo = str(getattr(request, "org", "")), str(getattr(request, "repo", ""))
        found = standing.find(sql, caller.who.id, org, repo) if org else standing.Standing()
        counted = policy.check(operation.need, caller.who, found, org=org, repo=repo)
        if found.deleted and operation.name != RESTORE_REPO.name:
            raise NotFound(f"the repository {org}/{repo} is deleted: kist repo restore brings it back within its days")
        return Act(rooms=self.rooms, caller=caller, standing=counted, now=self.rooms.now())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Once:
    """The idempotency key of one change. Answers are kept sealed, for some show a secret."""

    principal_id: str
    key: str
    request_hash: bytes

    @classmethod
    def of(cls, operation: Operation[Request, object], request: Request, caller: Caller, rooms: Rooms) -> "_Once | None":
        if not caller.idempotency_key or not caller.who.id:
            return None
        said = operation.name.encode() + b"\0" + msgspec.json.encode(request, order="sorted")
        hashed = rooms.keyring.digest(said, use="idempotency")  # keyed, for a request may hold a password
        return cls(principal_id=caller.who.id, key=caller.idempotency_key, request_hash=hashed)

    def answered(self, sql: Connection, rooms: Rooms) -> bytes | None:
        """Return the answer, if this change was done before."""
        return self._opened(rooms, idempotency.look(sql, self.principal_id, self.key, self.request_hash))

    def begin(self, sql: Connection, rooms: Rooms) -> bytes | None:
        """Take the key, or return the answer of whoever had it."""
        return self._opened(rooms, idempotency.begin(sql, self.principal_id, self.key, self.request_hash, rooms.now()))

    def finish(self, sql: Connection, rooms: Rooms, answer: bytes) -> None:
        """Keep the answer."""
        idempotency.finish(sql, self.principal_id, self.key, rooms.keyring.seal(answer, place=self._place))

    def _opened(self, rooms: Rooms, sealed: bytes | None) -> bytes | None:
        return None if sealed is None else rooms.keyring.open(sealed, place=self._place)

    @property
    def _place(self) -> str:
        return f"idempotency/{self.principal_id}/{self.key}"


def _keep(_ready: object) -> None:
    """Take nothing back."""


def _decoded[Out](operation: Operation[Request, Out], answer: bytes) -> Out:
    return msgspec.json.decode(answer, type=operation.gives)


def _within(act: Act, answer: object) -> Act:
    """Return an act with the organisation that it was about, also where it has just made it."""
    if isinstance(answer, Org) and not act.standing.org_id:
        return replace(act, standing=replace(act.standing, org_id=answer.id, org=answer.name))
    return act


def _write_line(sql: Connection, operation: Operation[Request, object], request: Request, act: Act, outcome: str) -> None:
    """Add the line of an operation to the audit log of the organisation that it names."""
    named = [str(getattr(request, name)) for name in _NAMES if isinstance(getattr(request, name, None), str)]
    audit.append(
        sql,
        org_id=act.standing.org_id,
        principal=act.who.name,
        operation=operation.name,
        target="/".join(named)[:512],
        outcome=outcome,
        details={
            **act.details,
            **({"key": act.who.key_id} if act.who.key_id else {}),
            **({"from": act.caller.address} if act.caller.address else {}),
        },
        now=act.now,
    )
