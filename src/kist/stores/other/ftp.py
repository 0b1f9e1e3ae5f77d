"""Files over FTP, plain or within TLS, by ftplib.

Within TLS the certificate is checked, and data connections resume the session, as servers ask for. Names are UTF-8; others are
invisible.
Servers without MLSD are asked by LIST, and for each file's time by MDTM.
"""

import contextlib
import ftplib
import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, override

from kist.stores.other.channels import Entry, Feed, unknown_time
from kist.stores.other.errors import refuses_access, reply_code

__all__ = ["FtpChannel", "FtpLogin"]

FTP_PORT: Final = 21
_BLOCK_BYTES = 256 << 10
_LISTED = re.compile(r"([-dl])\S{9}\S*\s+\S+\s+\S+\s+\S+\s+(\d+)\s+\S+\s+\S+\s+\S+ (.+)")
_MISSING_COMMAND = frozenset({500, 501, 502, 504})
_MISSING_FILE = frozenset({450, 501, 550, 553})


@dataclass(frozen=True, slots=True, kw_only=True)
class FtpLogin:
    """Whom to connect to, and as whom; `tls` is ``"explicit"``, ``"implicit"`` or empty."""

    host: str
    port: int = FTP_PORT
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: str = ""
    ca_file: str | None = None
    connect_timeout_seconds: float
    timeout_seconds: float

    def connect(self) -> "FtpChannel":
        """Open a connection."""
        ftp = self._client()
        try:
            ftp.connect(self.host, self.port)
            ftp.login(self.username or "", self.password or "")
            if isinstance(ftp, ftplib.FTP_TLS):
                ftp.prot_p()
            ftp.voidcmd("TYPE I")
            ftp.timeout = self.timeout_seconds
            if ftp.sock is not None:
                ftp.sock.settimeout(self.timeout_seconds)
            return FtpChannel(ftp, _features(ftp), trusted=bool(self.tls))
        except BaseException:
            ftp.close()
            raise

    def _client(self) -> ftplib.FTP:
        if not self.tls:
            return ftplib.FTP(timeout=self.connect_timeout_seconds, encoding="utf-8")  # noqa: S321  the URL asks for it
        kind = _ImplicitTls if self.tls == "implicit" else _Tls
        context = ssl.create_default_context(cafile=self.ca_file)
        return kind(timeout=self.connect_timeout_seconds, encoding="utf-8", context=context)


class _Tls(ftplib.FTP_TLS):
    """FTP within TLS whose data connections resume the session of the control connection."""

    @override
    def ntransfercmd(self, cmd: str, rest: int | str | None = None) -> tuple[socket.socket, int | None]:
        plain, size = ftplib.FTP.ntransfercmd(self, cmd, rest)  # noqa: S321  it is wrapped below
        assert isinstance(self.sock, ssl.SSLSocket)  # noqa: S101  for type checkers: `login` has secured it
        try:
            return self.context.wrap_socket(plain, server_hostname=self.host, session=self.sock.session), size
        except BaseException:
            plain.close()
            raise


class _ImplicitTls(_Tls):
    """TLS from the first byte on."""

    @override
    def connect(self, host: str = "", port: int = 0, timeout: float = -1, source_address: tuple[str, int] | None = None) -> str:
        self.host, self.port = host, port
        plain = socket.create_connection((host, port), self.timeout)
        try:
            self.sock = self.context.wrap_socket(plain, server_hostname=host)
        except BaseException:
            plain.close()
            raise
        self.af = self.sock.family
        self.file = self.sock.makefile("r", encoding=self.encoding)
        self.welcome = self.getresp()
        return self.welcome


