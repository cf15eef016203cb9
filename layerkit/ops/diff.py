"""Diff: what a container changed, from its upper directory alone."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from layerkit.diff.compare import compare
from layerkit.ops.containers import find_container
from layerkit.ops.inside import LocalContainer

if TYPE_CHECKING:
    from layerkit.ops.home import Home
    from layerkit.tree import Change


def diff_container(home: Home, text: str) -> list[Change]:
    """The changes of a container against its image, sorted by path.

    The upper directory is one more layer: it is merged onto the image's tree as any other, and the
    two trees are compared. Raises `NotFoundError`, `StoreError`.
    """
    container = find_container(home, text)
    with contextlib.closing(LocalContainer(home, container, container.name)) as inside:
        return compare(inside.base(), inside.tree(), inside.same_content)
