"""Overlay mounts for as long as a block runs. Needs root."""

from __future__ import annotations

import contextlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

from layerkit import linux
from layerkit.mount import OverlayMount
from layerkit.mounting import mount_root

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from layerkit.mount import RootMount


@contextmanager
def mounted(lowers: Sequence[Path], target: Path, container: Path | None = None) -> Iterator[Path]:
    """The stack of `lowers` (top first) on `target`, writable with a `container`'s upper and work.

    One lower alone is no mount: it is given as it is.
    """
    if container is None and len(lowers) == 1:
        yield lowers[0]
        return
    upper, work = (container / "upper", container / "work") if container else (None, None)
    with shown(OverlayMount(tuple(lowers), upper, work), target):
        yield target


@contextmanager
def shown(root: RootMount, target: Path, *, readonly: bool = False) -> Iterator[Path]:
    """Any root on `target`."""
    target.mkdir(exist_ok=True)
    mount_root(root, target, readonly=readonly)
    try:
        yield target
    finally:
        with contextlib.suppress(OSError):  # EINVAL: nothing is mounted there any more
            while True:  # an EROFS lower lies below its overlay
                linux.umount2(str(target), linux.MNT_DETACH)
