"""The bridge that containers are connected to, without a daemon and without a file of its own.

The kernel has all there is to know: an address is taken by the interface named after it, a port by
the socket that is bound to it. Whoever is killed leaves nothing behind but elements of the
firewall's maps, which the next who gets their port or address replaces.
"""

from __future__ import annotations

import errno
import os
import socket
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from layerkit.errors import SandboxError
from layerkit.network import (
    addresses,
    conntrack,
    firewall,
    legacy,
    links,
    namespaces,
    nftables,
    ruleset,
)
from layerkit.network.addresses import BRIDGE
from layerkit.network.netlink import Socket, is_missing
from layerkit.network.reserve import reserve

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from layerkit.network.netlink import Request
    from layerkit.ports import Publication

INTERFACE = "eth0"
"""The container's interface, inside."""

_BRIDGE_SETTINGS = {links.FORWARDING: 1, links.ROUTE_LOCALNET: 1, links.RP_FILTER: 2}
_FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
_NO_IPV6 = Path(f"/proc/sys/net/ipv6/conf/{BRIDGE}/disable_ipv6")
_FAR_AWAY = bytes([192, 0, 2, 1])  # RFC 5737: nobody's
_ETHERNET_MTU = 1500
_ANY = "0.0.0.0"  # noqa: S104 - as no address
_ENDING = 1.0
_PAUSE = 0.005
_ATTEMPTS = 64
"""A bridge takes 1023 interfaces, so an address chosen by chance is free 63 times of 64."""


class Endpoint(NamedTuple):
    """A container's place on the network; `publications` have their ports of the host.

    `held` are the sockets that keep those ports: they must live as long as the container.
    """

    address: str
    prefix: int
    gateway: str
    mac: str
    mtu: int
    publications: tuple[Publication, ...]
    held: tuple[socket.socket, ...]
    warnings: tuple[str, ...]


def connect(netns: int, publications: Sequence[Publication] = ()) -> Endpoint:
    """Connect a new, empty network namespace to the bridge, and publish ports of it.

    The calling process has one thread; a descriptor of the namespace is enough. SandboxError where
    a port or the network cannot be had, and nothing is left of it then.
    """
    with ExitStack() as undo, _explained("connect to the network"):
        reserved = [_reserved(undo, each) for each in publications]
        published = tuple(publication for publication, _holder in reserved)
        with Socket(links.PROTOCOL) as routes:
            address, mtu = _plug(routes, netns, undo)
        _set_up_inside(netns, address)
        warnings = _lead_to(address, published)
        undo.pop_all()
    return Endpoint(
        address=addresses.dotted(address),
        prefix=addresses.PREFIX,
        gateway=addresses.dotted(addresses.GATEWAY),
        mac=addresses.mac(address).hex(":"),
        mtu=mtu,
        publications=published,
        held=tuple(holder for _publication, holder in reserved),
        warnings=warnings,
    )


def disconnect(endpoint: Endpoint) -> None:
    """Give the published ports back; what is gone already is no error.

    Better done when nobody waits any more: the kernel takes up to 20 ms. The address is free when it
    has ended the namespace, so that nobody else has it as long as the caller's descriptor is open.
    """
    if not endpoint.publications:
        return
    with ExitStack() as late:  # to close a socket that took elements away is what takes long
        with suppress(OSError):  # a kernel that lost its firewall has nothing to give back
            kernel = late.enter_context(Socket(nftables.PROTOCOL))
            firewall.lead_to(kernel, addresses.number(endpoint.address), ())
        for holder in endpoint.held:
            holder.close()


def sweep(address: str = "") -> None:
    """Take away what killed processes left: published ports whose container is gone.

    That of `address` was killed a moment ago: the kernel gets up to a second to end its namespace.
    """
    if address:
        _await_end(addresses.interface(addresses.number(address)))
    with _explained("look for published ports"), Socket(nftables.PROTOCOL) as kernel:
        firewall.sweep(kernel)


def _await_end(interface: str) -> None:
    """Wait until nobody has the interface; somebody else may have got it by now."""
    deadline = time.monotonic() + _ENDING
    while time.monotonic() < deadline and interface in {name for _, name in socket.if_nameindex()}:
        time.sleep(_PAUSE)


@contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        hint = "the network of a container is made by root (CAP_NET_ADMIN), or use --network none"
        if error.errno == errno.EXFULL:
            hint = f"1023 containers are connected to {BRIDGE}, the most that a bridge takes"
        elif error.errno not in {errno.EPERM, errno.EACCES}:
            hint = ""
        raise SandboxError(f"cannot {what}: {_reason(error)}", hint=hint) from error


def _reason(error: OSError) -> str:
    return ": ".join(text for text in (error.filename, error.strerror) if text)


def _reserved(undo: ExitStack, publication: Publication) -> tuple[Publication, socket.socket]:
    with_port, holder = reserve(publication)
    return with_port, undo.enter_context(holder)


