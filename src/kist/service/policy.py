"""Who may do what: values in, a verdict out. Nothing else in kist decides this.

A role in an organisation counts for all its repositories; a role for one repository counts there alone; the greater of both holds. A key
never reaches further than its scope. Whoever has no role at all is told that the thing does not exist.
"""

from dataclasses import dataclass, replace
from typing import Final, Literal

from kist.catalog.standing import Standing
from kist.errors import Denied, NotFound, Unauthenticated
from kist.models import Role, Scope
from kist.operations import Need

__all__ = ["NOBODY", "Principal", "check", "greater", "is_within", "lesser"]

_RANK: Final = {None: 0, "reader": 1, "writer": 2, "admin": 3}
_REPO_NEEDS: Final[dict[Need, Role]] = {Need.REPO_READER: "reader", Need.REPO_WRITER: "writer", Need.REPO_ADMIN: "admin"}
_ORG_NEEDS: Final[dict[Need, Role]] = {Need.ORG_READER: "reader", Need.ORG_WRITER: "writer", Need.ORG_ADMIN: "admin"}

EVERYTHING: Final = Scope()


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who asks. `org_id` is where a service account belongs; `key_id` names the key or session that proved it, empty in this process."""

    id: str
    name: str
    kind: Literal["user", "service-account", "nobody"]
    admin: bool = False
    org_id: str = ""
    scope: Scope = EVERYTHING
    key_id: str = ""


NOBODY: Final = Principal(id="", name="", kind="nobody", scope=Scope(role="reader"))


def check(need: Need, who: Principal, standing: Standing, *, org: str = "", repo: str = "") -> Standing:
    """Let an operation pass, and return the roles that count for it; `org` and `repo` are the names as asked.

    Raises:
        Unauthenticated: nobody proved who asks.
        Denied: they may see it, but not do this.
        NotFound: there is no such thing, or they may not know of it.
    """
    if need is Need.NOTHING:
        return standing
    if who.kind == "nobody":
        raise Unauthenticated("this needs a login: kist login makes one, or send a token as 'Authorization: Bearer …'")
    if need is Need.LOGIN:
        return standing
    if need in {Need.OWNER, Need.SERVER_ADMIN}:
        _check_person(need, who)
        return standing
    counted = _counted(who, standing)
    if not standing.org_id or not (counted.org_role or counted.guest or counted.repo_role):
        raise NotFound(f"there is no organisation {org!r}, or you have no role there")
    if need in _REPO_NEEDS:
        role = greater(counted.org_role, counted.repo_role)
        if not standing.repo_id or role is None:
            raise NotFound(f"there is no repository {org}/{repo}, or you have no role there")
        _check_role(_REPO_NEEDS[need], role, f"repository {org}/{repo}")
    elif need in _ORG_NEEDS:
        _check_role(_ORG_NEEDS[need], counted.org_role, f"organisation {org!r}")
    return counted


def greater(one: Role | None, other: Role | None) -> Role | None:
    """Return the role that may do more."""
    return max(one, other, key=_RANK.__getitem__)


def lesser(one: Role | None, other: Role | None) -> Role | None:
    """Return the role that may do less."""
    return min(one, other, key=_RANK.__getitem__)


def is_within(scope: Scope, reach: Scope) -> bool:
    """Say whether a scope reaches nothing that another one does not."""
    names = ((scope.org, reach.org), (scope.repo, reach.repo))
    return _RANK[scope.role] <= _RANK[reach.role] and all(not there or here.casefold() == there.casefold() for here, there in names)


def _check_person(need: Need, who: Principal) -> None:
    if who.kind != "user" or not who.scope.everything:
        raise Denied("this is for a user with a login, or a key without a scope: this key reaches less")
    if need is Need.SERVER_ADMIN and not who.admin:
        raise Denied(f"{who.name} is no admin of this server: ask one of them")


def _check_role(needed: Role, role: Role | None, where: str) -> None:
    if _RANK[role] < _RANK[needed]:
        raise Denied(f"this needs the role {needed} in {where}; yours is {role or 'one for some of its repositories only'}")


def _counted(who: Principal, standing: Standing) -> Standing:
    """Return the roles as far as the key's scope lets them count."""
    scope = who.scope
    if scope.org and scope.org.casefold() != standing.org.casefold():
        return Standing()
    org_role, repo_role = lesser(standing.org_role, scope.role), lesser(standing.repo_role, scope.role)
    guest = standing.guest
    if scope.repo:
        repo_role = greater(org_role, repo_role) if scope.repo.casefold() == standing.repo.casefold() else None
        org_role, guest = None, True
        if standing.org_role is None and not standing.guest:
            return Standing()
    return replace(standing, org_role=org_role, guest=guest, repo_role=repo_role)
