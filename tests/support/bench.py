"""One snapshot driver in a state directory of its own, for tests of what it makes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerkit import digest as digests
from layerkit.layer import archive as archives
from layerkit.layer import merge
from layerkit.ops.drivers import drivers_of
from layerkit.snapshot import upper
from layerkit.snapshot.driver import Stack
from layerkit.tree import Node, empty
from support import overlays
from support.listing import merged

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from layerkit.digest import Digest
    from layerkit.mount import RootMount
    from layerkit.snapshot.driver import View
    from layerkit.tree import Entry, Tree


def entries_of(tar: bytes) -> list[Entry]:
    """The entries of a layer tar."""
    return list(archives.read(lambda at, size: tar[at : at + size], lambda _warning: None))


class Bench:
    """A driver by its name; `asked` counts how often it wanted the trees of a stack."""

    def __init__(self, name: str, folder: Path, space: str = "state") -> None:
        self.folder = folder
        root = folder / space
        for part in ("ingest", "trees", "views", "tars", "containers"):
            (root / part).mkdir(parents=True)
        self.root = root
        self.driver = drivers_of(root)[name]
        self.asked = 0

    def stack(self, tars: Sequence[bytes]) -> Stack:
        """The layers of these tars."""
        paths: list[Path] = []
        for number, tar in enumerate(tars):
            paths.append(self.root / f"tars/{digests.of_bytes(tar).hex}")
            paths[number].write_bytes(tar)
        return self.stack_of(map(entries_of, tars), paths, [digests.of_bytes(tar) for tar in tars])

    def stack_of(
        self, layers: Iterable[list[Entry]], paths: Sequence[Path], diff_ids: Iterable[Digest]
    ) -> Stack:
        """The layers with these entries and content."""
        kept = list(layers)

        def trees() -> list[Tree]:
            self.asked += 1
            found = [empty()]
            for number, entries in enumerate(kept):
                found.append(merge.apply(found[-1], entries, number))
            return found[1:]

        chains = digests.chain_ids(map(digests.DiffID, diff_ids))
        return Stack(tuple(chains), tuple(paths), trees)

    def view(self, *tars: bytes) -> View:
        """The view of these layers."""
        return self.driver.prepare(self.stack(tars), lambda _event: None)

    def shown(self, root: RootMount) -> AbstractContextManager[Path]:
        """The root, mounted while a block runs."""
        return overlays.shown(root, self.folder / "shown")

    def container(self, view: View, name: str = "box") -> Path:
        """The folder of a new container."""
        folder = self.root / "containers" / name
        folder.mkdir()
        view.begin(folder)
        return folder

    def tree(self, container: Path, tars: Sequence[bytes]) -> Tree:
        """The tree of a container, as it is read back without mounting it."""
        if not self.driver.is_layered:
            folder = container / "root"
            tree = merge.apply(empty(), upper.read(folder), len(tars))
            return Node(upper.read_root(folder), len(tars), tree.children)
        return merge.apply(merged(tars), upper.read(container / "upper"), len(tars))
