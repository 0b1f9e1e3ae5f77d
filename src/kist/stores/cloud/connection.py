"""A bucket and how to reach it: every request to a cloud is made in `Connection.request`.

A request happens within the budget of the process, never in a process that was forked after its parent made one (obstore would hang for
ever there), and what goes wrong is said in kist's words, without secrets.
"""

import contextlib
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

from kist.errors import InvalidInput, KistError, StoreError
from kist.stores import budget
from kist.stores.cloud.errors import FOREIGN, mask, translate
from kist.stores.cloud.options import Address, Clients
from kist.stores.keys import check_key

__all__ = ["ATTEMPTS", "Connection", "Translate", "again", "pause"]

ATTEMPTS = 4
"""How often something is tried that obstore does not repeat by itself."""

type Slot = AbstractContextManager[object]
type Translate = Callable[[BaseException, str, tuple[str, ...]], KistError]

_first_user: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """What the verbs of a store share."""

    address: Address
    clients: Clients

    def checked(self, key: str) -> str:
        """Return `key` if this cloud can have it.

        Raises:
            InvalidInput: it is no key, or Azure would store it under another one.
        """
        if self.clients.platform == "az" and "\\" in key:
            raise InvalidInput(f"{key!r} can't be on Azure, which takes every backslash for a '/': use another name")
        return check_key(key)

    def full_key(self, key: str) -> str:
        """Return the key as the bucket knows it."""
        return f"{self.address.prefix}/{key}" if self.address.prefix else key

    @contextlib.contextmanager
    def request(self, action: str, *, foreign: tuple[type[Exception], ...] = FOREIGN, said: Translate = translate) -> Iterator[Slot]:
        """Make one request; yield its place in the budget, which may be left for a while and taken again.

        Args:
            action: what is done, for messages: a verb and what it is about.
            foreign: the errors that are not kist's.
            said: what makes them kist's.

        Raises:
            KistError: the request failed, or this process was forked.
        """
        _refuse_forked(action)
        slot = budget.request()
        try:
            with slot:
                yield slot
        except KistError:
            raise
        except foreign as error:
            hidden = mask(str(error), self.clients.secrets) != str(error)
            raise said(error, action, self.clients.secrets) from (None if hidden else error)


def again[T](work: Callable[[], T]) -> T:
    """Do what may be done twice, a few times over while the store fails.

    Raises:
        StoreError: it failed each time.
    """
    for attempt in range(ATTEMPTS):
        if attempt:
            pause(attempt)
        try:
            return work()
        except StoreError:
            if attempt + 1 == ATTEMPTS:
                raise
    raise AssertionError


def pause(attempt: int) -> None:
    """Wait a little before another try, the first of which has number 1; longer each time, and never all at the same time."""
    time.sleep(random.uniform(0.05, 0.1) * 2**attempt)  # noqa: S311  no secret


def _refuse_forked(action: str) -> None:
    """Remember the first process that makes a request.

    Raises:
        StoreError: this process was forked from it.
    """
    global _first_user  # noqa: PLW0603  one per process is the point
    if _first_user is None:
        _first_user = os.getpid()
    elif _first_user != os.getpid():
        raise StoreError(
            f"can't {action}: this process was forked from one that had used a cloud store already, and its connections did not survive; "
            "start workers with 'spawn' or 'forkserver', or before the first use"
        )
