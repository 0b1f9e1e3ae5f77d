"""What callers say of a bucket config's place and credentials, in our words and in Arraylake's, as fields of a request."""

from collections.abc import Mapping

from kist.errors import InvalidInput
from kist.models import Platform

__all__ = ["said_auth", "said_place"]

_ROLE = "customer_managed_role"


def said_place(
    *,
    uri: str | None = None,
    platform: Platform | None = None,
    name: str | None = None,
    prefix: str | None = None,
    extra_config: Mapping[str, str | bool] | None = None,
    auth_config: Mapping[str, str] | None = None,
    **settings: str | bool | None,
) -> dict[str, object]:
    """Return the fields that say where; `settings` are those of `extra_config` that were said by themselves.

    What a role in `auth_config` is called is one of these settings, for it is no secret.

    Raises:
        InvalidInput: a setting is said twice, and not the same.
    """
    said = dict(extra_config or {})
    for setting, value in {**settings, **_role(auth_config or {})}.items():
        if value is not None and said.setdefault(setting, value) != value:
            raise InvalidInput(f"{setting} is {value!r}, and {said[setting]!r} in extra_config: say it once")
    place: dict[str, object] = {"uri": uri, "platform": platform, "name": name, "prefix": prefix}
    return {**place, "extra_config": said or (None if extra_config is None else {})}


def said_auth(credentials: Mapping[str, str] | None, auth_config: Mapping[str, str] | None) -> dict[str, object]:
    """Return the fields that say by which credentials.

    Raises:
        InvalidInput: `auth_config` has no method, or credentials are said twice.
    """
    if auth_config is None:
        return {"credentials": dict(credentials) if credentials else None}
    said = dict(auth_config)
    method = said.pop("method", "")
    if not method:
        raise InvalidInput("auth_config says no method: write {'method': 'anonymous'}, 'hmac', 'customer_managed_role' or 'public'")
    if method.endswith(_ROLE):
        method = "role"
        for name in ("role_arn", "external_id", "external_customer_id", "external_role_name", "shared_secret"):
            said.pop(name, None)
    if credentials and said:
        raise InvalidInput(f"credentials are said twice, by auth_config too ({', '.join(sorted(said))}): say them once")
    return {"auth_method": method, "credentials": dict(credentials or said) or None}


def _role(auth: Mapping[str, str]) -> dict[str, str]:
    """Return what names the role in an `auth_config`; nothing, if it is of another method.

    Raises:
        InvalidInput: the role has no name.
    """
    if not auth.get("method", "").endswith(_ROLE):
        return {}
    account, name = auth.get("external_customer_id"), auth.get("external_role_name")
    arn = auth.get("role_arn") or (f"arn:aws:iam::{account}:role/{name}" if account and name else "")
    if not arn:
        raise InvalidInput("a role needs its name: say role_arn, or external_customer_id with external_role_name")
    external_id = auth.get("external_id") or auth.get("shared_secret")
    return {"role_arn": arn, **({"external_id": external_id} if external_id else {})}
