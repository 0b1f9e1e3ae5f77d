"""boto3's client for the calls of S3 that obstore lacks, and what its errors mean.

boto3 gets the endpoint, the credentials and the limits of the store's other clients, and nothing from configuration files. Each request
is signed with the SHA-256 of its body, over https too, so that the server takes no other bytes.
"""

import os
from collections.abc import Mapping
from typing import Final, cast

import boto3  # type: ignore[import-untyped]  # has no types
import botocore.loaders  # type: ignore[import-untyped]  # has no types
import botocore.session  # type: ignore[import-untyped]  # has no types
from botocore import UNSIGNED
from botocore.config import Config  # type: ignore[import-untyped]  # has no types
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]  # has no types

from kist.errors import InvalidInput, KistError
from kist.stores.cloud_connection import Connection
from kist.stores.cloud_errors import answered, mask

__all__ = ["FOREIGN", "new_client", "translate"]

FOREIGN: Final[tuple[type[Exception], ...]] = (BotoCoreError, ClientError, OSError, ValueError, TypeError)
"""Everything that a call of boto3 may raise on purpose."""


_LOADER = botocore.loaders.create_loader()  # it remembers what it has parsed: a second client takes 30 ms instead of 120


def new_client(connection: Connection) -> object:
    """Make a client that does what obstore's does."""
    clients, limits = connection.clients, connection.clients.limits
    known = cast("Mapping[str, str]", clients.requests.config)
    endpoint = known.get("aws_endpoint_url_s3") or known.get("endpoint")
    if str(endpoint).startswith("http://") and not limits.allow_http:
        raise InvalidInput(f"can't open {connection.address.url}: plain http is used only if allow_http (or AWS_ALLOW_HTTP) is true")
    config = Config(
        signature_version=UNSIGNED if clients.anonymous else "s3v4",
        connect_timeout=limits.connect_seconds,
        read_timeout=limits.silence_seconds,
        retries={"mode": "standard", "total_max_attempts": limits.max_retries + 1},
        max_pool_connections=32,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        ignore_configured_endpoint_urls=True,
        s3={"addressing_style": "path" if endpoint else "auto", "payload_signing_enabled": True},
    )
    region = known.get("region") or known.get("default_region") or "us-east-1"
    return _session(connection, known).client("s3", region_name=region, endpoint_url=endpoint, config=config)  # type: ignore[attr-defined]  # no types


def _session(connection: Connection, known: Mapping[str, str]) -> object:
    """Return where boto3 gets credentials from: the profile, the known keys, or the role of the machine."""
    profile = connection.clients.profile
    if profile is not None and profile.provider is not None:
        return cast("object", boto3.Session(botocore_session=profile.session))
    nobody = botocore.session.Session(session_vars={"profile": (None, None, None, None)})  # not AWS_PROFILE
    nobody.register_component("data_loader", _LOADER)
    for file in ("config_file", "credentials_file"):
        nobody.set_config_variable(file, os.devnull)
    keys = {}
    if "access_key_id" in known:
        keys = {"aws_access_key_id": known["access_key_id"], "aws_secret_access_key": known["secret_access_key"]}
    return cast("object", boto3.Session(**keys, aws_session_token=known.get("session_token"), botocore_session=nobody))


def translate(error: BaseException, action: str, secrets: tuple[str, ...] = ()) -> KistError:
    """Return the error of kist for one of boto3 that met `action` (a verb and what it is about)."""
    if isinstance(error, ClientError):
        said = error.response.get("Error", {})
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        return answered(action, status, str(said.get("Code", "")), str(said.get("Message", "")), secrets)
    return answered(action, 0, type(error).__name__, mask(str(error), secrets), secrets)
