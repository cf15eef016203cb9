"""What nf_tables does for containers: layerkit's own table, and a way through those of others."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING

from layerkit.network import addresses, nftables, ruleset
from layerkit.network.ruleset import TABLE, Element

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from layerkit.network.netlink import Request, Socket

_PATIENCE = 50
"""How often a transaction is built anew because somebody else's came before it."""
_OUTRUN = {errno.ENOENT, errno.EEXIST, errno.ERESTART}
_FILTER, _DOCKER_USER = "filter", "DOCKER-USER"


def ensure(kernel: Socket) -> None:
    """Have the table as it should be: made, or made anew where a chain or a rule is missing."""
    found = kernel.try_all([nftables.get_chain(TABLE, name) for name in ruleset.CHAINS])
    wanted = [
        (rules, nftables.ACCEPT, nftables.commented(ruleset.MARK))
        for rules in ruleset.CHAINS.values()
    ]
    if [nftables.parse_chain(body) for answer in found for body in answer.bodies] != wanted:
        kernel.ask(*nftables.batch(ruleset.definition()))


def lead_to(kernel: Socket, address: int, published: Sequence[Element]) -> None:
    """Have these published ports, and no others, lead to the address.

    Whatever else was there for one of the ports is of somebody who no longer holds it, and what
    leads to no container would keep its port from every program of the host.
    """
    keys = {(each.name, each.key) for each in published}

    def changes(there: Sequence[Element]) -> list[Request]:
        ended = _ended(there) | {address}
        stale = (e for e in there if (e.name, e.key) in keys or _target(e) in ended)
        return [*map(_deletion, stale), *map(_addition, published)]

    _change(kernel, changes)


def sweep(kernel: Socket) -> None:
    """Take published ports away that lead to no container."""

    def changes(there: Sequence[Element]) -> list[Request]:
        ended = _ended(there)
        return [_deletion(each) for each in there if _target(each) in ended]

    _change(kernel, changes)


def _ended(there: Sequence[Element]) -> set[int]:
    """The addresses that nobody has: an element is made after the interface of its address."""
    targets = set(map(_target, there))
    names = {name for _number, name in socket.if_nameindex()} if targets else set()
    return {address for address in targets if addresses.interface(address) not in names}


def _change(kernel: Socket, changes: Callable[[Sequence[Element]], list[Request]]) -> None:
    def attempt() -> None:
        if wanted := changes(_elements(kernel)):
            kernel.ask(*nftables.batch(wanted))

    _in_spite_of_others(attempt)


def _in_spite_of_others(attempt: Callable[[], None]) -> None:
    """Look and change; again where somebody has changed what was looked at."""
    for _ in range(_PATIENCE):
        try:
            return attempt()
        except OSError as error:
            if error.errno not in _OUTRUN:
                raise
    return attempt()


def _elements(kernel: Socket) -> list[Element]:
    """All elements, none where there is no table."""
    return [
        Element(name, key, data)
        for name in (ruleset.PORTS, ruleset.ADDRESSED_PORTS)
        for body in _listed(kernel, name)
        for key, data in nftables.parse_elements(body)
    ]


def _listed(kernel: Socket, name: str) -> list[bytes]:
    (answer,) = kernel.try_all([nftables.get_elements(TABLE, name)])
    if answer.error is not None and answer.error.errno != errno.ENOENT:
        raise answer.error
    return answer.bodies


def _target(element: Element) -> int:
    return int.from_bytes(element.data[:4], "big")


def _addition(element: Element) -> Request:
    return nftables.new_element(TABLE, element.name, element.key, element.data)


def _deletion(element: Element) -> Request:
    return nftables.delete_element(TABLE, element.name, element.key)


def pass_others(kernel: Socket) -> None:
    """Have iptables' FORWARD chain let the bridge's packets pass where it drops by default.

    In nf_tables an accept ends its own table only, and dockerd and ufw set that policy. Layerkit's
    table still drops what nobody published.
    """

    def attempt() -> None:
        chain = _dropping_chain(kernel)
        if chain is None:
            return
        ((generation,),) = kernel.ask(nftables.get_generation())
        if not _is_passed(kernel, chain):
            rules = [_acceptance(chain, key) for key in (nftables.IIFNAME, nftables.OIFNAME)]
            kernel.ask(*nftables.batch(rules, nftables.parse_generation(generation)))

    _in_spite_of_others(attempt)


def _dropping_chain(kernel: Socket) -> str | None:
    """Where the rules belong: FORWARD, or the chain that docker keeps for its users."""
    wanted = [nftables.get_chain(_FILTER, name) for name in ("FORWARD", _DOCKER_USER)]
    forward, user = kernel.try_all(wanted)
    if not any(nftables.parse_chain(body)[1] == nftables.DROP for body in forward.bodies):
        return None
    return _DOCKER_USER if user.bodies else "FORWARD"


def _is_passed(kernel: Socket, chain: str) -> bool:
    (rules,) = kernel.ask(nftables.get_rules(_FILTER, chain))
    return any(nftables.parse_rule(body) == nftables.commented(TABLE) for body in rules)


def _acceptance(chain: str, key: int) -> Request:
    """As `iptables -I FORWARD -i lk0 -j ACCEPT` writes it, so that iptables can list it."""
    name = nftables.compare(addresses.BRIDGE.encode() + b"\0")
    rule = [nftables.meta(key), name, nftables.counter(), nftables.verdict(nftables.ACCEPT)]
    return nftables.new_rule(_FILTER, chain, rule, TABLE, first=True)
