"""Access to a repository's objects: directly, by credentials that reach nothing else and end, or through the server.

What a server hands out is limited to the repository's prefix: to read and list, and for writers to store below packs/, index/ and
sessions/; never to delete, never refs/ or gc/. Only keys of an STS can be narrowed so; with all others the objects pass through the
server. Whoever is in this process gets the bucket config's own credentials, which go no further.
"""

import json
import re
from datetime import timedelta
from typing import Final

from kist.catalog.buckets import BucketRow
from kist.errors import Denied
from kist.models import Access
from kist.models.requests import OpenRepo
from kist.operations import OPEN_REPO
from kist.service import policy
from kist.service.content import WRITABLE
from kist.service.handlers import Handlers
from kist.service.naming import S3_FAMILY
from kist.service.opened import here
from kist.service.places import lend, reach
from kist.service.repos import told_of
from kist.service.rooms import Act

__all__ = ["HANDLERS", "session_policy"]

HANDLERS = Handlers()

LEAST_SECONDS: Final = 900
MOST_SECONDS: Final = 3600
INSIDE_SECONDS: Final = 300
"""After so long whoever is inside asks again, and sees that a repository was moved."""

_NO_KEYS: Final = ("/../*", "/..", "/./*", "/.", "//*", "/")
"""What no key has in it, but a bucket would take, and then nobody could list it."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9!_.'()/+=@,:& -]+")
"""What means itself in a policy."""


@HANDLERS.work(OPEN_REPO)
def _open(act: Act, request: OpenRepo) -> Access:
    """Give access to a repository's objects."""
    role = policy.greater(act.standing.org_role, act.standing.repo_role)
    may_write = role in {"writer", "admin"}
    writable = request.access == "write" or (request.access == "most" and may_write)
    if writable and not may_write:
        raise Denied(
            f"your role for {act.standing.org}/{act.standing.repo} is {role}: open it to read, or ask an admin for the role writer"
        )
    opened = here(act)
    repo = told_of(act, opened.row.id)
    act.details["access"] = request.access
    if act.caller.inside:
        reached = reach(act.rooms, opened.bucket, opened.row.prefix)
        end = act.now + timedelta(seconds=INSIDE_SECONDS)
        return Access(repo=repo, url=reached.url, options=reached.options, expires=min(end, reached.expires or end), writable=writable)
    whole = _prefix(opened.bucket, opened.row.prefix)
    if not can_narrow(opened.bucket, whole):
        return Access(repo=repo, writable=writable, author=act.who.name)
    said = session_policy(opened.bucket.name, whole, writable=writable)
    seconds = max(LEAST_SECONDS, min(MOST_SECONDS, act.rooms.rules.access_seconds))
    lent = lend(act.rooms, opened.bucket, opened.row.prefix, policy=said, seconds=seconds)
    return Access(repo=repo, url=lent.url, options=lent.options, expires=lent.expires, writable=writable, author=act.who.name)


def can_narrow(bucket: BucketRow, prefix: str) -> bool:
    """Say whether there are keys for a bucket that reach one prefix alone."""
    if bucket.platform not in S3_FAMILY or not _PLAIN.fullmatch(prefix):
        return False
    return bucket.auth_method == "role" or (bucket.auth_method == "keys" and "sts_endpoint_url" in bucket.extra_config)


def session_policy(bucket: str, prefix: str, *, writable: bool) -> str:
    """Return what a client's keys may do, as a policy of AWS's IAM, in JSON."""
    objects = f"arn:aws:s3:::{bucket}/{prefix}"
    statements: list[dict[str, object]] = [
        {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": [f"{objects}/*"]},
        {
            "Effect": "Allow",
            "Action": ["s3:ListBucket"],
            "Resource": [f"arn:aws:s3:::{bucket}"],
            "Condition": {"StringLike": {"s3:prefix": [f"{prefix}/*"]}},
        },
    ]
    if writable:
        statements += [
            {"Effect": "Allow", "Action": ["s3:PutObject"], "Resource": [f"{objects}/{folder}*" for folder in WRITABLE]},
            {"Effect": "Deny", "Action": ["s3:PutObject"], "Resource": [f"{objects}/*{odd}" for odd in _NO_KEYS]},
        ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, separators=(",", ":"))


def _prefix(bucket: BucketRow, prefix: str) -> str:
    return "/".join(filter(None, (bucket.prefix, prefix)))
