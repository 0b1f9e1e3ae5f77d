"""``kist repo move``: to another bucket config, with all versions. A server does the work by itself; alone it is done while this waits."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from kist.cli import options
from kist.cli.connecting import in_repo
from kist.cli.options import EVERYWHERE, Everywhere
from kist.cli.output import line, note, print_object
from kist.cli.progress import watching
from kist.cli.text import escape
from kist.errors import InvalidInput
from kist.models import Job

if TYPE_CHECKING:
    from kist.client.client import Client

__all__ = ["move"]


def move(
    repo: options.RepoArg,
    bucket: options.BucketArg,
    /,
    *,
    no_wait: Annotated[bool, Parameter(help="Do not wait for the end: kist job show tells how far it is.")] = False,
    org: options.OrgOption = None,
    everywhere: Everywhere = EVERYWHERE,
) -> None:
    """Move a repository to another bucket config, with all its versions. Reading goes on meanwhile; saving waits for the last moment.

    Raises:
        KistError: there is no such repository or bucket config, or you are no admin of it; or the work failed, and all is as it was.
    """
    with in_repo(repo, org, everywhere) as (client, full_name):
        if no_wait and "://" not in client.server:
            raise InvalidInput("on this machine nobody else would do it: leave --no-wait out; what was interrupted goes on by kist job run")
        job = (
            client.move_repo(full_name, bucket_config_nickname=bucket, wait=False)
            if no_wait
            else _moved(client, full_name, bucket, everywhere)
        )
    if everywhere.json:
        print_object(job)
        return
    if no_wait:
        line(f"moving {escape(full_name)} to {escape(bucket)}: job {escape(job.id)}")
        if not everywhere.quiet:
            note(f"kist: kist job show {escape(job.id)} --org {escape(full_name.partition('/')[0])} tells how far it is")
    else:
        line(f"moved {escape(full_name)} to {escape(bucket)}")


def _moved(client: "Client", full_name: str, bucket: str, everywhere: Everywhere) -> Job:
    """Move a repository, and show how far that is."""
    told = 0
    with watching(f"moving {full_name}", everywhere) as progress:

        def tell(done_bytes: int, _total_bytes: int) -> None:
            nonlocal told
            progress(0, max(done_bytes - told, 0))
            told = max(told, done_bytes)

        try:
            return client.move_repo(full_name, bucket_config_nickname=bucket, progress=tell)
        except KeyboardInterrupt:
            goes_on = "the server goes on with it (kist job list)" if "://" in client.server else "kist job run goes on with it"
            raise KeyboardInterrupt(f"interrupted: nothing is lost, and {goes_on}") from None
