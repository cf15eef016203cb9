"""What a volume begins with: what a new container shows at the volume's target."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from layerkit import linux
from layerkit.errors import UsageError
from layerkit.layer import merge
from layerkit.ops import uppers, views
from layerkit.snapshot import delta, disk, fill, upper
from layerkit.snapshot.folders import open_all, opened
from layerkit.store import files
from layerkit.tree import Kind, empty, join, look_up

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from layerkit.events import Observer
    from layerkit.ops.containers import Origin
    from layerkit.ops.home import Home
    from layerkit.snapshot.fill import Fill
    from layerkit.tree import Node, Tree


def write(home: Home, origin: Origin, target: str, folder: Path, observe: Observer) -> bool:
    """Write the folder that is at `target` into the new `folder`, and sync it; False if none is.

    `observe` is told what the file system does not keep. Raises `StoreError`, `UsageError` where
    links lead to the root itself.
    """
    frozen = (
        uppers.seen(home, origin.driver, uppers.frozen(home, origin.chain)) if origin.chain else ()
    )
    found = look_up(_tree(home, origin, frozen), os.fsencode(target))
    if found is None or found[1].kind is not Kind.DIRECTORY:
        return False
    if not found[0]:
        raise UsageError(f"cannot mount a volume on {target}: it leads to the root")
    tars = [home.store.layers.tar(layer.diff_id) for layer in origin.image.layers]
    with open_all(tars) as layers, contextlib.ExitStack() as stack, files.guarded("write volume"):
        roots = [stack.enter_context(opened(each, os.O_DIRECTORY)) for each in frozen]
        place = stack.enter_context(opened(folder, os.O_DIRECTORY))
        content = _content(found[0], layers, roots)
        skipped = disk.write(place, delta.flat(found[1]), content)
        linux.syncfs(place)  # the name must not outlive the content
    if skipped:
        observe(skipped.notice("warning", f" in the volume on {target}"))
    return True


def _tree(home: Home, origin: Origin, frozen: Sequence[Path]) -> Tree:
    """What a new container shows; the numbers of the frozen uppers follow that of layerkit's layer."""
    tree = views.shown_tree(home, origin.image)
    if not frozen:
        return tree
    driver = home.drivers[origin.driver]
    if not driver.is_layered:
        tree = empty()
    for number, folder in enumerate(frozen, len(origin.image.layers) + 1):
        entries = upper.read(folder, user_xattrs=driver.user_xattrs)
        tree = merge.apply(tree, (each for each in entries if each.kind is not Kind.SOCKET), number)
    return tree


def _content(top: bytes, layers: Sequence[int], uppers: Sequence[int]) -> Fill:
    """Content for paths below `top`, from tars of layers, or above them from frozen uppers."""
    from_tars = fill.from_tars(layers.__getitem__)
    from_uppers = [fill.from_folder(each) for each in uppers]

    def content(path: bytes, node: Node, file: int) -> None:
        number = node.layer - len(layers) - 1
        if number < 0:
            from_tars(path, node, file)
        else:
            from_uppers[number](join(top, path), node, file)

    return content
