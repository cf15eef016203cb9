"""Networks in namespaces of their own: a host, somebody outside of it, and containers.

A socket stays in the namespace that it was made in, so one process can be at all of the places; the
kernel answers handshakes by itself, so nobody has to wait for a server to start.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from typing import TYPE_CHECKING

from layerkit import linux
from layerkit.network import bridge, firewall, nftables
from layerkit.network.netlink import Socket

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerkit.network.bridge import Endpoint
    from layerkit.network.ruleset import Element
    from layerkit.ports import Publication

HOST = "203.0.113.1"
OUTSIDE = "203.0.113.2"
_PATIENCE = 30
"""Seconds after which something that must come did not."""


class Namespace:
    """A network namespace that lives as long as its descriptor, and sockets in it."""

    def __init__(self, stack: contextlib.ExitStack, pid: int | None = None) -> None:
        """A new one, or that of a process."""
        self._stack = stack
        with _back_home():
            if pid is None:
                linux.unshare(linux.CLONE_NEWNET)
            place = f"/proc/{pid or 'thread-self'}/ns/net"
            self.descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
        self.is_open = True
        stack.callback(self.close)

    def close(self) -> None:
        """Let the kernel end it, unless somebody else has it."""
        if self.is_open:
            self.is_open = False
            os.close(self.descriptor)

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Be in it."""
        with _back_home():
            linux.setns(self.descriptor, linux.CLONE_NEWNET)
            yield

    def run(self, *command: str) -> str:
        """What a program prints that runs in it."""
        with self.entered():
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def set(self, name: str, value: int) -> None:
        """Set a number below /proc/sys/net."""
        with self.entered(), open(f"/proc/sys/net/{name}", "w") as file:
            file.write(str(value))

    def get(self, name: str) -> str:
        """What is below /proc/sys/net."""
        with self.entered(), open(f"/proc/sys/net/{name}") as file:
            return file.read().strip()

    def socket(self, kind: int = socket.SOCK_STREAM) -> socket.socket:
        """A new socket."""
        with self.entered():
            made = self._stack.enter_context(socket.socket(socket.AF_INET, kind))
        made.settimeout(_PATIENCE)
        return made

    def listens(self, port: int) -> socket.socket:
        """A socket that accepts connections."""
        made = self.socket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(("", port))
        made.listen()
        return made

    def receives(self, port: int) -> socket.socket:
        """A socket that gets datagrams."""
        made = self.socket(socket.SOCK_DGRAM)
        made.bind(("", port))
        return made

    def reaches(self, address: str, port: int, server: socket.socket) -> str:
        """Whom the server sees when somebody here connects to that address and port."""
        with contextlib.closing(self.socket()) as client:
            client.connect((address, port))
            accepted, (peer, _port) = server.accept()
            with accepted:
                accepted.sendall(b"hello")
                assert client.recv(5) == b"hello"
        return peer

    def knocks(self, address: str, port: int) -> socket.socket:
        """A connection that is tried without waiting for it."""
        client = self.socket()
        client.setblocking(False)
        client.connect_ex((address, port))
        return client

    def sends(self, address: str, port: int, data: bytes) -> socket.socket:
        """Where a datagram was sent from."""
        client = self.socket(socket.SOCK_DGRAM)
        client.sendto(data, (address, port))
        return client


class World:
    """A host with a network card, somebody on the other end of the wire, and the containers."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack
        self.host = Namespace(stack)
        self.outside = Namespace(stack)
        for each in (self.host, self.outside):
            each.run("ip", "link", "set", "lo", "up")
        self._wire()

    def _wire(self) -> None:
        other = f"/proc/{os.getpid()}/fd/{self.outside.descriptor}"
        pair = ("type", "veth", "peer", "name", "far0", "netns", other)
        self.host.run("ip", "link", "add", "near0", *pair)
        for place, name, address in ((self.host, "near0", HOST), (self.outside, "far0", OUTSIDE)):
            place.run("ip", "address", "add", f"{address}/24", "dev", name)
            place.run("ip", "link", "set", name, "up")
        self.host.run("ip", "route", "add", "default", "via", OUTSIDE)
        self.outside.run("ip", "route", "add", "10.99.0.0/16", "via", HOST)

    def container(self, *publications: Publication) -> tuple[Namespace, Endpoint]:
        """A new namespace on the bridge of the host."""
        namespace = Namespace(self._stack)
        with self.host.entered():
            endpoint = bridge.connect(namespace.descriptor, publications)
        for held in endpoint.held:
            self._stack.callback(held.close)
        return namespace, endpoint

    def place_of(self, pid: int) -> Namespace:
        """Where a process is."""
        return Namespace(self._stack, pid)

    def published(self) -> list[Element]:
        """The elements that are in the maps of the host's firewall."""
        with self.host.entered(), Socket(nftables.PROTOCOL) as kernel:
            return firewall._elements(kernel)

    def interfaces(self) -> list[str]:
        """The ends of containers' pairs on the host."""
        with self.host.entered():
            names = [name for _index, name in socket.if_nameindex()]
        return sorted(name for name in names if name.startswith("lk") and name != "lk0")


@contextlib.contextmanager
def world() -> Iterator[World]:
    """A world that ends with its last descriptor."""
    with contextlib.ExitStack() as stack:
        yield World(stack)


def aim_at_localhost(far: Namespace, gateway: str) -> None:
    """Let packets for 127.0.0.1 that are sent there go to the host."""
    far.set("ipv4/conf/all/route_localnet", 1)
    far.run("ip", "route", "delete", "table", "local", "local", "127.0.0.0/8", "dev", "lo")
    far.run("ip", "route", "delete", "table", "local", "local", "127.0.0.1", "dev", "lo")
    far.run("ip", "route", "add", "127.0.0.1", "via", gateway)


@contextlib.contextmanager
def _back_home() -> Iterator[None]:
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield
    finally:
        linux.setns(home, linux.CLONE_NEWNET)
        os.close(home)
