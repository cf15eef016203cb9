"""The overlay driver: one directory a layer, written when the image is first used.

A directory is named by ChainID, not by diffID: what must be in it depends on the layers below (a
folder that the layer only implies takes the lower one's owner and mode, an entry below a symlink
belongs where that leads, a hard link to a lower file needs the file beside it).
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from typing import TYPE_CHECKING

from layerkit.errors import StoreError, StoreFullError
from layerkit.snapshot import delta, disk
from layerkit.tree import empty

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from layerkit.digest import ChainID
    from layerkit.tree import Tree


class OverlayViews:
    """Views as stacks of directories `trees/<chainid>/fs`, built in `scratch` and renamed in."""

    def __init__(self, trees: Path, scratch: Path) -> None:
        self._trees = trees
        self._scratch = scratch

    def folder(self, chain: ChainID) -> Path:
        """The directory of one layer's delta."""
        return self._trees / chain.hex / "fs"

    def prepare(
        self,
        chains: Sequence[ChainID],
        trees: Callable[[], Sequence[Tree]],
        tars: Sequence[Path],
    ) -> tuple[Path, ...]:
        """The read-only lowers that show the image, top first; missing ones are written now.

        `chains` and `tars` are those of its layers, lowest first; `trees` gives the tree after
        each layer, and is only called when a directory is missing.
        """
        folders = [self.folder(chain) for chain in chains]
        missing = [number for number, folder in enumerate(folders) if not folder.is_dir()]
        if missing:
            stack = trees()
            with open_all(tars) as descriptors:
                for number in missing:
                    lower = stack[number - 1] if number else empty()
                    change = delta.between(lower, stack[number])
                    self._write(folders[number], change, descriptors.__getitem__)
        return tuple(reversed(folders))

    def remove(self, chain: ChainID) -> None:
        """Remove one layer's directory if it is here."""
        away = self._scratch / f"gone-tree-{chain.hex}-{os.getpid()}"
        with contextlib.suppress(FileNotFoundError):
            os.rename(self._trees / chain.hex, away)
            shutil.rmtree(away)

    def _write(self, folder: Path, change: delta.Delta, tar_of: Callable[[int], int]) -> None:
        """Build beside, then name; whoever is second finds the name taken and drops its own."""
        beside = self._scratch / f"tree-{folder.parent.name}-{os.getpid()}"
        shutil.rmtree(beside, ignore_errors=True)
        try:
            (beside / "fs").mkdir(parents=True)
            root = os.open(beside / "fs", os.O_RDONLY | os.O_DIRECTORY)
            try:
                disk.write(root, change, tar_of)
                os.fsync(root)
            finally:
                os.close(root)
            self._name(beside, folder.parent)
        finally:
            shutil.rmtree(beside, ignore_errors=True)

    def _name(self, beside: Path, target: Path) -> None:
        try:
            os.rename(beside, target)
        except OSError as error:
            if error.errno in {errno.EEXIST, errno.ENOTEMPTY}:
                return
            kind = StoreFullError if error.errno == errno.ENOSPC else StoreError
            raise kind(f"cannot write {target}: {os.strerror(error.errno or 0).lower()}") from error


@contextlib.contextmanager
def open_all(tars: Sequence[Path]) -> Iterator[list[int]]:
    """The descriptors of layer tars, closed again at the end."""
    descriptors: list[int] = []
    try:
        descriptors.extend(os.open(tar, os.O_RDONLY) for tar in tars)
        yield descriptors
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
