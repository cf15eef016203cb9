"""Ls: what is in a directory of an image or container."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from layerkit.errors import NotFoundError, UsageError
from layerkit.tree import Kind, inside, look_up, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from layerkit.ops.inside import Inside
    from layerkit.tree import Node, Tree


@dataclass(frozen=True, slots=True)
class Row:
    """One line: a name in its directory, or the whole path of a file that was asked for.

    `links` is the number of names, 0 where it was not asked for; of a directory it is 2 and its
    subdirectories, as most file systems have it.
    """

    name: bytes
    node: Node
    links: int


@dataclass(frozen=True, slots=True)
class Listing:
    """What is in one directory, names in byte order; `path` is None for a file by itself."""

    path: bytes | None
    rows: list[Row]


def ls(
    subject: Inside, path: bytes, *, links: bool = False, recursive: bool = False
) -> Iterator[Listing]:
    """The directory at `path`, or the file; with `recursive`, also all directories below.

    Symlinks on the way are followed inside the root. One at the end is, too, as `ls` does it,
    unless it leads to nothing or `links` are counted and no `/` stands behind it. Raises
    `NotFoundError`, `UsageError`, and what reading an image in a registry raises.
    """
    look = partial(_in_tree, subject) if links else subject.whole
    node = look(path, follow=not links or path.endswith(b"/"))
    if node is None and not links and not path.endswith(b"/"):
        node = look(path, follow=False)
    if node is None:
        raise NotFoundError(f"cannot list {_shown(subject, path)}: no such file or directory")
    count = _counter(subject.tree()) if links else _no_count
    if node.kind is Kind.DIRECTORY:
        return _listings(path.rstrip(b"/"), node, count, recursive=recursive)
    if path.endswith(b"/"):
        raise UsageError(f"cannot list {_shown(subject, path)}: it is not a directory")
    return iter([Listing(None, [Row(path, node, count(node))])])


def _in_tree(subject: Inside, path: bytes, *, follow: bool) -> Node | None:
    """What is at a path as the very node of the tree, so that its names can be counted."""
    found = look_up(subject.tree(), path, follow=follow)
    return None if found is None else found[1]


def _shown(subject: Inside, path: bytes) -> str:
    return f"{os.fsdecode(path)} of {subject.name}"


def _listings(
    path: bytes, folder: Node, count: Callable[[Node], int], *, recursive: bool
) -> Iterator[Listing]:
    """A directory, then those below in the order of `ls -R`."""
    todo = [(path, folder)]
    while todo:
        path, folder = todo.pop()
        names = sorted(inside(folder).items())
        yield Listing(path or b"/", [Row(name, node, count(node)) for name, node in names])
        if recursive:
            todo += [
                (path + b"/" + name, node)
                for name, node in reversed(names)
                if node.kind is Kind.DIRECTORY
            ]


def _no_count(_node: Node) -> int:
    return 0


def _counter(tree: Tree) -> Callable[[Node], int]:
    """What tells the number of links of a node of this tree."""
    names = Counter(id(node) for _, node in walk(tree))

    def count(node: Node) -> int:
        if node.kind is not Kind.DIRECTORY:
            return names[id(node)]
        return 2 + sum(child.kind is Kind.DIRECTORY for child in inside(node).values())

    return count
