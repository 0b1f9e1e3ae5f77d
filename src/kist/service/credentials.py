"""Who a bucket is asked as: what each way takes, and how it is sealed. Pure.

``ambient`` (also called ``anonymous``): those of the machine; ``public``: nobody's, requests go unsigned; ``keys`` (also ``hmac``): those
that were given; ``role``: a role of Amazon's STS or one like it, taken on with given keys, else with those of the machine.
"""

import json
from collections.abc import Mapping
from typing import Final

from kist.errors import InvalidInput
from kist.service.naming import S3_FAMILY

__all__ = ["METHODS", "sealed_form", "settle", "unsealed"]

METHODS: Final = ("ambient", "public", "keys", "role")

_ALIASES: Final = {"anonymous": "ambient", "hmac": "keys"}
_PAIR: Final = frozenset({"access_key_id", "secret_access_key"})
_SESSION: Final = frozenset({"session_token"})
_S3: Final = ((_PAIR, _SESSION),)
_KEYS: Final[dict[str, tuple[tuple[frozenset[str], frozenset[str]], ...]]] = {
    **dict.fromkeys(S3_FAMILY, _S3),
    "gs": ((frozenset({"service_account_key"}), frozenset()),),
    "azure": ((frozenset({"account_key"}), frozenset()), (frozenset({"sas_token"}), frozenset())),
}
"""What `keys` are on each platform: sets of those that are needed and those that may be there."""

_ROLE: Final = ((frozenset[str](), frozenset[str]()), *_S3)
_ACCOUNT: Final = ("type", "project_id", "private_key_id", "private_key", "client_email", "client_id")


def settle(
    platform: str, auth_method: str, credentials: Mapping[str, str] | None, *, extra_config: Mapping[str, object]
) -> tuple[str, dict[str, str]]:
    """Return the way and the credentials that were meant.

    Raises:
        InvalidInput: there is no such way on this platform, or it takes other credentials; their values are not repeated.
    """
    given = {name: value.strip() for name, value in (credentials or {}).items() if value.strip()}
    asked = auth_method.strip().lower() or ("keys" if given else "ambient")
    method = _ALIASES.get(asked, asked)
    if method not in METHODS:
        raise InvalidInput(f"there is no auth_method {auth_method[:64]!r}: it is one of {', '.join((*METHODS, *_ALIASES))}")
    if platform in {"local", "memory"}:
        if method != "ambient" or given:
            raise InvalidInput(f"buckets of platform {platform!r} take no auth_method and no credentials")
        return method, {}
    if method == "role" and (platform not in S3_FAMILY or not extra_config.get("role_arn")):
        raise InvalidInput(
            "the auth_method 'role' is for buckets that speak S3, and needs extra_config={'role_arn': 'arn:aws:iam::…:role/…'}"
        )
    _check_names(platform, method, given)
    if "service_account_key" in given:
        given["service_account_key"] = _account(given["service_account_key"])
    if any(not value.isprintable() for value in given.values()):
        raise InvalidInput("credentials have characters that can't be printed: was more copied than the key?")
    return method, given


def sealed_form(credentials: Mapping[str, str]) -> bytes | None:
    """Return credentials as bytes to be sealed; None if there are none."""
    return json.dumps(dict(credentials), sort_keys=True).encode() if credentials else None


def unsealed(content: bytes) -> dict[str, str]:
    """Return the credentials that bytes stand for."""
    return {str(name): str(value) for name, value in json.loads(content).items()}


def _check_names(platform: str, method: str, given: Mapping[str, str]) -> None:
    """Refuse credentials that are not those of this way.

    Raises:
        InvalidInput: they are not.
    """
    choices = {"keys": _KEYS[platform], "role": _ROLE}.get(method, ((frozenset[str](), frozenset[str]()),))
    if any(needed <= given.keys() <= needed | more for needed, more in choices):
        return
    takes = ", or ".join(" and ".join(sorted(needed)) + _may(more, bool(needed)) for needed, more in choices if needed or more)
    found = ", ".join(sorted(name[:64] for name in given)) or "none"
    hint = "" if method in {"keys", "role"} else ": leave them out, or choose auth_method='keys'"
    raise InvalidInput(f"the auth_method {method!r} of platform {platform!r} takes {takes or 'no credentials'}; given: {found}{hint}")


def _may(more: frozenset[str], too: bool) -> str:  # noqa: FBT001  whether something stands before it
    return f"{' (and ' if too else '('}{', '.join(sorted(more))})" if more else ""


def _account(text: str) -> str:
    """Return the key of a service account of Google's, without fields that could send it elsewhere.

    Raises:
        InvalidInput: it is none.
    """
    try:
        said = json.loads(text)
    except ValueError:
        said = None
    fields = {name: said[name] for name in _ACCOUNT if isinstance(said.get(name), str)} if isinstance(said, dict) else {}
    if fields.get("type") != "service_account" or not {"private_key", "client_email", "private_key_id"} <= fields.keys():
        raise InvalidInput("service_account_key is the content of a key file of a Google service account: JSON of type service_account")
    return json.dumps(fields)