def _bridge(routes: Socket) -> links.Link:
    """The bridge, made and set up where it is not."""
    (found,) = routes.try_all([links.get_link(BRIDGE)])
    if found.error is None:
        link = links.parse_link(found.bodies[0])
        if link.is_up and link.has(_BRIDGE_SETTINGS):
            return link
    elif not is_missing(found.error):
        raise found.error
    return _make_bridge(routes)


def _make_bridge(routes: Socket) -> links.Link:
    """Set the bridge up, along with whoever does the same at this moment."""
    if _FORWARDING.read_bytes().strip() == b"0":  # writing resets all interfaces, also to the same
        _FORWARDING.write_bytes(b"1")
    gateway = addresses.packed(addresses.GATEWAY)
    _unless_there(routes, links.new_bridge(BRIDGE, addresses.mac(addresses.GATEWAY)))
    if _NO_IPV6.exists():  # or a container could announce itself as the host's IPv6 router
        _NO_IPV6.write_bytes(b"1")
    link = _link(routes, BRIDGE)
    _unless_there(routes, links.new_address(link.number, gateway, addresses.PREFIX))
    routes.ask(links.set_up(BRIDGE, _BRIDGE_SETTINGS))
    return link


def _unless_there(routes: Socket, request: Request) -> None:
    (answer,) = routes.try_all([request])
    if answer.error is not None and answer.error.errno != errno.EEXIST:
        raise answer.error


def _link(routes: Socket, name: str = "", index: int = 0) -> links.Link:
    ((body,),) = routes.ask(links.get_link(name, index))
    return links.parse_link(body)


def _mtu(routes: Socket) -> int:
    """The largest packet, in bytes, on the way out of this host."""
    (answer,) = routes.try_all([links.get_route(_FAR_AWAY)])
    if answer.error is not None:  # there is no way out
        return _ETHERNET_MTU
    return _link(routes, index=links.parse_route(answer.bodies[0])).mtu


def _plug(routes: Socket, netns: int, undo: ExitStack) -> tuple[int, int]:
    """Connect the namespace to the bridge: the address that was free, and the MTU."""
    bridge, mtu = _bridge(routes), _mtu(routes)
    address = _take_address(routes, netns, bridge.number, mtu)
    undo.callback(_unplug, address)
    name = addresses.interface(address)
    routes.ask(links.set_up(name, ipv6=not bridge.has_ipv6, hairpin=True))
    return address, mtu


def _take_address(routes: Socket, netns: int, bridge: int, mtu: int) -> int:
    for attempt in range(_ATTEMPTS):
        address = addresses.candidate(int.from_bytes(os.urandom(4), "big"))
        peer = links.peer(INTERFACE, addresses.mac(address), mtu, netns)
        request = links.new_veth(addresses.interface(address), bridge, mtu, peer)
        (answer,) = routes.try_all([request])
        if answer.error is None:
            return address
        if answer.error.errno != errno.EEXIST or attempt == _ATTEMPTS - 1:
            raise answer.error
    raise AssertionError


def _unplug(address: int) -> None:
    with Socket(links.PROTOCOL) as routes:
        (answer,) = routes.try_all([links.delete_link(addresses.interface(address))])
    if answer.error is not None and not is_missing(answer.error):
        raise answer.error


def _set_up_inside(netns: int, address: int) -> None:
    with _socket_in(netns) as routes:
        link = _link(routes, INTERFACE)
        routes.ask(
            links.set_up("lo"),
            links.new_address(link.number, addresses.packed(address), addresses.PREFIX),
            links.set_up(INTERFACE, {links.ARP_NOTIFY: 1}, ipv6=not link.has_ipv6),
            links.new_default_route(link.number, addresses.packed(addresses.GATEWAY)),
        )


def _socket_in(netns: int) -> Socket:
    """A socket of another network namespace, where this thread is only for as long as that takes."""
    with namespaces.entered(netns):
        return Socket(links.PROTOCOL)


def _lead_to(address: int, published: Sequence[Publication]) -> tuple[str, ...]:
    """Publish the ports; warnings where the way to or from the container may be blocked."""
    try:
        with Socket(nftables.PROTOCOL) as kernel:
            firewall.ensure(kernel)
            firewall.pass_others(kernel)
            firewall.lead_to(kernel, address, [_element(address, each) for each in published])
            _forget_senders(kernel, published)
    except OSError as error:
        if published:
            raise
        return (f"containers reach only this host: {_reason(error)}",)
    return legacy.warnings()


def _forget_senders(kernel: Socket, published: Sequence[Publication]) -> None:
    """Let clients that have sent datagrams all the time reach the container.

    To the kernel they are connections that lead elsewhere, for as long as they send. One that cannot
    choose by the port alone refuses.
    """
    for each in published:
        if each.protocol == "udp":
            kernel.try_all([conntrack.forget(socket.IPPROTO_UDP, each.host_port or 0)])


def _element(address: int, publication: Publication) -> ruleset.Element:
    assert publication.host_port is not None
    ip = publication.host_ip
    host = (socket.inet_aton(ip) if ip not in {"", _ANY} else b"", publication.host_port)
    container = (addresses.packed(address), publication.container_port)
    return ruleset.element(publication.protocol, host, container)
