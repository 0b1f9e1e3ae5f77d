"""URLs and options of servers of files."""

import subprocess
import sys

import pytest

from kist.errors import InvalidInput
from kist.stores.other import open_other
from kist.stores.other.options import parse
from kist.stores.urls import open_store


@pytest.mark.parametrize(
    ("url", "options", "words"),
    [
        ("sftp://me:hidden@host/x", {}, "password does not belong"),
        ("ftp://host/x?y", {}, "write them as %3F"),
        ("ftp:///x", {}, "names no host"),
        ("ftp://host:99999/x", {}, "is no URL"),
        ("ftp://host/a//b", {}, "no key"),
        ("ftp://host/a/../b", {}, "no key"),
        ("sftp://host", {"colour": "red"}, "colour; it takes agent"),
        ("sftp://host", {"username": 3}, "username is a text"),
        ("sftp://host", {"host_key_policy": "warning"}, "one of 'reject', 'auto_add'"),
        ("ftp://host", {"port": 0}, "port is a number"),
        ("ftp://host", {"port": "x"}, "port is a number"),
        ("ftp://host", {"timeout_seconds": -1}, "timeout_seconds is a number"),
        ("webdav://host", {"auth": "ntlm"}, "auth is one of"),
        ("sftp://host", {"agent": "perhaps"}, "agent is true or false"),
    ],
)
def test_what_makes_no_sense_is_refused(url: str, options: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as caught:
        open_store(url, create=False, **options)
    assert "hidden" not in str(caught.value)


def test_a_root_is_decoded_once() -> None:
    assert parse("ftp://host/a%20b/%2525/", {}).root == "/a b/%25"
    assert parse("ftp://host", {}).root == "/"


def test_options_that_are_none_are_not_there() -> None:
    assert not parse("ftp://host", {"password": None}).secret
    assert parse("ftp://host", {"password": "x"}).secret


def test_no_secret_is_shown() -> None:
    for url in ("sftp://me@host/x", "ftp://host/x", "webdavs://host/x"):
        store = open_other(url, create=False, password="very-secret-word")
        assert "very-secret-word" not in f"{store!r} {parse(url, {'password': 'very-secret-word'})!r}"


def test_a_missing_library_is_told() -> None:
    code = (
        "import sys; sys.modules['paramiko'] = None\n"
        "from kist.stores.urls import open_store\n"
        "try: open_store('sftp://host/x')\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith("Unsupported")
    assert "pip install 'kist[sftp]'" in done.stdout


def test_opening_loads_no_library_of_another_scheme() -> None:
    code = (
        "import sys; from kist.stores.urls import open_store; open_store('ftp://host/x')\n"
        "print([name for name in ('paramiko', 'fsspec', 'obstore', 'boto3') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"
