"""The snapshot drivers, the best one first."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from layerkit.snapshot.copied import CopyDriver
from layerkit.snapshot.erofs.driver import ErofsDriver
from layerkit.snapshot.overlay import OverlayDriver
from layerkit.store.files import remove_tree

if TYPE_CHECKING:
    from pathlib import Path

    from layerkit.snapshot.driver import Driver

AUTO = "auto"
"""The name that stands for the first one that works."""
DRIVERS: tuple[type[Driver], ...] = (ErofsDriver, OverlayDriver, CopyDriver)


def drivers_of(root: Path) -> dict[str, Driver]:
    """All drivers by name, for the state directory at `root`; nothing is read or made yet."""
    scratch = root / "ingest"
    remove = partial(remove_tree, scratch=scratch)
    return {driver.name: driver(root, scratch, remove) for driver in DRIVERS}