class FtpChannel:
    """One control connection."""

    renames = True

    def __init__(self, ftp: ftplib.FTP, features: frozenset[str], *, trusted: bool) -> None:
        self._ftp, self._features, self.trusted = ftp, features, trusted
        self.broken = False

    def stat(self, path: str) -> Entry:
        """See `kist.stores.other.channels.Channel`."""
        if not path.strip("/"):
            return _folder("")
        if "MLST" in self._features:
            answer = self._ask(f"MLST {path}").splitlines()
            facts = answer[1].strip().partition(" ")[0] if len(answer) > 1 else ""
            if found := _by_facts(path.rpartition("/")[2], facts):
                return found
        with contextlib.suppress(FileNotFoundError):
            return self._file(path)
        self._enter(path)
        return _folder(path.rpartition("/")[2])

    def entries(self, path: str) -> list[Entry]:
        """See `kist.stores.other.channels.Channel`."""
        if "MLST" in self._features:
            lines = self._lines(f"MLSD {path or '/'}")
            found = (_by_facts(name, facts) for facts, _, name in (line.partition(" ") for line in lines))
            return [entry for entry in found if entry is not None]
        self._enter(path)
        try:
            lines = self._lines("LIST -a")
        except ftplib.error_perm:
            lines = self._lines("LIST")
        return list(self._by_list(path, lines))

    def read(self, path: str, start: int, end: int | None) -> bytes:
        """See `kist.stores.other.channels.Channel`; what is not wanted is not read."""
        if end is not None and end <= start:
            return b""
        wanted = None if end is None else end - start
        try:
            conn = self._ftp.transfercmd(f"RETR {path}", rest=start or None)
        except ftplib.Error as error:
            found = self.stat(path)
            if found.folder:
                raise FileNotFoundError(path) from error
            if start and found.size_bytes <= start:  # some refuse to start behind the end
                return b""
            raise
        with self._transfer(conn):
            content = _receive(conn, wanted)
            if wanted is not None and len(content) >= wanted and conn.recv(1):
                self._cut_off(conn)
            else:
                _finish(conn)
                self._ftp.voidresp()
        return content

    def write(self, path: str, feed: Feed) -> None:
        """See `kist.stores.other.channels.Channel`.

        Some servers find out only in the end that there is no such folder, or never: so it is looked for first.
        """
        above = path.rpartition("/")[0]
        if above and not self.stat(above).folder:
            raise NotADirectoryError(above)
        try:
            conn = self._ftp.transfercmd(f"STOR {path}")
            with self._transfer(conn):
                for piece in feed:
                    conn.sendall(piece)
                _finish(conn)
                self._ftp.voidresp()
        except ftplib.Error as error:
            raise _meant(error) from error

    def rename(self, path: str, target: str) -> None:
        """See `kist.stores.other.channels.Channel`."""
        try:
            self._ftp.rename(path, target)
        except ftplib.error_perm as error:
            with contextlib.suppress(FileNotFoundError):
                self.stat(path)  # else it is this one that is missing
                if self.stat(target).folder:
                    raise IsADirectoryError(target) from error
                raise FileExistsError(target) from error
            raise

    def remove(self, path: str) -> None:
        """See `kist.stores.other.channels.Channel`."""
        try:
            self._ask(f"DELE {path}")
        except (ftplib.Error, OSError):
            if self.stat(path).folder:
                raise IsADirectoryError(path) from None
            raise

    def make_folder(self, path: str) -> None:
        """See `kist.stores.other.channels.Channel`."""
        try:
            self._ask(f"MKD {path}")
        except (ftplib.Error, FileNotFoundError) as error:  # "not found" is what 550 is taken for
            with contextlib.suppress(FileNotFoundError):
                self.stat(path)
                raise FileExistsError(path) from error
            raise

    def remove_folder(self, path: str) -> None:
        """See `kist.stores.other.channels.Channel`."""
        self._ask(f"RMD {path}")

    def close(self) -> None:
        """See `kist.stores.other.channels.Channel`."""
        with contextlib.suppress(Exception):
            if not self.broken:
                self._ftp.sendcmd("QUIT")
        self.broken = True
        with contextlib.suppress(Exception):
            self._ftp.close()

    def _ask(self, command: str) -> str:
        try:
            return self._ftp.sendcmd(command)
        except ftplib.Error as error:
            raise _meant(error) from error

    def _enter(self, path: str) -> None:
        self._ask(f"CWD {path or '/'}")

    def _file(self, path: str) -> Entry:
        size = self._ask(f"SIZE {path}").partition(" ")[2]
        return Entry(name=path.rpartition("/")[2], folder=False, size_bytes=int(size), modified=self._time(path))

    def _time(self, path: str) -> datetime:
        try:
            return _time(self._ask(f"MDTM {path}").partition(" ")[2])
        except ftplib.error_perm:
            return unknown_time()

    def _by_list(self, path: str, lines: list[str]) -> Iterator[Entry]:
        for line in lines:
            found = _LISTED.fullmatch(line)
            if found is None or found[3] in {".", ".."}:
                continue
            kind, size, name = found.groups()
            if kind == "d":
                yield _folder(name)
            elif kind == "-":
                yield Entry(name=name, folder=False, size_bytes=int(size), modified=self._time(f"{path}/{name}"))

    def _lines(self, command: str) -> list[str]:
        """Return the lines of a listing, without those that are no text."""
        try:
            conn = self._ftp.transfercmd(command)
        except ftplib.Error as error:
            raise _meant(error) from error
        with self._transfer(conn):
            content = _receive(conn, None)
            _finish(conn)
            self._ftp.voidresp()
        end = b"\r\n" if b"\r\n" in content else b"\n"  # else a line feed may be part of a name
        return [text for line in content.split(end) if (text := _text(line))]

    def _cut_off(self, conn: socket.socket) -> None:
        """End a transfer of which nothing more is wanted; the server may call that an error."""
        conn.close()
        with contextlib.suppress(ftplib.error_temp, ftplib.error_perm):
            self._ftp.voidresp()
        if reply_code(Exception(self._ftp.sendcmd("NOOP"))) != 200:  # noqa: PLR2004  anything else is a late word on the transfer
            self.broken = True

    @contextlib.contextmanager
    def _transfer(self, conn: socket.socket) -> Iterator[None]:
        """Close a data connection at the end; after an error nobody knows what the server will say next."""
        try:
            yield
        except (ftplib.error_temp, ftplib.error_perm):
            raise  # it has just said it
        except BaseException:
            self.broken = True
            raise
        finally:
            conn.close()


