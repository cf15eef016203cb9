"""Export: the root file system of a container as one plain tar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerkit.events import ignore
from layerkit.ops.containers import find_container
from layerkit.ops.inside import LocalContainer
from layerkit.ops.tarring import Tarring
from layerkit.tree import empty, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerkit.events import Observer
    from layerkit.ops.home import Home
    from layerkit.tree import Node


def export(home: Home, text: str, observe: Observer = ignore) -> Iterator[bytes]:
    """The pieces of a tar with all that a container shows, its own mounts left out, as docker.

    The same tree gives the same bytes. A running container is read as it is at the moment: what
    vanishes is left out, a file that changes its size is cut or filled with zeros to the size it
    had, and `observe` is told. Raises `NotFoundError`, now or later `StoreError`, `IntegrityError`.
    """
    container = find_container(home, text)
    return _pieces(LocalContainer(home, container, container.name), observe)


def _pieces(container: LocalContainer, observe: Observer) -> Iterator[bytes]:
    try:
        yield from Tarring(container.content, observe).pieces(_items(container))
    finally:
        container.close()


def _items(container: LocalContainer) -> Iterator[tuple[bytes, Node]]:
    tree = container.tree()
    if tree.entry != empty().entry:  # else it says nothing
        yield b"", tree
    yield from walk(tree)
