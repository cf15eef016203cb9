"""Ports of the host, taken by a socket of the process that publishes them.

Packets go past the socket, to the container. It is there so that nobody else gets the port, and to
be told by the kernel where somebody has it. It ends with the process, however that ends.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING

from msgspec.structs import replace

from layerkit.errors import SandboxError

if TYPE_CHECKING:
    from layerkit.ports import Publication

_KINDS = {
    "tcp": (socket.SOCK_STREAM, socket.IPPROTO_TCP),
    "udp": (socket.SOCK_DGRAM, socket.IPPROTO_UDP),
    "sctp": (socket.SOCK_STREAM, socket.IPPROTO_SCTP),
}


def reserve(publication: Publication) -> tuple[Publication, socket.socket]:
    """Take the host's port, or a free one: the publication with its number, and who holds it."""
    _check_address(publication)
    try:
        holder = _bound(publication)
    except OSError as error:
        raise _refusal(publication, error) from error
    return replace(publication, host_port=holder.getsockname()[1]), holder


def _check_address(publication: Publication) -> None:
    ip = publication.host_ip
    if ":" in ip:
        raise SandboxError(f"cannot publish {_place(publication)}: only IPv4 addresses can be used")
    try:
        socket.inet_pton(socket.AF_INET, ip or "0.0.0.0")  # noqa: S104 - what no address means
    except OSError:
        raise SandboxError(f"cannot publish {_place(publication)}: {ip!r} is no address") from None


def _bound(publication: Publication) -> socket.socket:
    kind, protocol = _KINDS[publication.protocol]
    holder = socket.socket(socket.AF_INET, kind, protocol)
    try:
        if kind == socket.SOCK_STREAM:  # connections of an earlier holder do not keep the port
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind((publication.host_ip, publication.host_port or 0))
        if kind == socket.SOCK_STREAM:  # else another one may bind to it in the same way
            holder.listen(1)
    except BaseException:
        holder.close()
        raise
    return holder


def _refusal(publication: Publication, error: OSError) -> SandboxError:
    hint = ""
    if error.errno == errno.EADDRNOTAVAIL:
        hint = f"no interface of this host has the address {publication.host_ip}"
    elif error.errno == errno.EADDRINUSE:
        hint = "another container or program has it; `ss -lnp` shows which"
    reason = os.strerror(error.errno or 0).lower()
    return SandboxError(f"cannot publish port {_place(publication)}: {reason}", hint=hint)


def _place(publication: Publication) -> str:
    ip = f"[{publication.host_ip}]" if ":" in publication.host_ip else publication.host_ip
    port = publication.host_port or "(any)"
    return f"{ip}:{port}/{publication.protocol}" if ip else f"{port}/{publication.protocol}"
