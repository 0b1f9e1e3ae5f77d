"""The audit log of an organisation: read, and checked."""

from sqlalchemy import Connection

from kist.catalog import audit
from kist.errors import InvalidInput
from kist.models import AuditLine, AuditReport
from kist.models.requests import ListAudit, OrgName, Page
from kist.operations import LIST_AUDIT, VERIFY_AUDIT
from kist.service.handlers import Handlers
from kist.service.rooms import Act

__all__ = ["HANDLERS"]

HANDLERS = Handlers()
_LAST = 2**63 - 1


@HANDLERS.look(LIST_AUDIT)
def list_audit(act: Act, sql: Connection, request: ListAudit) -> Page[AuditLine]:
    """List lines, newest first."""
    rows = audit.lines(
        sql,
        act.standing.org_id,
        operation=request.operation,
        principal=request.principal,
        target=request.target,
        before=_seq(request.after),
        limit=request.limit + 1,
    )
    more = len(rows) > request.limit
    return Page(items=rows[: request.limit], next=str(rows[request.limit - 1].seq) if more else "")


@HANDLERS.look(VERIFY_AUDIT)
def verify_audit(act: Act, sql: Connection, _request: OrgName) -> AuditReport:
    """Check that no line was changed or removed."""
    return audit.verify(sql, act.standing.org_id)


def _seq(after: str) -> int | None:
    if not after:
        return None
    if not (after.isascii() and after.isdigit()) or int(after[:20]) > _LAST:
        raise InvalidInput("'after' is not what 'next' of a page before said: begin anew")
    return int(after)
