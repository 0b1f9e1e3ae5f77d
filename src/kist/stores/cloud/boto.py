"""boto3's client for the calls of S3 that obstore lacks, and what its errors mean.

boto3 gets the endpoint, the credentials and the limits of the store's other clients, and nothing from configuration files. Each request
is signed with the SHA-256 of its body, over https too, so that the server takes no other bytes.
"""

import os
from typing import Final, cast

import boto3  # type: ignore[import-untyped]  # has no types
import botocore.loaders  # type: ignore[import-untyped]  # has no types
import botocore.session  # type: ignore[import-untyped]  # has no types
from botocore import UNSIGNED
from botocore.config import Config  # type: ignore[import-untyped]  # has no types
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]  # has no types

from kist.errors import InvalidInput, KistError
from kist.stores.cloud.connection import Connection
from kist.stores.cloud.errors import answered, mask
from kist.stores.cloud.settings import S3Settings

__all__ = ["FOREIGN", "new_client", "translate"]

FOREIGN: Final[tuple[type[Exception], ...]] = (BotoCoreError, ClientError, OSError, ValueError, TypeError)
"""Everything that a call of boto3 may raise on purpose."""


_LOADER = botocore.loaders.create_loader()  # it remembers what it has parsed: a second client takes 30 ms instead of 120


def new_client(connection: Connection) -> object:
    """Make a client that does what obstore's does."""
    limits, settings = connection.clients.limits, connection.clients.s3
    assert settings is not None  # noqa: S101  only S3's stores come here
    endpoint, style = _endpoint(settings, connection.address.bucket)
    if endpoint and endpoint.startswith("http://") and not limits.allow_http:
        raise InvalidInput(f"can't open {connection.address.url}: plain http is used only if allow_http (or AWS_ALLOW_HTTP) is true")
    config = Config(
        signature_version=UNSIGNED if settings.anonymous else "s3v4",
        connect_timeout=limits.connect_seconds,
        read_timeout=limits.silence_seconds,
        retries={"mode": "standard", "total_max_attempts": limits.max_retries + 1},
        max_pool_connections=32,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        ignore_configured_endpoint_urls=True,
        s3={"addressing_style": style, "payload_signing_enabled": True},
    )
    return _session(settings).client("s3", region_name=settings.region, endpoint_url=endpoint, config=config)  # type: ignore[attr-defined]  # no types


def _endpoint(settings: S3Settings, bucket: str) -> tuple[str | None, str]:
    """Return the endpoint as boto3 wants it, and where the bucket is named: obstore's endpoint may hold the bucket, boto3's never does."""
    if not settings.endpoint:
        return None, "auto"
    scheme, slashes, host = settings.endpoint.partition("://")
    if settings.virtual and host.startswith(f"{bucket}."):
        return f"{scheme}{slashes}{host.removeprefix(f'{bucket}.')}", "virtual"
    return settings.endpoint, "path"


def _session(settings: S3Settings) -> object:
    """Return where boto3 gets credentials from: the known keys, the profile, or the role of the machine."""
    if not settings.keys and settings.profile is not None and settings.profile.provider is not None:
        return cast("object", boto3.Session(botocore_session=settings.profile.session))
    nobody = botocore.session.Session(session_vars={"profile": (None, None, None, None)})  # not AWS_PROFILE
    nobody.register_component("data_loader", _LOADER)
    for file in ("config_file", "credentials_file"):
        nobody.set_config_variable(file, os.devnull)
    keys = (
        {f"aws_{name}": value for name, value in settings.keys.items()}
        if {"access_key_id", "secret_access_key"} <= settings.keys.keys()
        else {}
    )
    return cast("object", boto3.Session(**keys, botocore_session=nobody))


def translate(error: BaseException, action: str, secrets: tuple[str, ...] = ()) -> KistError:
    """Return the error of kist for one of boto3 that met `action` (a verb and what it is about)."""
    if isinstance(error, ClientError):
        said = error.response.get("Error", {})
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        return answered(action, status, str(said.get("Code", "")), str(said.get("Message", "")), secrets)
    return answered(action, 0, type(error).__name__, mask(str(error), secrets), secrets)
