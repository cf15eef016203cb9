"""The network of one run of a container: made for its start, known to others by name, given back."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Literal

from layerkit.errors import ConflictError, LayerkitError, SandboxError, StoreError
from layerkit.network import bridge, namespaces
from layerkit.ops import containers, hostfiles, states
from layerkit.sandbox import ids
from layerkit.store.files import Lock, guarded

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from io import FileIO

    from layerkit.network import pasta
    from layerkit.network.bridge import Endpoint
    from layerkit.ops.home import Home
    from layerkit.ops.wishes import Networking
    from layerkit.ports import Publication
    from layerkit.store.records import ContainerRecord

_LOCK = "network.lock"


class Network:
    """What `Networking` asks for; `namespace` is a descriptor for `kind` "given".

    Raises `SandboxError` for a network or port that cannot be had, `ConflictError` for that of a
    container that does not run; `warn` is told what is not as it was wished.
    """

    def __init__(
        self,
        home: Home,
        networking: Networking,
        target: Callable[[Home, ContainerRecord], int],
        warn: Callable[[str], None],
    ) -> None:
        self.kind: Literal["none", "host", "given"] = "none"
        self.namespace = -1
        self._endpoint: Endpoint | None = None
        self._attachment: pasta.Attachment | None = None
        mode, _, other = networking.mode.partition(":")
        if networking.publications and mode != "bridge":
            warn(f"published ports are discarded: there is nothing to publish with network {mode}")
        if mode == "host":
            self.kind = "host"
        elif mode == "container":
            self.kind = "given"
            self.namespace = target(home, _running(home, other))
        elif mode == "bridge" and ids.of_this_process() is not None:
            self._attach(networking.publications, warn)
        elif mode == "bridge":
            self.kind = "given"
            self._connect(networking.publications, warn)

    def _attach(self, publications: tuple[Publication, ...], warn: Callable[[str], None]) -> None:
        """Connect it without root, or where that cannot be, tell so and let it have no network."""
        from layerkit.network import pasta  # noqa: PLC0415  root needs none of it

        reason = pasta.obstacle()
        if not reason:
            self.namespace = namespaces.apart()
            try:
                self._attachment = pasta.connect(self.namespace, publications)
            except SandboxError as error:
                self.let_go()
                reason = error.message
        if reason:
            lost = ", and no ports are published" if publications else ""
            warn(f"the container has no network but its own loopback{lost}: {reason}")
        else:
            self.kind = "given"

    def _connect(self, publications: tuple[Publication, ...], warn: Callable[[str], None]) -> None:
        self.namespace = namespaces.new()
        try:
            self._endpoint = bridge.connect(self.namespace, publications)
        except BaseException:
            self.let_go()
            raise
        for warning in self._endpoint.warnings:
            warn(warning)

    @property
    def address(self) -> str:
        """The container's, if it has one of its own."""
        return self._endpoint.address if self._endpoint else ""

    @property
    def publications(self) -> tuple[Publication, ...]:
        """Those that work, with their ports of the host."""
        found = self._endpoint or self._attachment
        return found.publications if found else ()

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What must stay open as long as the container runs."""
        # Nobody else gets the address before the namespace has ended.
        space = (self.namespace,) if self._endpoint or self._attachment else ()
        return (*space, *(each.fileno() for each in self._held))

    @property
    def _held(self) -> tuple[socket.socket | FileIO, ...]:
        found = self._endpoint or self._attachment
        return found.held if found else ()

    def let_go(self) -> None:
        """Close our descriptors; a monitor that inherited them has its own."""
        if self.namespace >= 0:
            os.close(self.namespace)
            self.namespace = -1
        for each in self._held:
            each.close()

    def give_back(self) -> None:
        """Let the ports go, and the address with the namespace."""
        if self._endpoint is not None:
            bridge.disconnect(self._endpoint)
        if self._endpoint is not None or self._attachment is not None:
            self.let_go()


def _running(home: Home, identifier: str) -> ContainerRecord:
    container = containers.find_container(home, identifier)
    if not states.read(home, container).is_running:
        raise ConflictError(
            f"cannot join the network of container {container.name}: it is not running",
            hint=f"layerkit start {container.name}",
        )
    return container


def sweep(home: Home, address: str) -> None:
    """Take away what the container that had this address left when its monitor was killed."""
    with contextlib.suppress(LayerkitError):  # a kernel without a firewall has nothing of it
        bridge.sweep(address)
    with contextlib.suppress(LayerkitError):
        tell_names(home)


def tell_names(home: Home, newcomer: tuple[ContainerRecord, str] | None = None) -> None:
    """Write into the hosts file of each container that runs where it finds the others by name.

    With a `newcomer`, which is about to start, and its address, only into that one's: its program
    shall find them from the beginning. The file is written in place: it is mounted in the container.
    """
    with guarded("lock network"), Lock(home.store.root / _LOCK):
        found = [*_connected(home), *([newcomer] if newcomer else [])]
        known = dict(_introduced(home, found))
        for container, _address in [newcomer] if newcomer else found:
            own = [pair for key, pair in known.items() if key == container.id]
            others = [pair for key, pair in known.items() if key != container.id]
            _write_hosts(home, container, [*own, *others])


def _connected(home: Home) -> Iterator[tuple[ContainerRecord, str]]:
    """The containers that run, with their addresses; one that cannot be read is nobody's neighbour."""
    for container in home.store.database.containers():
        with contextlib.suppress(StoreError):
            state = states.read(home, container)
            if state.is_running and state.run is not None and state.run.address:
                yield container, state.run.address


def _introduced(
    home: Home, found: list[tuple[ContainerRecord, str]]
) -> Iterator[tuple[str, tuple[str, str]]]:
    for container, address in found:
        with contextlib.suppress(StoreError):  # it was removed meanwhile
            yield container.id, (address, _names(home, container))


def _names(home: Home, container: ContainerRecord) -> str:
    hostname = containers.read_config(home, container).hostname
    return " ".join(dict.fromkeys((hostname, container.name, container.id[:12])))


def _write_hosts(home: Home, container: ContainerRecord, known: list[tuple[str, str]]) -> None:
    # Missing: it was removed meanwhile.
    with contextlib.suppress(StoreError, FileNotFoundError):
        networking = containers.read_config(home, container).wishes.networking
        text = hostfiles.hosts(networking, known).encode()
        path = containers.folder_of(home, container) / "hosts"
        with path.open("r+b", buffering=0) as file:
            if file.read() != text:
                os.pwrite(file.fileno(), text, 0)
                os.ftruncate(file.fileno(), len(text))
