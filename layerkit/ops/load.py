"""Load: images from an OCI layout (directory or archive) or a docker archive into the store."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from layerkit import digest as digests
from layerkit import oci
from layerkit import reference as references
from layerkit.errors import DocumentError, UsageError
from layerkit.events import Resolved, ignore
from layerkit.ops import documents, sources
from layerkit.ops.install import install

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from layerkit.digest import BlobDigest
    from layerkit.events import Observer
    from layerkit.oci import Descriptor, Manifest, Platform
    from layerkit.ops.home import Home
    from layerkit.ops.sources import Source
    from layerkit.store.records import ImageRecord
    from layerkit.store.store import Store

_FULL_NAME = "io.containerd.image.name"
_REF_NAME = "org.opencontainers.image.ref.name"
_LAYER_TYPE = "application/vnd.docker.image.rootfs.diff.tar"


@dataclass(frozen=True, slots=True)
class Loaded:
    """One image that was loaded: from what `kind` of source, its short name if it has one, its id."""

    kind: str
    name: str | None
    id: BlobDigest


def load(home: Home, path: Path, *, platform: Platform, observe: Observer = ignore) -> list[Loaded]:
    """Bring all images at `path` into the store, each verified and indexed before its name appears.

    Of an index the image for `platform` is taken. Raises `UsageError` for a path that holds no
    image, `IntegrityError` and its kinds for one that is broken, `StoreError`.
    """
    with sources.open_source(path, home.store.scratch) as source:
        loader = _Loader(home.store, source, platform, observe)
        if source.has("oci-layout"):
            kind = "OCI image layout" if path.is_dir() else "OCI archive"
            return list(loader.oci_layout(kind, path))
        if source.has("manifest.json"):
            return list(loader.docker_archive("docker archive"))
    raise UsageError(
        f"no image at {path}: wanted an OCI layout directory, an OCI archive or a docker archive"
    )


class _Loader:
    def __init__(self, store: Store, source: Source, platform: Platform, observe: Observer) -> None:
        self._store = store
        self._source = source
        self._platform = platform
        self._observe = observe

    # -- OCI layout (image-spec image-layout.md) --------------------------------------------------

    def oci_layout(self, kind: str, path: Path) -> Iterator[Loaded]:
        layout = _json(self._read("oci-layout"), "oci-layout")
        if not isinstance(layout, dict) or layout.get("imageLayoutVersion") != "1.0.0":
            raise DocumentError("unsupported OCI image layout: imageLayoutVersion is not 1.0.0")
        index = oci.parse_document(self._read("index.json"), oci.OCI_INDEX)
        if not isinstance(index, oci.Index) or not index.manifests:
            raise DocumentError("the OCI image layout holds no image: its index.json is empty")
        for entry in index.manifests:
            reference = _named(entry, path)
            what = reference.familiar if reference else str(entry.digest)
            document = oci.parse_document(self._blob(entry), entry.media_type)
            manifest = documents.choose(document, self._platform, self._blob, what)
            names = [reference.identity] if reference else []
            image = self._install(manifest, names, entry.digest, self._fetch_blob)
            yield Loaded(kind, reference.familiar if reference else None, image.config)

    def _blob(self, descriptor: Descriptor) -> bytes:
        raw = self._read(_blob_name(descriptor.digest))
        digests.verify(f"blob {descriptor.digest}", descriptor.digest, descriptor.size, raw)
        return raw

    def _fetch_blob(self, layer: Descriptor, check: Callable[[], None]) -> None:
        self._copy(layer, _blob_name(layer.digest), check)

    # -- docker archive (moby image/tarexport) ----------------------------------------------------

    def docker_archive(self, kind: str) -> Iterator[Loaded]:
        for item in _docker_items(_json(self._read("manifest.json"), "manifest.json")):
            config_raw = self._read(item.config)
            layers = {self._describe(name): name for name in item.layers}
            manifest = _docker_manifest(config_raw, list(map(self._describe, item.layers)))
            references_ = [references.parse(tag) for tag in item.tags]

            def fetch(layer: Descriptor, check: Callable[[], None], layers: Any = layers) -> None:
                self._copy(layer, layers[layer], check)

            names = [reference.identity for reference in references_]
            self._store.blobs.put(config_raw)
            image = self._install(manifest, names, manifest.descriptor.digest, fetch)
            for reference in references_:
                yield Loaded(kind, reference.familiar, image.config)
            if not references_:
                yield Loaded(kind, None, image.config)

    def _describe(self, name: str) -> Descriptor:
        """A layer of a docker archive has no descriptor: its digest is that of what is there."""
        hasher = digests.Hasher()
        for chunk in self._source.chunks(name):
            hasher.update(chunk)
        return oci.Descriptor(_LAYER_TYPE, hasher.digest(), hasher.count)

    # -- both -------------------------------------------------------------------------------------

    def _install(
        self,
        manifest: Manifest,
        names: list[str],
        target: BlobDigest,
        fetch: Callable[[Descriptor, Callable[[], None]], None],
    ) -> ImageRecord:
        config = documents.read_config(manifest, self._config)
        layers = tuple({layer.digest: layer.size for layer in manifest.layers}.items())
        self._observe(Resolved(names[0] if names else str(target), target, layers))
        pairs = [(name, target) for name in names]
        return install(self._store, manifest, config, pairs, fetch, self._observe)

    def _config(self, descriptor: Descriptor) -> bytes:
        if self._store.blobs.has(descriptor.digest):
            return self._store.blobs.read(descriptor.digest, oci.DOCUMENT_LIMIT)
        return self._blob(descriptor)

    def _read(self, name: str) -> bytes:
        return sources.read_small(self._source, name, oci.DOCUMENT_LIMIT)

    def _copy(self, layer: Descriptor, name: str, check: Callable[[], None]) -> None:
        with self._store.blobs.ingest(layer.digest, layer.size) as transaction:
            if transaction is None:
                return
            transaction.restart()
            for chunk in self._source.chunks(name):
                check()
                transaction.write(chunk)
            transaction.commit()


@dataclass(frozen=True, slots=True)
class _DockerItem:
    config: str
    layers: tuple[str, ...]
    tags: tuple[str, ...]


def _docker_items(document: Any) -> list[_DockerItem]:
    try:
        items = [
            _DockerItem(
                _text(item["Config"]),
                tuple(map(_text, item["Layers"])),
                tuple(map(_text, item.get("RepoTags") or ())),
            )
            for item in document
        ]
    except (TypeError, KeyError, AttributeError):
        raise DocumentError("manifest.json is not that of a docker archive") from None
    if not items:
        raise DocumentError("the docker archive holds no image")
    return items


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _docker_manifest(config: bytes, layers: list[Descriptor]) -> Manifest:
    """The schema 2 manifest of an image that came without one."""
    document = {
        "schemaVersion": 2,
        "mediaType": oci.DOCKER_MANIFEST,
        "config": _wire(oci.Descriptor(oci.DOCKER_CONFIG, digests.of_bytes(config), len(config))),
        "layers": list(map(_wire, layers)),
    }
    manifest = oci.parse_document(json.dumps(document).encode())
    assert isinstance(manifest, oci.Manifest)
    return manifest


def _wire(descriptor: Descriptor) -> dict[str, str | int]:
    return {
        "mediaType": descriptor.media_type,
        "digest": str(descriptor.digest),
        "size": descriptor.size,
    }


def _blob_name(digest: BlobDigest) -> str:
    return f"blobs/{digest.algorithm}/{digest.hex}"


def _named(entry: Descriptor, path: Path) -> references.Reference | None:
    """The name of an image in a layout: a full one, or a tag that completes the layout's name."""
    text = entry.annotations.get(_FULL_NAME) or entry.annotations.get(_REF_NAME)
    if not text:
        return None
    if "/" in text or ":" in text or "@" in text:
        return references.parse(text)
    stem = re.sub(r"[^a-z0-9]+", "-", path.resolve().name.lower().split(".")[0]).strip("-")
    return references.parse(f"{stem or 'image'}:{text}")


def _json(raw: bytes, what: str) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"invalid {what}: not JSON ({error})") from None
