"""One operation over HTTP, but for the sending: what to send, what an answer means, and whether to ask again.

What got no answer is asked for again: looking, because it changes nothing, and a change, because each carries one idempotency key through
all its attempts. So are answers that say "later" (429, 503) or come from a machine in between (502, 504). Pauses grow, and no two clients
make the same ones.
"""

import platform
import random
import time
import uuid
from dataclasses import dataclass
from typing import Final, cast

import httpx

import kist
from kist.client.servers import Server
from kist.errors import Busy, InvalidInput, KistError, StoreError
from kist.models.requests import Request
from kist.operations import LOG_IN, Operation, Work
from kist.wire import BINARY, IDEMPOTENCY_KEY, JSON, decode_answer, decode_error, encode_request

__all__ = ["ANSWER_BYTES", "Exchange", "Pause", "options"]

ANSWER_BYTES: Final = 256 << 20
ATTEMPTS: Final = 5
PATIENCE_SECONDS: Final = 60.0
"""After this long no further attempt begins."""
LONGEST_PAUSE: Final = 30.0
_READ_SECONDS: Final = {Work.LOOK: 60.0, Work.CHANGE: 120.0, Work.STORE: 600.0}
_BETWEEN: Final = frozenset({502, 504})
_LATER: Final = frozenset({429, 503})
_NEVER_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)


@dataclass(frozen=True, slots=True)
class Pause:
    """Ask again after so many seconds."""

    seconds: float


class Exchange[In: Request, Out]:
    """One operation, with all its attempts."""

    def __init__(self, server: Server, operation: Operation[In, Out], request: In) -> None:
        """Make what is sent.

        Raises:
            InvalidInput: a value of the request is of no shape that a server would take.
        """
        self._server, self._operation = server, operation
        sent = encode_request(cast("Operation[In, object]", operation), request)
        self.verb, self.url, self.content = sent.verb, server.url + sent.target, sent.content
        self.headers = {"accept": BINARY if operation.gives is bytes else JSON}
        if sent.content_type:
            self.headers["content-type"] = sent.content_type
        if server.token:
            self.headers["authorization"] = f"Bearer {server.token}"
        if operation.work is not Work.LOOK:
            self.headers[IDEMPOTENCY_KEY] = uuid.uuid4().hex
        self.timeout = httpx.Timeout(10.0, read=_READ_SECONDS[operation.work], write=60.0)
        self._attempts, self._began = 0, time.monotonic()

    def lost(self, error: httpx.RequestError) -> Pause:
        """Return how long to wait after an attempt without an answer.

        Raises:
            StoreError: it is not asked again; the message says whether a change may have been made.
        """
        sent = not isinstance(error, _NEVER_SENT)
        certain = "CERTIFICATE_VERIFY_FAILED" in str(error)
        if not certain and (not sent or self._operation is not LOG_IN) and self._goes_on():
            return self._pause()
        told = f"{self._server.url} can't be reached" if not sent else f"{self._server.url} did not answer {self._operation.name}"
        unknown = "; whether it was done is unknown: look before you ask again" if sent and self._operation.work is not Work.LOOK else ""
        raise StoreError(f"{told}: {_reason(error)}{unknown}") from error

    def answered(self, response: httpx.Response, content: bytes) -> Out | Pause:
        """Return what an answer gives, or how long to wait before the next attempt.

        Raises:
            KistError: what the operation raised.
            StoreError: it is no answer of a kist server.
        """
        status = response.status_code
        if status == self._operation.status and self._is_ours(response):
            return decode_answer(self._operation, content)
        if response.is_redirect:
            raise InvalidInput(
                f"{self._server.url} sends on to {response.headers.get('location', 'another place')!r}, where no token is sent: "
                "say the final URL as the server's"
            )
        if status < 400:  # noqa: PLR2004 - success, but not ours
            raise StoreError(f"{self._server.url} answers {self._operation.name} with {status}, which no kist server does: is it one?")
        return self._refused(response, decode_error(status, content))

    def _refused(self, response: httpx.Response, error: KistError) -> Pause:
        told = response.headers.get("content-type", "").startswith(JSON)
        again = isinstance(error, Busy) or response.status_code in _LATER or (response.status_code in _BETWEEN and not told)
        wanted = _seconds(response.headers.get("retry-after", ""))
        if again and wanted <= LONGEST_PAUSE and self._goes_on():
            return self._pause(wanted)
        raise error

    def _is_ours(self, response: httpx.Response) -> bool:
        """Say whether an answer has the type that a kist server gives it: not a page that some network shows for everything."""
        if self._operation.gives is type(None):
            return True  # 204 has no content
        return bool(response.headers.get("content-type", "").startswith(BINARY if self._operation.gives is bytes else JSON))

    def _goes_on(self) -> bool:
        self._attempts += 1
        return self._attempts < ATTEMPTS and time.monotonic() - self._began < PATIENCE_SECONDS

    def _pause(self, wanted: float = 0.0) -> Pause:
        return Pause(wanted + random.uniform(0.5, 1.0) * 0.1 * 2**self._attempts)  # noqa: S311 - no secret


def options(server: Server) -> dict[str, object]:
    """Return how connections are made, the same for threads and event loops."""
    return {
        "follow_redirects": False,  # a token goes nowhere else
        "trust_env": server.url.startswith("https:"),  # a proxy of the environment must not see a token in clear text
        "headers": {"user-agent": f"kist/{kist.__version__} python/{platform.python_version()}"},
        "limits": httpx.Limits(max_connections=32, max_keepalive_connections=8, keepalive_expiry=30.0),
    }


def _seconds(retry_after: str) -> float:
    return float(retry_after) if retry_after.isascii() and retry_after.isdecimal() and len(retry_after) < 6 else 0.0  # noqa: PLR2004 - a day


def _reason(error: httpx.RequestError) -> str:
    return str(error) or ("it took too long" if isinstance(error, httpx.TimeoutException) else type(error).__name__)
