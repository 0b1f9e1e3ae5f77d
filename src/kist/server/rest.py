"""The API for programs: each operation of the table at its path below ``/api/v1``.

Who asks is proved before a body is read; a body is read whole, within bounds; then the service does the rest, in a thread. Whatever is
sent, the answer is what the operation gives, or an error in JSON that says what to do.
"""

import functools
import logging
import math
from http import HTTPStatus
from typing import Final

import anyio
import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from kist import wire
from kist.errors import Busy, InvalidInput, KistError, Unauthenticated, Unsupported
from kist.models.requests import Request as Asked
from kist.operations import LOG_IN, Need, Operation, Work
from kist.server.identity import who_asks
from kist.server.limits import Buffers, Rates, TooMany
from kist.server.logs import Trace
from kist.server.settings import Limits
from kist.service.dispatch import Service
from kist.service.policy import NOBODY, Principal
from kist.service.rooms import Caller
from kist.service.throttle import TooOften

__all__ = ["Rest", "error_response"]

KEY_LENGTH: Final = 128
log = logging.getLogger(__name__)


class Rest:
    """The endpoint of all operations."""

    def __init__(self, service: Service, limits: Limits) -> None:
        """Take who does the work, and how much one may ask for."""
        self._service, self._limits = service, limits
        self._rates = Rates(limits.principal_rate, limits.principal_burst)
        self._logins = Rates(limits.login_rate, limits.login_burst)
        self._buffers = Buffers(limits.buffered_bytes, first_seconds=limits.body_seconds)
        self._threads: dict[bool, anyio.CapacityLimiter] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        try:
            response = await self._answer(request, scope["kist"])
        except KistError as error:
            response = error_response(error)
        await response(scope, receive, send)

    async def _answer(self, request: Request, trace: Trace) -> Response:
        raw_path: bytes = request.scope["raw_path"]
        try:
            operation, fields = wire.find_operation(request.method, raw_path.decode("ascii", "replace"))
        except Unsupported as error:
            return error_response(error, HTTPStatus.METHOD_NOT_ALLOWED)
        trace.operation = operation.name
        if operation.name not in self._service.operations:
            raise Unsupported(f"{operation.name} is no operation of this server")
        who = await self._admitted(request, operation, trace)
        most = self._limits.object_bytes if wire.is_raw(operation) else self._limits.json_bytes
        async with self._buffers.body(request, most_bytes=most) as content:
            query = request.url.query
            asked = wire.decode_request(operation, fields, query, request.headers.get("content-type", ""), content)
            caller = Caller(who=who, address=trace.address, idempotency_key=_idempotency_key(request))
            answer = await self._done(operation, asked, caller)
        media_type, body = wire.encode_answer(operation, answer)
        return Response(body, operation.status, media_type=media_type or None)

    async def _admitted(self, request: Request, operation: Operation[Asked, object], trace: Trace) -> Principal:
        """Return who asks, if they did not ask too much."""
        if operation.name == LOG_IN.name:
            self._logins.take(trace.address, "this address to log in")
        who = NOBODY if operation.need is Need.NOTHING else await who_asks(self._service.rooms, request)
        trace.principal = who.id
        if who.id:
            self._rates.take(who.id, who.name)
        elif operation.need is not Need.NOTHING:
            raise Unauthenticated("this needs a login: kist login makes one, or send a token as 'Authorization: Bearer …'")
        return who

    async def _done(self, operation: Operation[Asked, object], asked: Asked, caller: Caller) -> object:
        """Do the operation in a thread. Stores may be slow, so those who only ask the catalog do not wait behind them."""
        threads = self._threads.setdefault(operation.work is Work.STORE, anyio.CapacityLimiter(self._limits.threads))
        return await anyio.to_thread.run_sync(functools.partial(self._service.call, operation, asked, caller), limiter=threads)


def error_response(error: KistError, status: int = 0) -> Response:
    """Return an error as programs read it."""
    own_status, body = wire.encode_error(error)
    if own_status >= HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(error, Busy | Unsupported):
        log.error("%s: %s", type(error).__name__, error)
    headers = {}
    if isinstance(error, Unauthenticated):
        headers["www-authenticate"] = "Bearer"
    if isinstance(error, Busy):
        headers["retry-after"] = str(math.ceil(error.seconds) if isinstance(error, TooMany | TooOften) else 1)
    if isinstance(error, Unsupported) and status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["allow"] = str(error).rpartition("but ")[2]
    return Response(body, status or own_status, headers, media_type=wire.JSON)


def _idempotency_key(request: Request) -> str:
    """Return the name of a change, if it has one.

    Raises:
        InvalidInput: it is none.
    """
    said = request.headers.getlist(wire.IDEMPOTENCY_KEY)
    if not said:
        return ""
    key = said[0]
    if len(said) > 1 or not (key.isascii() and key.isprintable() and 0 < len(key) <= KEY_LENGTH):
        raise InvalidInput(f"{wire.IDEMPOTENCY_KEY} must be 1 to {KEY_LENGTH} plain characters, said once")
    return key
