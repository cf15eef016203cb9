"""Published ports as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Protocol: TypeAlias = Literal["tcp", "udp", "sctp"]


@dataclass(frozen=True, slots=True)
class Publication:
    """A port of the container that is reached by one of the host.

    `host_port` None: any free one; `host_ip` empty: all addresses of the host.
    """

    container_port: int
    protocol: Protocol = "tcp"
    host_port: int | None = None
    host_ip: str = ""

    def __str__(self) -> str:
        return f"{self.container_port}/{self.protocol}"
