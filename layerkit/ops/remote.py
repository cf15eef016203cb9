"""An image in a registry, looked into without a pull: layers are streamed, never stored.

A layer that is read to its end is checked as a pull checks it: size and digest of the blob, then
the diffID. One that is left early, since its first entries said enough, cannot be: there is no
digest of a part. Then the transfer ends, too.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import random
import time
from typing import TYPE_CHECKING

from layerkit import oci
from layerkit.digest import Verifier
from layerkit.errors import ArchiveError, IntegrityError, UnavailableError
from layerkit.events import LayerProgress, Phase
from layerkit.layer import archive, compression, merge
from layerkit.layer.forward import ForwardReader
from layerkit.layer.search import Elsewhere, Found, Missing, Search
from layerkit.ops import content, documents
from layerkit.ops.inside import Finding, LayerInfo
from layerkit.registry import retry
from layerkit.store.layers import SIZE_LIMIT
from layerkit.tree import LINK_LIMIT, Entry, Kind, Node, empty, look_up

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerkit.digest import DiffID
    from layerkit.events import Observer
    from layerkit.layer.search import Answer
    from layerkit.oci import Descriptor, ImageConfig, Manifest, Platform
    from layerkit.reference import Reference
    from layerkit.registry import Client
    from layerkit.tree import Tree


class RemoteImage:
    """An image as its registry has it; the layers are read when something about them is asked.

    With `comparable`, files are hashed as they pass, for `same_content`. Every method raises
    `RegistryError` and its kinds, and `IntegrityError` for a layer that a pull would refuse.
    """

    def __init__(self, name: str, layers: list[RemoteLayer]) -> None:
        self.name = name
        self._layers = layers
        self._stack: list[Tree] = []

    def close(self) -> None:
        """End the transfers."""
        for layer in self._layers:
            layer.close()

    def layers(self) -> list[LayerInfo]:
        """What there is to say about each layer, lowest first."""
        return [layer.info for layer in self._layers]

    def entries(self, number: int) -> list[Entry]:
        """All entries of the layer with this number, from 0."""
        return list(self._layers[number].entries())

    def stack(self) -> list[Tree]:
        """The tree after each layer, lowest first; takes all layers."""
        for number in range(len(self._stack), len(self._layers)):
            below = self._stack[-1] if self._stack else empty()
            entries = self.entries(number)
            with self._layers[number].named():
                self._stack.append(merge.apply(below, entries, number))
        return self._stack

    def tree(self) -> Tree:
        """The tree that the image shows; takes all layers."""
        return self.stack()[-1] if self._layers else empty()

    def find(self, path: bytes, *, follow: bool = True) -> Finding | None:
        """What is at a path, from the top layer down, and as little of them as tells.

        A folder found so has no children: they are in the `tree`.
        """
        way = path
        for _ in range(LINK_LIMIT + 1):
            number, answer = self._search(way, follow=follow)
            match answer:
                case Found(entry):
                    return Finding(way, Node(entry, number))
                case Missing():
                    return None
                case Elsewhere(elsewhere):
                    way = elsewhere
                case None:
                    break
        found = look_up(self.tree(), path, follow=follow)
        return None if found is None else Finding(*found)

    def _search(self, path: bytes, *, follow: bool) -> tuple[int, Answer | None]:
        search = Search(path, follow=follow)
        for number in reversed(range(len(self._layers))):
            for entry in self._layers[number].entries():
                if answer := search.see(entry):
                    return number, answer
            if answer := search.end_layer():
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


def open_remote(
    client: Client,
    reference: Reference,
    *,
    platform: Platform,
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
    source = _Source(client, reference, observe)
    return RemoteImage(what, _layers(source, manifest, config, comparable=comparable))


def _layers(
    source: _Source, manifest: Manifest, config: ImageConfig, *, comparable: bool
) -> list[RemoteLayer]:
    return [
        RemoteLayer(source, descriptor, diff_id, comparable=comparable)
        for descriptor, diff_id in zip(manifest.layers, config.diff_ids, strict=True)
    ]


class _Source:
    """Where the blobs of one image come from."""

    def __init__(self, client: Client, reference: Reference, observe: Observer) -> None:
        self._client = client
        self._reference = reference
        self._observe = observe

    def blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        """The bytes of a blob; a transfer that breaks is gone on with. Verified at the end."""
        verifier = Verifier(f"blob {descriptor.digest}", descriptor.digest, descriptor.size)
        attempt = 1
        while verifier.count < descriptor.size:
            start = verifier.count
            try:
                for chunk in self._from(descriptor, start):
                    verifier.update(chunk)
                    self._tell(descriptor, verifier.count)
                    yield chunk
            except UnavailableError as error:
                attempt = 1 if verifier.count > start else attempt + 1
                limits = self._client.limits
                pause = retry.wait(attempt, error.retry_after, limits, random.random())  # noqa: S311
                if pause is None:
                    raise
                time.sleep(pause)
        verifier.finish()

    def _tell(self, descriptor: Descriptor, done: int) -> None:
        self._observe(LayerProgress(descriptor.digest, Phase.DOWNLOAD, done, descriptor.size))

    def _from(self, descriptor: Descriptor, start: int) -> Iterator[bytes]:
        with self._client.open_blob(self._reference, descriptor, start) as stream:
            unwanted = start - stream.offset  # where the registry knows no ranges
            for chunk in stream:
                if len(chunk) > unwanted:
                    yield chunk[unwanted:]
                unwanted = max(0, unwanted - len(chunk))


class _Tar:
    """One pass over a layer: its tar from the start, forward only."""

    def __init__(self, source: _Source, descriptor: Descriptor, diff_id: DiffID) -> None:
        self._blob = source.blob(descriptor)
        self.reader = ForwardReader(_verified(compression.inflate(self._blob), diff_id))

    def close(self) -> None:
        """End the transfer."""
        self._blob.close()  # type: ignore[attr-defined]  # a generator


def _verified(chunks: Iterator[bytes], diff_id: DiffID) -> Iterator[bytes]:
    verifier = Verifier(f"layer {diff_id} (unpacked)", diff_id, None)
    for chunk in chunks:
        verifier.update(chunk)
        if verifier.count > SIZE_LIMIT:
            raise IntegrityError(f"a layer of more than {SIZE_LIMIT} bytes unpacked")
        yield chunk
    verifier.finish()


class RemoteLayer:
    """One layer of a registry's image: what was read of it is kept as entries, and no bytes."""

    def __init__(
        self, source: _Source, descriptor: Descriptor, diff_id: DiffID, *, comparable: bool
    ) -> None:
        self.info = LayerInfo(descriptor.digest, diff_id, descriptor.size)
        self._source = source
        self._descriptor = descriptor
        self._comparable = comparable
        self._entries: list[Entry] = []
        self._hashes: dict[int, bytes] = {}
        self._tar: _Tar | None = None
        self._more: Iterator[Entry] | None = None
        self._is_whole = False
        self._warnings: list[str] = []

    def entries(self) -> Iterator[Entry]:
        """The entries in their order: those that were read, then more from the registry."""
        number = 0
        while number < len(self._entries) or self._read_one():
            yield self._entries[number]
            number += 1

    def content(self, entry: Entry) -> Iterator[bytes]:
        """The bytes of a file; costs a pass of its own when they have gone by."""
        if self._tar is not None and self._tar.reader.reaches(entry.data):
            with self._or_anew(), self.named():
                yield from content.whole(entry, self._tar.reader.read_at)
            return
        with contextlib.closing(self._new_pass()) as tar, self.named():
            yield from content.whole(entry, tar.reader.read_at)

    def hash(self, entry: Entry) -> bytes:
        """What the stored bytes of a file hash to; only of a `comparable` layer."""
        return self._hashes[entry.data]

    def close(self) -> None:
        """End the transfer, if there is one; whoever wants more entries later starts another."""
        if self._tar is not None:
            self._tar.close()
        self._tar = None
        self._more = None

    @contextlib.contextmanager
    def named(self) -> Iterator[None]:
        """Let errors about the content say which layer it is of."""
        short = self.info.blob.short
        try:
            yield
        except ArchiveError as error:
            raise ArchiveError(f"bad layer {short}: {error}") from None
        except IntegrityError as error:
            raise IntegrityError(f"bad layer {short}: {error}") from None

    @contextlib.contextmanager
    def _or_anew(self) -> Iterator[None]:
        """End the pass on an error: what comes after it must not look like the layer's end."""
        try:
            yield
        except Exception:
            self.close()
            raise

    def _new_pass(self) -> _Tar:
        return _Tar(self._source, self._descriptor, self.info.diff_id)

    def _read_one(self) -> bool:
        """Read one more entry; False at the end, when all is verified."""
        if self._is_whole:
            return False
        with self._or_anew(), self.named():
            if self._tar is None or self._more is None:
                self._tar = self._new_pass()
                found = archive.read(self._tar.reader.read_at, self._warnings.append)
                self._more = itertools.islice(found, len(self._entries), None)
            entry = next(self._more, None)
            if entry is None:
                self._tar.reader.drain()
                self._is_whole = True
                self.close()
                return False
            if self._comparable and entry.kind is Kind.FILE:
                self._hashes[entry.data] = self._hashed(entry, self._tar)
            self._entries.append(entry)
        return True

    @staticmethod
    def _hashed(entry: Entry, tar: _Tar) -> bytes:
        hashed = hashlib.sha256()
        for piece in content.stored(entry, tar.reader.read_at):
            hashed.update(piece)
        return hashed.digest()
