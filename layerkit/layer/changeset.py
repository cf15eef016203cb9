"""What a layer must say so that one tree becomes another, from their comparison, pure.

Only what the comparison tells is in it: a copy that equals its original is not. A directory that
was replaced is one with a whiteout for each name it lost: an opaque mark, or a whiteout of the
directory itself beside it, is read differently by different tools (image-spec layer.md leaves open
what comes first).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from layerkit.layer import names, writer
from layerkit.tree import Kind, Node, Tree, find, inside, join, parents, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from layerkit.tree import Change

Item: TypeAlias = tuple[bytes, Node | None]
"""A path with its node, or a path to hide."""


def plan(
    before: Tree, after: Tree, changes: Iterable[Change], warn: Callable[[str], None]
) -> list[Item]:
    """The paths of a layer in the order of its archive; `warn` is told of names it cannot hold.

    `changes` are all that lead from `before` to `after`, folders with changes below included. Every name of a
    file is in it as soon as one is: else they would be two files.
    """
    written: dict[bytes, Node] = {}
    hidden: list[bytes] = []
    for change in changes:
        if change.after is not None:
            written[change.path] = change.after
        # A tar holds no socket, but what it took the place of is gone all the same.
        if change.before is not None and (change.after is None or _is_socket(change.after)):
            hidden.append(change.path)
    _complete_links(before, after, written)
    _leave_out_markers(written, warn)
    items: list[Item] = [*written.items(), *((path, None) for path in hidden)]
    return sorted(items, key=lambda item: writer.place(item[0], hides=item[1] is None))


def _is_socket(node: Node) -> bool:
    return node.kind is Kind.SOCKET


def _complete_links(before: Tree, after: Tree, written: dict[bytes, Node]) -> None:
    """Add the other names of files of which one is written."""
    files = {id(node): node for node in written.values() if node.children is None}
    # Only a file that was there before can have a name that both trees share.
    is_old = any(find(before, node.entry.path) is node for node in files.values())
    for path, node in walk(after) if is_old else _not_shared(before, after):
        if id(node) in files and path not in written:
            written[path] = node
            for parent in parents(path):
                folder = find(after, parent)
                assert folder is not None
                written.setdefault(parent, folder)


def _not_shared(before: Tree, after: Tree) -> Iterator[tuple[bytes, Node]]:
    """The paths of `after` with another node than in `before`."""
    stack: list[tuple[bytes, Node | None, Node]] = [(b"", before, after)]
    while stack:
        path, old, new = stack.pop()
        known = {} if old is None else inside(old)
        for name, node in inside(new).items():
            below = known.get(name)
            if below is not node:
                yield join(path, name), node
                stack.append((join(path, name), below, node))


def _leave_out_markers(written: dict[bytes, Node], warn: Callable[[str], None]) -> None:
    for path in [path for path in written if names.is_marker(path)]:
        del written[path]
        if not names.is_marker(path.rpartition(b"/")[0]):
            warn(f"left out '{names.show(path)}': in a layer this name is that of a whiteout")
