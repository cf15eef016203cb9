"""Images and containers that are here, looked into: their tree, and the bytes of their files."""

from __future__ import annotations

import contextlib
import functools
import os
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from msgspec import Struct

from layerkit.layer import merge
from layerkit.ops import containers, content, layers, uppers, views
from layerkit.ops.images import image_of
from layerkit.snapshot import beneath, upper
from layerkit.store import files
from layerkit.tree import Entry, empty, look_up

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from layerkit.digest import BlobDigest, DiffID
    from layerkit.layer.archive import ReadAt
    from layerkit.ops.home import Home
    from layerkit.ops.layers import Known
    from layerkit.store.records import ContainerRecord, ImageRecord
    from layerkit.store.store import Store
    from layerkit.tree import Node, Tree


Origin: TypeAlias = "tuple[DiffID, int]"
"""A layer, and the offset of a file's content in its tar."""


class Finding(NamedTuple):
    """What a path led to: the path without symlinks as far as they were met, and the node."""

    path: bytes
    node: Node


class LayerInfo(Struct, frozen=True):
    """One layer of an image; `blob_size` in bytes as it is sent."""

    blob: BlobDigest
    diff_id: DiffID
    blob_size: int


class Inside(Protocol):
    """Something with a root file system; `name` is what it is called in messages."""

    name: str

    def tree(self) -> Tree:
        """The whole tree."""
        ...

    def find(self, path: bytes, *, follow: bool = True) -> Finding | None:
        """What is at a path, symlinks followed inside the root; the last one only on `follow`."""
        ...

    def whole(self, path: bytes, *, follow: bool = True) -> Node | None:
        """What is at a path as `find` finds it, a folder with all that is in it."""
        ...

    def content(self, finding: Finding) -> Iterator[bytes]:
        """The bytes of a file."""
        ...


class Comparable(Inside, Protocol):
    """What can be compared with others; to be closed."""

    def origin(self, node: Node) -> Origin | None:
        """Where the bytes of a file are, if that says as much as the bytes: a layer, and the place."""
        ...

    def close(self) -> None:
        """Let go of what is open."""
        ...


class Layered(Inside, Protocol):
    """An image, layer by layer; numbers count from 0, lowest first."""

    def layers(self) -> list[LayerInfo]:
        """What there is to say about each layer."""
        ...

    def entries(self, number: int) -> list[Entry]:
        """All entries of one layer."""
        ...

    def stack(self) -> list[Tree]:
        """The tree after each layer."""
        ...

    def same_content(self, path: bytes, old: Node, new: Node) -> bool:
        """Whether two files of equal size hold the same; holes count as holes, not as zeros."""
        ...


class LocalImage:
    """An image in the store, or its first `count` layers; raises `StoreError`.

    Several that are compared share trees through `known`.
    """

    def __init__(
        self,
        store: Store,
        image: ImageRecord,
        name: str,
        *,
        count: int | None = None,
        known: Known | None = None,
    ) -> None:
        self.name = name
        self._store = store
        self._image = image
        self._known = known
        self._diff_ids = [layer.diff_id for layer in image.layers][:count]
        self._open = contextlib.ExitStack()

    def close(self) -> None:
        """Close the layers."""
        self._open.close()

    def layers(self) -> list[LayerInfo]:
        """What there is to say about each layer, lowest first."""
        from layerkit import oci  # noqa: PLC0415  only here

        raw = self._store.blobs.read(self._image.manifest, oci.DOCUMENT_LIMIT)
        manifest = oci.parse_document(raw, self._image.media_type)
        assert isinstance(manifest, oci.Manifest)
        return [
            LayerInfo(layer.digest, diff_id, layer.size)
            for layer, diff_id in zip(manifest.layers, self._diff_ids, strict=False)
        ]

    def entries(self, number: int) -> list[Entry]:
        """All entries of the layer with this number, from 0."""
        return layers.load_toc(self._store, self._diff_ids[number]).entries

    def stack(self) -> list[Tree]:
        """The tree after each layer, lowest first."""
        return self._stack

    @functools.cached_property
    def _stack(self) -> list[Tree]:
        return layers.stack(self._store, self._diff_ids, self._known)

    def tree(self) -> Tree:
        """The tree that the image shows."""
        return self._stack[-1] if self._stack else empty()

    def find(self, path: bytes, *, follow: bool = True) -> Finding | None:
        """What is at a path."""
        return find_in(self.tree(), path, follow=follow)

    def whole(self, path: bytes, *, follow: bool = True) -> Node | None:
        """What is at a path."""
        return node_of(self.find(path, follow=follow))

    def content(self, finding: Finding) -> Iterator[bytes]:
        """The bytes of a file."""
        return content.whole(finding.node.entry, self._read_at(finding.node.layer))

    def same_content(self, _path: bytes, old: Node, new: Node) -> bool:
        """Whether two files of equal size hold the same; holes count as holes, not as zeros."""
        one, other = old.entry, new.entry
        if (old.layer, one.data) == (new.layer, other.data):
            return True
        pieces = zip(
            content.stored(one, self._read_at(old.layer)),
            content.stored(other, self._read_at(new.layer)),
            strict=True,
        )
        return one.extents == other.extents and all(mine == its for mine, its in pieces)

    def origin(self, node: Node) -> Origin | None:
        """Where the bytes of a file are."""
        if node.layer < len(self._diff_ids):
            return self._diff_ids[node.layer], node.entry.data
        return None

    def holds(self, file: int, node: Node) -> bool:
        """Whether an open file has just the bytes of this one in one of the layers, zeros in its holes."""
        read_at = self._read_at(node.layer)
        return all(
            os.pread(file, size, at) == (read_at(source, size) if source else bytes(size))
            for at, size, source in content.runs(node.entry)
        )

    def _read_at(self, number: int) -> ReadAt:
        descriptor = self._descriptors.get(number)
        if descriptor is None:
            with files.guarded("read layer"):
                descriptor = os.open(self._store.layers.tar(self._diff_ids[number]), os.O_RDONLY)
            self._open.callback(os.close, descriptor)
            self._descriptors[number] = descriptor
        return lambda offset, size: os.pread(descriptor, size, offset)

    @functools.cached_property
    def _descriptors(self) -> dict[int, int]:
        return {}


