"""Roles of buckets that speak S3: taken on at Amazon's STS, or at what speaks it beside the bucket, for at most an hour.

Whoever takes a role on may narrow it by a policy. A store that lives longer renews its keys by itself.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import boto3  # type: ignore[import-untyped]  # has no types
import botocore.credentials  # type: ignore[import-untyped]  # has no types
import botocore.parsers  # type: ignore[import-untyped]  # has no types
import botocore.session  # type: ignore[import-untyped]  # has no types
from botocore.config import Config  # type: ignore[import-untyped]  # has no types
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]  # has no types
from obstore.auth.boto3 import Boto3CredentialProvider

from kist.errors import Denied, KistError, StoreError, Unauthenticated
from kist.stores.cloud.profile import Profile

__all__ = ["Role", "SessionKeys"]

_ANY_ROLE: Final = "arn:aws:iam::000000000000:role/kist"  # of servers that have no roles, and narrow the keys that ask
_CONNECT_SECONDS: Final = 10
_ANSWER_SECONDS: Final = 30
_TTL_SECONDS: Final = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionKeys:
    """Keys that end."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    expires: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A role, and who takes it on: the holder of `keys`, or the machine if there are none. An empty `endpoint` is Amazon's."""

    arn: str
    external_id: str
    endpoint: str
    region: str
    keys: Mapping[str, str] | None = field(repr=False)

    def keys_for(self, *, policy: str = "", seconds: int = _TTL_SECONDS) -> SessionKeys:
        """Take the role on, narrowed by a policy (JSON) if one is given.

        Raises:
            Denied: it may not be taken on.
            StoreError: nobody answers there.
        """
        said = {"DurationSeconds": seconds, **({"Policy": policy} if policy else {})}
        try:
            answer = self._sts().assume_role(**self._request(), **said)["Credentials"]
        except (BotoCoreError, ClientError, botocore.parsers.ResponseParserError, OSError, KeyError) as error:
            raise self._translated(error) from error
        return SessionKeys(
            access_key_id=answer["AccessKeyId"],
            secret_access_key=answer["SecretAccessKey"],
            session_token=answer["SessionToken"],
            expires=answer["Expiration"],
        )

    def profile(self) -> Profile:
        """Return what keeps a store's keys valid for as long as it lives; nothing is sent yet."""
        session = _alone()

        def renewed() -> dict[str, str]:
            keys = self.keys_for()
            pair = {"access_key": keys.access_key_id, "secret_key": keys.secret_access_key}
            return {**pair, "token": keys.session_token, "expiry_time": keys.expires.isoformat()}

        session.get_component("credential_provider").providers[:] = [_Renewing(renewed)]
        return Profile(
            name=f"{self.arn} {self.external_id}",
            region=self.region,
            endpoint="",
            secrets=tuple((self.keys or {}).values()),
            provider=Boto3CredentialProvider(session),
            session=session,
        )

    def _request(self) -> dict[str, str]:
        external = {"ExternalId": self.external_id} if self.external_id else {}
        return {"RoleArn": self.arn or _ANY_ROLE, "RoleSessionName": "kist", **external}

    def _session(self) -> "botocore.session.Session":
        """Return a session of whoever asks: of given keys alone, without anything of this machine, or of this machine."""
        if self.keys is None:
            return botocore.session.Session()
        session = _alone()
        session.set_credentials(self.keys["access_key_id"], self.keys["secret_access_key"], self.keys.get("session_token"))
        return session

    def _sts(self) -> Any:  # noqa: ANN401  boto3 has no types
        config = Config(
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_ANSWER_SECONDS,
            retries={"mode": "standard", "total_max_attempts": 2},
            ignore_configured_endpoint_urls=self.keys is not None,
        )
        made = boto3.Session(botocore_session=self._session())
        return made.client("sts", region_name=self.region, endpoint_url=self.endpoint or None, config=config)

    def _translated(self, error: Exception) -> KistError:
        code = error.response.get("Error", {}).get("Code", "") if isinstance(error, ClientError) else type(error).__name__
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)) if isinstance(error, ClientError) else 0
        where = self.endpoint or "Amazon's STS"
        if "Credentials" in code and not status:
            return Unauthenticated(f"this machine has no credentials to take on the role {self.arn} with: give some by rotate_credentials")
        if status in {400, 401, 403}:
            hint = "is its trust policy right, and are the keys that take it on?"
            return Denied(f"the role {self.arn or 'of these keys'} can't be taken on at {where} (HTTP {status} {code}): {hint}")
        return StoreError(
            f"nobody gave keys for the role {self.arn or 'of these keys'} at {where} ({code} {status or ''}): try again later"
        )


def _alone() -> "botocore.session.Session":
    """Return a session that knows nothing of this machine's configuration."""
    session = botocore.session.Session(session_vars={"profile": (None, None, None, None)})
    for file in ("config_file", "credentials_file"):
        session.set_config_variable(file, os.devnull)
    return session


class _Renewing(botocore.credentials.CredentialProvider):  # type: ignore[misc]  # has no types
    """Gives boto3 keys that it renews before they end."""

    METHOD = "kist-role"
    CANONICAL_NAME = METHOD

    def __init__(self, renewed: Callable[[], dict[str, str]]) -> None:
        super().__init__()
        self._renewed = renewed

    def load(self) -> object:
        return botocore.credentials.DeferredRefreshableCredentials(refresh_using=self._renewed, method=self.METHOD)
