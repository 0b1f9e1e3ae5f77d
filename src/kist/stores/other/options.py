"""From a URL and options to a place that can be connected to: the one module that knows what each scheme takes.

A URL may name a user and a port, never a password. All waiting is bounded. Of a library that is missing, the error says how to install it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, unquote, urlsplit

from kist.errors import InvalidInput, Unsupported
from kist.stores.keys import check_key

if TYPE_CHECKING:
    from kist.stores.other.channels import Channel

__all__ = ["WITH_FOLDERS", "Address", "parse"]

WITH_FOLDERS: Final = frozenset({"arrow_hdfs", "dbfs", "hdfs", "local", "memory", "smb", "webhdfs"})
"""Of the schemes that are fsspec's alone, those with folders of their own and a rename."""

FTPS_PORT: Final = 990
"""Where TLS begins with the first byte; elsewhere it is asked for."""

_SECRET = re.compile(r"secret|token|password|passphrase|credential|key$", re.IGNORECASE)
_DAY_SECONDS = 86400
_CERTIFICATES = {"ca_file"}
_LOGIN = {"username", "password", "port"}
_TIMES = {"timeout_seconds", "connect_timeout_seconds"}
_TAKES: dict[str, frozenset[str]] = {
    "sftp": frozenset({*_LOGIN, *_TIMES, "key_filename", "passphrase", "known_hosts", "host_key_policy", "agent"}),
    "ftp": frozenset({*_LOGIN, *_TIMES, *_CERTIFICATES, "tls"}),
    "webdav": frozenset({*_LOGIN, *_TIMES, *_CERTIFICATES, "token", "auth"}),
}
_KINDS = {
    **dict.fromkeys(("sftp", "ssh"), "sftp"),
    **dict.fromkeys(("ftp", "ftps"), "ftp"),
    **dict.fromkeys(("webdav", "webdavs"), "webdav"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """What a URL with its options comes to: `kind` is ``sftp``, ``ftp``, ``webdav`` or ``fsspec``; `root` the path of the empty key."""

    url: str
    kind: str
    scheme: str
    root: str
    secret: bool
    connect: "Callable[[], Channel]" = field(repr=False)


def parse(url: str, options: Mapping[str, object]) -> Address:
    """Take a URL apart, and check the options.

    Raises:
        InvalidInput: one of them makes no sense; the message never repeats a secret.
        Unsupported: a library is missing.
    """
    scheme, _, rest = url.partition("://")
    scheme = scheme.lower()
    kind = _KINDS.get(scheme, "fsspec")
    _refuse_password(scheme, rest)
    given = {name: value for name, value in options.items() if value is not None}
    secret = any(_SECRET.search(name) for name in given)
    if kind == "fsspec":
        from kist.stores.other.fsspec import FsspecLogin  # noqa: PLC0415  fsspec is loaded by who uses it

        login = FsspecLogin(url=url, options=given, renames=scheme in WITH_FOLDERS)
        return Address(url=url, kind=kind, scheme=scheme, root="", secret=secret, connect=login.connect)
    if unknown := sorted(given.keys() - _TAKES[kind]):
        raise InvalidInput(f"a {scheme!r} store does not take {', '.join(unknown)}; it takes {', '.join(sorted(_TAKES[kind]))}")
    parts = _split(scheme, rest)
    build = {"sftp": _sftp, "ftp": _ftp, "webdav": _webdav}[kind]
    connect = build(parts, _Options(given))
    path = unquote(parts.path).strip("/")
    root = f"/{check_key(path)}" if path else "/"
    return Address(url=url, kind=kind, scheme=scheme, root=root, secret=secret, connect=connect)


class _Options:
    """Options by type; a wrong one is refused by name."""

    def __init__(self, given: Mapping[str, object]) -> None:
        self._given = given

    def text(self, name: str) -> str | None:
        value = self._given.get(name)
        if value is not None and not isinstance(value, str):
            raise InvalidInput(f"{name} is a text; found a {type(value).__name__}")
        return value

    def one_of(self, name: str, *choices: str) -> str:
        """Return a text; the first choice is the default."""
        value = self.text(name) or choices[0]
        if value not in choices:
            raise InvalidInput(f"{name} is one of {', '.join(map(repr, choices))}; found {value!r}")
        return value

    def yes(self, name: str, *, default: bool) -> bool:
        value = str(self._given.get(name, default)).lower()
        if value not in {"true", "yes", "on", "1", "false", "no", "off", "0"}:
            raise InvalidInput(f"{name} is true or false; found {value!r}")
        return value in {"true", "yes", "on", "1"}

    def number(self, name: str, default: float, most: float) -> float:
        value = self._given.get(name, default)
        try:
            number = float(value) if isinstance(value, str | int | float) else 0
        except ValueError:
            number = 0
        if not 0 < number < most:
            raise InvalidInput(f"{name} is a number, more than 0 and less than {most:g}; found {value!r}")
        return number

    def times(self) -> tuple[float, float]:
        """Return the times to wait for a connection and for an answer."""
        return self.number("connect_timeout_seconds", 10, _DAY_SECONDS), self.number("timeout_seconds", 60, _DAY_SECONDS)

    def port(self, parts: SplitResult, default: int) -> int:
        return int(self.number("port", parts.port or default, 1 << 16))

    def user(self, parts: SplitResult) -> str | None:
        return self.text("username") or (unquote(parts.username) if parts.username else None)


def _sftp(parts: SplitResult, options: _Options) -> "Callable[[], Channel]":
    try:
        from kist.stores.other.sftp import SSH_PORT, SftpLogin  # noqa: PLC0415  loaded when it is needed
    except ImportError as error:
        raise Unsupported("sftp URLs need a library that is not installed: pip install 'kist[sftp]'") from error
    connect_timeout, timeout = options.times()
    return SftpLogin(
        host=parts.hostname or "",
        port=options.port(parts, SSH_PORT),
        username=options.user(parts),
        password=options.text("password"),
        key_filename=options.text("key_filename"),
        passphrase=options.text("passphrase"),
        known_hosts=options.text("known_hosts"),
        trust_first=options.one_of("host_key_policy", "reject", "auto_add") == "auto_add",
        agent=options.yes("agent", default=options.text("password") is None and options.text("key_filename") is None),
        connect_timeout_seconds=connect_timeout,
        timeout_seconds=timeout,
    ).connect


def _ftp(parts: SplitResult, options: _Options) -> "Callable[[], Channel]":
    from kist.stores.other.ftp import FTP_PORT, FtpLogin  # noqa: PLC0415  loaded when it is needed

    connect_timeout, timeout = options.times()
    port = options.port(parts, FTP_PORT)
    secure = "implicit" if port == FTPS_PORT else "explicit"
    tls = options.one_of("tls", secure if parts.scheme == "ftps" else "", "", "explicit", "implicit")
    return FtpLogin(
        host=parts.hostname or "",
        port=port,
        username=options.user(parts),
        password=options.text("password"),
        tls=tls,
        ca_file=options.text("ca_file"),
        connect_timeout_seconds=connect_timeout,
        timeout_seconds=timeout,
    ).connect


def _webdav(parts: SplitResult, options: _Options) -> "Callable[[], Channel]":
    from kist.stores.other.webdav import WebdavLogin  # noqa: PLC0415  loaded when it is needed

    connect_timeout, timeout = options.times()
    secure = parts.scheme.endswith("s")
    usual = 443 if secure else 80
    port = options.port(parts, usual)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return WebdavLogin(
        origin=f"{'https' if secure else 'http'}://{host}{'' if port == usual else f':{port}'}",
        username=options.user(parts),
        password=options.text("password"),
        digest=options.one_of("auth", "basic", "digest") == "digest",
        token=options.text("token"),
        ca_file=options.text("ca_file"),
        connect_timeout_seconds=connect_timeout,
        timeout_seconds=timeout,
    ).connect


def _split(scheme: str, rest: str) -> SplitResult:
    """Take a URL with a host apart."""
    if "?" in rest or "#" in rest:
        raise InvalidInput(f"a {scheme!r} URL has no '?' nor '#': write them as %3F and %23, and options as options")
    try:
        parts = urlsplit(f"{scheme}://{rest}")
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidInput(f"{scheme}://{rest!r} is no URL: {error}") from error
    if not host:
        raise InvalidInput(f"{scheme}://{rest} names no host: write {scheme}://host/path")
    return parts


def _refuse_password(scheme: str, rest: str) -> None:
    user, at, _ = rest.partition("/")[0].rpartition("@")
    if at and ":" in user and scheme not in {"github", "git"}:  # there it parts an owner from a repository
        raise InvalidInput(f"a password does not belong into a {scheme!r} URL: set it as an option of a mount, or in the environment")