class LocalContainer:
    """A container's root file system without its mounts: its image, and its uppers over that.

    `frozen` are the uppers of a snapshot, where that is meant and not the container as it is.
    What was made only to be mounted on does not show.

    It is read as it is at the moment; what a running container changes meanwhile may be seen or
    not. Raises `StoreError`.
    """

    def __init__(
        self,
        home: Home,
        container: ContainerRecord,
        name: str,
        frozen: tuple[Path, ...] | None = None,
    ) -> None:
        self.name = name
        self._home = home
        self._record = image_of(home, container.manifest)
        self._image = LocalImage(home.store, self._record, name)
        folders = uppers.above(home, container) if frozen is None else frozen
        self._uppers = uppers.seen(home, container.driver, folders)
        self._driver = home.drivers[container.driver]
        config = containers.read_config(home, container)
        recorded = config.user_xattrs
        self._user_xattrs = self._driver.user_xattrs if recorded is None else recorded
        self.first_upper = len(self._record.layers) + 1
        """The number of the lowest layer that is not in `base`: one there is layerkit's own."""
        self._targets = config.targets

    def close(self) -> None:
        """Close the layers."""
        self._image.close()

    def base(self) -> Tree:
        """The tree that a new container of the image shows."""
        return self._base

    @functools.cached_property
    def _base(self) -> Tree:
        return views.shown_tree(self._home, self._record)

    def tree(self) -> Tree:
        """The tree that the container shows."""
        return self._tree

    @functools.cached_property
    def _tree(self) -> Tree:
        tree = self._base if self._driver.is_layered else empty()
        for number, folder in enumerate(self._uppers, self.first_upper):
            entries = upper.read(folder, user_xattrs=self._user_xattrs)
            tree = merge.apply(tree, entries, number)
        return views.without_mountpoints(tree, self._base, self._targets)

    def find(self, path: bytes, *, follow: bool = True) -> Finding | None:
        """What is at a path."""
        return find_in(self._tree, path, follow=follow)

    def whole(self, path: bytes, *, follow: bool = True) -> Node | None:
        """What is at a path."""
        return node_of(self.find(path, follow=follow))

    def content(self, finding: Finding) -> Iterator[bytes]:
        """The bytes of a file."""
        number = finding.node.layer - self.first_upper
        if number >= 0:
            return content.of_file(self._uppers[number], finding.path, self.name)
        if not finding.node.entry.size:  # so are all files of layerkit's own layer
            return iter(())
        return self._image.content(finding)

    def same_content(self, path: bytes, old: Node, new: Node) -> bool:
        """Whether the file at `path` still holds what it did in `base`; one that vanished does not."""
        number = new.layer - self.first_upper
        if number < 0:
            return (new.layer, new.entry.data) == (old.layer, old.entry.data)
        if not old.entry.size:
            return True
        try:
            file = beneath.open_file(self._uppers[number], path)
        except OSError:
            return False
        if file is None:
            return False
        try:
            return self._image.holds(file, old)
        finally:
            os.close(file)

    def origin(self, node: Node) -> Origin | None:
        """Where the bytes of a file are, if in a layer."""
        return self._image.origin(node)

    def plain(self) -> Tree:
        """The tree without what layerkit itself put there, as far as nobody used it."""
        return views.without_own(self._tree, self._image.tree())


def find_in(tree: Tree, path: bytes, *, follow: bool) -> Finding | None:
    """What is at a path of a tree."""
    found = look_up(tree, path, follow=follow)
    return None if found is None else Finding(*found)


def node_of(found: Finding | None) -> Node | None:
    """The node that was found."""
    return None if found is None else found.node
