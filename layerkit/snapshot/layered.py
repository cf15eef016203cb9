"""Containers that write to an overlay: what they changed lies beside the image, nothing else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from msgspec import Struct

from layerkit.errors import StoreError
from layerkit.mount import ErofsMount, FolderMount, OverlayMount
from layerkit.snapshot.delta import Delta
from layerkit.snapshot.driver import UPPER
from layerkit.snapshot.folders import guarded, opened
from layerkit.snapshot.upper import read_root
from layerkit.tree import Node

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from layerkit.mount import RootMount
    from layerkit.tree import Entry

WORK = "work"
_VOLATILE = f"{WORK}/work/incompat/volatile"
"""What the kernel leaves of a volatile mount."""


class LayeredView(Struct, frozen=True):
    """Read-only `lowers`, top first; `top` gives owner, mode, times and xattrs of their root.

    `user_xattrs` says how they are mounted, as in `OverlayMount`.
    """

    lowers: tuple[Path | ErofsMount, ...]
    top: Callable[[], Entry]
    user_xattrs: bool = False

    def look(self) -> RootMount:
        """What shows it; the kernel makes no overlay of a single lower."""
        first, *others = self.lowers
        if others:
            return OverlayMount(self.lowers, user_xattrs=self.user_xattrs)
        return first if isinstance(first, ErofsMount) else FolderMount(first)

    def begin(self, layer: Path, last: Path | None = None) -> None:
        """Make `upper`, whose root is what it was below, and `work`."""
        with guarded("make container"):
            (layer / WORK).mkdir(mode=0o700)
            make_upper(layer / UPPER, self.top() if last is None else read_root(last / UPPER))

    def root(
        self, layer: Path, frozen: Sequence[Path] = (), *, volatile: bool = False
    ) -> RootMount:
        """An overlay; a frozen layer is a lower above those of the image.

        Nothing is synced in a `volatile` one, which can be mounted only once (overlayfs.rst).
        """
        if (layer / _VOLATILE).exists():
            raise StoreError(
                f"cannot mount what {layer.name[:12]} wrote: it was to be removed in the end (--rm), "
                "and somebody was killed before that; it may not be whole"
            )
        above = tuple(each / UPPER for each in reversed(frozen))
        return OverlayMount(
            (*above, *self.lowers),
            layer / UPPER,
            layer / WORK,
            volatile=volatile,
            user_xattrs=self.user_xattrs,
        )


def make_upper(upper: Path, root: Entry) -> None:
    """Make an upper directory without a change: only its root is there. Raises `OSError`."""
    upper.mkdir(mode=0o700)
    with opened(upper, os.O_DIRECTORY) as folder:
        from layerkit.snapshot import disk  # noqa: PLC0415  only where one is written

        disk.write(folder, Delta({b"": Node(root, -1, {})}), _nothing)


def _nothing(path: bytes, _node: Node, _file: int) -> None:
    raise AssertionError(path)
