"""``kist job``: long work, such as moving a repository. A server does it by itself; alone it is done where it was begun, or by ``run``."""

from typing import Annotated

from cyclopts import Parameter

from kist.cli import options
from kist.cli.connecting import connected, in_org
from kist.cli.options import EVERYWHERE, Everywhere
from kist.cli.output import Column, line, note, print_array, print_facts, print_object, print_table
from kist.cli.text import local_time, size
from kist.errors import Unsupported
from kist.models import Job

__all__ = ["job_facts", "list_jobs", "run", "show"]

COLUMNS = (
    Column(title="ID", style="cyan"),
    Column(title="WORK"),
    Column(title="OF", flexible=True),
    Column(title="STATE"),
    Column(title="DONE", right=True, spare=2),
    Column(title="BEGAN", spare=1),
    Column(title="MESSAGE", flexible=True, spare=3),
)


def list_jobs(*, org: options.OrgOption = None, everywhere: Everywhere = EVERYWHERE) -> None:
    """List long work, newest first.

    Raises:
        KistError: you have no role in the organisation.
    """
    with in_org(org, everywhere) as (client, name):
        found = client.list_jobs(name)
    if everywhere.json:
        print_array(found)
        return
    print_table(
        COLUMNS, ([one.id, one.operation, one.target, one.state, _done(one), local_time(one.created), one.message] for one in found)
    )
    if not found and not everywhere.quiet:
        note("kist: there is no long work")


def show(
    id: Annotated[str, Parameter(help="Of the job, as kist job list shows it.")],  # noqa: A002 - its word
    /,
    *,
    org: options.OrgOption = None,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Show how far long work is.

    Raises:
        KistError: there is none of this id.
    """
    with in_org(org, everywhere) as (client, name):
        job = client.get_job(name, id)
    if everywhere.json:
        print_object(job)
    else:
        print_facts(job_facts(job))


def run(*, everywhere: Everywhere = EVERYWHERE) -> None:
    """Do the long work that waits on this machine: what was interrupted goes on, and what is over its days in the trash is removed.

    Raises:
        KistError: a server is asked, which does this by itself; or it can't be done.
    """
    with connected() as client:
        if "://" in client.server:
            raise Unsupported(f"{client.server} does its long work by itself: KIST_SERVER=local kist job run does that of this machine")
    from kist.service.alone import open_alone  # noqa: PLC0415 - --help needs no service
    from kist.service.jobs import run_now, sweep  # noqa: PLC0415

    service, _ = open_alone()
    try:
        sweep(service.rooms)
        last = run_now(service.rooms)
    finally:
        service.rooms.database.close()
    if everywhere.json:
        print_object({"last": last})
    elif last is None:
        line("nothing waits")
    else:
        print_facts(job_facts(last))


def job_facts(job: Job) -> dict[str, object]:
    """Return what there is to say of a job."""
    facts: dict[str, object] = {"id": job.id, "work": job.operation, "of": job.target, "state": job.state, "done": _done(job)}
    return facts | {"message": job.message, "began": local_time(job.created), "changed": local_time(job.updated)}


def _done(job: Job) -> str:
    return f"{size(job.done_bytes)} of {size(job.total_bytes)}" if job.total_bytes else ""
