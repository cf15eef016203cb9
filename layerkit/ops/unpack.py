"""Unpack: an image's tree as plain files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from layerkit.errors import UsageError
from layerkit.events import ignore
from layerkit.ops import layers
from layerkit.ops.images import find_image
from layerkit.snapshot import delta, disk, fill, idmap, userns
from layerkit.snapshot.folders import open_all
from layerkit.store import files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from layerkit.events import Observer
    from layerkit.ops.home import Home
    from layerkit.snapshot.skipped import Skipped


def unpack(home: Home, text: str, directory: Path, observe: Observer = ignore) -> None:
    """Write the root file system of an image into a new or empty directory, whiteouts applied.

    Who is not root writes in a user namespace, where there can be one: owners are then the user's
    subordinate ids. `observe` is told in one note what could not be kept. Raises `UsageError` for a
    directory with something in it, `NotFoundError`, `StoreError`. The calling process must have
    one thread.
    """
    image = find_image(home, text)
    diff_ids = [layer.diff_id for layer in image.layers]
    tree = layers.tree(home.store, diff_ids)
    root = _open_empty(directory)
    try:
        with open_all([home.store.layers.tar(diff_id) for diff_id in diff_ids]) as tars:
            skipped = _write(
                lambda: disk.write(root, delta.flat(tree), fill.from_tars(tars.__getitem__))
            )
    finally:
        os.close(root)
    if skipped:
        observe(skipped.notice("note"))


def _write(work: Callable[[], Skipped]) -> Skipped:
    maps = idmap.of_this_user() if os.geteuid() else None
    skipped = userns.run(maps, work) if maps else None
    return work() if skipped is None else skipped


def _open_empty(directory: Path) -> int:
    with files.guarded("write to"):
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise UsageError(f"cannot unpack to {directory}: it is not empty")
        return os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
