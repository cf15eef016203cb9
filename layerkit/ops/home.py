"""The state directory with all that works on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from layerkit.errors import UsageError
from layerkit.limits import DEFAULT
from layerkit.ops.drivers import AUTO, Drivers
from layerkit.store.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from layerkit.limits import Limits
    from layerkit.snapshot.driver import Driver


class Home:
    """An open state directory: the store, the drivers for views of its images, and containers.

    `limits` hold for all that is brought in; `driver` is the name of the one for new containers, or
    "auto" for the first that works here. Raises `StoreError` when the directory cannot be made,
    read or written.
    """

    def __init__(self, root: Path, limits: Limits = DEFAULT, driver: str = AUTO) -> None:
        self.store = Store(root, limits)
        self.containers = root / "containers"
        self.snapshots = root / "snapshots"
        self.volumes = root / "volumes"
        self.drivers = Drivers(root)
        self._choice = driver

    def driver(self, name: str = "") -> Driver:
        """The driver of this name, by default the chosen one.

        Raises `UsageError` when it does not work here.
        """
        wanted = name or self._choice
        if wanted == AUTO:
            return next(each for each in self.drivers.values() if not each.obstacle())
        driver = self.drivers[wanted]
        if obstacle := driver.obstacle():
            raise UsageError(f"cannot use driver {wanted}: {obstacle}")
        return driver

    def close(self) -> None:
        """Let go of it; whoever uses it again, perhaps in a process forked since, opens it again."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()
