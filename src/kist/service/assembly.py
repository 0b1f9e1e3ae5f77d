"""Puts a service together: the one list of the rooms whose operations it does."""

from kist.service import access, accounts, auditing, buckets, content, jobs, keys, mounts, moving, orgs, repos, sharing
from kist.service.dispatch import Service
from kist.service.rooms import Rooms

__all__ = ["make_service"]

_ROOMS = (access, accounts, auditing, buckets, content, jobs, keys, mounts, moving, orgs, repos, sharing)


def make_service(rooms: Rooms) -> Service:
    """Return the service of an installation, which does all operations."""
    return Service(rooms, *(room.HANDLERS for room in _ROOMS))
