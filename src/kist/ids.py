"""Names that people and programs give to versions: rules for ref names, and what ``NAME@REF`` may say."""

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import unquote

from kist.errors import InvalidInput

__all__ = [
    "Address",
    "Ref",
    "check_account_name",
    "check_owner_name",
    "check_ref_name",
    "new_id",
    "new_txn",
    "parse_address",
    "parse_ref",
    "short",
]

REF_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
RESERVED = re.compile(r"v[0-9]+|[0-9a-f]{8,}", re.IGNORECASE)
NUMBER = re.compile(r"(?:(?P<branch>[A-Za-z0-9][A-Za-z0-9._-]{0,99}):)?v(?P<number>[0-9]{1,18})(?:-(?P<txn>[0-9a-f]{1,32}))?")
ID_PREFIX = re.compile(r"[0-9a-f]{8,64}")
AS_OF = "as-of:"
SCHEME = "kist://"
# fmt: off
PAGES = frozenset({
    "about", "account", "api", "archive", "assets", "audit", "auth", "browse", "buckets", "changes", "device", "docs", "download",
    "errors", "explore", "favicon.ico", "files", "healthz", "help", "hub", "invite", "jobs", "join", "keys", "kist", "legal",
    "local", "login", "logout", "me", "members", "metrics", "mounts", "new", "notebooks", "oauth", "oidc", "ops", "orgs", "privacy",
    "public", "raw", "readyz", "register", "repos", "robots.txt", "s3", "search", "security", "service-accounts", "services",
    "settings", "signup", "static", "status", "support", "terms", "tokens", "user", "users", "versions", "well-known", "www",
})
# fmt: on
"""First parts of addresses that are pages, or that may become some: no organisation and no user is called so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ref:
    """What a ref's text says, before anybody looked whether it exists.

    A `name` may be a branch or a tag, and an `id` prefix never is; `number` is a position on `branch`, `txn` tells doubled numbers apart.
    """

    kind: Literal["name", "number", "id", "as-of"]
    name: str = ""
    branch: str = ""
    number: int = 0
    txn: str = ""
    time: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """What ``kist://org/repo@ref/path`` says; without a `ref`, the head of main is meant, without a `path`, the whole tree."""

    org: str
    repo: str
    ref: str | None = None
    path: str = ""

    @property
    def name(self) -> str:
        """The repository's full name, ``org/repo``."""
        return f"{self.org}/{self.repo}"

    @property
    def root(self) -> str:
        """The address of the whole tree."""
        return f"{SCHEME}{self.name}" + (f"@{self.ref}" if self.ref is not None else "")


def new_id() -> str:
    """Return 32 random hexadecimal digits."""
    return os.urandom(16).hex()


def new_txn() -> bytes:
    """Return 16 random bytes that name one attempt to change something."""
    return os.urandom(16)


def short(version_id: str) -> str:
    """Return the first 12 digits of an id, enough for people."""
    return version_id[:12]


def check_ref_name(name: str, *, what: str) -> str:
    """Return `name` if a branch or tag may have it.

    Raises:
        InvalidInput: it may not; the message says why.
    """
    if not REF_NAME.fullmatch(name):
        raise InvalidInput(f"{what} {name!r}: a name has 1 to 100 letters, digits, '.', '_' or '-' and starts with a letter or digit")
    if RESERVED.fullmatch(name):
        raise InvalidInput(f"{what} {name!r} reads like a version number (v42) or an id: choose another name")
    return name


def check_account_name(name: str, *, what: str) -> str:
    """Return `name` if an organisation, a user or a service account may have it.

    Raises:
        InvalidInput: it may not; the message says why.
    """
    if not REF_NAME.fullmatch(name):
        raise InvalidInput(f"{what} {name!r}: a name has 1 to 100 letters, digits, '.', '_' or '-' and starts with a letter or digit")
    return name


def check_owner_name(name: str, *, what: str) -> str:
    """Return `name` if an organisation, or a user, who has one of the same name, may have it.

    Raises:
        InvalidInput: it may not; the message says why.
    """
    if check_account_name(name, what=what).casefold() in PAGES:
        raise InvalidInput(f"{what} {name!r}: pages of the server have this name: choose another")
    return name


def parse_address(url: str) -> Address:
    """Take ``kist://org/repo@ref/path/in/tree`` apart. Only an ``@`` in the second segment is a ref; the path is percent-decoded, once.

    Raises:
        InvalidInput: it is no such address.
    """
    if not url.lower().startswith(SCHEME):
        raise InvalidInput(f"{url!r} is no address of a repository: write kist://org/repo/path")
    org, _, rest = url[len(SCHEME) :].partition("/")
    named, _, path = rest.partition("/")
    repo, at, ref = named.partition("@")
    if "?" in path or "#" in path:
        raise InvalidInput(f"{url!r} has a '?' or '#': write them as %3F and %23")
    for what, name in (("organisation", org), ("repository", repo)):
        if not REF_NAME.fullmatch(name):
            raise InvalidInput(f"{url!r} names no {what}: write kist://org/repo/path, with names of letters, digits, '.', '_' and '-'")
    if at:
        parse_ref(unquote(ref))
    return Address(org=org, repo=repo, ref=unquote(ref) if at else None, path=unquote(path).strip("/"))


def parse_ref(text: str, *, branch: str = "main") -> Ref:
    """Return what a ref says: a branch or tag, ``v42`` (of `branch`), ``dev:v42``, an id or 8 or more digits of one, ``as-of:TIME``.

    A time without a zone is local; a date alone is its start.

    Raises:
        InvalidInput: it is none of these.
    """
    if text.startswith(AS_OF):
        try:
            time = datetime.fromisoformat(text.removeprefix(AS_OF))
        except ValueError:
            raise InvalidInput(f"ref {text!r}: write the time as in as-of:2026-11-20T10:00Z") from None
        return Ref(kind="as-of", branch=branch, time=time.astimezone(UTC))
    if match := NUMBER.fullmatch(text):
        return Ref(kind="number", branch=match["branch"] or branch, number=int(match["number"]), txn=match["txn"] or "")
    if ID_PREFIX.fullmatch(text):
        return Ref(kind="id", name=text)
    if REF_NAME.fullmatch(text):
        return Ref(kind="name", name=text)
    raise InvalidInput(f"ref {text!r}: give a branch, a tag, a number such as v42 or dev:v42, 8 or more digits of an id, or as-of:TIME")
