"""A process that does what waits: python -m tests.service.moving DATABASE-URL FOLDER LEASE-SECONDS."""

import sys

from tests.service.people import keyring

from kist.catalog.database import open_database
from kist.service import jobs
from kist.service.rooms import Rooms, Rules
from kist.service.working import run_next


def main(url: str, folder: str, lease: str) -> None:
    """Do one job."""
    rooms = Rooms(database=open_database(url), keyring=keyring(), rules=Rules(local_roots=(folder,), memory=True))
    run_next(rooms, jobs.RUNNERS, lease_seconds=float(lease))


if __name__ == "__main__":
    main(*sys.argv[1:])
