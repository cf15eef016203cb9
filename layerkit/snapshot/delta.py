"""What must be written to get from one tree to the next, pure.

Both kinds of directories come from it: a flat tree is the delta from nothing; a layer's directory
for overlayfs is the delta from the tree below it. So markers of the archive never reach the disk;
only a name that the lower tree really has gets a whiteout (kernel overlayfs.rst, "whiteouts and
opaque directories"), and the merged mount shows exactly the tree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field

from layerkit.tree import Kind, Node, Tree, empty, find, inside, join, parents, walk

if TYPE_CHECKING:
    from collections.abc import Iterable

    from layerkit.tree import Entry


class Delta(Struct, frozen=True):
    """Directories with parents first, other nodes, and the names to hide; all by path.

    `hiding` are those of the other nodes that hide something of the lower tree, whatever they are.
    """

    directories: dict[bytes, Node] = field(default_factory=dict)
    others: dict[bytes, Node] = field(default_factory=dict)
    whiteouts: list[bytes] = field(default_factory=list)
    hiding: set[bytes] = field(default_factory=set)


def flat(tree: Tree) -> Delta:
    """All of the tree."""
    return between(empty(), tree)


def of_entries(entries: Iterable[Entry]) -> Delta:
    """All that was read of a directory: hard links name the entry with the inode, before them.

    A whiteout has nothing to hide there: the device 0:0 that is read as one is left out.
    """
    delta = Delta()
    for entry in entries:
        if entry.kind is Kind.DIRECTORY:
            delta.directories[entry.path] = Node(entry, -1, {})
        elif entry.kind is Kind.HARDLINK:
            delta.others[entry.path] = delta.others[entry.link]
        elif entry.kind is not Kind.WHITEOUT:
            delta.others[entry.path] = Node(entry, -1)
    return delta


def between(lower: Tree, tree: Tree) -> Delta:
    """What `tree` has beyond `lower`; subtrees that both share cost nothing."""
    delta = Delta()
    delta.directories[b""] = tree
    stack = [(b"", lower, tree)]
    while stack:
        path, old, new = stack.pop()
        for name, node in inside(new).items():
            below = inside(old).get(name)
            if below is node:
                continue
            here = join(path, name)
            if node.kind is Kind.DIRECTORY:
                delta.directories[here] = node
                stack.append((here, below or empty(), node))
            else:
                delta.others[here] = node
                if below:
                    delta.hiding.add(here)
        gone = inside(old).keys() - inside(new).keys()
        delta.whiteouts.extend(join(path, name) for name in sorted(gone))
    _complete_links(delta, tree)
    return delta


def _complete_links(delta: Delta, tree: Tree) -> None:
    """Add the other names of files of lower layers that got a new name here.

    A hard link to a file of another directory is only one file with it if both are written side by
    side (as a copy-up would do it).
    """
    from_below = {id(node) for node in delta.others.values() if node.layer != tree.layer}
    if not from_below:
        return
    for path, node in walk(tree):
        if id(node) in from_below and path not in delta.others:
            delta.others[path] = node
            for parent in parents(path):
                folder = find(tree, parent)
                assert folder is not None
                delta.directories.setdefault(parent, folder)
