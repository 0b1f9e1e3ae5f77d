"""What servers of files say, in kist's words."""

import errno
import ftplib
import ssl

import httpx
import pytest

from kist.errors import AlreadyExists, Busy, Conflict, Denied, InvalidInput, KistError, NotFound, StoreError, Unauthenticated, Unsupported
from kist.stores.other.errors import Answer, HostKeyError, is_lost, translate

paramiko = pytest.importorskip("paramiko", reason="paramiko is not installed: pip install 'kist[sftp]'")


@pytest.mark.parametrize(
    ("foreign", "expected"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file"), NotFound),
        (PermissionError(errno.EACCES, "Permission denied"), Denied),
        (IsADirectoryError("a"), Conflict),
        (NotADirectoryError("a"), Conflict),
        (FileExistsError("a"), AlreadyExists),
        (NotImplementedError("no"), Unsupported),
        (OSError("Failure"), StoreError),
        (OSError("Operation unsupported"), Unsupported),
        (OSError(errno.ENOSPC, "No space left"), StoreError),
        (OSError(errno.ENOTEMPTY, "not empty"), Conflict),
        (OSError(errno.EROFS, "read only"), Unsupported),
        (TimeoutError("timed out"), StoreError),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), StoreError),
        (EOFError(), StoreError),
        (HostKeyError("unknown"), Denied),
        (ssl.SSLCertVerificationError("self-signed"), Denied),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"), StoreError),
        (ValueError("what"), InvalidInput),
        (RuntimeError("what"), StoreError),
        (ftplib.error_perm("550 No such file or directory."), NotFound),
        (ftplib.error_perm("550 Not enough privileges."), Denied),
        (ftplib.error_perm("530 Login incorrect."), Unauthenticated),
        (ftplib.error_perm("502 Command not implemented."), Unsupported),
        (ftplib.error_perm("552 Quota."), StoreError),
        (ftplib.error_perm("553 Name not allowed."), Denied),
        (ftplib.error_temp("421 Timeout."), StoreError),
        (ftplib.error_proto("?"), StoreError),
        (Answer(401), Unauthenticated),
        (Answer(403), Denied),
        (Answer(404), NotFound),
        (Answer(405), Unsupported),
        (Answer(409), Conflict),
        (Answer(423), Busy),
        (Answer(500), StoreError),
        (Answer(503), Busy),
        (Answer(507), StoreError),
        (httpx.ConnectError("refused"), StoreError),
        (httpx.ReadTimeout("slow"), StoreError),
        (paramiko.AuthenticationException("no"), Unauthenticated),
        (paramiko.PasswordRequiredException("encrypted"), Unauthenticated),
        (paramiko.SSHException("dropped"), StoreError),
    ],
)
def test_each_error_has_a_meaning(foreign: Exception, expected: type[KistError]) -> None:
    error = translate(foreign, "read 'a'")
    assert type(error) is expected
    assert str(error).startswith("can't read 'a': ")


def test_an_error_of_kist_passes() -> None:
    error = Conflict("mine")
    assert translate(error, "read 'a'") is error


@pytest.mark.parametrize(
    ("foreign", "lost"),
    [
        (EOFError(), True),
        (ConnectionResetError(), True),
        (OSError("Socket is closed"), True),
        (paramiko.SSHException("Server connection dropped"), True),
        (ftplib.error_temp("421 Timeout."), True),
        (httpx.RemoteProtocolError("closed"), True),
        (FileNotFoundError("closed.txt"), False),
        (ftplib.error_perm("550 No such file."), False),
        (Answer(500), False),
    ],
)
def test_which_errors_mean_that_the_connection_is_gone(foreign: Exception, lost: bool) -> None:  # noqa: FBT001  a parameter of pytest
    assert is_lost(foreign) is lost
