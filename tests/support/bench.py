"""One snapshot driver in a state directory of its own, for tests of what it makes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from layerkit import digest as digests
from layerkit.layer import archive as archives
from layerkit.layer import merge
from layerkit.ops.drivers import Drivers
from layerkit.snapshot import rootless, upper
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
    from support.trees import Attributes, Scan

_DEVICES = ("character device", "block device")


def entries_of(tar: bytes) -> list[Entry]:
    """The entries of a layer tar."""
    return list(archives.read(lambda at, size: tar[at : at + size], lambda _warning: None))


class Bench:
    """A driver by its name; `asked` counts how often it wanted the trees of a stack.

    Ids from 0 on, `ids` of them, are those to which it can give files; None for root, who is no user.
    """

    def __init__(
        self, name: str, folder: Path, space: str = "state", ids: int | None = None
    ) -> None:
        self.folder = folder
        self.ids = ids
        root = folder / space
        for part in ("ingest", "trees", "views", "tars", "containers"):
            (root / part).mkdir(parents=True)
        self.root = root
        self.driver = Drivers(root)[name]
        self.asked = 0

    def beside(self, space: str) -> Bench:
        """The same with another name of its state directory."""
        return Bench(self.driver.name, self.folder, space, self.ids)

    def kept(self, scan: Scan) -> Scan:
        """What it can keep of what a scan should find."""
        return scan if self.ids is None else kept(scan, self.ids)

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
        changes = upper.read(container / "upper", user_xattrs=self.driver.user_xattrs)
        return merge.apply(merged(tars), changes, len(tars))


def kept(scan: Scan, ids: int) -> Scan:
    """What root of a user namespace with so many ids can keep: no devices, no xattrs of the host's root.

    Whose a file is by other ids is written down where a user's xattr can be.
    """
    return {path: _kept(each, ids) for path, each in scan.items() if each.kind not in _DEVICES}


def _kept(each: Attributes, ids: int) -> Attributes:
    xattrs = {name: value for name, value in each.xattrs if not name.startswith("trusted.")}
    if max(each.uid, each.gid) < ids:
        return replace(each, xattrs=tuple(sorted(xattrs.items())))
    if each.kind in {"file", "directory"}:
        xattrs[rootless.XATTR] = rootless.encode(each.uid, each.gid)
    return replace(each, uid=0, gid=0, xattrs=tuple(sorted(xattrs.items())))
