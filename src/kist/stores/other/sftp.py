"""Files over SSH, by paramiko.

The server must prove who it is: its key stands in a file of known hosts, or is trusted when it is first seen and written there
(``host_key_policy="auto_add"``); another key than the known one is always refused. Paths start at ``/``, or with ``~/`` at the user's home.
A file appears under its name by posix-rename, in one step; a free name is taken by a hard link, which of many writers one gets.
"""

import contextlib
import errno
import os
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, override

import paramiko  # type: ignore[import-untyped]  # it has no types
from paramiko.hostkeys import HostKeyEntry, InvalidHostKey  # type: ignore[import-untyped]  # as above
from paramiko.sftp import CMD_CLOSE, CMD_EXTENDED, CMD_OPENDIR, CMD_READDIR  # type: ignore[import-untyped]  # as above

from kist.stores.other.channels import Entry, Feed, unknown_time
from kist.stores.other.errors import HostKeyError

__all__ = ["SYSTEM_KNOWN_HOSTS", "USER_KNOWN_HOSTS", "SftpChannel", "SftpLogin"]

USER_KNOWN_HOSTS: Final = "~/.ssh/known_hosts"
SYSTEM_KNOWN_HOSTS: Final = "/etc/ssh/ssh_known_hosts"
SSH_PORT: Final = 22
_BLOCK_BYTES: Final = 32 << 10
"""What every server takes and gives in one message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SftpLogin:
    """Whom to connect to, and as whom."""

    host: str
    port: int = SSH_PORT
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    key_filename: str | None = None
    passphrase: str | None = field(default=None, repr=False)
    known_hosts: str | None = None
    trust_first: bool = False
    agent: bool = True
    connect_timeout_seconds: float
    timeout_seconds: float

    def connect(self) -> "SftpChannel":
        """Open a connection."""
        client = paramiko.SSHClient()
        try:
            self._know_hosts(client)
            client.connect(
                self.host,
                port=self.port,
                username=self.username,
                password=self.password,
                key_filename=os.path.expanduser(self.key_filename) if self.key_filename else None,
                passphrase=self.passphrase,
                allow_agent=self.agent,
                look_for_keys=self.agent,
                timeout=self.connect_timeout_seconds,
                banner_timeout=self.connect_timeout_seconds,
                auth_timeout=self.connect_timeout_seconds,
                channel_timeout=self.connect_timeout_seconds,
            )
            sftp = client.open_sftp()
            sftp.get_channel().settimeout(self.timeout_seconds)
        except BaseException:
            client.close()
            raise
        return SftpChannel(client, sftp)

    def _know_hosts(self, client: paramiko.SSHClient) -> None:
        own = os.path.expanduser(self.known_hosts or USER_KNOWN_HOSTS)
        files = [own] if self.known_hosts else [own, SYSTEM_KNOWN_HOSTS]
        for name in files:
            if os.path.exists(name):
                _load(name, client.get_host_keys())
            elif self.known_hosts and not self.trust_first:
                raise HostKeyError(f"there is no file {name!r} of known hosts")
        client.set_missing_host_key_policy(_Remember(own) if self.trust_first else _Refuse(own))


def _load(file: str, known: paramiko.HostKeys) -> frozenset[str]:
    """Read a file of known hosts, and return the keys that it calls revoked.

    Lines that paramiko does not understand are passed over: by itself it would give up on the whole file.
    """
    with open(file, encoding="utf-8", errors="replace") as lines:
        said = list(lines)
    revoked = frozenset(words[3] for line in said if (words := line.split())[:1] == ["@revoked"] and len(words) > 3)  # noqa: PLR2004
    for line in said:
        with contextlib.suppress(paramiko.SSHException, InvalidHostKey):
            entry = None if line.startswith("@") else HostKeyEntry.from_line(line)
            if entry and entry.key.get_base64() not in revoked:
                for name in entry.hostnames:
                    known.add(name, entry.key.get_name(), entry.key)
    return revoked


class _Refuse(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]  # paramiko has no types
    """Talk to nobody who is not known."""

    def __init__(self, file: str) -> None:
        self.file = file

    @override
    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        raise HostKeyError(
            f"its {key.get_name()} host key {_fingerprint(key)} is not in {self.file}: compare it with what its owner says and add it "
            f"(ssh-keyscan), or trust it this once with host_key_policy='auto_add'"
        )


class _Remember(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]  # paramiko has no types
    """Trust whom we meet for the first time, and write a line: paramiko's own policy forgets, or rewrites the whole file."""

    _lock = threading.Lock()

    def __init__(self, file: str) -> None:
        self.file = file

    @override
    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        line = f"{hostname} {key.get_name()} {key.get_base64()}\n"
        with self._lock:
            known, revoked = paramiko.HostKeys(), frozenset[str]()
            if os.path.exists(self.file):
                revoked = _load(self.file, known)
            if key.get_base64() in revoked:
                raise HostKeyError(f"its {key.get_name()} host key {_fingerprint(key)} is revoked in {self.file}")
            if known.lookup(hostname) is not None and not known.check(hostname, key):
                raise HostKeyError(f"its {key.get_name()} host key {_fingerprint(key)} is not the one that {self.file} says")
            if not known.check(hostname, key):
                os.makedirs(os.path.dirname(self.file) or ".", mode=0o700, exist_ok=True)
                with open(self.file, "a+b") as file:
                    size = file.seek(0, os.SEEK_END)
                    file.seek(max(0, size - 1))
                    file.write((b"\n" if file.read(1) not in {b"", b"\n"} else b"") + line.encode())


