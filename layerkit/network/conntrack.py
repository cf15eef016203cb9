"""Connections that the kernel tracks, and has to look at anew: requests of nfnetlink_conntrack."""

from __future__ import annotations

import socket
import struct

from layerkit.network.netlink import ACK, Request, attribute, nested, number

_DELETE = 1 << 8 | 2
_TUPLE_ORIGINAL, _FILTER = 1, 25
_TUPLE_PROTOCOL, _NUMBER, _DESTINATION_PORT = 2, 1, 3
_ORIGINAL_FLAGS = 1
_BY_NUMBER, _BY_DESTINATION_PORT = 1 << 3, 1 << 5


def forget(protocol: int, port: int) -> Request:
    """Forget all connections that were made to a port of any address."""
    wanted = nested(
        _TUPLE_PROTOCOL,
        attribute(_NUMBER, bytes([protocol])),
        attribute(_DESTINATION_PORT, struct.pack(">H", port)),
    )
    by = nested(_FILTER, number(_ORIGINAL_FLAGS, _BY_NUMBER | _BY_DESTINATION_PORT))
    body = struct.pack("=BBH", socket.AF_INET, 0, 0) + nested(_TUPLE_ORIGINAL, wanted) + by
    return Request(_DELETE, ACK, body, "forget connections")
