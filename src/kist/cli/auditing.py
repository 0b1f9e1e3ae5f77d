"""``kist audit``: who did what, and whether that record is whole."""

from typing import Annotated

from cyclopts import Parameter

from kist.cli import options
from kist.cli.connecting import in_org
from kist.cli.options import EVERYWHERE, Everywhere
from kist.cli.output import Column, line, note, paint, print_array, print_object, print_table
from kist.cli.text import count, escape, local_time
from kist.errors import IntegrityError, InvalidInput

__all__ = ["list_audit", "verify"]

COLUMNS = (
    Column(title="NUMBER", right=True, spare=3),
    Column(title="TIME", spare=1),
    Column(title="WHO", style="cyan"),
    Column(title="OPERATION"),
    Column(title="TARGET", flexible=True),
    Column(title="OUTCOME", spare=2),
)
LINES = 100


def list_audit(
    *,
    operation: Annotated[str, Parameter(metavar="NAME", help="Only this operation, such as create_repo.")] = "",
    by: Annotated[str, Parameter(metavar="NAME", help="Only what this user or service account did.")] = "",
    target: Annotated[str, Parameter(metavar="TEXT", help="Only targets that begin with this.")] = "",
    limit: Annotated[int, Parameter(("--limit", "-n"), metavar="N", help="No more than this many.")] = LINES,
    org: options.OrgOption = None,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """List who did what, newest first.

    Raises:
        KistError: you are no admin of the organisation.
    """
    if limit < 0:
        raise InvalidInput(f"a limit of {limit} lines makes no sense")
    with in_org(org, everywhere) as (client, name):
        found = client.list_audit(name, operation=operation, principal=by, target=target, limit=limit)
    if everywhere.json:
        print_array(found)
        return
    print_table(
        COLUMNS,
        ([f"{one.seq:,}", local_time(one.time), one.principal, one.operation, one.target, one.outcome] for one in found),
    )
    if limit and len(found) == limit and not everywhere.quiet:
        note(f"kist: the newest {count(limit, 'line')}; -n N shows more")


def verify(*, org: options.OrgOption = None, everywhere: Everywhere = EVERYWHERE) -> int:
    """Check that no line of the audit log was changed or removed. The exit code is 8 if one was.

    Raises:
        KistError: you are no admin of the organisation.
    """
    with in_org(org, everywhere) as (client, name):
        report = client.verify_audit(name)
    if everywhere.json:
        print_object(report)
    elif report.ok:
        line(f"{paint('ok', 'green')}: {count(report.lines, 'line')}, the last with the hash {escape(report.head) or 'of nothing'}")
    else:
        after = f"{count(report.lines, 'line')} before it are good" if report.lines else "no line before it is good"
        line(f"{paint('damaged', 'red')}: line {report.first_bad} was changed, or one before it removed; {after}")
    return 0 if report.ok else IntegrityError.exit_code