def _features(ftp: ftplib.FTP) -> frozenset[str]:
    """Return what the server says it can do."""
    try:
        lines = ftp.sendcmd("FEAT").splitlines()[1:-1]
    except ftplib.Error:
        return frozenset()
    found = frozenset(line.strip().partition(" ")[0].upper() for line in lines)
    if "UTF8" in found:
        with contextlib.suppress(ftplib.Error):
            ftp.sendcmd("OPTS UTF8 ON")
    return found


def _meant(error: ftplib.Error) -> Exception:
    """Return the built-in error for a reply that says that something is not there."""
    code = reply_code(error)
    if code in _MISSING_FILE and not refuses_access(error):
        return FileNotFoundError(str(error))
    return error


def _by_facts(name: str, facts: str) -> Entry | None:
    """Return what the facts of MLSD tell; None if it is neither file nor folder below."""
    known = {key.lower(): value for key, _, value in (fact.partition("=") for fact in facts.split(";"))}
    kind = known.get("type", "").lower()
    if kind == "dir":
        return _folder(name)
    if kind != "file" or not known.get("size", "").isdecimal():
        return None
    return Entry(name=name, folder=False, size_bytes=int(known["size"]), modified=_time(known.get("modify", "")))


def _folder(name: str) -> Entry:
    return Entry(name=name, folder=True, size_bytes=0, modified=unknown_time())


def _time(text: str) -> datetime:
    try:
        return datetime.strptime(text.strip().partition(".")[0], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return unknown_time()


def _text(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return ""


def _receive(conn: socket.socket, wanted: int | None) -> bytes:
    """Read until the end, or as many bytes as wanted."""
    parts: list[bytes] = []
    missing = wanted
    while missing is None or missing > 0:
        part = conn.recv(_BLOCK_BYTES if missing is None else min(_BLOCK_BYTES, missing))
        if not part:
            break
        parts.append(part)
        if missing is not None:
            missing -= len(part)
    return b"".join(parts)


def _finish(conn: socket.socket) -> None:
    """End a data connection in an orderly way, so that the other side knows that nothing is missing."""
    if isinstance(conn, ssl.SSLSocket):
        with contextlib.suppress(OSError):
            conn.unwrap()
    conn.close()
