# Made by kist.client.generate from kist/client/asynchronous/asking.py: change that, and run python -m kist.client.generate
"""How each call asks: one operation, or all pages of a list."""

from collections.abc import Iterator
from typing import Final

from kist.client.asking import request_for
from kist.client.transport import Transport
from kist.errors import IntegrityError
from kist.models.requests import Page, Request
from kist.operations import Operation

__all__ = ["Asking"]

PAGE: Final = 1000


class Asking:
    """Has a transport, and asks through it."""

    _transport: Transport

    def _ask[In: Request, Out](self, operation: Operation[In, Out], /, **said: object) -> Out:
        return self._transport.call(operation, request_for(operation.takes, said))

    def _all[In: Request, Item](self, operation: Operation[In, Page[Item]], /, **said: object) -> list[Item]:
        return list(self._each(operation, **said))

    def _each[In: Request, Item](self, operation: Operation[In, Page[Item]], /, **said: object) -> Iterator[Item]:
        """Yield what all pages hold; the next one is asked for when it is needed."""
        after = ""
        paging: dict[str, object] = {"limit": PAGE} if "limit" in operation.takes.__struct_fields__ else {}
        while True:
            page = self._ask(operation, **paging, **said)
            yield from page.items
            if not page.next:
                return
            if page.next == after or not paging:
                raise IntegrityError(f"{self._transport.place} answers {operation.name} with the same page again and again")
            after = page.next
            paging["after"] = after
