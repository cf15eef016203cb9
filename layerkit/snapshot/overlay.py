"""The overlay driver: one directory a layer, written when the image is first used.

A directory is named by ChainID, not by diffID: what must be in it depends on the layers below (a
folder that the layer only implies takes the lower one's owner and mode, an entry below a symlink
belongs where that leads, a hard link to a lower file needs the file beside it).
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from typing import TYPE_CHECKING

from layerkit import linux
from layerkit.errors import StoreError, StoreFullError
from layerkit.events import ignore
from layerkit.snapshot import delta, disk
from layerkit.snapshot.skipped import Skipped
from layerkit.tree import empty

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from layerkit.digest import ChainID
    from layerkit.events import Observer
    from layerkit.tree import Tree


class OverlayViews:
    """Views as stacks of directories `trees/<chainid>/fs`, built in `scratch` and renamed in.

    `remove` removes a directory with all in it, if it is there.
    """

    def __init__(self, trees: Path, scratch: Path, remove: Callable[[Path], None]) -> None:
        self._trees = trees
        self._scratch = scratch
        self._remove = remove

    def folder(self, chain: ChainID) -> Path:
        """The directory of one layer's delta."""
        return self._trees / chain.hex / "fs"

    def prepare(
        self,
        chains: Sequence[ChainID],
        trees: Callable[[], Sequence[Tree]],
        tars: Sequence[Path],
        observe: Observer = ignore,
    ) -> tuple[Path, ...]:
        """The read-only lowers that show the image, top first; missing ones are written now.

        `chains` and `tars` are those of its layers, lowest first; `trees` gives the tree after
        each layer, and is only called when a directory is missing. `observe` is told in one warning
        what the file system does not keep of what is written. Raises `StoreError`,
        `StoreFullError`, `IntegrityError`.
        """
        folders = [self.folder(chain) for chain in chains]
        missing = [number for number, folder in enumerate(folders) if not folder.is_dir()]
        if missing:
            stack = trees()
            skipped = Skipped()
            with open_all(tars) as descriptors:
                for number in missing:
                    lower = stack[number - 1] if number else empty()
                    change = delta.between(lower, stack[number])
                    skipped.add(self._write(folders[number], change, descriptors.__getitem__))
            if skipped:
                observe(skipped.notice("warning", " in the image's view"))
        return tuple(reversed(folders))

    def remove(self, chain: ChainID) -> None:
        """Remove one layer's directory if it is here; raises `StoreError`."""
        with _guarded("remove"):
            self._remove(self._trees / chain.hex)

    def _write(self, folder: Path, change: delta.Delta, tar_of: Callable[[int], int]) -> Skipped:
        """Build beside, then name; whoever is second finds the name taken and drops its own."""
        beside = self._scratch / f"tree-{secrets.token_hex(8)}"
        try:
            with _guarded("write"):
                (beside / "fs").mkdir(parents=True)
                with _opened(beside / "fs", os.O_DIRECTORY) as root:
                    skipped = disk.write(root, change, tar_of)
                    linux.syncfs(root)  # the name must not outlive the content
                self._name(beside, folder.parent)
            return skipped
        finally:
            with contextlib.suppress(OSError):
                self._remove(beside)

    def _name(self, beside: Path, target: Path) -> None:
        try:
            os.rename(beside, target)
        except OSError as error:
            if error.errno not in {errno.EEXIST, errno.ENOTEMPTY}:
                raise


@contextlib.contextmanager
def open_all(tars: Sequence[Path]) -> Iterator[list[int]]:
    """The descriptors of layer tars, closed again at the end; raises `StoreError`."""
    with contextlib.ExitStack() as stack:
        with _guarded("read"):
            descriptors = [stack.enter_context(_opened(tar)) for tar in tars]
        yield descriptors


@contextlib.contextmanager
def _opened(path: Path, flags: int = 0) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _guarded(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kind = StoreFullError if error.errno in {errno.ENOSPC, errno.EDQUOT} else StoreError
        reason = os.strerror(error.errno or 0).lower()
        raise kind(f"cannot {what} {error.filename}: {reason}") from error
