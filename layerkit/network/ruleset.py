"""The nftables table of layerkit: rules that never change, and two maps of published ports.

    table ip layerkit {
        map ports { type inet_proto . inet_service : ipv4_addr . inet_service }
        map addressed_ports { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service }
        chain …                                                  # as in `chains` below
    }

Publishing a port is one element in one of the maps.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from layerkit.network import addresses
from layerkit.network import nftables as nft

if TYPE_CHECKING:
    from layerkit.network.netlink import Request

TABLE = "layerkit"
PORTS = "ports"
ADDRESSED_PORTS = "addressed_ports"
MARK = "layerkit 1"
"""The comment of every chain: counts up when a rule changes, so that a table of before is replaced."""

CHAINS = {"prerouting": 2, "output": 2, "postrouting": 3, "passing": 4, "guard": 1}
"""How many rules each chain has."""

_INET_PROTO, _INET_SERVICE, _IPV4_ADDR, _TYPE_BITS = 12, 13, 7, 6
_ESTABLISHED_OR_RELATED = 6
_DESTINATION_TRANSLATED = 1 << 5
_SOURCE, _DESTINATION = 12, 16  # in the IPv4 header
_LOOPBACK = b"\x7f"
_NUMBERS = {"tcp": 6, "udp": 17, "sctp": 132}


class Element(NamedTuple):
    """A published port in its map."""

    name: str
    key: bytes
    data: bytes


def element(protocol: str, host: tuple[bytes, int], container: tuple[bytes, int]) -> Element:
    """Send what comes for one address and port to another; no address of the host means any."""
    ip, port = host
    key = struct.pack("=B3x", _NUMBERS[protocol]) + struct.pack(">H2x", port)
    data = struct.pack(">4sH2x", *container)
    return Element(ADDRESSED_PORTS, ip + key, data) if ip else Element(PORTS, key, data)


def definition() -> list[Request]:
    """What makes the table as it should be, whatever there is of it; elements stay."""
    port, proto = (_INET_SERVICE, _INET_PROTO)
    key, data = _joined(proto, port), _joined(_IPV4_ADDR, port)
    addressed = _joined(_IPV4_ADDR, proto, port)
    requests = [
        nft.new_table(TABLE),
        nft.new_map(TABLE, PORTS, (key, data), (8, 8)),
        nft.new_map(TABLE, ADDRESSED_PORTS, (addressed, data), (12, 8)),
    ]
    for name, (base, rules) in chains().items():
        requests += _chain(name, base, rules)
    return requests


def _chain(name: str, base: bytes, rules: list[list[bytes]]) -> list[Request]:
    """A chain made anew: one that is there is deleted, one that is not is made to be deleted."""
    return [
        nft.new_chain(TABLE, name),
        nft.flush_chain(TABLE, name),
        nft.delete_chain(TABLE, name),
        nft.new_chain(TABLE, name, base),
        *(nft.new_rule(TABLE, name, rule) for rule in rules),
    ]


def chains() -> dict[str, tuple[bytes, list[list[bytes]]]]:
    """Where each chain is hooked in, and its rules; the comments have them as nft(8) shows them."""
    return {
        "prerouting": (nft.base("nat", nft.PREROUTING, -100, MARK), _translations()),
        "output": (nft.base("nat", nft.OUTPUT, -100, MARK), _translations()),
        "postrouting": (nft.base("nat", nft.POSTROUTING, 100, MARK), _masquerades()),
        "passing": (nft.base("filter", nft.FORWARD, 0, MARK), _passages()),
        "guard": (nft.base("filter", nft.PREROUTING, -300, MARK), _guards()),
    }


def _translations() -> list[list[bytes]]:
    """Published ports, those of one address first.

    fib daddr type local dnat ip to ip daddr . meta l4proto . th dport map @addressed_ports
    fib daddr type local dnat ip to meta l4proto . th dport map @ports
    """
    first, second, third = nft.REGISTERS
    address = nft.payload(nft.NETWORK_HEADER, _DESTINATION, 4, first)
    return [
        [nft.to_local_address(), address, *_port(second, third), nft.translate_by(ADDRESSED_PORTS)],
        [nft.to_local_address(), *_port(first, second), nft.translate_by(PORTS)],
    ]


def _masquerades() -> list[list[bytes]]:
    """The way out, a port published to localhost, and a container that asks for a port of the host.

    ip saddr 10.99.0.0/16 oifname != "lk0" masquerade
    ip saddr 127.0.0.0/8 oifname "lk0" masquerade
    ip saddr 10.99.0.0/16 ip daddr 10.99.0.0/16 ct status dnat masquerade

    The last one is without iifname, which br_netfilter leaves empty.
    """
    return [
        [*_ours(_SOURCE), *_interface(nft.OIFNAME, nft.NEQ), nft.masquerade()],
        [*_address(_SOURCE, _LOOPBACK), *_interface(nft.OIFNAME), nft.masquerade()],
        [*_ours(_SOURCE), *_ours(_DESTINATION), *_translated(), nft.masquerade()],
    ]


def _passages() -> list[list[bytes]]:
    """What containers ask for, and of the rest only what was published.

    ct state established,related accept
    oifname "lk0" ct status dnat accept
    iifname "lk0" accept
    oifname "lk0" counter drop
    """
    accept = nft.verdict(nft.ACCEPT)
    return [
        [nft.connection(nft.STATE), nft.any_of(_ESTABLISHED_OR_RELATED), accept],
        [*_interface(nft.OIFNAME), *_translated(), accept],
        [*_interface(nft.IIFNAME), accept],
        [*_interface(nft.OIFNAME), nft.counter(), nft.verdict(nft.DROP)],
    ]


def _guards() -> list[list[bytes]]:
    """A port published to localhost is translated before the kernel would refuse a neighbour's packet.

    iifname != "lo" ip daddr 127.0.0.0/8 counter drop
    """
    from_outside = _interface(nft.IIFNAME, nft.NEQ, "lo")
    to_loopback = _address(_DESTINATION, _LOOPBACK)
    return [[*from_outside, *to_loopback, nft.counter(), nft.verdict(nft.DROP)]]


def _port(first: int, second: int) -> list[bytes]:
    return [nft.meta(nft.L4PROTO, first), nft.payload(nft.TRANSPORT_HEADER, 2, 2, second)]


def _ours(field: int) -> list[bytes]:
    return _address(field, addresses.packed(addresses.NETWORK)[: addresses.PREFIX // 8])


def _address(field: int, prefix: bytes) -> list[bytes]:
    return [nft.payload(nft.NETWORK_HEADER, field, len(prefix)), nft.compare(prefix)]


def _interface(key: int, operation: int = nft.EQ, name: str = addresses.BRIDGE) -> list[bytes]:
    return [nft.meta(key), nft.compare(name.encode().ljust(16, b"\0"), operation)]


def _translated() -> list[bytes]:
    return [nft.connection(nft.STATUS), nft.any_of(_DESTINATION_TRANSLATED)]


def _joined(*types: int) -> int:
    """The number of a type of several fields, as nft(8) builds it."""
    joined = 0
    for each in types:
        joined = joined << _TYPE_BITS | each
    return joined
