"""Where requests go: which scheme a registry gets, and which redirects may be followed (pure).

Plain HTTP is for this machine only. What a server names as the next address (a redirect, the realm
of a token server) never leads from https to http, nor from elsewhere to this machine or its link:
otherwise any registry could make its clients ask services that only they can reach.
"""

from __future__ import annotations

import re
import socket
import string
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import quote, urldefrag, urljoin, urlsplit

_PORTS = {"http": 80, "https": 443}
_HOSTNAME = re.compile(r"[a-z0-9_][a-z0-9._-]*", re.ASCII)
_WITH_PORT = re.compile(r"(?P<host>\[.*\]|[^:]*):(?P<port>[0-9]{1,5})", re.ASCII)
_NUMBERS = re.compile(r"[0-9a-fx.]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host (lower case, IPv6 without brackets) and port: whom a credential is bound to."""

    scheme: str
    host: str
    port: int

    @property
    def name(self) -> str:
        """The host as people write it, with the port where it is not the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def origin(url: str) -> Origin:
    """The origin of `url`; `ValueError` says, without showing it, why it has none."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme not in _PORTS:
        raise ValueError(f"scheme {parts.scheme[:20]!r} is neither http nor https")
    if "@" in parts.netloc:
        raise ValueError("it has credentials in it")
    if _HOSTNAME.fullmatch(host) is None and not isinstance(_literal(host), IPv6Address):
        raise ValueError("it names no valid host")
    return Origin(parts.scheme, host, parts.port or _PORTS[parts.scheme])


def follow(base: str, location: str) -> str:
    """The URL that `location` (as a header has it: Latin-1) means, seen from `base`.

    `ValueError` says why it must not be asked.
    """
    if not location:
        raise ValueError("it names no address")
    # Escapes stay as they are: a signature may cover them.
    target = urljoin(base, quote(location.encode("latin-1", "replace"), safe=string.punctuation))
    here, there = origin(base), origin(target)
    if here.scheme == "https" and there.scheme == "http":
        raise ValueError(f"{there.name} would be asked without TLS")
    if is_local(there.host) and not is_local(here.host):
        raise ValueError(f"{there.name} is an address of this machine or its link")
    return urldefrag(target).url


def is_loopback(host: str) -> bool:
    """Whether `host` is `localhost` or a plain loopback address."""
    try:
        return host.lower() == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def is_local(host: str) -> bool:
    """Whether `host` in any spelling is this machine or its link (cloud metadata)."""
    host = host.lower().rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _literal(host)
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address
    return address is not None and (
        address.is_loopback or address.is_link_local or address.is_unspecified
    )


def goes_direct(there: Origin, no_proxy: str) -> bool:
    """Whether no proxy is between us and `there`: never to this machine, nor to what is listed.

    `no_proxy` is a list of hosts, `.domains`, addresses, networks, each with a port or none, or
    `*`, as most programs read `NO_PROXY`.
    """
    entries = filter(None, (entry.strip().lower() for entry in no_proxy.split(",")))
    return is_loopback(there.host) or any(_is_listed(there, entry) for entry in entries)


def _is_listed(there: Origin, entry: str) -> bool:
    if entry == "*":
        return True
    match = _WITH_PORT.fullmatch(entry)
    host, port = (match["host"], int(match["port"])) if match else (entry, there.port)
    host = host.strip("[]").removeprefix("*")
    try:
        listed = ip_address(there.host) in ip_network(host, strict=False)
    except ValueError:
        listed = there.host == host or there.host.endswith(f".{host.lstrip('.')}")
    return listed and port == there.port


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        pass
    if _NUMBERS.fullmatch(host) is None:
        return None
    try:  # the resolver takes 127.1, 0x7f.1 and 2130706433 too
        return IPv4Address(socket.inet_aton(host))
    except OSError:
        return None
