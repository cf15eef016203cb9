"""Layers: what each layer of an image weighs, what it changes, and what of it is lost above it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from layerkit.diff.compare import compare
from layerkit.tree import Kind, empty, walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from layerkit.digest import BlobDigest, DiffID
    from layerkit.ops.inside import Layered
    from layerkit.tree import Change, Node


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One layer, counted from 1, lowest first; all sizes in bytes.

    `blob_size` is what is sent, `size` that of its files unpacked, holes included, `entries` the
    number of its records with whiteouts and all. `wasted` is what of `size` the image does not
    show: files of which no name is left, since a layer above, or the same one further on, replaces
    or deletes them. A file counts once, in the layer that brought it, however many names it has.
    """

    number: int
    blob: BlobDigest
    diff_id: DiffID
    blob_size: int
    size: int
    entries: int
    wasted: int


@dataclass(frozen=True, slots=True)
class LayerChange:
    """What a layer, counted from 1, does at one path of the tree below it.

    `size` is the bytes of files that it is about: of the file there now, or all that a deletion
    took. An added folder has none, as what is in it has changes of its own.
    """

    number: int
    change: Change
    size: int


def layer_rows(image: Layered) -> list[LayerRow]:
    """A row for each layer."""
    stack = image.stack()
    left = Counter[int]()
    for node in _files(node for _, node in walk(stack[-1] if stack else empty())):
        left[node.layer] += node.entry.size
    rows = []
    for number, info in enumerate(image.layers()):
        entries = image.entries(number)
        size = sum(entry.size for entry in entries if entry.kind is Kind.FILE)
        rows.append(
            LayerRow(
                number + 1,
                info.blob,
                info.diff_id,
                info.blob_size,
                size,
                len(entries),
                size - left[number],
            )
        )
    return rows


def layer_changes(image: Layered, number: int) -> list[LayerChange]:
    """What a layer, counted from 1, adds, changes and deletes, sorted by path."""
    stack = image.stack()
    below = stack[number - 2] if number > 1 else empty()
    changes = compare(below, stack[number - 1], image.same_content)
    return [LayerChange(number, change, _size(change)) for change in changes]


def _size(change: Change) -> int:
    if change.after is not None:
        return change.after.entry.size if change.after.kind is Kind.FILE else 0
    gone = change.before
    assert gone is not None
    below = (node for _, node in walk(gone))
    return sum(node.entry.size for node in _files([gone, *below]))


def _files(nodes: Iterable[Node]) -> Iterator[Node]:
    """The files among the nodes, each once, however many names it has."""
    seen = set()
    for node in nodes:
        if node.kind is Kind.FILE and id(node) not in seen:
            seen.add(id(node))
            yield node
