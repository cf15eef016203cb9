"""The merge: indexes of layers to the tree of an image. The only place with whiteout semantics.

Pure, and persistent: applying a layer copies just the folders on the way to what it changes, so
trees of neighbouring layers share everything else and are compared by identity.

Rules (image-spec layer.md, "Applying Changesets"; in brackets what layerkit decided where the
specification is silent):

1. Whiteouts and opaque marks hide what lower layers have, wherever they stand in the archive; they
   never touch what their own layer brings. So they go first, all at once. A symlink of a lower
   layer on their way is followed, unless their own layer hides or replaces it: overlayfs makes a
   folder opaque that replaces a symlink, which says nothing about where that led.
2. Then the entries in their order; of two with one name the last holds.
3. A folder over a folder takes the new metadata and keeps the content; anything else replaces.
4. Parents that no entry names are made as 0755 of root, dated 1970; existing ones stay as they are.
5. A symlink on the way to an entry is followed inside the root; one that leads nowhere, or to
   something else than a folder, is followed too and its folders are made. So a few bytes may ask
   for many folders: both their path and their number have limits.
6. A hard link joins the file that its target names at that moment, also one of a lower layer. What
   its header says holds for all names of the file, unless that comes from a lower layer.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from layerkit.errors import ArchiveError
from layerkit.layer.names import NAME_LIMIT, PATH_LIMIT, show
from layerkit.limits import DEFAULT, exceeded
from layerkit.tree import Entry, Kind, Node, Tree, empty, inside, real_way

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

_IMPLIED = Entry(b"", Kind.DIRECTORY, 0o755)
"""One for all folders that only paths name: their own paths would take more room than they do."""
_ON_THE_WAY = (Kind.DIRECTORY, Kind.SYMLINK)
_MARKS = (Kind.WHITEOUT, Kind.OPAQUE)


def merge(layers: Iterable[Iterable[Entry]]) -> Tree:
    """The tree that the layers show, lowest first; `ArchiveError` names layer and entry."""
    tree = empty()
    for number, entries in enumerate(layers):
        tree = apply(tree, entries, number)
    return tree


def outlines(entries: list[Entry]) -> Iterator[Entry]:
    """What decides whether a layer applies, and no more; what was given out leaves `entries`.

    So a large layer can be tried without its index and its tree side by side in memory.
    """
    entries.reverse()
    while entries:
        entry = entries.pop()
        yield Entry(entry.path, entry.kind, link=entry.link)


def apply(
    tree: Tree, entries: Iterable[Entry], layer: int, *, implied: int = DEFAULT.implied_folders
) -> Tree:
    """The tree with one more layer on top, numbered `layer`; `tree` itself stays as it is.

    At most `implied` folders are made that no entry names. Raises `ArchiveError`.
    """
    upper = _Upper(tree, layer, implied)
    marks: list[Entry] = []
    content: list[Entry] = []
    for entry in entries:
        (marks if entry.kind in _MARKS else content).append(entry)
    if marks:
        upper.hide(marks, content)
    for entry in content:
        try:
            upper.put(entry)
        except ArchiveError as error:
            raise ArchiveError(
                f"{error} (entry '{show(entry.path)}' of layer {layer + 1})", hint=error.hint
            ) from None
    return upper.root


class _Found(NamedTuple):
    way: list[bytes]
    folder: Node


class _Upper:
    """A tree under construction: nodes of this layer number are its own, all others shared."""

    def __init__(self, lower: Tree, layer: int, implied: int) -> None:
        self._layer = layer
        self.root = self._copy(lower)
        self._folders: dict[bytes, Node] = {}
        self._implied = 0
        self._implied_limit = implied

    # -- rule 1 ---------------------------------------------------------------------------------

    def hide(self, marks: list[Entry], content: list[Entry]) -> None:
        """Remove what `marks` hide, while nothing of their own layer's `content` is here yet."""
        touched = {entry.path for entry in content}
        touched.update(mark.path for mark in marks if mark.kind is Kind.WHITEOUT)
        hidden: dict[tuple[bytes, ...], set[bytes]] = defaultdict(set)
        for path, names in _by_folder(marks).items():
            found = self._marked(path, touched)
            if found is not None:
                children = inside(found.folder)
                hidden[*found.way] |= children.keys() if None in names else children.keys() & names
        # Reversed, what is inside of a folder comes before the folder itself.
        for way in sorted(hidden, reverse=True):
            if hidden[way]:
                children = inside(self._own(list(way)))
                for name in hidden[way]:
                    del children[name]

    def _marked(self, path: bytes, touched: Collection[bytes]) -> _Found | None:
        """The folder of marks at `path`, None where there is none or the way there is replaced."""
        if any(self._is_symlink(part) for part in _way_down(path) if part in touched):
            return None
        return self._lookup(path)

    def _is_symlink(self, path: bytes) -> bool:
        parent, _, name = path.rpartition(b"/")
        found = self._lookup(parent)
        node = inside(found.folder).get(name) if found is not None else None
        return node is not None and node.kind is Kind.SYMLINK

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
        if siblings[name] is not old and _leads(siblings[name], old):
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
            way = real_way(self.root, path)
            if way is None:
                raise ArchiveError("too many symlinks on the way")
            # Where symlinks made the way longer, there must still be room for any name.
            if len(b"/".join(way)) > max(len(path), PATH_LIMIT - NAME_LIMIT - 1):
                raise ArchiveError("too long a way behind its symlinks")
            known = self._folders[path] = self._own(way)
        return known

    def _lookup(self, path: bytes) -> _Found | None:
        """The folder at `path` and the way to it, None when there is none."""
        way = real_way(self.root, path)
        if way is None:
            return None
        node: Node | None = self.root
        for name in way:
            node = inside(node).get(name) if node is not None else None
        return _Found(way, node) if node is not None and node.children is not None else None

    def _own(self, way: list[bytes]) -> Node:
        """The folder at the end of a way without symlinks, owned by this layer like all before it."""
        folder = self.root
        for name in way:
            siblings = inside(folder)
            node = siblings.get(name)
            if node is None or node.children is None:
                node = self._imply()
            elif node.layer != self._layer:
                node = self._copy(node)
            siblings[name] = node
            folder = node
        return folder

    def _imply(self) -> Node:
        self._implied += 1
        if self._implied > self._implied_limit:
            raise exceeded(
                "implied_folders", f"more than {self._implied_limit} folders that only paths name"
            )
        return Node(_IMPLIED, self._layer, {})

    def _copy(self, folder: Node) -> Node:
        return Node(folder.entry, self._layer, dict(inside(folder)))


def _leads(new: Node, old: Node | None) -> bool:
    """Whether a known way may be another one, now that `new` stands in the place of `old`.

    A symlink matters even where nothing was: a way goes on behind what is not there, as in `no/..`.
    """
    return new.kind is Kind.SYMLINK or (old is not None and old.kind in _ON_THE_WAY)


def _by_folder(marks: Iterable[Entry]) -> dict[bytes, set[bytes | None]]:
    """The names that marks hide in each folder; None stands for all of them."""
    folders: dict[bytes, set[bytes | None]] = defaultdict(set)
    for mark in marks:
        if mark.kind is Kind.OPAQUE:
            folders[mark.path].add(None)
        else:
            folder, _, name = mark.path.rpartition(b"/")
            folders[folder].add(name)
    return folders


def _way_down(path: bytes) -> Iterator[bytes]:
    """`a`, `a/b`, `a/b/c` for `a/b/c`; nothing for the root."""
    end = path.find(b"/")
    while end >= 0:
        yield path[:end]
        end = path.find(b"/", end + 1)
    if path:
        yield path
