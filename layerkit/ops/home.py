"""The state directory with all that works on it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Self

from layerkit.limits import DEFAULT
from layerkit.snapshot.overlay import OverlayViews
from layerkit.store.files import remove_tree
from layerkit.store.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from layerkit.limits import Limits


class Home:
    """An open state directory: the store, and the views of its images.

    `limits` hold for all that is brought in. Raises `StoreError` when the directory cannot be made, read or written.
    """

    def __init__(self, root: Path, limits: Limits = DEFAULT) -> None:
        self.store = Store(root, limits)
        self.views = OverlayViews(
            root / "trees", self.store.scratch, partial(remove_tree, scratch=self.store.scratch)
        )
        self.containers = root / "containers"
        self.snapshots = root / "snapshots"

    def close(self) -> None:
        """Let go of it."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()
