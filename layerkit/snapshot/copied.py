"""The copy driver, for where nothing can be stacked: each container has a whole copy of its image.

The first one costs what unpacking the image costs, and so does each further one, but for the content
of files where the file system can share that between copies (FICLONE).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from msgspec import Struct

from layerkit.mount import FolderMount
from layerkit.snapshot import delta, disk, fill, upper
from layerkit.snapshot.folders import Folders, guarded, open_all, opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from layerkit.digest import ChainID
    from layerkit.events import Observer
    from layerkit.mount import RootMount
    from layerkit.snapshot.driver import Stack

ROOT = "root"
"""The name of the directory with all that a container shows, in its folder."""
_FLAT = "-flat"


class CopyDriver:
    """Views as one flat directory `trees/<chainid>-flat/fs`, built in `scratch` and renamed in.

    `remove` removes a directory with all in it, if it is there.
    """

    name = "copy"
    is_layered = False
    user_xattrs = False
    directory = ROOT

    def __init__(self, root: Path, scratch: Path, remove: Callable[[Path], None]) -> None:
        self._folders = Folders(root / "trees", scratch, remove)

    @staticmethod
    def obstacle() -> str:
        """Why it does not work here: it always does."""
        return ""

    def prepare(self, stack: Stack, observe: Observer) -> CopiedView:
        """The flat directory of all the layers."""
        name = stack.chains[-1].hex + _FLAT
        folder = self._folders.path(name) / "fs"
        if not folder.is_dir():
            with open_all(stack.tars) as tars:
                content = fill.from_tars(tars.__getitem__)
                skipped = disk.write_named(
                    self._folders, name, delta.flat(stack.trees()[-1]), content
                )
            if skipped:
                observe(skipped.notice("warning", " in the image's view"))
        return CopiedView(folder)

    def places(self, chain: ChainID) -> tuple[Path, ...]:
        """Where it puts what it makes for the stack of this name."""
        return (self._folders.path(chain.hex + _FLAT),)

    def made(self) -> Iterator[ChainID]:
        """The names of the stacks for which it made something; raises `OSError`."""
        return self._folders.chains()

    def remove(self, chain: ChainID) -> None:
        """Remove the flat directory if it is here; raises `StoreError`."""
        self._folders.remove(chain.hex + _FLAT)


class CopiedView(Struct, frozen=True):
    """A flat directory."""

    folder: Path

    def look(self) -> RootMount:
        """What shows it."""
        return FolderMount(self.folder)

    def begin(self, layer: Path, last: Path | None = None) -> None:
        """Copy all of it."""
        clone(self.folder if last is None else last / ROOT, layer / ROOT)

    def root(
        self, layer: Path, frozen: Sequence[Path] = (), *, volatile: bool = False
    ) -> RootMount:
        """The copy, which has all."""
        del frozen, volatile
        return FolderMount(layer / ROOT)


def clone(source: Path, target: Path) -> None:
    """Copy a directory with all in it to a new one; raises `StoreError`."""
    with guarded("copy"):
        target.mkdir(mode=0o700)
        with opened(source, os.O_DIRECTORY) as old, opened(target, os.O_DIRECTORY) as new:
            disk.write(new, delta.of_entries(upper.read(source)), fill.from_folder(old))
