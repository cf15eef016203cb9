"""The state directory with all that works on it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Self

from layerkit.snapshot.overlay import OverlayViews
from layerkit.store.files import remove_tree
from layerkit.store.store import Store

if TYPE_CHECKING:
    from pathlib import Path


class Home:
    """An open state directory: the store, and the views of its images.

    Raises `StoreError` when the directory cannot be made, read or written.
    """

    def __init__(self, root: Path) -> None:
        self.store = Store(root)
        self.views = OverlayViews(
            root / "trees", self.store.scratch, partial(remove_tree, scratch=self.store.scratch)
        )
        self.containers = root / "containers"

    def close(self) -> None:
        """Let go of it."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()
