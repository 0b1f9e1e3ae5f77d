"""What servers of files say, in kist's words: one table for SSH, FTP, WebDAV and the filesystems of fsspec.

Channels raise what their library raises, built-in errors where the meaning is known, and `Answer` for a reply with a number. Here all of it
becomes an error of kist. No library is imported for that: whoever raised an error has loaded its own.
"""

import errno
import ftplib
import re
import ssl
from typing import Final

import httpx

from kist.errors import AlreadyExists, Busy, Conflict, Denied, InvalidInput, KistError, NotFound, StoreError, Unauthenticated, Unsupported

__all__ = ["Answer", "HostKeyError", "is_lost", "refuses_access", "reply_code", "translate"]

FTP_CLOSING: Final = 421
_ACCESS = re.compile(r"permission|privilege|denied|not allowed|forbidden|read.only", re.IGNORECASE)
_UNSUPPORTED = re.compile(r"unsupported|not supported|not implemented", re.IGNORECASE)
_NO_ROOM = re.compile(r"no space|quota|storage|disk full", re.IGNORECASE)
_TEXT_LIMIT = 300


class Answer(Exception):
    """A reply of a WebDAV server that is not what was asked for."""

    def __init__(self, status: int, reason: str = "") -> None:
        super().__init__(f"HTTP {status} {reason}".rstrip())
        self.status = status


class HostKeyError(Exception):
    """The server is not known to be who it says it is."""


type _Verdict = tuple[type[KistError], str]

_BY_CLASS: tuple[tuple[type[Exception], _Verdict], ...] = (
    (FileNotFoundError, (NotFound, "there is no such thing")),
    (IsADirectoryError, (Conflict, "a folder has this name, so no object can")),
    (NotADirectoryError, (Conflict, "part of this path is an object, so nothing can be below it")),
    (FileExistsError, (AlreadyExists, "there is something already")),
    (PermissionError, (Denied, "this user may not do it; check who owns it and what its mode allows")),
    (NotImplementedError, (Unsupported, "this place can't do it")),
    (HostKeyError, (Denied, "the server can't be trusted")),
    (ssl.SSLCertVerificationError, (Denied, "the certificate of the server can't be trusted; name its authority with ca_file")),
    (TimeoutError, (StoreError, "the server did not answer in time; try again later")),
    (httpx.TimeoutException, (StoreError, "the server did not answer in time; try again later")),
    (ConnectionRefusedError, (StoreError, "nobody answers at this address; is the server running, and the port right?")),
    (httpx.ConnectError, (StoreError, "nobody answers at this address; is the server running, and the URL right?")),
    (UnicodeError, (StoreError, "the server sent a name that is no UTF-8")),
    (ImportError, (Unsupported, "a library is missing")),
    (EOFError, (StoreError, "the server closed the connection; try again later")),
    (TypeError, (InvalidInput, "an option is not accepted")),
    (ValueError, (InvalidInput, "a value is not accepted")),
)
_BY_STATUS: dict[int, _Verdict] = {
    401: (Unauthenticated, "the user and password are not accepted; check them"),
    403: (Denied, "this user may not do it"),
    404: (NotFound, "there is no such thing"),
    405: (Unsupported, "the server can't do it here"),
    409: (Conflict, "something is in the way, or a folder is missing"),
    410: (NotFound, "there is no such thing any more"),
    412: (Conflict, "it has changed meanwhile"),
    423: (Busy, "somebody has locked it; try again later"),
    429: (Busy, "the server is overloaded; try again later"),
    501: (Unsupported, "the server can't do it"),
    503: (Busy, "the server is overloaded; try again later"),
    507: (StoreError, "the server has no room left"),
}
_BY_REPLY: dict[int, _Verdict] = {
    FTP_CLOSING: (StoreError, "the server closed the connection; try again later"),
    430: (Unauthenticated, "the user and password are not accepted; check them"),
    452: (StoreError, "the server has no room left"),
    500: (Unsupported, "the server can't do it"),
    502: (Unsupported, "the server can't do it"),
    504: (Unsupported, "the server can't do it"),
    521: (Denied, "the server wants a protected connection: use ftps"),
    522: (Denied, "the server wants another protection of its connections"),
    530: (Unauthenticated, "the user and password are not accepted; check them"),
    534: (Denied, "the server wants another protection of its connections"),
    552: (StoreError, "the server has no room left"),
    553: (Denied, "the server does not allow this name"),
}
_BY_NUMBER: dict[int | None, _Verdict] = {
    errno.ENOSPC: (StoreError, "the server has no room left"),
    errno.EDQUOT: (StoreError, "your quota is used up"),
    errno.ENOTEMPTY: (Conflict, "the folder is not empty"),
    errno.ENAMETOOLONG: (InvalidInput, "the server has no names that long: use shorter ones"),
    errno.EROFS: (Unsupported, "it can only be read"),
    errno.EOPNOTSUPP: (Unsupported, "this place can't do it"),
}
_BY_NAME: dict[str, _Verdict] = {
    "AuthenticationException": (Unauthenticated, "the server accepts neither key nor password; check username, key_filename and password"),
    "BadAuthenticationType": (Unauthenticated, "the server accepts neither key nor password; check username, key_filename and password"),
    "PasswordRequiredException": (Unauthenticated, "the key file is encrypted: give its passphrase"),
    "BadHostKeyException": (Denied, "the server shows ANOTHER host key than the one that is known: somebody may be listening in"),
    "NoValidConnectionsError": (StoreError, "nobody answers at this address; is the server running, and the port right?"),
}
"""Errors of paramiko, which may not be installed."""


