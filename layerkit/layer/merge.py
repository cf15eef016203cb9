"""The merge: indexes of layers to the tree of an image. The only place with whiteout semantics.

Pure, and persistent: applying a layer copies just the folders on the way to what it changes, so
trees of neighbouring layers share everything else and are compared by identity.

Rules (image-spec layer.md, "Applying Changesets"; in brackets what layerkit decided where the
specification is silent):

1. Whiteouts and opaque marks hide what lower layers have, wherever they stand in the archive; they
   never touch what their own layer brings. So they go first.
2. Then the entries in their order; of two with one name the last holds.
3. A folder over a folder takes the new metadata and keeps the content; anything else replaces.
4. Parents that no entry names are made as 0755 of root, dated 1970; existing ones stay as they are.
5. A symlink on the way to an entry is followed inside the root; one that leads nowhere, or to
   something else than a folder, is followed too and its folders are made.
6. A hard link joins the file that its target names at that moment, also one of a lower layer. What
   its header says holds for all names of the file, unless that comes from a lower layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from layerkit.errors import ArchiveError
from layerkit.layer.names import show
from layerkit.tree import Entry, Kind, Node, Tree, empty, inside

if TYPE_CHECKING:
    from collections.abc import Iterable

_ON_THE_WAY = (Kind.DIRECTORY, Kind.SYMLINK)
_LINK_LIMIT = 40
"""As many symlinks as Linux follows in one path (path_resolution(7))."""


def merge(layers: Iterable[Iterable[Entry]]) -> Tree:
    """The tree that the layers show, lowest first; `ArchiveError` names layer and entry."""
    tree = empty()
    for number, entries in enumerate(layers):
        tree = apply(tree, entries, number)
    return tree


def apply(tree: Tree, entries: Iterable[Entry], layer: int) -> Tree:
    """The tree with one more layer on top, numbered `layer`; `tree` itself stays as it is."""
    upper = _Upper(tree, layer)
    content = []
    for entry in entries:
        if entry.kind is Kind.WHITEOUT:
            upper.hide(entry.path)
        elif entry.kind is Kind.OPAQUE:
            upper.hide_inside(entry.path)
        else:
            content.append(entry)
    for entry in content:
        try:
            upper.put(entry)
        except ArchiveError as error:
            raise ArchiveError(
                f"{error} (entry '{show(entry.path)}' of layer {layer + 1})"
            ) from None
    return upper.root


class _Found(NamedTuple):
    way: list[bytes]
    folder: Node


class _Upper:
    """A tree under construction: nodes of this layer number are its own, all others shared."""

    def __init__(self, lower: Tree, layer: int) -> None:
        self._layer = layer
        self.root = self._copy(lower)
        self._folders: dict[bytes, Node] = {}

    # -- rule 1 ---------------------------------------------------------------------------------

    def hide(self, path: bytes) -> None:
        parent, _, name = path.rpartition(b"/")
        found = self._lookup(parent)
        if found is not None and name in inside(found.folder):
            del inside(self._own(found.way))[name]

    def hide_inside(self, path: bytes) -> None:
        found = self._lookup(path)
        if found is not None and inside(found.folder):
            inside(self._own(found.way)).clear()

    # -- rules 2 to 6 ---------------------------------------------------------------------------

    def put(self, entry: Entry) -> None:
        if not entry.path:
            self.root.entry = entry
            return
        parent, _, name = entry.path.rpartition(b"/")
        siblings = inside(self._folder(parent))
        old = siblings.get(name)
        if entry.kind is Kind.HARDLINK:
            siblings[name] = self._linked(entry)
        elif entry.kind is Kind.DIRECTORY:
            siblings[name] = self._directory(entry, old)
        else:
            siblings[name] = Node(entry, self._layer)
        if old is not None and old is not siblings[name] and old.kind in _ON_THE_WAY:
            self._folders.clear()

    def _directory(self, entry: Entry, old: Node | None) -> Node:
        if old is None or old.children is None:
            return Node(entry, self._layer, {})
        if old.layer != self._layer:
            return Node(entry, self._layer, dict(old.children))
        old.entry = entry
        return old

    def _linked(self, entry: Entry) -> Node:
        parent, _, name = entry.link.rpartition(b"/")
        found = self._lookup(parent)
        target = inside(found.folder).get(name) if found is not None else None
        if target is None:
            raise ArchiveError(f"hard link to '{show(entry.link)}', which is not there")
        if target.kind is Kind.DIRECTORY:
            raise ArchiveError(f"hard link to '{show(entry.link)}', which is a folder")
        return self._with_metadata(target, entry)

    def _with_metadata(self, node: Node, header: Entry) -> Node:
        if node.layer == self._layer:
            node.entry = msgspec.structs.replace(
                node.entry,
                mode=header.mode,
                uid=header.uid,
                gid=header.gid,
                seconds=header.seconds,
                nanos=header.nanos,
            )
        return node

    # -- ways through the tree ------------------------------------------------------------------

    def _folder(self, path: bytes) -> Node:
        """The own folder to write into for `path`, made with its parents where it is missing."""
        known = self._folders.get(path)
        if known is None:
            way = self._resolve(path)
            if way is None:
                raise ArchiveError("too many symlinks on the way")
            known = self._folders[path] = self._own(way)
        return known

    def _resolve(self, path: bytes) -> list[bytes] | None:
        """The way to `path` without symlinks, as `openat2(RESOLVE_IN_ROOT)` goes; None in a loop.

        Components that do not exist stay as they are written: they are to be made.
        """
        todo = path.split(b"/")[::-1]
        way: list[tuple[bytes, Node | None]] = []
        links = 0
        while todo:
            name = todo.pop()
            if name == b"..":
                del way[-1:]
            elif name not in {b"", b"."}:
                here = way[-1][1] if way else self.root
                node = inside(here).get(name) if here is not None else None
                if node is None or node.kind is not Kind.SYMLINK:
                    way.append((name, node))
                    continue
                links += 1
                if links > _LINK_LIMIT:
                    return None
                if node.entry.link.startswith(b"/"):
                    way.clear()
                todo.extend(node.entry.link.split(b"/")[::-1])
        return [name for name, _ in way]

    def _lookup(self, path: bytes) -> _Found | None:
        """The folder at `path` and the way to it, None when there is none."""
        way = self._resolve(path)
        if way is None:
            return None
        node: Node | None = self.root
        for name in way:
            node = inside(node).get(name) if node is not None else None
        return _Found(way, node) if node is not None and node.children is not None else None

    def _own(self, way: list[bytes]) -> Node:
        """The folder at the end of a way without symlinks, owned by this layer like all before it."""
        folder = self.root
        for position, name in enumerate(way):
            siblings = inside(folder)
            node = siblings.get(name)
            if node is None or node.children is None:
                path = b"/".join(way[: position + 1])
                node = Node(Entry(path, Kind.DIRECTORY, 0o755), self._layer, {})
            elif node.layer != self._layer:
                node = self._copy(node)
            siblings[name] = node
            folder = node
        return folder

    def _copy(self, folder: Node) -> Node:
        return Node(folder.entry, self._layer, dict(inside(folder)))
