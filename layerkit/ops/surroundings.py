"""What is around a container while it runs: made for its start, told when it ends, taken away then."""

from __future__ import annotations

import contextlib
import dataclasses
from dataclasses import replace
from typing import TYPE_CHECKING

from layerkit.errors import LayerkitError
from layerkit.ops import containers, states, uppers, views, volumes
from layerkit.ops.images import image_of
from layerkit.sandbox.cgroups import devices, group, making
from layerkit.sandbox.spec import SandboxSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from layerkit.events import Observer
    from layerkit.ops.container_config import ContainerConfig
    from layerkit.ops.home import Home
    from layerkit.sandbox.cgroups.group import Cgroup
    from layerkit.store.records import ContainerRecord


class Surroundings:
    """Of one run of a container. `began` and `ended` are called in the monitor, the rest before it."""

    def __init__(self, home: Home, container: ContainerRecord, config: ContainerConfig) -> None:
        self._home = home
        self._container = container
        self._config = config
        self._cgroup: Cgroup | None = None
        self.run = states.Run(started=states.now())

    def make(self, warn: Callable[[str], None]) -> None:
        """Make what the container needs around it; `warn` is told what cannot be had.

        Raises `SandboxError`; what was made is to be taken away by `clear`.
        """
        wishes = self._config.wishes
        rules = devices.EVERYTHING if wishes.isolation.privileged else devices.DEFAULT_RULES
        rules = (*rules, *map(making.rule_for, wishes.devices))
        self._cgroup = making.create(self._container.id, wishes.limits, rules)
        asked = {name for name, value in dataclasses.asdict(wishes.limits).items() if value}
        missing = [lack for lack in self._cgroup.lacks if lack.limit in asked]
        if missing:
            warn(f"no limit on {making.explain(missing)}")

    def clear(self) -> None:
        """Take away what `make` made."""
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
        return SandboxSpec(
            root=root,
            process=self._config.process,
            hostname=self._config.hostname,
            terminal=wishes.tty,
            network="host" if wishes.networking.mode == "host" else "none",
            binds=containers.binds(home, container),
            mounts=volumes.binds(home, wishes.mounts),
            readonly_root=wishes.isolation.readonly,
            cgroup=None if self._cgroup is None else self._cgroup.plan(),
        )

    def began(self, pid: int) -> None:
        """The program runs."""
        self.run = replace(self.run, pid=pid)
        states.write(self._home, self._container, self.run)

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

    def _remove(self) -> None:
        with contextlib.suppress(LayerkitError), self._home:
            containers.discard(self._home, self._container)
            volumes.remove_unnamed(self._home, self._config.wishes.mounts)


def sweep(container_id: str) -> None:
    """Take away what a killed monitor left around a container."""
    left = group.find(container_id)
    if left is not None:
        left.kill()
        left.remove()
