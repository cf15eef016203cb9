"""An image in a registry, looked into without a pull: layers are streamed, never stored.

Each layer that something is asked about is read to its end, and so checked as a pull checks it:
size and digest of the blob, then the diffID. Only the bytes of a file that is fetched again cannot
be: that transfer ends behind the file, and there is no digest of a part.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, TypeAlias

from layerkit import oci
from layerkit.layer import merge
from layerkit.layer.search import Elsewhere, Found, Missing, Search
from layerkit.ops import documents
from layerkit.ops.inside import Finding
from layerkit.ops.remote_layer import RemoteLayer, Source
from layerkit.ops.together import side_by_side
from layerkit.tree import LINK_LIMIT, Entry, Kind, Node, empty, look_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from layerkit.events import Observer
    from layerkit.layer.search import Answer
    from layerkit.limits import Limits
    from layerkit.oci import Descriptor, ImageConfig, Manifest, Platform
    from layerkit.ops.inside import LayerInfo
    from layerkit.reference import Reference
    from layerkit.registry import Client
    from layerkit.tree import Tree

Ready: TypeAlias = "Callable[[int], object]"
"""Waits until the layer with this number is read, if somebody reads it already."""


def _is_ready(_number: int) -> None:
    """Nobody reads: who visits the layer does."""


class RemoteImage:
    """An image as its registry has it; the layers are read when something about them is asked.

    With `comparable`, files are hashed as they pass, for `same_content`. Every method raises
    `RegistryError` and its kinds, and `IntegrityError` for a layer that a pull would refuse.
    """

    def __init__(self, name: str, layers: list[RemoteLayer], limits: Limits) -> None:
        self.name = name
        self._limits = limits
        self._layers = layers
        self._stack: list[Tree] = []

    def layers(self) -> list[LayerInfo]:
        """What there is to say about each layer, lowest first."""
        return [layer.info for layer in self._layers]

    def entries(self, number: int) -> list[Entry]:
        """All entries of the layer with this number, from 0."""
        return self._layers[number].entries()

    def stack(self) -> list[Tree]:
        """The tree after each layer, lowest first; takes all layers, read side by side."""
        with self._ahead() as ready:
            return self._merged(ready)

    def tree(self) -> Tree:
        """The tree that the image shows; takes all layers."""
        return _top(self.stack())

    def find(self, path: bytes, *, follow: bool = True) -> Finding | None:
        """What is at a path, from the top layer down, and as few of them as tell.

        A folder found so has no children: they are in the `tree`.
        """
        is_decided, found = self._search(path, _is_ready, follow=follow)
        return found if is_decided else _look_up(self.tree(), path, follow=follow)

    def whole(self, path: bytes, *, follow: bool = True) -> Node | None:
        """What is at a path, a folder with all that is in it; layers are read side by side."""
        with self._ahead() as ready:
            is_decided, found = self._search(path, ready, follow=follow)
            if not is_decided or (found and found.node.kind is Kind.DIRECTORY):
                found = _look_up(_top(self._merged(ready)), path, follow=follow)
            return found.node if found else None

    @contextlib.contextmanager
    def _ahead(self) -> Iterator[Ready]:
        """Read the layers side by side, top first, until the block ends."""
        with side_by_side(RemoteLayer.entries, self._layers[::-1]) as result:
            yield lambda number: result(len(self._layers) - 1 - number)

    def _merged(self, ready: Ready) -> list[Tree]:
        for number in range(len(self._stack), len(self._layers)):
            ready(number)
            below = _top(self._stack)
            implied = self._limits.implied_folders
            with self._layers[number].named():
                entries = self.entries(number)
                self._stack.append(merge.apply(below, entries, number, implied=implied))
        return self._stack

    def _search(self, path: bytes, ready: Ready, *, follow: bool) -> tuple[bool, Finding | None]:
        """Whether some layers alone decide what is at a path, and what it is."""
        for _ in range(LINK_LIMIT + 1):
            number, answer = self._descend(path, ready, follow=follow)
            match answer:
                case Found(entry):
                    return True, Finding(path, Node(entry, number))
                case Missing():
                    return True, None
                case Elsewhere(elsewhere):
                    path = elsewhere
                case None:
                    break
        return False, None

    def _descend(self, path: bytes, ready: Ready, *, follow: bool) -> tuple[int, Answer | None]:
        search = Search(path, follow=follow)
        places = set[bytes]()

        def look(entry: Entry) -> bool:
            search.see(entry)
            places.add(search.expected)
            if entry.path in places and entry.kind is Kind.SYMLINK:
                places.add(_target(entry))
            return entry.path in places

        for number in reversed(range(len(self._layers))):
            ready(number)
            self._layers[number].visit(look)
            if (answer := search.end_layer()) or search.gave_up:
                return number, answer
        return 0, None

    def content(self, finding: Finding) -> Iterator[bytes]:
        """The bytes of a file."""
        return self._layers[finding.node.layer].content(finding.node.entry)

    def same_content(self, _path: bytes, old: Node, new: Node) -> bool:
        """Whether two files of equal size hold the same; as `inside.same_content`."""
        one, other = old.entry, new.entry
        return one.extents == other.extents and (
            self._layers[old.layer].hash(one) == self._layers[new.layer].hash(other)
        )


def _top(stack: list[Tree]) -> Tree:
    return stack[-1] if stack else empty()


def _look_up(tree: Tree, path: bytes, *, follow: bool) -> Finding | None:
    found = look_up(tree, path, follow=follow)
    return None if found is None else Finding(*found)


def _target(symlink: Entry) -> bytes:
    """Where a symlink probably leads: which file may be kept, not which one is found."""
    folder = os.path.dirname(symlink.path)
    return os.path.normpath(os.path.join(b"/", folder, symlink.link)).lstrip(b"/")


def open_remote(
    client: Client,
    reference: Reference,
    *,
    platform: Platform,
    limits: Limits,
    explicit_platform: bool = False,
    observe: Observer,
    comparable: bool = False,
) -> RemoteImage:
    """The image that `reference` names in its registry; manifest and config are read now.

    One for another platform is refused with `explicit_platform`, else `observe` gets a warning.
    """

    def read(descriptor: Descriptor) -> bytes:
        if descriptor.media_type in oci.CONFIG_TYPES:
            return client.blob_bytes(reference, descriptor)
        return client.document(reference, descriptor)

    what = reference.familiar
    found, raw = client.resolve_document(reference)
    document = oci.parse_document(raw, found.media_type)
    manifest = documents.choose(document, platform, read, what)
    config = documents.read_config(manifest, read)
    documents.check_platform(config, platform, what, explicit=explicit_platform, observe=observe)
    source = Source(client, reference, limits, observe)
    return RemoteImage(what, _layers(source, manifest, config, comparable=comparable), limits)


def _layers(
    source: Source, manifest: Manifest, config: ImageConfig, *, comparable: bool
) -> list[RemoteLayer]:
    return [
        RemoteLayer(source, descriptor, diff_id, comparable=comparable)
        for descriptor, diff_id in zip(manifest.layers, config.diff_ids, strict=True)
    ]
