"""The parts of one installation, put together in one place, and what one operation has at hand while it runs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from kist.catalog.database import Database
from kist.catalog.sealing import Keyring
from kist.catalog.standing import Standing
from kist.service.policy import Principal

__all__ = ["Act", "Caller", "Rooms", "Rules"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the admin of an installation allows.

    `local_roots` are the folders below which bucket configs of platform ``local`` may be; `endpoints` are hosts (``host`` or ``host:port``)
    of stores that may be reached though they are not public, ``*`` for all; `ambient` says whether credentials of this machine may be used.
    `fixed` are repositories, ``org/name``, that stay where they are, since something reaches them without the catalog.
    """

    local_roots: tuple[str, ...] = ()
    memory: bool = False
    endpoints: tuple[str, ...] = ()
    ambient: bool = False
    fixed: tuple[str, ...] = ()
    users_create_orgs: bool = True
    trash_days: int = 7
    login_days: int = 30
    link_minutes: int = 60
    access_seconds: int = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """One installation: its database, its keys, its rules and its clock."""

    database: Database
    keyring: Keyring
    rules: Rules = Rules()
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, from where. One who is `inside` this process may be given credentials that no server hands out.

    `idempotency_key` names a change, so that it is not done twice if its answer was lost.
    """

    who: Principal
    address: str = ""
    idempotency_key: str = ""
    inside: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One operation that the policy let pass. `details` goes into its audit line: nothing secret may be put there."""

    rooms: Rooms
    caller: Caller
    standing: Standing
    now: datetime
    details: dict[str, object] = field(default_factory=dict)

    @property
    def who(self) -> Principal:
        """Who asks."""
        return self.caller.who
