"""What an operation does is a function; here is how it is tied to its line of the table.

Looking gets a connection that sees one state. A change gets a connection in a transaction, which may run more than once, so it does nothing
but SQL; what has to be asked of a store first, its `prepare` does, without a connection, and hands over; if the change does not come
about, `undo` takes that back. What shall begin once a change is certain is told to `after`. Work with stores gets no connection at all.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from sqlalchemy import Connection

from kist.models.requests import Request
from kist.operations import Operation, Work
from kist.service.rooms import Act, Caller, Rooms

__all__ = ["Handlers"]

type Looks[In, Out] = Callable[[Act, Connection, In], Out]
type Works[In, Out] = Callable[[Act, In], Out]
type Changes[In, Ready, Out] = Callable[[Act, Connection, In, Ready], Out]


@dataclass(frozen=True, slots=True)
class Handlers:
    """Functions by the names of their operations."""

    looks: dict[str, Looks[Request, object]] = field(default_factory=dict)
    works: dict[str, Works[Request, object]] = field(default_factory=dict)
    changes: dict[str, Changes[Request, object, object]] = field(default_factory=dict)
    prepares: dict[str, Works[Request, object]] = field(default_factory=dict)
    undoes: dict[str, Callable[[object], None]] = field(default_factory=dict)
    afters: dict[str, Callable[[Rooms, Caller], None]] = field(default_factory=dict)

    @property
    def operations(self) -> frozenset[str]:
        """The names of the operations that can be done by these."""
        return frozenset(self.looks) | frozenset(self.works) | frozenset(self.changes)

    def take(self, other: "Handlers") -> None:
        """Take over the functions of another one."""
        self.looks.update(other.looks)
        self.works.update(other.works)
        self.changes.update(other.changes)
        self.prepares.update(other.prepares)
        self.undoes.update(other.undoes)
        self.afters.update(other.afters)

    def look[In: Request, Out](self, operation: Operation[In, Out]) -> Callable[[Looks[In, Out]], Looks[In, Out]]:
        """Tie a function that looks to its operation."""

        def tie(function: Looks[In, Out]) -> Looks[In, Out]:
            self.looks[_of(operation, Work.LOOK)] = cast("Looks[Request, object]", function)
            return function

        return tie

    def change[In: Request, Out](self, operation: Operation[In, Out]) -> Callable[[Looks[In, Out]], Looks[In, Out]]:
        """Tie a function that changes the catalog to its operation."""

        def tie(function: Looks[In, Out]) -> Looks[In, Out]:
            def change(act: Act, sql: Connection, request: In, _ready: object) -> Out:
                return function(act, sql, request)

            self.changes[_of(operation, Work.CHANGE)] = cast("Changes[Request, object, object]", change)
            return function

        return tie

    def prepared_change[In: Request, Ready, Out](
        self, operation: Operation[In, Out], prepare: Works[In, Ready], undo: Callable[[Ready], None] | None = None
    ) -> Callable[[Changes[In, Ready, Out]], Changes[In, Ready, Out]]:
        """Tie a function that changes the catalog, with what `prepare` made ready before, to its operation.

        `undo` gets what was made ready and is not needed: nothing in the catalog names it.
        """

        def tie(function: Changes[In, Ready, Out]) -> Changes[In, Ready, Out]:
            self.changes[_of(operation, Work.CHANGE)] = cast("Changes[Request, object, object]", function)
            self.prepares[operation.name] = cast("Works[Request, object]", prepare)
            if undo:
                self.undoes[operation.name] = cast("Callable[[object], None]", undo)
            return function

        return tie

    def after[In: Request, Out](self, operation: Operation[In, Out], function: Callable[[Rooms, Caller], None]) -> None:
        """Call a function each time that an operation's change is in the catalog."""
        self.afters[_of(operation, Work.CHANGE)] = function

    def work[In: Request, Out](self, operation: Operation[In, Out]) -> Callable[[Works[In, Out]], Works[In, Out]]:
        """Tie a function that works with a store to its operation."""

        def tie(function: Works[In, Out]) -> Works[In, Out]:
            self.works[_of(operation, Work.STORE)] = cast("Works[Request, object]", function)
            return function

        return tie


def _of[In: Request, Out](operation: Operation[In, Out], work: Work) -> str:
    """Return the name of an operation that works in this way."""
    if operation.work is not work:
        raise TypeError(f"{operation.name} is work of kind {operation.work.value}, not {work.value}")
    return operation.name
