"""The way out: which addresses may be asked, and sockets that go to exactly the address that was checked."""

import ipaddress
import re
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpcore

from scrapers.errors import Blocked

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

Resolve = Callable[[str, int], Sequence[str]]
"""Host and port to IP addresses, in the order in which to try them. Raises OSError."""

_HOST = r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"
_PLAIN = re.compile(rf"https://(?P<host>{_HOST})(?::443)?(?P<rest>[/?#].*)?", re.IGNORECASE | re.ASCII)
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f\\]")
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(block)
    for block in (
        "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 192.31.196.0/24 "
        "192.52.193.0/24 192.88.99.0/24 192.168.0.0/16 192.175.48.0/24 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/3 "
        "2001::/23 2001:db8::/32 2002::/16 2620:4f:8000::/48 3fff::/20"
    ).split()
)
"""IANA's special-purpose blocks: private, shared, reserved, documentation, multicast, and tunnels that hide another address."""


@dataclass(frozen=True, slots=True)
class Address:
    """An address that may be asked. url is written plainly: lower-case host, no port, always a path, no fragment."""

    host: str
    url: str


def admitted(url: str, hosts: Collection[str]) -> Address:
    """The address to ask. Raises Blocked unless it is https to a listed host, by name, on the standard port, without user or password."""
    found = None if _UNPRINTABLE.search(url) else _PLAIN.fullmatch(url)
    host = found["host"].lower() if found else ""
    if not found or host not in hosts:
        raise Blocked(f"{shown(url)}: only https to {', '.join(sorted(hosts))} is allowed")
    rest = (found["rest"] or "").partition("#")[0]
    return Address(host, f"https://{host}{rest if rest.startswith('/') else f'/{rest}'}")


def shown(url: str) -> str:
    """Scheme, host and path: what may be logged."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that does not parse"
    return f"{parts.scheme}://{parts.hostname}{parts.path}"[:300]


def host_of(url: str) -> str:
    """The host that an address names, lower case; empty without one. Raises ValueError for an address that does not parse."""
    return urlsplit(url).hostname or ""


def is_loopback(url: str) -> bool:
    """Whether an address leads to this machine."""
    host = host_of(url)
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet, also the one inside a v4-mapped or NAT64 address."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.scope_id is not None:
            return False
        inner = ip.ipv4_mapped or (ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else None)
        if inner is None and ip not in _GLOBAL_UNICAST:
            return False
        ip = inner or ip
    return not any(ip in block for block in _NOT_PUBLIC if block.version == ip.version)


def system_addresses(host: str, port: int) -> list[str]:
    """What the system's resolver says."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


class Deadline:
    """The instant by which the request of the present thread must be over, for every socket operation of it."""

    def __init__(self) -> None:
        self._of_thread = threading.local()

    @contextmanager
    def within(self, seconds: float) -> "Iterator[None]":
        """Limit what the block does to so many seconds in all."""
        self._of_thread.at = time.monotonic() + seconds
        try:
            yield
        finally:
            self._of_thread.at = None

    def left(self, timeout: float | None) -> float | None:
        """The timeout, or what is left if that is less. Raises httpcore.ReadTimeout when nothing is left."""
        at = getattr(self._of_thread, "at", None)
        if at is None:
            return timeout
        left: float = at - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the time for the whole request is used up")
        return left if timeout is None else min(timeout, left)


class GuardedBackend(httpcore.NetworkBackend):
    """Opens connections for httpcore's pool: resolves a name once, refuses it if any of its addresses is not public, and connects to
    one of those very addresses. TLS is checked against the name, since httpcore takes that from the request.

    local: (host, port) of the doubles on this machine, which need no check.
    """

    def __init__(self, *, local: Collection[tuple[str, int]], deadline: Deadline, resolve: Resolve = system_addresses) -> None:
        self._local, self._deadline, self._resolve = frozenset(local), deadline, resolve
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """A connection to the first address of the host that accepts one."""
        addresses = [host] if (host, port) in self._local else self._checked(host, port)
        failed: Exception = httpcore.ConnectError("no address")
        for address in addresses:
            try:
                stream = self._sockets.connect_tcp(address, port, self._deadline.left(timeout), local_address, socket_options)
                return _TimedStream(stream, self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed

    def _checked(self, host: str, port: int) -> Sequence[str]:
        try:
            addresses = self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"the name does not resolve ({type(error).__name__})") from error
        private = [address for address in addresses if not is_public(address)]
        if private:
            raise Blocked(f"{host} leads to {private[0]}, which is no public address", "private")
        return addresses


class _TimedStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: "ssl.SSLContext", server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _TimedStream(self._stream.start_tls(ssl_context, server_hostname, self._deadline.left(timeout)), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
