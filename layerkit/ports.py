"""Published ports as values."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

Protocol: TypeAlias = Literal["tcp", "udp", "sctp"]


class Publication(Struct, frozen=True):
    """A port of the container that is reached by one of the host.

    `host_port` None: any free one; `host_ip` empty: all addresses of the host.
    """

    container_port: int
    protocol: Protocol = "tcp"
    host_port: int | None = None
    host_ip: str = ""

    def __str__(self) -> str:
        return f"{self.container_port}/{self.protocol}"
