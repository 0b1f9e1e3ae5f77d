"""The log of a server: one line for each request and for what went wrong. Never a query, a header, a body or a value of a secret."""

import json
import logging
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, override

from kist.ids import new_id

__all__ = ["Trace", "log_request", "set_up"]

REQUESTS: Final = logging.getLogger("kist.server.requests")
_FIELDS: Final = ("request", "operation", "principal", "address", "verb", "status", "ms")
_FOREIGN: Final = ("uvicorn", "alembic", "sqlalchemy", "httpx", "httpcore", "botocore", "boto3", "urllib3", "asyncio")


@dataclass(slots=True, kw_only=True)
class Trace:
    """What is noted of one request while it is answered."""

    request: str = field(default_factory=lambda: new_id()[:16])
    operation: str = ""
    principal: str = ""
    address: str = ""


class _Lines(logging.Formatter):
    """One JSON object a line."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            **{name: getattr(record, name) for name in _FIELDS if getattr(record, name, "") != ""},
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line)


def set_up(*, lines: str, level: str) -> None:
    """Write the log to stderr, as ``json`` or as ``text``, from a level on. Other libraries are heard from warnings on."""
    handler = logging.StreamHandler(sys.stderr)
    text = "%(asctime)s %(levelname)s %(message)s"
    handler.setFormatter(_Lines() if lines == "json" else logging.Formatter(text))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _FOREIGN:
        logging.getLogger(name).setLevel(logging.WARNING)


def log_request(trace: Trace, *, verb: str, status: int, seconds: float) -> None:
    """Write the line of a request."""
    said = {"request": trace.request, "operation": trace.operation, "principal": trace.principal, "address": trace.address}
    milliseconds = round(seconds * 1000, 1)
    words = f"{verb} {trace.operation or '-'} {status} {milliseconds} ms"
    REQUESTS.info(words, extra={**said, "verb": verb, "status": status, "ms": milliseconds})
