"""A directory of this machine as one side of a comparison."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

from layerkit.layer import merge
from layerkit.ops import content
from layerkit.ops.inside import find_in, node_of
from layerkit.snapshot import upper
from layerkit.tree import empty

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from layerkit.ops.inside import Finding, Origin
    from layerkit.tree import Node, Tree


class LocalFolder:
    """A directory of this machine, read as it is at the moment; no symlink in it is followed.

    Raises `StoreError`.
    """

    def __init__(self, folder: Path) -> None:
        self.name = os.fspath(folder)
        self._folder = folder

    def close(self) -> None:
        """Nothing is held open."""

    def tree(self) -> Tree:
        """The tree that the directory shows."""
        return self._tree

    @functools.cached_property
    def _tree(self) -> Tree:
        return merge.apply(empty(), upper.read_plain(self._folder), 0)

    def find(self, path: bytes, *, follow: bool = True) -> Finding | None:
        """What is at a path."""
        return find_in(self._tree, path, follow=follow)

    def whole(self, path: bytes, *, follow: bool = True) -> Node | None:
        """What is at a path."""
        return node_of(self.find(path, follow=follow))

    def content(self, finding: Finding) -> Iterator[bytes]:
        """The bytes of a file."""
        return content.of_file(self._folder, finding.path, self.name)

    def origin(self, _node: Node) -> Origin | None:
        """Nowhere: such files stand for nothing but themselves."""
        return None
