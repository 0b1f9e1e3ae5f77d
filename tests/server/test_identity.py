"""Whose request it is: by its address, and by the page that made a browser send it."""

import ipaddress

import pytest
from starlette.requests import HTTPConnection

from kist.errors import Denied
from kist.server.identity import address_of, check_same_origin

PROXIES = tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "fd00::/8")))


def request(client: str = "192.0.2.1", method: str = "POST", **headers: str) -> HTTPConnection:
    """A request as the server gets it."""
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return HTTPConnection({"type": "http", "method": method, "client": (client, 1), "headers": named})


@pytest.mark.parametrize(
    ("client", "said", "address"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "203.0.113.9, 198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "203.0.113.9, 198.51.100.7, 10.1.2.3", "198.51.100.7"),
        ("10.0.0.1", "<script>", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.7, unknown", "10.0.0.1"),
        ("::ffff:10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("fd00::1", "2001:db8::7", "2001:db8::7"),
    ],
)
def test_an_address_is_believed_only_from_a_trusted_proxy(client: str, said: str, address: str) -> None:
    headers = {"x_forwarded_for": said} if said else {}
    assert address_of(request(client, **headers), PROXIES) == address


def test_nobody_is_trusted_unless_said() -> None:
    assert address_of(request("127.0.0.1", x_forwarded_for="198.51.100.7"), ()) == "127.0.0.1"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec_fetch_site": "same-origin"},
        {"sec_fetch_site": "none"},
        {"origin": "https://kist.example.org", "host": "kist.example.org"},
        {"origin": "https://KIST.example.org:8443", "host": "kist.example.org:8443"},
    ],
)
def test_what_our_own_pages_send_passes(headers: dict[str, str]) -> None:
    check_same_origin(request(**headers))


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "WHATEVER"])
@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": ""},
        {"sec_fetch_site": "cross-site", "origin": "https://kist.example.org", "host": "kist.example.org"},
        {"origin": "https://evil.example", "host": "kist.example.org"},
        {"origin": "https://kist.example.org.evil.example", "host": "kist.example.org"},
        {"origin": "https://kist.example.org:8443", "host": "kist.example.org"},
        {"origin": "null", "host": "kist.example.org"},
        {"origin": "", "host": "kist.example.org"},
    ],
)
def test_what_another_site_makes_a_browser_send_does_not(method: str, headers: dict[str, str]) -> None:
    with pytest.raises(Denied, match="another site"):
        check_same_origin(request(method=method, **headers))


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_looking_is_free(method: str) -> None:
    check_same_origin(request(method=method, sec_fetch_site="cross-site"))
