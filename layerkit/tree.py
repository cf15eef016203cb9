"""What a layer records and what an image shows: entries, and the tree they merge to.

Paths are bytes, as in an archive and in the kernel: components joined by `/`, without a leading
one; the root is `b""`. Times are nanoseconds since 1970 and may be negative.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003  msgspec reads the annotation
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

LINK_LIMIT = 40
"""As many symlinks as Linux follows in one path (path_resolution(7))."""


NO_XATTRS: Mapping[str, bytes] = {}
"""One for all entries without any, and never changed: one each would be a fifth of an entry."""


class Kind(IntEnum):
    """What one record of a layer is; the last three occur in layers only, never in a tree."""

    FILE = 0
    DIRECTORY = 1
    SYMLINK = 2
    CHARACTER = 3
    BLOCK = 4
    FIFO = 5
    SOCKET = 6
    HARDLINK = 7
    WHITEOUT = 8
    OPAQUE = 9


class Extent(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A run of a sparse file: `size` bytes at `offset` of the file; holes lie between extents."""

    offset: int
    size: int


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One record of a layer, as the tar header says it.

    The time of the last change is `seconds` (64 bits; nanoseconds alone would end in 2262) and
    `nanos`, 0 to 999,999,999. `data` is the offset in the layer tar where the content begins. `link` is a symlink's target as
    written, or a hard link's path. `extents` are set for sparse files only: their bytes lie one
    after another from `data` on, while `size` is the whole file's. A whiteout's or opaque mark's
    `path` is what it hides, not the name of its marker.
    """

    path: bytes
    kind: Kind
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    seconds: int = 0
    nanos: int = 0
    size: int = 0
    data: int = 0
    link: bytes = b""
    device: tuple[int, int] = (0, 0)
    xattrs: Mapping[str, bytes] = msgspec.field(default_factory=lambda: NO_XATTRS)
    extents: tuple[Extent, ...] | None = None

    @property
    def mtime(self) -> int:
        """The time of the last change in nanoseconds since 1970."""
        return self.seconds * 10**9 + self.nanos


class Node:
    """One inode of a merged tree; a hard-link group is one `Node` under several names.

    `layer` is the number of the layer (from 0) that wrote it last: a file's content lies in that
    layer's tar at `entry.data`. Trees share what did not change: merging one more layer copies
    only the folders on the way to a change, so `is` tells that two subtrees are equal. A node is
    not changed after the merge that made it.
    """

    __slots__ = ("children", "entry", "layer")

    def __init__(self, entry: Entry, layer: int, children: dict[bytes, Node] | None = None) -> None:
        self.entry = entry
        self.layer = layer
        self.children = children

    @property
    def kind(self) -> Kind:
        """What this inode is."""
        return self.entry.kind

    def __repr__(self) -> str:
        inside = "" if self.children is None else f", {len(self.children)} inside"
        return f"Node({self.entry.kind.name} of layer {self.layer}{inside})"


Tree: TypeAlias = Node
"""A tree is its root node, always a directory."""


def empty(mode: int = 0o755) -> Tree:
    """The tree of no layers: a root directory of root, dated 1970."""
    return Node(Entry(b"", Kind.DIRECTORY, mode), -1, {})


def inside(node: Node) -> dict[bytes, Node]:
    """The children of a directory; nothing for any other kind."""
    return {} if node.children is None else node.children


def join(parent: bytes, name: bytes) -> bytes:
    """The path of `name` in `parent`."""
    return parent + b"/" + name if parent else name


def parents(path: bytes) -> Iterator[bytes]:
    """The paths of the folders that `path` is in, from the outermost on, without the root."""
    end = path.find(b"/")
    while end >= 0:
        yield path[:end]
        end = path.find(b"/", end + 1)


def walk(tree: Tree, path: bytes = b"") -> Iterator[tuple[bytes, Node]]:
    """Each path below the root with its node, parents first, names in byte order."""
    stack = [(path, tree)]
    while stack:
        path, node = stack.pop()
        if node is not tree:
            yield path, node
        children = inside(node)
        stack.extend((join(path, name), children[name]) for name in sorted(children, reverse=True))


def graft(tree: Tree, path: bytes, node: Node | None) -> Tree:
    """The tree with another node at `path`, or none there; the folders on the way are in it."""
    name, _, rest = path.partition(b"/")
    children = dict(inside(tree))
    if rest:
        children[name] = graft(children[name], rest, node)
    elif node is None:
        children.pop(name, None)
    else:
        children[name] = node
    return Node(tree.entry, tree.layer, children)


def find(tree: Tree, path: bytes) -> Node | None:
    """The node at exactly this path; no symlink is followed."""
    node: Node | None = tree
    for name in filter(None, path.split(b"/")):
        node = inside(node).get(name) if node is not None else None
    return node


def real_way(tree: Tree, path: bytes) -> list[bytes] | None:
    """The way to `path` without symlinks, as `openat2(RESOLVE_IN_ROOT)` goes; None in a loop.

    The last component is followed, too. Components that do not exist stay as they are written.
    """
    todo = path.split(b"/")[::-1]
    way: list[tuple[bytes, Node | None]] = []
    links = 0
    while todo:
        name = todo.pop()
        if name == b"..":
            del way[-1:]
        elif name not in {b"", b"."}:
            here = way[-1][1] if way else tree
            node = inside(here).get(name) if here is not None else None
            if node is None or node.kind is not Kind.SYMLINK:
                way.append((name, node))
                continue
            links += 1
            if links > LINK_LIMIT:
                return None
            if node.entry.link.startswith(b"/"):
                way.clear()
            todo.extend(node.entry.link.split(b"/")[::-1])
    return [name for name, _ in way]


def look_up(tree: Tree, path: bytes, *, follow: bool = True) -> tuple[bytes, Node] | None:
    """What `path` leads to inside the root, with its path without symlinks; None if to nothing.

    Without `follow`, a symlink at the very end is the answer itself.
    """
    parent, _, name = path.rstrip(b"/").rpartition(b"/")
    if follow or name in {b"", b".", b".."}:
        way = real_way(tree, path)
    else:
        way = real_way(tree, parent)
        way = None if way is None else [*way, name]
    if way is None:
        return None
    real = b"/".join(way)
    node = find(tree, real)
    return None if node is None else (real, node)


Letter: TypeAlias = Literal["A", "C", "D"]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two trees: `before` is None for an addition, `after` for a deletion."""

    path: bytes
    before: Node | None
    after: Node | None
    why: tuple[str, ...] = ()

    @property
    def letter(self) -> Letter:
        """`A` added, `C` changed, `D` deleted, as docker prints it."""
        return "A" if self.before is None else "D" if self.after is None else "C"
