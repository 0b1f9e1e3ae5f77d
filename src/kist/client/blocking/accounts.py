# Made by kist.client.generate from kist/client/asynchronous/accounts.py: change that, and run python -m kist.client.generate
"""Users of a server, and their own keys."""

from msgspec import UNSET

from kist.client.blocking.asking import Asking
from kist.models import IssuedKey, Key, KeyKind, LoginLink, Scope, User
from kist.operations import (
    CREATE_KEY,
    CREATE_LOGIN_LINK,
    CREATE_USER,
    LIST_KEYS,
    LIST_USERS,
    MODIFY_USER,
    REVOKE_KEY,
    SET_PASSWORD,
)

__all__ = ["Accounts"]


class Accounts(Asking):
    """Calls about users, and about one's own keys."""

    def set_password(self, password: str, *, old_password: str = "") -> None:
        """Set one's own password, of 12 characters or more.

        Raises:
            Denied: the old password is another, or this key does not reach so far.
        """
        self._ask(SET_PASSWORD, password=password, old_password=old_password)

    def list_keys(self) -> list[Key]:
        """Return one's own keys, without their secrets."""
        return self._all(LIST_KEYS)

    def create_key(self, name: str, *, kind: KeyKind = "token", days: int | None = 90, scope: Scope | None = None) -> IssuedKey:
        """Make a key of one's own; its secret is shown this once.

        Args:
            name: what it is for.
            kind: ``token``, or ``s3`` for a pair that S3 clients take.
            days: how long it is valid; None: until it is revoked.
            scope: how far it reaches; as far as oneself, unless said.

        Raises:
            Denied: the scope reaches further than the key that asks.
        """
        return self._ask(CREATE_KEY, name=name, kind=kind, days=days, scope=scope or Scope())

    def revoke_key(self, key_id: str) -> None:
        """End a key of one's own, at once.

        Raises:
            NotFound: there is none with this id.
        """
        self._ask(REVOKE_KEY, id=key_id)

    def list_users(self) -> list[User]:
        """Return all users of the server.

        Raises:
            Denied: you are no admin of the server.
        """
        return self._all(LIST_USERS)

    def create_user(self, name: str, *, email: str = "", password: str | None = None, admin: bool = False) -> User:
        """Make a user; without a password, only a link or another service logs them in.

        Raises:
            AlreadyExists: the name or the address is taken.
            Denied: you are no admin of the server.
        """
        return self._ask(CREATE_USER, name=name, email=email, password=password, admin=admin)

    def modify_user(
        self, user: str, *, email: str | None = None, password: str | None = None, admin: bool | None = None, disabled: bool | None = None
    ) -> User:
        """Change a user; what is None stays as it is.

        Raises:
            NotFound: there is no such user.
            Conflict: the last admin would be none any more.
            Denied: you are no admin of the server.
        """
        changed = {"email": email, "password": password, "admin": admin, "disabled": disabled}
        return self._ask(MODIFY_USER, user=user, **{name: UNSET if value is None else value for name, value in changed.items()})

    def create_login_link(self, user: str) -> LoginLink:
        """Make a token that logs a user's browser in, once.

        Raises:
            NotFound: there is no such user.
            Denied: you are no admin of the server.
        """
        return self._ask(CREATE_LOGIN_LINK, user=user)
