"""Where requests to S3 go and who sends them: found once, for all clients of a store.

What the options say counts, else what the environment says, else what a profile of AWS's tools says; but the keys of a profile that is
asked for come before those of the environment. Keys stay together: those of the options never get the session of the environment.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kist.errors import InvalidInput

if TYPE_CHECKING:
    from kist.stores.cloud.profile import Profile

__all__ = ["S3Settings", "resolve"]

_KEYS = ("access_key_id", "secret_access_key", "session_token")
_NAMES: dict[str, tuple[str, ...]] = {
    "endpoint": ("endpoint_url_s3", "endpoint_url", "endpoint"),
    "region": ("region", "default_region"),
    **{name: (name,) for name in (*_KEYS[:2], "skip_signature", "virtual_hosted_style_request")},
    "session_token": ("session_token", "token"),
}
"""What a setting is called, in lower case and without ``AWS_``; the first that is set counts."""

_YES = frozenset({"1", "true", "on", "yes", "y"})
_PROFILE_FILES = {"AWS_SHARED_CREDENTIALS_FILE": "~/.aws/credentials", "AWS_CONFIG_FILE": "~/.aws/config"}


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Settings:
    """What every client of an S3 store is told."""

    endpoint: str
    """Empty: Amazon's."""
    region: str
    anonymous: bool
    virtual: bool
    """Whether the endpoint holds the name of the bucket."""
    keys: Mapping[str, str] = field(repr=False)
    """Named as the options are; none where a profile gives them, or the role of the machine."""
    profile: "Profile | None"
    provider: Callable[[], object] | None = field(repr=False)
    """What gives obstore the keys, where they are not simply `keys`."""


def resolve(options: dict[str, object]) -> S3Settings:
    """Find the settings, take them out of the options, and put those back that obstore is told.

    Raises:
        InvalidInput: a profile was asked for, and there is no such profile, or it makes no sense.
    """
    given = {name: _take(options, names) for name, names in _NAMES.items()}
    told = {name: _variable(names) for name, names in _NAMES.items()}
    profile = _find_profile(options.pop("profile", None), anybody=any(_either(given, told, name) for name in (_KEYS[0], "skip_signature")))
    keys = _keys(given, told, profile)
    found = {name: _either(given, told, name) for name in _NAMES if name not in _KEYS}
    if profile:
        found = {**found, "endpoint": found["endpoint"] or profile.endpoint, "region": found["region"] or profile.region}
    options.update({name: value for name, value in {**found, **keys}.items() if value not in (None, "")})
    if found["endpoint"]:
        options["aws_endpoint_url_s3"] = found["endpoint"]  # else obstore takes the variable of this name, whatever the options say
    return S3Settings(
        endpoint=str(found["endpoint"] or ""),
        region=str(found["region"] or "us-east-1"),
        anonymous=str(found["skip_signature"]).lower() in _YES,
        virtual=str(found["virtual_hosted_style_request"]).lower() in _YES,
        keys={name: str(value) for name, value in keys.items()},
        profile=profile,
        provider=_provider(keys, told, profile),
    )


def _take(options: dict[str, object], names: tuple[str, ...]) -> object:
    """Remove a setting from the options under all its names, and return its value; None if it has none."""
    found = {}
    for option in list(options):
        name = option.lower().removeprefix("aws_")
        if name in names:
            found[name] = options.pop(option)
    return next((found[name] for name in names if found.get(name) not in (None, "")), None)


def _variable(names: tuple[str, ...]) -> object:
    return next(filter(None, (os.environ.get(f"AWS_{name.upper()}") for name in names)), None)


def _either(given: Mapping[str, object], told: Mapping[str, object], name: str) -> object:
    return told[name] if given[name] is None else given[name]


def _keys(given: Mapping[str, object], told: Mapping[str, object], profile: "Profile | None") -> dict[str, object]:
    """Return the keys that are known, unless a profile knows how to get some."""
    if given["access_key_id"] and given["secret_access_key"]:
        found = {name: given[name] for name in _KEYS}
    elif profile is not None and profile.provider is not None:
        found = {}
    else:
        found = {name: _either(given, told, name) for name in _KEYS}
    return {name: value for name, value in found.items() if value is not None}


def _provider(keys: Mapping[str, object], told: Mapping[str, object], profile: "Profile | None") -> Callable[[], object] | None:
    if not keys:
        return profile.provider if profile else None
    if told["session_token"] is None or "session_token" in keys or not {*_KEYS[:2]} <= keys.keys():
        return None
    said = {"access_key_id": keys["access_key_id"], "secret_access_key": keys["secret_access_key"], "token": None, "expires_at": None}
    return lambda: said  # obstore would take the token from the environment


def _find_profile(asked: object, *, anybody: bool) -> "Profile | None":
    """Return the AWS profile that counts: the one asked for, else one that exists if nobody else says who sends the requests.

    Raises:
        InvalidInput: it was asked for, and there is no such profile, or it makes no sense.
    """
    if asked is not None and not isinstance(asked, str):
        from kist.stores.cloud.profile import Profile  # noqa: PLC0415  boto3 is heavy, and seldom needed

        if isinstance(asked, Profile):
            return asked
    if asked is not None and not (isinstance(asked, str) and asked):
        raise InvalidInput(f"profile is the name of an AWS profile; found {asked!r}")
    if asked is None and anybody:
        return None
    named = asked or os.environ.get("AWS_PROFILE") or ""
    if not named and not any(os.path.exists(os.path.expanduser(os.environ.get(name) or path)) for name, path in _PROFILE_FILES.items()):
        return None

    from kist.stores.cloud.profile import read_profile  # noqa: PLC0415  boto3 is heavy, and seldom needed

    return read_profile(named, must_exist=bool(named))