class SftpChannel:
    """One SSH connection with one SFTP session on it."""

    trusted = True
    renames = True

    def __init__(self, client: paramiko.SSHClient, sftp: paramiko.SFTPClient) -> None:
        self._client, self._sftp = client, sftp

    @property
    def broken(self) -> bool:
        """See `kist.stores.other.channels.Channel`."""
        transport = self._client.get_transport()
        return transport is None or not transport.is_active()

    def stat(self, path: str) -> Entry:
        """See `kist.stores.other.channels.Channel`; a link is what it leads to."""
        found = self._sftp.stat(path or "/")
        return _entry(path.rpartition("/")[2], found)

    def entries(self, path: str) -> list[Entry]:
        """See `kist.stores.other.channels.Channel`; links to folders are left out, for they may lead in a circle."""
        return list(self._entries(path))

    def read(self, path: str, start: int, end: int | None) -> bytes:
        """See `kist.stores.other.channels.Channel`; many blocks are asked for at once."""
        with self._sftp.open(path, "rb") as file:
            meta = file.stat()
            if stat.S_ISDIR(meta.st_mode or 0):
                raise IsADirectoryError(errno.EISDIR, "it is a folder")
            size = meta.st_size or 0
            end = size if end is None else min(end, size)
            blocks = [(at, min(_BLOCK_BYTES, end - at)) for at in range(start, end, _BLOCK_BYTES)]
            content = b"".join(file.readv(blocks)) if blocks else b""
        if len(content) != max(0, end - start):
            raise OSError(errno.EIO, f"{end - start} bytes were announced and {len(content)} came")
        return content

    def write(self, path: str, feed: Feed) -> None:
        """See `kist.stores.other.channels.Channel`; where the server can, the bytes are on its disk afterwards."""
        with self._sftp.open(path, "wxb", bufsize=0) as file:
            file.set_pipelined(True)
            for piece in feed:
                file.write(piece)
            file.set_pipelined(False)
            with contextlib.suppress(OSError):  # an extension; without it the server's own habits decide
                self._extended("fsync@openssh.com", file.handle)

    def rename(self, path: str, target: str) -> None:
        """See `kist.stores.other.channels.Channel`; a server without posix-rename has a rename that does not replace."""
        try:
            self._sftp.posix_rename(path, target)
        except FileNotFoundError:
            raise
        except OSError as error:
            if not _unknown(error):
                self._refuse_folder(target)
                raise
            self._rename_to_free(path, target)

    def link(self, path: str, target: str) -> None:
        """Give a file a second name, which must be free: `FileExistsError` if it is not."""
        try:
            self._extended("hardlink@openssh.com", path.encode(), target.encode())
        except FileNotFoundError:
            raise
        except OSError as error:
            if _unknown(error):
                raise NotImplementedError("the server has no hard links, so of two writers none can be the first") from error
            self._refuse_taken(target)
            raise

    def remove(self, path: str) -> None:
        """See `kist.stores.other.channels.Channel`."""
        try:
            self._sftp.remove(path)
        except FileNotFoundError:
            raise
        except OSError:
            self._refuse_folder(path)
            raise

    def make_folder(self, path: str) -> None:
        """See `kist.stores.other.channels.Channel`."""
        try:
            self._sftp.mkdir(path)
        except FileNotFoundError:
            raise
        except OSError:
            self._refuse_taken(path)
            raise

    def remove_folder(self, path: str) -> None:
        """See `kist.stores.other.channels.Channel`."""
        try:
            self._sftp.rmdir(path)
        except FileNotFoundError:
            raise
        except OSError as error:
            if self._sftp.listdir_attr(path):
                raise OSError(errno.ENOTEMPTY, "the folder is not empty") from error
            raise

    def close(self) -> None:
        """See `kist.stores.other.channels.Channel`."""
        with contextlib.suppress(Exception):
            self._client.close()

    def _entries(self, path: str) -> Iterator[Entry]:
        for name, found in self._listed(path):
            meta = found
            linked = stat.S_ISLNK(meta.st_mode or 0)
            if linked:
                try:
                    meta = self._sftp.stat(f"{path}/{name}")
                except OSError:
                    continue  # it leads nowhere
            mode = meta.st_mode or stat.S_IFREG
            if stat.S_ISREG(mode) or (stat.S_ISDIR(mode) and not linked):
                yield _entry(name, meta)

    def _listed(self, path: str) -> Iterator[tuple[str, paramiko.SFTPAttributes]]:
        """Yield what is in a folder, without names that are no text: paramiko's own listing fails at the first of them."""
        _, answer = self._sftp._request(CMD_OPENDIR, (path or "/").encode())  # noqa: SLF001  the only way
        handle = answer.get_binary()
        try:
            while True:
                _, answer = self._sftp._request(CMD_READDIR, handle)  # noqa: SLF001  the only way
                for _ in range(answer.get_int()):
                    raw, _, meta = answer.get_binary(), answer.get_binary(), paramiko.SFTPAttributes._from_msg(answer)  # noqa: SLF001
                    if not raw:
                        break
                    with contextlib.suppress(UnicodeDecodeError):
                        name = raw.decode()
                        if name not in {".", ".."}:
                            yield name, meta
        except EOFError:
            return  # so the server says that this was all
        finally:
            self._sftp._request(CMD_CLOSE, handle)  # noqa: SLF001  the only way

    def _rename_to_free(self, path: str, target: str) -> None:
        try:
            self._sftp.rename(path, target)
        except FileNotFoundError:
            raise
        except OSError:
            self._refuse_taken(target)
            raise

    def _refuse_taken(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._sftp.stat(path)
            raise FileExistsError(errno.EEXIST, "it is there")

    def _refuse_folder(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            if self.stat(path).folder:
                raise IsADirectoryError(errno.EISDIR, "it is a folder")

    def _extended(self, name: str, *words: bytes) -> None:
        """Ask for something that paramiko has no method for."""
        self._sftp._request(CMD_EXTENDED, name, *words)  # noqa: SLF001  the only way


def _entry(name: str, meta: paramiko.SFTPAttributes) -> Entry:
    time = datetime.fromtimestamp(meta.st_mtime, UTC) if meta.st_mtime is not None else unknown_time()
    return Entry(name=name, folder=stat.S_ISDIR(meta.st_mode or 0), size_bytes=meta.st_size or 0, modified=time)


def _unknown(error: OSError) -> bool:
    """Say whether the server does not know a request; SFTP 3 says so in words alone."""
    return error.errno is None and "unsupported" in str(error).lower()


def _fingerprint(key: paramiko.PKey) -> str:
    return str(key.fingerprint)
