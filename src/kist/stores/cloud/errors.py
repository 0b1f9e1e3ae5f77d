"""What obstore and boto3 say, in kist's words, without the secrets that their texts may hold.

obstore tells a class and a long text with the server's answer in it. The class decides first, then the HTTP status in the text.
boto3 tells the code and the status of the answer, or the name of what befell it.
"""

import re
from collections.abc import Iterable
from typing import Final

from obstore import exceptions as foreign

from kist.errors import (
    AlreadyExists,
    Conflict,
    Denied,
    IntegrityError,
    InvalidInput,
    KistError,
    NotFound,
    StoreError,
    Unauthenticated,
    Unsupported,
)

__all__ = ["FOREIGN", "answered", "cut_listing", "mask", "misconfigured", "no_range", "past_end", "translate"]

FOREIGN: Final = (foreign.BaseError, OSError, ValueError, TypeError, NotImplementedError)
"""Everything that a call of obstore may raise on purpose."""

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>([^<]{1,100})</Code>")
_MESSAGE = re.compile(r"<Message>([^<]{1,300})</Message>")
_NO_BUCKET = frozenset({"NoSuchBucket", "ContainerNotFound", "ContainerBeingDeleted"})
_METADATA_SERVERS = ("169.254.169.254", "fd00:ec2::254", "metadata.google.internal", "metadata/identity")
_TEXT_LIMIT = 400

_BY_CLASS: tuple[tuple[type[Exception], type[KistError], str], ...] = (
    (FileNotFoundError, NotFound, "there is no such object"),
    (foreign.AlreadyExistsError, AlreadyExists, "there is an object already"),
    (foreign.PreconditionError, Conflict, "it has changed; look at it anew"),
    (foreign.PermissionDeniedError, Denied, "these credentials don't allow it; check them and the policy of the bucket"),
    (foreign.UnauthenticatedError, Unauthenticated, "the credentials are not accepted; check them"),
    (foreign.NotSupportedError, Unsupported, "this store can't do it"),
    (NotImplementedError, Unsupported, "this store can't do it"),
    (foreign.InvalidPathError, InvalidInput, "the key is not accepted"),
    (foreign.UnknownConfigurationKeyError, InvalidInput, "there is no such option"),
    (TypeError, InvalidInput, "an option is of the wrong type"),
    (ValueError, InvalidInput, "a value is not accepted"),
)
_OTHER_BYTES = (IntegrityError, "the server got other bytes than were sent, and took nothing; try again")
_NOBODY = (StoreError, "nobody answers at this address; is the server running, and the endpoint right?")
_BY_CODE: dict[str, tuple[type[KistError], str]] = {
    **dict.fromkeys(("BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"), _OTHER_BYTES),
    **dict.fromkeys(("EndpointConnectionError", "ConnectTimeoutError", "ConnectionClosedError"), _NOBODY),
    **dict.fromkeys(_NO_BUCKET, (StoreError, "there is no such bucket; make it first")),
    "NoSuchUpload": (NotFound, "there is no such upload any more"),
    "NotImplemented": (Unsupported, "this server can't do it"),
}
_BY_STATUS: dict[int, tuple[type[KistError], str]] = {
    401: (Unauthenticated, "the credentials are not accepted; check them"),
    403: (Denied, "these credentials don't allow it; check them and the policy of the bucket"),
    404: (NotFound, "there is no such object"),
    405: (Unsupported, "this server can't do it"),
    412: (Conflict, "it has changed; look at it anew"),
    429: (StoreError, "the server is overloaded; try again later"),
    501: (Unsupported, "this server can't do it"),
    503: (StoreError, "the server is overloaded; try again later"),
    507: (StoreError, "the server has no room left"),
}
_BY_TEXT: tuple[tuple[str, type[KistError], str], ...] = (
    ("builder error", InvalidInput, "plain http is used only if allow_http (or AWS_ALLOW_HTTP) is true"),
    ("redirect without LOCATION", InvalidInput, "the bucket is in another region; set region (or AWS_REGION)"),
    ("error sending request", *_NOBODY),
)

_NO_CREDENTIALS = (
    "no credentials were found; set them as options, or in the environment "
    "(AWS_ACCESS_KEY_ID, GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_ACCOUNT_NAME and their kin)"
)


def translate(error: BaseException, action: str, secrets: Iterable[str] = ()) -> KistError:
    """Return the error of kist for one of obstore that met `action` (a verb and what it is about)."""
    kind, meaning = _judge(error)
    return kind(mask(f"can't {action}: {meaning}{_evidence(str(error))}", secrets))


def answered(action: str, status: int, code: str, message: str, secrets: Iterable[str] = ()) -> KistError:
    """Return the error of kist for an answer of S3, or, without a status, for what boto3 met and calls `code`."""
    kind, meaning = _BY_CODE.get(code) or _BY_STATUS.get(status) or (StoreError, "the store failed")
    if "Credentials" in code and not status:
        kind, meaning = Unauthenticated, _NO_CREDENTIALS
    said = f"HTTP {status} {code} {message}" if status else f"{code}: {message}"
    return kind(mask(f"can't {action}: {meaning} ({said[:_TEXT_LIMIT]})", secrets))


def misconfigured(error: BaseException, url: str, secrets: Iterable[str]) -> InvalidInput:
    """Return the error for settings that obstore does not take."""
    return InvalidInput(mask(f"can't open {url}: an option or a variable of the environment is wrong{_evidence(str(error))}", secrets))


def mask(text: str, secrets: Iterable[str]) -> str:
    """Return `text` with every secret in it replaced."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


def cut_listing(error: BaseException) -> bool:
    """Say whether the answer to a listing began well and broke off, which obstore does not repeat."""
    return any(words in str(error) for words in ("Error getting list response body", "Got invalid list response"))


def no_range(error: BaseException) -> bool:
    """Say whether the server answered a request for a range with the whole object."""
    return "non-partial response" in str(error)


def past_end(error: BaseException) -> bool:
    """Say whether the server refused a range because the object ends before it starts."""
    return _status(str(error)) == 416 or "Wanted range starting at" in str(error)  # noqa: PLR2004  HTTP: Range Not Satisfiable


def _judge(error: BaseException) -> tuple[type[KistError], str]:
    text = str(error)
    if (code := _CODE.search(text)) and (found := _BY_CODE.get(code[1])):
        return found
    if any(server in text for server in _METADATA_SERVERS):
        return Unauthenticated, _NO_CREDENTIALS
    for foreign_kind, kind, meaning in _BY_CLASS:
        if isinstance(error, foreign_kind):
            return kind, meaning
    if found := _BY_STATUS.get(_status(text)):
        return found
    for words, kind, meaning in _BY_TEXT:
        if words in text:
            return kind, meaning
    return StoreError, "the store failed"


def _status(text: str) -> int:
    found = _STATUS.search(text)
    return int(found[1]) if found else 0


def _evidence(text: str) -> str:
    """Return what the server said, in brackets."""
    status, code, message = _status(text), _CODE.search(text), _MESSAGE.search(text)
    if status:
        return f" (HTTP {' '.join([str(status), *(part[1].partition('\n')[0] for part in (code, message) if part)])})"
    first = text.partition("\n\nDebug source")[0].strip()
    return f" ({first[:_TEXT_LIMIT]})" if first else ""
