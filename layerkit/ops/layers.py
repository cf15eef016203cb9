"""The indexes of layers that are here, and the trees that they become."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from layerkit.errors import IntegrityError
from layerkit.layer import merge
from layerkit.tree import Kind, empty

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from layerkit.digest import DiffID
    from layerkit.layer.toc import Toc
    from layerkit.store.store import Store
    from layerkit.tree import Tree

Known: TypeAlias = "dict[tuple[DiffID, ...], Tree]"
"""Trees by the layers they are made of, lowest first."""


def load_toc(store: Store, diff_id: DiffID) -> Toc:
    """The index of a layer that is here; made again from the tar when it is damaged or old."""
    from layerkit.layer import toc  # noqa: PLC0415  not where trees are read from views

    try:
        return toc.decode(store.layers.read_toc(diff_id))
    except IntegrityError:
        from layerkit.ops import unpacking  # noqa: PLC0415  reads archives: hardly ever

        index = unpacking.index_again(store, diff_id)
        store.layers.replace_toc(diff_id, index)
        return toc.decode(index)


def content_size(index: Toc) -> int:
    """The bytes of all files in one layer."""
    return sum(entry.size for entry in index.entries if entry.kind is Kind.FILE)


def stack(store: Store, diff_ids: Iterable[DiffID], known: Known | None = None) -> list[Tree]:
    """The tree after each layer, lowest first.

    What images have in common at the bottom is merged once, and so shared, where they share
    `known`.
    """
    known = {} if known is None else known
    trees: list[Tree] = []
    chain: tuple[DiffID, ...] = ()
    for number, diff_id in enumerate(diff_ids):
        chain = (*chain, diff_id)
        if chain not in known:
            below = trees[-1] if trees else empty()
            entries = load_toc(store, diff_id).entries
            implied = store.limits.implied_folders
            known[chain] = merge.apply(below, entries, number, implied=implied)
        trees.append(known[chain])
    return trees


def tree(store: Store, diff_ids: Sequence[DiffID]) -> Tree:
    """The tree that an image shows."""
    return stack(store, diff_ids)[-1] if diff_ids else empty()
