# Made by kist.client.generate from kist/client/asynchronous/keys.py: change that, and run python -m kist.client.generate
"""Service accounts, the places of programs in an organisation, and their keys."""

from msgspec import UNSET, UnsetType

from kist.client.blocking.asking import Asking
from kist.models import IssuedKey, Key, KeyKind, Role, Scope, ServiceAccount
from kist.operations import (
    CREATE_SERVICE_ACCOUNT,
    CREATE_SERVICE_KEY,
    DELETE_SERVICE_ACCOUNT,
    LIST_SERVICE_ACCOUNTS,
    LIST_SERVICE_KEYS,
    MODIFY_SERVICE_ACCOUNT,
    REVOKE_SERVICE_KEY,
)

__all__ = ["ServiceAccounts"]


class ServiceAccounts(Asking):
    """Calls about service accounts and their keys."""

    def list_service_accounts(self, org: str) -> list[ServiceAccount]:
        """Return the service accounts of an organisation.

        Raises:
            NotFound: there is no such organisation, or you have no role there.
        """
        return self._all(LIST_SERVICE_ACCOUNTS, org=org)

    def create_service_account(self, *, org: str, name: str, role: Role | None = None) -> ServiceAccount:
        """Make a service account; without a role it sees only the repositories that it gets a role for.

        Raises:
            AlreadyExists: the name is taken.
            Denied: you are no admin of the organisation.
        """
        return self._ask(CREATE_SERVICE_ACCOUNT, org=org, name=name, role=role)

    def modify_service_account(
        self, *, org: str, name: str, role: Role | UnsetType | None = UNSET, disabled: bool | None = None
    ) -> ServiceAccount:
        """Change a service account; a role of None takes its role away, what is not said stays as it is.

        Raises:
            NotFound: there is no such account.
            Denied: you are no admin of the organisation.
        """
        disabling = UNSET if disabled is None else disabled
        return self._ask(MODIFY_SERVICE_ACCOUNT, org=org, service_account=name, role=role, disabled=disabling)

    def delete_service_account(self, *, org: str, name: str) -> None:
        """Delete a service account; its keys end at once.

        Raises:
            NotFound: there is no such account.
            Denied: you are no admin of the organisation.
        """
        self._ask(DELETE_SERVICE_ACCOUNT, org=org, service_account=name)

    def list_service_keys(self, *, org: str, service_account: str) -> list[Key]:
        """Return the keys of a service account, without their secrets.

        Raises:
            NotFound: there is no such account.
            Denied: you are no admin of the organisation.
        """
        return self._all(LIST_SERVICE_KEYS, org=org, service_account=service_account)

    def create_service_key(
        self, *, org: str, service_account: str, name: str, kind: KeyKind = "token", days: int | None = 90, scope: Scope | None = None
    ) -> IssuedKey:
        """Make a key of a service account; see `create_key`.

        Raises:
            NotFound: there is no such account.
            Denied: you are no admin of the organisation.
        """
        said: dict[str, object] = {"name": name, "kind": kind, "days": days, "scope": scope or Scope()}
        return self._ask(CREATE_SERVICE_KEY, org=org, service_account=service_account, **said)

    def revoke_service_key(self, *, org: str, service_account: str, key_id: str) -> None:
        """End a key of a service account, at once.

        Raises:
            NotFound: there is none with this id.
            Denied: you are no admin of the organisation.
        """
        self._ask(REVOKE_SERVICE_KEY, org=org, service_account=service_account, id=key_id)
