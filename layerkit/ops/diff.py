"""Diff: what a container changed, from its upper directory alone."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from layerkit.diff.compare import compare
from layerkit.ops import content, views
from layerkit.ops.containers import find_container, written
from layerkit.ops.images import image_of
from layerkit.ops.inside import LocalContainer
from layerkit.snapshot import beneath
from layerkit.snapshot.folders import open_all

if TYPE_CHECKING:
    from layerkit.ops.home import Home
    from layerkit.store.records import ImageRecord
    from layerkit.tree import Change, Node


def diff_container(home: Home, text: str) -> list[Change]:
    """The changes of a container against its image, sorted by path.

    The upper directory is one more layer: it is merged onto the image's tree as any other, and the
    two trees are compared. Raises `NotFoundError`, `StoreError`.
    """
    container = find_container(home, text)
    image = image_of(home, container.manifest)
    base = views.base_tree(home.store, image)
    after = LocalContainer(home, container, text).tree()
    root = os.open(written(home, container), os.O_RDONLY | os.O_DIRECTORY)
    try:
        same = _ContentReader(home, image, root).same
        return compare(base, after, same)
    finally:
        os.close(root)


class _ContentReader:
    """Compares a file in the upper with the bytes that its base has in a layer's tar."""

    def __init__(self, home: Home, image: ImageRecord, upper_root: int) -> None:
        self._home = home
        self._image = image
        self._root = upper_root
        self._open = beneath.opener(upper_root)

    def same(self, path: bytes, old: Node, new: Node) -> bool:
        """Whether the file at `path` still holds what it held; one that vanished does not."""
        if new.layer <= len(self._image.layers):
            return new.layer == old.layer and new.entry.data == old.entry.data
        if not old.entry.size:
            return True
        try:
            file = self._open(self._root, path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return False
        try:
            return stat.S_ISREG(os.fstat(file).st_mode) and self._holds(file, old)
        finally:
            os.close(file)

    def _holds(self, file: int, old: Node) -> bool:
        with open_all([self._home.store.layers.tar(self._image.layers[old.layer].diff_id)]) as tars:
            return all(
                os.pread(file, size, at)
                == (os.pread(tars[0], size, source) if source else bytes(size))
                for at, size, source in content.runs(old.entry)
            )
