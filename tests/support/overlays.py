"""Overlay mounts for as long as a block runs. Needs root."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from layerkit import linux
from layerkit.mount import OverlayMount
from layerkit.sandbox.overlay import mount_overlay

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


@contextmanager
def mounted(lowers: Sequence[Path], target: Path, container: Path | None = None) -> Iterator[Path]:
    """The stack of `lowers` (top first) on `target`, writable with a `container`'s upper and work.

    One lower alone is no mount: it is given as it is.
    """
    if container is None and len(lowers) == 1:
        yield lowers[0]
        return
    upper, work = (container / "upper", container / "work") if container else (None, None)
    target.mkdir(exist_ok=True)
    mount_overlay(OverlayMount(tuple(lowers), upper, work), target)
    try:
        yield target
    finally:
        linux.umount2(str(target), linux.MNT_DETACH)
