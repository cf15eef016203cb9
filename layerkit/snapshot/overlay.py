"""The overlay driver: one directory a layer, written when the image is first used.

A directory is named by ChainID, not by diffID: what must be in it depends on the layers below (a
folder that the layer only implies takes the lower one's owner and mode, an entry below a symlink
belongs where that leads, a hard link to a lower file needs the file beside it).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerkit.snapshot import kernel, upper
from layerkit.snapshot.driver import UPPER
from layerkit.snapshot.folders import Folders, open_all
from layerkit.tree import empty

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from layerkit.digest import ChainID
    from layerkit.events import Observer
    from layerkit.snapshot.driver import Stack
    from layerkit.snapshot.layered import LayeredView
    from layerkit.snapshot.skipped import Skipped

_MOST = 400
"""Directories of a view: the kernel stacks 500, of which some are left for snapshots."""
_FLAT = "-flat"


class OverlayDriver:
    """Views as stacks of directories `trees/<chainid>/fs`, built in `scratch` and renamed in.

    `remove` removes a directory with all in it, if it is there. Only root of the host may set the
    xattrs in which overlayfs keeps its marks otherwise: anybody else has `user_xattrs`.
    """

    name = "overlay"
    is_layered = True
    directory = UPPER

    def __init__(self, root: Path, scratch: Path, remove: Callable[[Path], None]) -> None:
        self._folders = Folders(root / "trees", scratch, remove)
        self.user_xattrs = not kernel.is_host_root()

    @staticmethod
    def obstacle() -> str:
        """Why it does not work here, "" if it does."""
        return kernel.obstacle("overlay")

    def prepare(self, stack: Stack, observe: Observer) -> LayeredView:
        """A directory for each layer; what is too deep for the kernel lies in one for all of it."""
        from layerkit.snapshot.layered import LayeredView  # noqa: PLC0415  see erofs.driver

        names = _names(stack)
        missing = [at for at, name in enumerate(names) if not self._folder(name).is_dir()]
        if missing and (skipped := self._write(stack, names, missing)):
            observe(skipped.notice("warning", " in the image's view"))
        lowers = tuple(self._folder(name) for name in reversed(names))
        return LayeredView(lowers, lambda: upper.read_root(lowers[0]), self.user_xattrs)

    def _write(self, stack: Stack, names: list[str], missing: list[int]) -> Skipped:
        """Write those of the directories `names` that are missing."""
        from layerkit.snapshot import delta, disk, fill  # noqa: PLC0415  once for each image
        from layerkit.snapshot.skipped import Skipped  # noqa: PLC0415

        trees = stack.trees()
        first = len(stack.chains) - len(names)
        skipped = Skipped()
        with open_all(stack.tars) as tars:
            for at in missing:
                lower = trees[first + at - 1] if at else empty()
                change = delta.between(lower, trees[first + at])
                content = fill.from_tars(tars.__getitem__)
                skipped.add(disk.write_named(self._folders, names[at], change, content))
        return skipped

    def _folder(self, name: str) -> Path:
        return self._folders.path(name) / "fs"

    def places(self, chain: ChainID) -> tuple[Path, ...]:
        """Where it puts what it makes for the stack of this name."""
        return tuple(self._folders.path(chain.hex + end) for end in ("", _FLAT))

    def made(self) -> Iterator[ChainID]:
        """The names of the stacks for which it made something; raises `OSError`."""
        return self._folders.chains()

    def remove(self, chain: ChainID) -> None:
        """Remove one layer's directories if they are here; raises `StoreError`."""
        for end in ("", _FLAT):
            self._folders.remove(chain.hex + end)


def _names(stack: Stack) -> list[str]:
    """The directories of a stack, lowest first."""
    chains = stack.chains[-_MOST:]
    names = [chain.hex for chain in chains]
    if len(chains) < len(stack.chains):
        names[0] += _FLAT
    return names
