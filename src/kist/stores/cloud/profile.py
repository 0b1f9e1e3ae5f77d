"""The profiles that AWS's own tools use: ``~/.aws/credentials`` and ``~/.aws/config``.

A profile may hold keys, assume a role, use single sign-on or run a program: boto3 knows how. Reading it sends nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import botocore.credentials  # type: ignore[import-untyped]  # has no types
import botocore.session  # type: ignore[import-untyped]  # has no types
from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]  # has no types
from obstore.auth.boto3 import Boto3CredentialProvider

from kist.errors import InvalidInput

if TYPE_CHECKING:
    from obstore.store import S3CredentialProvider  # these exist for type checkers only

__all__ = ["Profile", "read_profile"]

_SILENT = ("iam-role", "container-role", "env")  # not of a profile, and asked over the network or read by obstore
_CREDENTIALS_HOLD = timedelta(minutes=10)  # boto3 renews them earlier than this before their end


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a profile says; `provider` gives its credentials to obstore, `session` to boto3; the former is None if it has none."""

    name: str
    region: str
    endpoint: str
    secrets: tuple[str, ...] = field(repr=False)
    provider: "S3CredentialProvider | None" = field(repr=False)
    session: object = field(repr=False)


def read_profile(name: str, *, must_exist: bool) -> Profile | None:
    """Read a profile from AWS's files; nothing is sent, although a program may be run that the profile names.

    Raises:
        InvalidInput: there is no such profile, or the files make no sense.
    """
    try:
        session = botocore.session.Session(profile=name or None)
        if (name or "default") not in session.available_profiles:
            if must_exist:
                known = ", ".join(map(repr, session.available_profiles)) or "none"
                raise InvalidInput(f"there is no AWS profile {name!r} in ~/.aws/config or ~/.aws/credentials; there are: {known}")
            return None
        resolver = session.get_component("credential_provider")
        for provider in _SILENT:
            resolver.remove(provider)
        credentials = session.get_credentials()
        scoped = session.get_scoped_config()
        endpoint = _endpoint(session.full_config, scoped)
    except (BotoCoreError, OSError, ValueError) as error:
        raise InvalidInput(f"can't read the AWS profile {name or 'default'!r}: {error}") from error
    return Profile(
        name=name or "default",
        region=str(scoped.get("region") or ""),
        endpoint=endpoint,
        session=session,
        secrets=_static_secrets(credentials),
        provider=Boto3CredentialProvider(session, ttl=_CREDENTIALS_HOLD) if credentials else None,
    )


def _endpoint(everything: Mapping[str, Mapping[str, Mapping[str, object]]], profile: Mapping[str, str]) -> str:
    """Return the endpoint of S3 that a profile names, by its services or for all of them."""
    service = everything.get("services", {}).get(profile.get("services", ""), {}).get("s3")
    own = service.get("endpoint_url") if isinstance(service, Mapping) else None
    return str(own or profile.get("endpoint_url") or "")


def _static_secrets(credentials: object) -> tuple[str, ...]:
    """Return what messages must not say, as far as it is known without asking anybody."""
    if type(credentials) is not botocore.credentials.Credentials:
        return ()
    return tuple(str(value) for value in (credentials.secret_key, credentials.token) if value)  # type: ignore[attr-defined]  # no types
