"""Appends to the audit log of a database for ever, and prints the number of each line that was acknowledged; ends at a StoreError."""

import functools
import itertools
import sys
from datetime import UTC, datetime

from sqlalchemy import Connection

from kist.catalog import audit
from kist.catalog.database import open_database
from kist.errors import StoreError


def main(url: str, name: str) -> None:
    database = open_database(url)
    for number in itertools.count(1):
        try:
            database.change(functools.partial(_append, name, number))
        except StoreError as error:
            sys.stderr.write(f"{error}\n")
            sys.exit(11)
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


def _append(name: str, number: int, sql: Connection) -> None:
    now = datetime.now(UTC)
    audit.append(sql, org_id="o", principal=name, operation="write", target=str(number), outcome="done", details={}, now=now)


if __name__ == "__main__":
    main(*sys.argv[1:])
