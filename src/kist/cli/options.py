"""Arguments and options that several commands share, each said once."""

from dataclasses import dataclass
from typing import Annotated, Literal

from cyclopts import Group, Parameter

from kist.cli.completing import complete_address, complete_branch, complete_bucket, complete_org, complete_repo
from kist.models import Role

__all__ = [
    "EVERYWHERE",
    "AddressArg",
    "AuthorOption",
    "BranchOption",
    "BucketArg",
    "BucketOption",
    "ConfirmOption",
    "ConflictOption",
    "DescriptionOption",
    "Everywhere",
    "IgnoreOption",
    "LimitOption",
    "MessageOption",
    "OrgArg",
    "OrgOption",
    "OverwriteOption",
    "RepoArg",
    "RoleArg",
]

_everywhere = Group("Everywhere", sort_key=9)


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Everywhere:
    """What every command takes, before or behind its name."""

    repository: Annotated[
        str | None,
        Parameter(("--repository", "-r"), group=_everywhere, metavar="URL", help="Which repository: a folder, s3://bucket/prefix, ..."),
    ] = None
    json: Annotated[bool, Parameter("--json", group=_everywhere, help="Print JSON: an array for a listing, an object for one thing.")] = (
        False
    )
    quiet: Annotated[bool, Parameter(("--quiet", "-q"), group=_everywhere, help="No progress, no notes.")] = False


EVERYWHERE = Everywhere()

AddressArg = Annotated[str, Parameter(completer=complete_address, help="NAME, NAME@REF, or @REF for the whole tree at a ref.")]

MessageOption = Annotated[str, Parameter(("--message", "-m"), metavar="TEXT", allow_leading_hyphen=True, help="Why.")]
AuthorOption = Annotated[str | None, Parameter(metavar="TEXT", help="Who; else KIST_AUTHOR, else your user name.")]
BranchOption = Annotated[str, Parameter(completer=complete_branch, metavar="BRANCH", help="On which branch.")]
ConflictOption = Annotated[
    Literal["conflict", "order"], Parameter(help="If another writer changed the same path: fail, or let this change come on top.")
]
OverwriteOption = Annotated[bool, Parameter(help="Replace what is in the way.")]
IgnoreOption = Annotated[
    list[str] | None,
    Parameter(
        ("--ignore", "-i"), metavar="PATTERN", help="Leave out what a gitignore pattern says, as .kistignore files do; may be repeated."
    ),
]
LimitOption = Annotated[int | None, Parameter(("--limit", "-n"), metavar="N", help="No more than this many.")]

OrgArg = Annotated[str, Parameter(completer=complete_org, help="Its name.")]
OrgOption = Annotated[
    str | None, Parameter(completer=complete_org, metavar="ORG", help="In which organisation; else KIST_ORG, else the configured one.")
]
RepoArg = Annotated[str, Parameter(completer=complete_repo, help="ORG/NAME, or NAME in the current organisation.")]
BucketArg = Annotated[str, Parameter(completer=complete_bucket, help="Which bucket config, by its nickname.")]
BucketOption = Annotated[str | None, Parameter(completer=complete_bucket, metavar="NICKNAME", help="On which bucket config.")]
RoleArg = Annotated[Role, Parameter(help="What they may do: read; save too; manage too.")]
DescriptionOption = Annotated[
    str | None, Parameter(("--description", "-d"), metavar="TEXT", allow_leading_hyphen=True, help="What it is for.")
]
ConfirmOption = Annotated[str | None, Parameter(metavar="NAME", help="Its name once more: it is meant. Asked for in a terminal.")]
