# Made by kist.client.generate from kist/client/asynchronous/orgs.py: change that, and run python -m kist.client.generate
"""Organisations, who belongs to them, and what was done in them."""

from collections.abc import Iterator

from msgspec import UNSET

from kist.client.blocking.asking import Asking
from kist.models import AuditLine, AuditReport, Member, Org, Role
from kist.operations import (
    CREATE_ORG,
    DELETE_ORG,
    GET_ORG,
    LIST_AUDIT,
    LIST_MEMBERS,
    LIST_ORGS,
    MODIFY_ORG,
    REMOVE_MEMBER,
    SET_MEMBER,
    VERIFY_AUDIT,
)

__all__ = ["Orgs"]


class Orgs(Asking):
    """Calls about organisations, their members and their audit logs."""

    def list_orgs(self) -> list[Org]:
        """Return the organisations that one has a role in, or for a repository of."""
        return self._all(LIST_ORGS)

    def create_org(self, name: str, *, description: str = "") -> Org:
        """Make an organisation, and become its admin.

        Raises:
            AlreadyExists: the name is taken.
            Denied: only admins of the server may, here.
        """
        return self._ask(CREATE_ORG, name=name, description=description)

    def get_org(self, org: str) -> Org:
        """Return an organisation.

        Raises:
            NotFound: there is none, or you have no role there.
        """
        return self._ask(GET_ORG, org=org)

    def modify_org(self, org: str, *, description: str | None = None) -> Org:
        """Change an organisation; what is None stays as it is.

        Raises:
            NotFound: there is none, or you have no role there.
            Denied: you are no admin of it.
        """
        return self._ask(MODIFY_ORG, org=org, description=UNSET if description is None else description)

    def delete_org(self, org: str, *, imsure: bool = False, imreallysure: bool = False) -> None:
        """Delete an organisation that has no repositories.

        Raises:
            InvalidInput: `imsure` and `imreallysure` are not both set.
            Conflict: there are repositories; deleted ones count until they are gone for good.
            NotFound: there is none, or you have no role there.
            Denied: you are no admin of it.
        """
        self._ask(DELETE_ORG, org=org, imsure=imsure, imreallysure=imreallysure)

    def list_members(self, org: str) -> list[Member]:
        """Return the members of an organisation.

        Raises:
            NotFound: there is no such organisation, or you have no role there.
        """
        return self._all(LIST_MEMBERS, org=org)

    def set_member(self, *, org: str, user: str, role: Role) -> Member:
        """Give a user a role in an organisation, instead of the one they have.

        Raises:
            NotFound: there is no such user.
            Conflict: the organisation would have no admin any more.
            Denied: you are no admin of it.
        """
        return self._ask(SET_MEMBER, org=org, user=user, role=role)

    def remove_member(self, *, org: str, user: str) -> None:
        """Take a user out of an organisation.

        Raises:
            NotFound: there is no such member.
            Conflict: the organisation would have no admin any more.
            Denied: you are no admin of it.
        """
        self._ask(REMOVE_MEMBER, org=org, user=user)

    def list_audit(self, org: str, *, operation: str = "", principal: str = "", target: str = "", limit: int = 100) -> list[AuditLine]:
        """Return lines of the audit log, newest first; see `iter_audit`.

        Raises:
            Denied: you are no admin of the organisation.
        """
        lines: list[AuditLine] = []
        if limit > 0:
            for line in self.iter_audit(org, operation=operation, principal=principal, target=target):
                lines.append(line)
                if len(lines) >= limit:
                    break
        return lines

    def iter_audit(self, org: str, *, operation: str = "", principal: str = "", target: str = "") -> Iterator[AuditLine]:
        """Yield all lines of the audit log, newest first, page by page.

        Args:
            org: of which organisation.
            operation: only of this operation, such as ``create_repo``.
            principal: only of this user or service account.
            target: only of targets that begin with this.

        Raises:
            Denied: you are no admin of the organisation.
        """
        yield from self._each(LIST_AUDIT, org=org, operation=operation, principal=principal, target=target)

    def verify_audit(self, org: str) -> AuditReport:
        """Check that no line of the audit log was changed or removed.

        Raises:
            Denied: you are no admin of the organisation.
        """
        return self._ask(VERIFY_AUDIT, org=org)
