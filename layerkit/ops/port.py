"""Port: by which ports of the host those of a container are reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerkit.errors import NotFoundError, UsageError
from layerkit.ops import states

if TYPE_CHECKING:
    from layerkit.ops.home import Home
    from layerkit.ports import Publication
    from layerkit.store.records import ContainerRecord

_PROTOCOLS = ("tcp", "udp", "sctp")
_MOST = 65_535


def published(
    home: Home, container: ContainerRecord, wanted: str | None = None
) -> list[Publication]:
    """What a container that runs publishes, in order; with `wanted` (`PORT[/PROTO]`) of that port.

    Raises `NotFoundError` for a port that is not published, `UsageError` for what is no port.
    """
    state = states.read(home, container)
    ports = state.run.ports if state.run is not None and state.is_running else ()
    found = sorted(
        (each for each in ports if each.host_port is not None),
        key=lambda each: (each.container_port, each.protocol, each.host_ip),
    )
    if wanted is None:
        return found
    name = _port(wanted)
    found = [each for each in found if str(each) == name]
    if not found:
        raise NotFoundError(f"no public port {name!r} published for {container.name}")
    return found


def _port(text: str) -> str:
    """`PORT/PROTO`, TCP where nothing is said."""
    number, slash, protocol = text.lower().partition("/")
    if not (number.isascii() and number.isdecimal() and 0 < int(number[:6]) <= _MOST):
        raise UsageError(f"invalid port {text!r}: wanted PORT[/PROTO], as in 80/tcp")
    if slash and protocol not in _PROTOCOLS:
        raise UsageError(f"invalid port {text!r}: wanted one of {', '.join(_PROTOCOLS)}")
    return f"{int(number)}/{protocol or _PROTOCOLS[0]}"
