"""The addresses of the bridge, as numbers; who has which is known by the kernel alone.

The host's end of a container's veth pair is named after the container's address, and two interfaces
cannot have one name: making it is what takes the address, and its end is what gives it back.
"""

from __future__ import annotations

import socket
import struct

BRIDGE = "lk0"
PREFIX = 16
NETWORK = 0x0A630000  # 10.99.0.0
GATEWAY = NETWORK + 1
_FIRST = NETWORK + 2
_COUNT = (1 << (32 - PREFIX)) - 3
"""Without the network's own address, the gateway's and the broadcast address."""


def candidate(chance: int) -> int:
    """The address that a random number stands for: one given back is not soon another's."""
    return _FIRST + chance % _COUNT


def interface(address: int) -> str:
    """The name of the host's end of the pair for this address."""
    return f"lk{address:08x}"


def packed(address: int) -> bytes:
    """The four bytes of an address."""
    return struct.pack(">I", address)


def number(text: str) -> int:
    """The address that is written so."""
    return int.from_bytes(socket.inet_aton(text), "big")


def dotted(address: int) -> str:
    """An address as people write it."""
    return socket.inet_ntoa(packed(address))


def mac(address: int) -> bytes:
    """The hardware address that goes with an address: neighbours never know a stale one."""
    return b"\x02\x6b" + packed(address)
