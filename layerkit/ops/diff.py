"""Diff: what a container changed, from its upper directory alone."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from layerkit import linux
from layerkit.diff.compare import compare
from layerkit.layer import merge
from layerkit.ops import views
from layerkit.ops.containers import find_container, upper_of
from layerkit.ops.images import image_of
from layerkit.snapshot import upper

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerkit.ops.home import Home
    from layerkit.store.records import ImageRecord
    from layerkit.tree import Change, Entry, Node

_CHUNK = 1 << 20


def diff_container(home: Home, text: str) -> list[Change]:
    """The changes of a container against its image, sorted by path.

    The upper directory is one more layer: it is merged onto the image's tree as any other, and the
    two trees are compared. Raises `NotFoundError`, `StoreError`.
    """
    container = find_container(home, text)
    image = image_of(home, container.manifest)
    base = views.base_tree(home.store, image)
    above = len(image.layers) + 1
    after = merge.apply(base, upper.read(upper_of(home, container)), above)
    root = os.open(upper_of(home, container), os.O_RDONLY | os.O_DIRECTORY)
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

    def same(self, path: bytes, old: Node, new: Node) -> bool:
        """Whether the file at `path` still holds what it held; one that vanished does not."""
        if new.layer <= len(self._image.layers):
            return new.layer == old.layer and new.entry.data == old.entry.data
        if not old.entry.size:
            return True
        resolve = linux.RESOLVE_BENEATH | linux.RESOLVE_NO_SYMLINKS
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            file = linux.openat2(self._root, os.fsdecode(path), flags, resolve)
        except FileNotFoundError:
            return False
        diff_id = self._image.layers[old.layer].diff_id
        tar = os.open(self._home.store.layers.tar(diff_id), os.O_RDONLY)
        try:
            return all(
                os.pread(file, size, at) == (os.pread(tar, size, source) if source else bytes(size))
                for at, size, source in _runs(old.entry)
            )
        finally:
            os.close(tar)
            os.close(file)


def _runs(entry: Entry) -> Iterator[tuple[int, int, int]]:
    """A file in pieces: (offset in the file, bytes, offset in the tar or 0 for a hole)."""
    source = entry.data
    end = 0
    for offset, size in [(run.offset, run.size) for run in entry.extents or ()] or [
        (0, entry.size)
    ]:
        yield from _pieces(end, offset - end, 0)
        yield from _pieces(offset, size, source)
        source += size
        end = offset + size
    yield from _pieces(end, entry.size - end, 0)


def _pieces(offset: int, size: int, source: int) -> Iterator[tuple[int, int, int]]:
    for done in range(0, size, _CHUNK):
        yield offset + done, min(_CHUNK, size - done), source + done if source else 0
