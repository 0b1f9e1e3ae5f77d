"""A process that commits again and again through the service: python -m tests.service.committing DATABASE-URL FOLDER REPO WHO COUNT."""

import sys
from pathlib import Path

from tests.service.people import keyring

from kist.catalog import orgs, people
from kist.catalog.database import open_database
from kist.client.inside import InsideTransport
from kist.client.served import open_served
from kist.models.requests import OpenRepo
from kist.operations import OPEN_REPO
from kist.service.assembly import make_service
from kist.service.policy import Principal
from kist.service.rooms import Caller, Rooms, Rules


def main(url: str, folder: str, repo: str, who: str, count: str) -> None:
    """Save a file of one's own so many times, and say each number that was acknowledged."""
    database = open_database(url)
    service = make_service(Rooms(database=database, keyring=keyring(), rules=Rules(local_roots=(folder,), memory=True)))
    with database.reading() as sql:
        user = people.find(sql, "ben")
        assert orgs.find(sql, "lab") is not None
    assert user is not None
    transport = InsideTransport(service, Caller(who=Principal(id=user.id, name=user.name, kind="user")))
    opened = open_served(transport, transport.call(OPEN_REPO, OpenRepo(org="lab", repo=repo, access="write")))
    for number in range(int(count)):
        version = opened.save(f"{who}/{number}", f"{who} {number}".encode())
        sys.stdout.write(f"{version.number}\n")
        sys.stdout.flush()
    database.close()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    main(*sys.argv[1:])
