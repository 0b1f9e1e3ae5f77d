"""Which hosts a server may be sent to by those who use it: public ones, and those that its admin lists.

An address may be written in many ways and hidden in others, so each is brought to one form first. A name is looked up when it is used, and
every address that it has counts. An endpoint that is not listed must speak TLS too: whoever answers there proves the name, so a name that
changes its address in between leads nowhere, and no redirection ends at a plain server inside.
"""

import ipaddress
import re
import socket
import threading
from collections.abc import Callable, Collection
from typing import Final
from urllib.parse import urlsplit

from kist.errors import Denied, InvalidInput, StoreError

__all__ = ["addresses_of", "canonical", "check_host", "check_url", "is_listed", "is_public"]

LOOKUP_SECONDS: Final = 10
_NAME: Final = re.compile(r"(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*")
_NUMBERS: Final = re.compile(r"[0-9a-fx.]+")
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_NAT64_LOCAL: Final = ipaddress.ip_network("64:ff9b:1::/48")
_COMPATIBLE: Final = ipaddress.ip_network("::/96")
_TRANSLATED: Final = ipaddress.ip_network("::ffff:0:0:0/96")

type Address = ipaddress.IPv4Address | ipaddress.IPv6Address
type LookUp = Callable[[str, int], list[Address]]


def canonical(host: str) -> str | None:
    """Return a host in its one spelling; this machine is ``localhost`` by whatever address; None if it is no host."""
    name = host.strip("[]").lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return "localhost"
    address = _literal(name)
    if address is not None:
        inner = _inner(address)
        return "localhost" if any(one.is_loopback or one.is_unspecified for one in (address, inner)) else str(inner)
    return name if _NAME.fullmatch(name) else None


def is_public(address: Address) -> bool:
    """Say whether an address, and one that it wraps, is reached from everywhere."""
    inner = _inner(address)
    if isinstance(inner, ipaddress.IPv6Address) and inner in _NAT64_LOCAL:
        return False
    return inner.is_global and not (inner.is_multicast or inner.is_reserved or inner.is_unspecified)


def is_listed(host: str, port: int, listed: Collection[str]) -> bool:
    """Say whether the admin lets a host be used whatever its address."""
    found = canonical(host)
    for entry in listed:
        if entry == "*":
            return True
        name, _, only = entry.rpartition(":") if re.fullmatch(r"(\[.*\]|[^:]*):[0-9]+", entry) else (entry, "", "")
        if canonical(name) == found and only in {"", str(port)}:
            return True
    return False


def check_url(url: str, listed: Collection[str], *, look_up: "LookUp | None") -> None:
    """Refuse the address of a service that this server must not send to; names are looked up if `look_up` (`addresses_of`) is given.

    Raises:
        Denied: it is not listed, and not public or in the clear.
        StoreError: nobody knows the name.
    """
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    host = parts.hostname or ""
    if is_listed(host, port, listed):
        return
    if parts.scheme != "https":
        raise Denied(f"{host} is not on this server's list of endpoints, and so is used over https only: {_ASK}")
    check_host(host, port, listed, look_up=look_up)


def check_host(host: str, port: int, listed: Collection[str], *, look_up: "LookUp | None") -> None:
    """Refuse a host that this server must not connect to.

    Raises:
        Denied: it is not listed, and not public.
        InvalidInput: it is no host.
        StoreError: nobody knows the name.
    """
    if is_listed(host, port, listed):
        return
    name = canonical(host)
    if name is None:
        raise InvalidInput("the address names no host: write https://host:port")
    literal = None if name == "localhost" else _literal(name)
    if name == "localhost" or (literal is not None and not is_public(literal)):
        raise Denied(f"{host} is no public address: {_ASK}")
    if literal is None and "." not in name:
        raise Denied(f"{host} is a name of this network only: {_ASK}")
    if literal is None and look_up and not all(map(is_public, look_up(name, port))):
        raise Denied(f"{host} leads to an address that is not public: {_ASK}")


def addresses_of(name: str, port: int) -> list[Address]:
    """Look a name up, in bounded time.

    Raises:
        StoreError: nobody knows it, or nobody answers.
    """
    found: list[Address] = []
    failed: list[OSError | UnicodeError] = []

    def look_up() -> None:
        try:
            answers = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            failed.append(error)
        else:
            found.extend(ipaddress.ip_address(str(answer[4][0]).partition("%")[0]) for answer in answers)

    thread = threading.Thread(target=look_up, daemon=True, name="look-up")
    thread.start()
    thread.join(LOOKUP_SECONDS)
    if not found:
        why = failed[0] if failed else f"no answer within {LOOKUP_SECONDS} seconds"
        raise StoreError(f"the name {name} could not be looked up ({why}): is it right, and is there a network?")
    return found


_ASK = "if it is to be used, the server's admin adds it to `endpoints` in the settings"


def _literal(name: str) -> Address | None:
    """Return the address that a text is, in any of its spellings; None if it is a name."""
    try:
        return ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        pass
    if not _NUMBERS.fullmatch(name):
        return None
    try:
        return ipaddress.ip_address(socket.inet_aton(name))  # 127.1, 2130706433, 0x7f000001, 0177.0.0.1
    except (OSError, ValueError):
        return None


def _inner(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address wraps, else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    wrapped = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
    if wrapped is not None:
        return wrapped
    if address in _NAT64 or address in _TRANSLATED or (address in _COMPATIBLE and int(address) > 1):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address
