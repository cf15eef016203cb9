"""What is around a container while it runs: made for its start, told when it ends, taken away then."""

from __future__ import annotations

import contextlib
import posixpath
from typing import TYPE_CHECKING

from msgspec.structs import asdict, replace

from layerkit.errors import LayerkitError
from layerkit.mount import BindMount, TmpfsMount
from layerkit.ops import connecting, containers, networks, rights, states, uppers, views, volumes
from layerkit.ops.images import image_of
from layerkit.ops.networks import Network
from layerkit.sandbox import devices, ids
from layerkit.sandbox.cgroups import group, making
from layerkit.sandbox.cgroups.devices import DEFAULT_RULES, EVERYTHING
from layerkit.sandbox.spec import SHM_SIZE, SandboxSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from layerkit.events import Observer
    from layerkit.ops.container_config import ContainerConfig
    from layerkit.ops.home import Home
    from layerkit.ops.rights import Rights
    from layerkit.ops.states import ContainerState
    from layerkit.sandbox.cgroups.group import Cgroup
    from layerkit.sandbox.devices import DeviceNode
    from layerkit.store.records import ContainerRecord


class Surroundings:
    """Of one run of a container. `began` and `ended` are called in the monitor, the rest before it."""

    def __init__(self, home: Home, container: ContainerRecord, config: ContainerConfig) -> None:
        self._home = home
        self._container = container
        self._config = config
        self._rights: Rights | None = None
        self._nodes: tuple[DeviceNode, ...] = ()
        self._cgroup: Cgroup | None = None
        self._network: Network | None = None
        self.run = states.Run(started=states.now())

    def make(self, warn: Callable[[str], None]) -> None:
        """Make what the container needs around it; `warn` is told what cannot be had.

        Raises `SandboxError`; what was made is to be taken away by `clear`.
        """
        wishes = self._config.wishes
        privileged = wishes.isolation.privileged
        self._rights = rights.find(self._home, wishes, warn)
        self._nodes = devices.find(wishes.devices, privileged=privileged)
        rules = EVERYTHING if privileged else DEFAULT_RULES
        allowed = (*rules, *(node.rule for node in self._nodes))
        self._cgroup = making.create(self._container.id, wishes.limits, allowed)
        asked = {name for name, value in asdict(wishes.limits).items() if value}
        missing = [lack for lack in self._cgroup.lacks if lack.limit in asked]
        if missing:
            warn(f"no limit on {making.explain(missing)}")
        self._network = Network(self._home, wishes.networking, connecting.first_process, warn)
        self.run = replace(
            self.run, address=self._network.address, ports=self._network.publications
        )
        if self.run.address:
            networks.tell_names(self._home, (self._container, self.run.address))

    @property
    def given(self) -> tuple[int, ...]:
        """The descriptors that the first process needs on its way."""
        return (self._network.namespace,) if self._network and self._network.namespace >= 0 else ()

    @property
    def kept(self) -> tuple[int, ...]:
        """The descriptors that must stay open as long as the container runs."""
        return self._network.descriptors if self._network else ()

    def let_go(self) -> None:
        """Close what the monitor has by now."""
        if self._network is not None:
            self._network.let_go()

    def clear(self) -> None:
        """Take away what `make` made."""
        if self._network is not None:
            self._network.give_back()
        if self._cgroup is not None:
            self._cgroup.remove()

    def spec(self, observe: Observer) -> SandboxSpec:
        """The sandbox to start; `observe` as `views.of_image` has it."""
        home, container, wishes = self._home, self._container, self._config.wishes
        view = views.of_image(
            home, image_of(home, container.manifest), home.driver(container.driver), observe
        )
        root = view.root(
            containers.folder_of(home, container),
            uppers.frozen(home, container.chain),
            volatile=wishes.remove,
        )
        assert self._rights is not None, "made first"
        assert self._network is not None, "made first"
        return SandboxSpec(
            root=root,
            process=self._config.process,
            hostname=self._config.hostname,
            terminal=wishes.tty,
            network=self._network.kind,
            network_namespace=self._network.namespace,
            binds=(
                *binds(home, container, wishes.networking.mode),
                *volumes.binds(home, wishes.mounts),
            ),
            tmpfs=tuple(each for each in wishes.mounts if isinstance(each, TmpfsMount)),
            readonly_root=wishes.isolation.readonly,
            cgroup=None if self._cgroup is None else self._cgroup.plan(),
            sysctls=wishes.sysctls,
            shm_size=wishes.shm_size or SHM_SIZE,
            devices=self._nodes,
            privileged=wishes.isolation.privileged,
            init=wishes.init,
            ids=ids.of_this_process(),
            **self._rights._asdict(),
        )

    def began(self, pid: int) -> None:
        """The program runs."""
        self.run = replace(self.run, pid=pid)
        states.write(self._home, self._container, self.run)
        self._tell_names()

    def ended(self, code: int, failure: str) -> None:
        """It ended with this code as shells have it, or never ran for this reason."""
        was_oom = self._cgroup is not None and self._cgroup.oom_kills() > 0
        self.clear()
        if self._config.wishes.remove:
            self._remove()
            return
        self.run = replace(
            self.run,
            finished=states.now(),
            exit_code=code,
            oom_killed=was_oom,
            error=failure,
        )
        states.write(self._home, self._container, self.run)

    def afterwards(self) -> None:
        """Nobody waits any more."""
        self._tell_names()

    def _tell_names(self) -> None:
        if self.run.address:
            # To be found by name is worth no container.
            with contextlib.suppress(LayerkitError), self._home:
                networks.tell_names(self._home)

    def _remove(self) -> None:
        with contextlib.suppress(LayerkitError), self._home:
            containers.discard(self._home, self._container)
            volumes.remove_unnamed(self._home, self._config.wishes.mounts)


def binds(home: Home, container: ContainerRecord, mode: str = "") -> tuple[BindMount, ...]:
    """The container's own hosts, hostname and resolv.conf over the ones in its root.

    With the network `mode` of another container they are that one's.
    """
    other = mode.partition(":")[2]
    folder = home.containers / (other or container.id)
    return tuple(
        BindMount(folder / posixpath.basename(target), target, is_file=True)
        for target in views.BIND_FILES
    )


def sweep(home: Home, container_id: str, state: ContainerState) -> None:
    """Take away what a killed monitor left around a container, whose last `state` is given."""
    left = group.find(container_id)
    if left is not None:
        left.kill()
        left.remove()
    if state.is_lost and state.run is not None and state.run.address:
        networks.sweep(home, state.run.address)
