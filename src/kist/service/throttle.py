"""How often somebody may fail to log in: for each name that is tried, and for each address that tries.

An attempt is counted before it is checked, so many at once are no way around; one that succeeds is not held against anybody. After a few
failures each next one has to wait twice as long, up to a minute for a name, lest a stranger lock its owner out for long.
Counts are in the database, not in this process: several servers count together, and starting one anew forgives nothing. What is kept is a
keyed hash: people type their password where the name belongs.
"""

import ipaddress
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from kist.catalog import logins
from kist.catalog.logins import Attempts
from kist.errors import Busy
from kist.service.rooms import Rooms

__all__ = ["TooOften", "attempt", "forgive"]

FORGOTTEN: Final = timedelta(hours=1)
_NETWORK_BITS: Final = 64  # of IPv6: what one customer gets


class TooOften(Busy):
    """Too many failed; `seconds` says how long to wait."""

    http_status = 429

    def __init__(self, seconds: int) -> None:
        """Say how long."""
        super().__init__(f"too many failed logins: try again in {seconds} s")
        self.seconds = seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class _Subject:
    """What is counted: so many failures are free, and no wait is longer."""

    hash: bytes
    free: int
    longest: timedelta


def attempt(rooms: Rooms, name: str, address: str) -> None:
    """Count an attempt to log in with a name, from an address; none is said if it is from within this process.

    Raises:
        TooOften: there were too many.
    """
    now = rooms.now()
    wait = rooms.database.change(lambda sql: _count(sql, _subjects(rooms, name, address), now))
    if wait > timedelta():
        raise TooOften(math.ceil(wait.total_seconds()))


def forgive(rooms: Rooms, name: str, address: str) -> None:
    """Take back an attempt that succeeded, and all that failed with this name."""
    subjects = _subjects(rooms, name, address)

    def change(sql: Connection) -> None:
        logins.drop_attempts(sql, subject=subjects[0].hash)
        for subject in subjects[1:]:
            if found := logins.attempts(sql, subject.hash):
                fewer = Attempts(count=max(0, found.count - 1), until=rooms.now(), forget=found.forget)
                logins.keep_attempts(sql, subject.hash, fewer, new=False)

    rooms.database.change(change)


def _count(sql: Connection, subjects: list[_Subject], now: datetime) -> timedelta:
    """Count an attempt at all of these, or at none of them, and return how long it has to wait."""
    counts = [(subject, logins.attempts(sql, subject.hash)) for subject in subjects]
    wait = max((found.until - now for _, found in counts if found), default=timedelta())
    if wait > timedelta():
        return wait
    for subject, found in counts:
        count = 1 + (found.count if found and found.forget > now else 0)
        late = min(subject.longest, timedelta(seconds=2.0 ** min(count - subject.free, 20))) if count >= subject.free else timedelta()
        logins.keep_attempts(sql, subject.hash, Attempts(count=count, until=now + late, forget=now + FORGOTTEN), new=found is None)
    logins.drop_attempts(sql, before=now)
    return timedelta()


def _subjects(rooms: Rooms, name: str, address: str) -> list[_Subject]:
    named = _hash(rooms, f"name {name.casefold()}")
    found = [_Subject(hash=named, free=5, longest=timedelta(minutes=1))]
    if address:
        found.append(_Subject(hash=_hash(rooms, f"address {_network(address)}"), free=20, longest=timedelta(minutes=5)))
    return found


def _hash(rooms: Rooms, said: str) -> bytes:
    return rooms.keyring.digest(said.encode("utf-8", "surrogatepass"), use="throttle")


def _network(address: str) -> str:
    """Return what belongs to one customer: an IPv4 address, or a network of IPv6."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    return str(found.ipv4_mapped or ipaddress.ip_network((found, _NETWORK_BITS), strict=False))
