"""What a container of an image mounts, and what it is compared with.

Above the image's layers lies one small layer of layerkit's own, the same for all containers of the
image: the folders and empty files that mounts cover in every container. So they are neither in the
image nor in a container's upper, and no diff shows them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from layerkit import digest as digests
from layerkit.digest import ChainID
from layerkit.layer import merge
from layerkit.ops import layers
from layerkit.snapshot.driver import Stack
from layerkit.store.files import guarded
from layerkit.tree import Entry, Kind, Node, empty, find, graft, inside, real_way

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from layerkit.events import Event, Observer
    from layerkit.ops.home import Home
    from layerkit.snapshot.driver import Driver, View
    from layerkit.store.records import ImageRecord
    from layerkit.store.store import Store
    from layerkit.tree import Tree

BIND_FILES = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf")
"""The files that every container has its own of, from outside its root file system."""

_INIT_VERSION = 1
_INIT = (
    *(Entry(name, Kind.DIRECTORY, 0o755) for name in (b"dev", b"proc", b"sys")),
    *(Entry(name[1:].encode(), Kind.FILE, 0o644) for name in BIND_FILES),
)


def _ignore(_event: Event) -> None:
    """As `events.ignore`, which comes with all events: nobody who only looks makes any."""


def of_image(home: Home, image: ImageRecord, driver: Driver, observe: Observer = _ignore) -> View:
    """The view below a container of the image; made when missing.

    `observe` is told what of it the file system does not keep, when it is made.
    """
    return driver.prepare(_stack(home, image), observe)


def _stack(home: Home, image: ImageRecord) -> Stack:
    diff_ids = [layer.diff_id for layer in image.layers]
    tars = tuple(home.store.layers.tar(diff_id) for diff_id in diff_ids)

    def trees() -> list[Tree]:
        stack = layers.stack(home.store, diff_ids)
        return [*stack, base_tree(home.store, image, stack)]

    return Stack(tuple(chains(image)), tars, trees)


def of_layers(home: Home, image: ImageRecord, driver: Driver, observe: Observer = _ignore) -> View:
    """As `of_image`, without layerkit's own layer: the image as it is."""
    diff_ids = [layer.diff_id for layer in image.layers]
    tars = tuple(home.store.layers.tar(diff_id) for diff_id in diff_ids)
    below = tuple(digests.chain_ids(diff_ids))
    return driver.prepare(Stack(below, tars, lambda: layers.stack(home.store, diff_ids)), observe)


def remove(home: Home, chain: ChainID) -> None:
    """Remove what any driver made for the layers of this name; raises `StoreError`."""
    for driver in home.drivers.values():
        driver.remove(chain)


def places(home: Home, chain: ChainID) -> list[Path]:
    """Where the drivers put what they make for the layers of this name."""
    found = (place for driver in home.drivers.values() for place in driver.places(chain))
    return list(dict.fromkeys(found))


def made(home: Home) -> list[ChainID]:
    """The names of the layers for which any driver made something; raises `StoreError`."""
    with guarded("read"):
        found = {chain for driver in home.drivers.values() for chain in driver.made()}
    return sorted(found, key=str)


def chains(image: ImageRecord) -> list[ChainID]:
    """The names of all directories of the image's view, lowest first."""
    below = digests.chain_ids(layer.diff_id for layer in image.layers)
    text = f"{below[-1] if below else ''} layerkit-init {_INIT_VERSION}"
    return [*below, ChainID(digests.of_bytes(text.encode()))]


def shown_tree(home: Home, image: ImageRecord) -> Tree:
    """As `base_tree`; read from a view where it can be, and then only as far as it is looked at."""
    from layerkit.snapshot.erofs.driver import ErofsDriver  # noqa: PLC0415  see ops.drivers

    index = home.drivers[ErofsDriver.name]
    assert isinstance(index, ErofsDriver)
    return index.tree(_stack(home, image), _ignore) or base_tree(home.store, image)


def base_tree(store: Store, image: ImageRecord, stack: list[Tree] | None = None) -> Tree:
    """The tree that a new container of the image shows."""
    if stack is None:
        stack = layers.stack(store, [layer.diff_id for layer in image.layers])
    return merge.apply(stack[-1] if stack else empty(), _INIT, len(image.layers))


def without_own(tree: Tree, image: Tree) -> Tree:
    """A container's tree with what the image has in the places of layerkit's own files and folders.

    What a container made of them stays.
    """
    for own in _INIT:
        node, original = find(tree, own.path), find(image, own.path)
        if node is None or not _is_own(node.entry, own):
            continue
        if node.children is not None and original is not None:
            original = Node(original.entry, original.layer, node.children)
        if original is not None or not inside(node):
            tree = graft(tree, own.path, original)
    etc = find(tree, b"etc")
    if etc is not None and not inside(etc) and find(image, b"etc") is None:
        tree = graft(tree, b"etc", None)
    return tree


def _is_own(entry: Entry, own: Entry) -> bool:
    same = (own.kind, own.mode, own.uid, own.gid, own.seconds, own.nanos, own.size)
    return same == (
        *(entry.kind, entry.mode, entry.uid, entry.gid),
        *(entry.seconds, entry.nanos, entry.size),
    )


def without_mountpoints(tree: Tree, base: Tree, targets: Iterable[str]) -> Tree:
    """A container's tree without what was made only for something to be mounted on it.

    That is an empty folder or file at a target, and the folders that there are only for it, as far as
    they are not in `base`. What a container made in or of them stays.
    """
    for target in sorted(targets, key=len, reverse=True):  # inner ones first
        path = b"/".join(real_way(tree, os.fsencode(target)) or ())
        while path and _is_mountpoint(find(tree, path)) and find(base, path) is None:
            tree = graft(tree, path, None)
            path = path.rpartition(b"/")[0]
    return tree


def _is_mountpoint(node: Node | None) -> bool:
    if node is None or inside(node) or node.entry.size:
        return False
    entry = node.entry
    made = {Kind.DIRECTORY: 0o755, Kind.FILE: 0o644}
    return (made.get(entry.kind), 0, 0) == (entry.mode, entry.uid, entry.gid)
