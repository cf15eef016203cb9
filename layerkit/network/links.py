"""Interfaces, addresses and routes: requests of rtnetlink(7), and what they are answered with."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, NamedTuple

from layerkit.network.netlink import (
    ACK,
    CREATE,
    EXCL,
    Request,
    attribute,
    attributes,
    nested,
    number,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

PROTOCOL = 0  # NETLINK_ROUTE

FORWARDING = 1
RP_FILTER = 8
ARP_NOTIFY = 22
ROUTE_LOCALNET = 26

_NEWLINK, _DELLINK, _GETLINK = 16, 17, 18
_NEWADDR = 20
_NEWROUTE, _GETROUTE = 24, 26

_IFNAME, _ADDRESS, _MTU, _MASTER, _LINKINFO, _AF_SPEC, _NET_NS_FD = 3, 1, 4, 10, 18, 26, 28
_EXT_MASK, _SKIP_STATS = 29, 8
_INFO_KIND, _INFO_DATA, _INFO_SLAVE_KIND, _INFO_SLAVE_DATA = 1, 2, 4, 5
_PEER = 1
_HAIRPIN = 4  # IFLA_BRPORT_MODE
_INET_CONF = 1
_ADDR_GEN_MODE, _ADDR_GEN_NONE = 8, 1
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RTA_DST, _RTA_OIF, _RTA_GATEWAY = 1, 4, 5
_RT_TABLE_MAIN, _RTPROT_BOOT, _RTN_UNICAST = 254, 3, 1
_IFF_UP = 1

_LINK = struct.Struct("=BxHiII")
_ADDR = struct.Struct("=BBBBI")
_ROUTE = struct.Struct("=BBBBBBBBI")


class Link(NamedTuple):
    """What an interface is like; `inet` has its IPv4 settings, that of number n at n-1."""

    number: int
    mtu: int
    is_up: bool
    inet: tuple[int, ...]
    has_ipv6: bool

    def has(self, settings: Mapping[int, int]) -> bool:
        """Whether the IPv4 settings are these."""
        return all(self.inet[kind - 1] == value for kind, value in settings.items())


def get_link(name: str = "", index: int = 0) -> Request:
    """Ask for an interface by its name, or by its number."""
    named = number(_EXT_MASK, _SKIP_STATS) + (text(_IFNAME, name) if name else b"")
    return Request(_GETLINK, 0, _link(index) + named, f"find {name or index}")


def parse_link(body: bytes) -> Link:
    """The interface in an answer to `get_link`."""
    _family, _kind, index, flags, _change = _LINK.unpack_from(body)
    said = attributes(body[_LINK.size :])
    families = attributes(said.get(_AF_SPEC, b""))
    conf = attributes(families.get(socket.AF_INET, b"")).get(_INET_CONF, b"")
    return Link(
        number=index,
        mtu=struct.unpack("=I", said[_MTU])[0],
        is_up=bool(flags & _IFF_UP),
        inet=struct.unpack(f"={len(conf) // 4}i", conf),
        has_ipv6=socket.AF_INET6 in families,
    )


def new_bridge(name: str, mac: bytes) -> Request:
    """Make a bridge; with an address of its own it keeps that whatever is connected to it."""
    info = nested(_LINKINFO, text(_INFO_KIND, "bridge"))
    body = _link() + text(_IFNAME, name) + attribute(_ADDRESS, mac) + info
    return Request(_NEWLINK, ACK | CREATE | EXCL, body, f"make bridge {name}")


def new_veth(name: str, bridge: int, mtu: int, peer: bytes) -> Request:
    """Make a pair of interfaces, one connected to the bridge, the other as `peer` has it."""
    info = nested(_LINKINFO, text(_INFO_KIND, "veth"), nested(_INFO_DATA, nested(_PEER, peer)))
    here = text(_IFNAME, name) + number(_MTU, mtu) + number(_MASTER, bridge)
    return Request(_NEWLINK, ACK | CREATE | EXCL, _link() + here + info, f"make interface {name}")


def peer(name: str, mac: bytes, mtu: int, namespace: int) -> bytes:
    """The other end of a pair, in the namespace of that descriptor."""
    where = number(_NET_NS_FD, namespace)
    return _link() + text(_IFNAME, name) + attribute(_ADDRESS, mac) + number(_MTU, mtu) + where


def set_up(
    name: str,
    settings: Mapping[int, int] | None = None,
    *,
    ipv6: bool = True,
    hairpin: bool = False,
) -> Request:
    """Turn an interface on, with IPv4 settings; without `ipv6` it makes itself no IPv6 address.

    `hairpin` lets a port of a bridge send frames back to where they came from.
    """
    families = []
    if settings:
        values = (number(kind, value) for kind, value in settings.items())
        families.append(nested(socket.AF_INET, nested(_INET_CONF, *values)))
    if not ipv6:
        families.append(nested(socket.AF_INET6, attribute(_ADDR_GEN_MODE, bytes([_ADDR_GEN_NONE]))))
    body = _link(flags=_IFF_UP) + text(_IFNAME, name)
    body += nested(_AF_SPEC, *families) if families else b""
    body += _bridge_port() if hairpin else b""
    return Request(_NEWLINK, ACK, body, f"turn on {name}")


def _bridge_port() -> bytes:
    data = nested(_INFO_SLAVE_DATA, attribute(_HAIRPIN, b"\1"))
    return nested(_LINKINFO, text(_INFO_SLAVE_KIND, "bridge"), data)


def delete_link(name: str) -> Request:
    """Delete an interface, and with it the other end of its pair."""
    return Request(_DELLINK, ACK, _link() + text(_IFNAME, name), f"delete {name}")


def new_address(index: int, address: bytes, prefix: int) -> Request:
    """Give an interface an IPv4 address; EEXIST where it has it."""
    header = _ADDR.pack(socket.AF_INET, prefix, 0, 0, index)
    body = header + attribute(_IFA_LOCAL, address) + attribute(_IFA_ADDRESS, address)
    what = f"add address {socket.inet_ntoa(address)}/{prefix}"
    return Request(_NEWADDR, ACK | CREATE | EXCL, body, what)


def new_default_route(index: int, gateway: bytes) -> Request:
    """Send what is for nobody near to the gateway."""
    header = _ROUTE.pack(socket.AF_INET, 0, 0, 0, _RT_TABLE_MAIN, _RTPROT_BOOT, 0, _RTN_UNICAST, 0)
    body = header + attribute(_RTA_GATEWAY, gateway) + number(_RTA_OIF, index)
    what = f"add default route by {socket.inet_ntoa(gateway)}"
    return Request(_NEWROUTE, ACK | CREATE | EXCL, body, what)


def get_route(address: bytes) -> Request:
    """Ask which way packets to an IPv4 address take."""
    header = _ROUTE.pack(socket.AF_INET, 32, 0, 0, 0, 0, 0, 0, 0)
    body = header + attribute(_RTA_DST, address)
    return Request(_GETROUTE, 0, body, f"find the way to {socket.inet_ntoa(address)}")


def parse_route(body: bytes) -> int:
    """The number of the interface in an answer to `get_route`."""
    index: int = struct.unpack("=I", attributes(body[_ROUTE.size :])[_RTA_OIF])[0]
    return index


def _link(index: int = 0, flags: int = 0) -> bytes:
    return _LINK.pack(socket.AF_UNSPEC, 0, index, flags, flags)
