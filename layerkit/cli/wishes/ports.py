"""Published ports: `-p`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerkit.cli.wishes import sizes
from layerkit.cli.wishes.addresses import address
from layerkit.errors import UsageError
from layerkit.ports import Publication

if TYPE_CHECKING:
    from collections.abc import Iterable

    from layerkit.ports import Protocol

_LAST = 65535
_PROTOCOLS: dict[str, Protocol] = {"": "tcp", "tcp": "tcp", "udp": "udp", "sctp": "sctp"}


def publications(texts: Iterable[str]) -> tuple[Publication, ...]:
    """The ports of all `-p`; raises `UsageError`."""
    return tuple(each for text in texts for each in publication(text))


def publication(text: str) -> list[Publication]:
    """The ports of `[[IP:][HOST]:]CONTAINER[/PROTOCOL]`, where HOST and CONTAINER may be ranges.

    Without HOST, or for 0, it is any free port. Raises `UsageError`.
    """
    what = f"-p {text!r}"
    front, _, rest = text.rpartition(":")
    ports, _, protocol_text = rest.partition("/")
    ip_text, colon, host = front.rpartition(":")
    protocol = _PROTOCOLS.get(protocol_text.lower())
    if protocol is None:
        raise UsageError(f"invalid {what}: no protocol {protocol_text!r}: wanted tcp, udp or sctp")
    ip = _host_ip(ip_text, what) if colon else ""
    inside = _range(ports, what, first=1)
    outside = _range(host, what, first=0) if host else range(1)
    if outside == range(1):
        return [Publication(port, protocol, None, ip) for port in inside]
    if len(outside) != len(inside):
        raise UsageError(
            f"unsupported {what}: {len(outside)} ports of the host for {len(inside)} of the "
            "container: wanted as many of both"
        )
    return [Publication(port, protocol, on, ip) for port, on in zip(inside, outside, strict=True)]


def _host_ip(text: str, what: str) -> str:
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    return address(bare, what) if text else ""


def _range(text: str, what: str, *, first: int) -> range:
    begin, dash, end = text.partition("-")
    bounds = [begin, end] if dash else [begin, begin]
    if all(map(sizes.is_number, bounds)):
        low, high = map(int, bounds)
        if first <= low <= high <= _LAST:
            return range(low, high + 1)
    raise UsageError(f"invalid {what}: no port {text!r}: wanted {first} to {_LAST}, or a range")