def translate(error: BaseException, action: str) -> KistError:
    """Return the error of kist for a foreign one that met `action` (a verb and what it is about)."""
    if isinstance(error, KistError):
        return error
    kind, meaning = _judge(error)
    evidence = str(error).strip()[:_TEXT_LIMIT]
    return kind(f"can't {action}: {meaning}{f' ({evidence})' if evidence else ''}")


def is_lost(error: BaseException) -> bool:
    """Say whether an error means that the connection is gone, or can't be used any more."""
    if isinstance(error, ftplib.Error):
        return reply_code(error) == FTP_CLOSING or isinstance(error, ftplib.error_proto)
    if isinstance(error, EOFError | ConnectionError | TimeoutError | httpx.TransportError | ssl.SSLError):
        return True
    if _is_paramiko(error):
        return True
    return isinstance(error, OSError) and "closed" in str(error).lower() and not isinstance(error, FileNotFoundError)


def refuses_access(error: BaseException) -> bool:
    """Say whether the words of a server mean that something is there, but not for this user."""
    return bool(_ACCESS.search(str(error)))


def reply_code(error: BaseException) -> int:
    """Return the number that an FTP reply begins with; 0 if there is none."""
    first = str(error)[:3]
    return int(first) if first.isascii() and first.isdigit() else 0


def _judge(error: BaseException) -> _Verdict:
    if isinstance(error, ftplib.Error):
        return _judge_reply(error)
    if isinstance(error, Answer):
        return _BY_STATUS.get(error.status, (StoreError, "the server failed"))
    if _is_paramiko(error):
        return _BY_NAME.get(type(error).__name__, (StoreError, "the connection failed"))
    by_class = next((verdict for kind, verdict in _BY_CLASS if isinstance(error, kind)), None)
    if by_class is None and isinstance(error, OSError):
        return _BY_NUMBER.get(error.errno) or _judge_text(error)
    return by_class or (StoreError, "the store failed")


def _judge_reply(error: ftplib.Error) -> _Verdict:
    code = reply_code(error)
    if code == 550:  # noqa: PLR2004  RFC 959 means "not found" and "no access" by it
        return (Denied, "this user may not do it") if refuses_access(error) else (NotFound, "there is no such thing")
    return _BY_REPLY.get(code, (StoreError, "the server failed"))


def _judge_text(error: OSError) -> _Verdict:
    """Judge an error that has words only, as those of SFTP."""
    text = str(error)
    if _UNSUPPORTED.search(text):
        return Unsupported, "the server can't do it"
    if _NO_ROOM.search(text):
        return StoreError, "the server has no room left"
    return StoreError, "the server failed, and did not say why"


def _is_paramiko(error: BaseException) -> bool:
    return type(error).__module__.partition(".")[0] == "paramiko"
