"""Load: images from an OCI layout (directory or archive) or a docker archive into the store."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from msgspec.structs import replace

from layerkit import digest as digests
from layerkit import oci, platforms
from layerkit import reference as references
from layerkit.errors import DocumentError, IntegrityError, NotFoundError, UsageError
from layerkit.events import Notice, Resolved, ignore
from layerkit.ops import docker_archive, documents, sources
from layerkit.ops.install import NewImage
from layerkit.ops.local import bring
from layerkit.snapshot.folders import open_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from layerkit.digest import BlobDigest, DiffID, Digest
    from layerkit.events import Observer
    from layerkit.oci import Descriptor, ImageConfig, Index, Manifest, Platform
    from layerkit.ops.docker_archive import Item
    from layerkit.ops.home import Home
    from layerkit.ops.local import Open
    from layerkit.ops.sources import Origin, Source
    from layerkit.reference import Reference
    from layerkit.store.records import ImageRecord

    Read: TypeAlias = Callable[[], Iterator[bytes]]

_LAYOUT = "oci-layout"
_FULL_NAME = "io.containerd.image.name"
_BASE_NAME = "org.opencontainers.image.base.name"  # image-spec annotations.md
_BASE_DIGEST = "org.opencontainers.image.base.digest"
_SHOWN = 10  # digests in a message
_TEXT = 256  # characters of an annotation there
_REF_NAME = "org.opencontainers.image.ref.name"


@dataclass(frozen=True, slots=True)
class Loaded:
    """One image that was loaded: from what `kind` of source, its short name if it has one, its id."""

    kind: str
    name: str | None
    id: BlobDigest


def load(
    home: Home,
    origin: Origin,
    *,
    platform: Platform,
    explicit_platform: bool = False,
    observe: Observer = ignore,
) -> list[Loaded]:
    """Bring all images at `origin` into the store, each verified and indexed before it has a name.

    Of an index the image for `platform` is taken, and with `explicit_platform` nothing else at all.
    Of an image that is broken nothing stays. Raises `UsageError` where there is no image,
    `IntegrityError` and its kinds for one that is broken, `NotFoundError`, `StoreError`.
    """
    with sources.open_source(origin, home.store.scratch, home.store.limits) as source:
        loader = _Loader(home, source, platform, observe, explicit_platform=explicit_platform)
        loaded = _load(loader, source, origin)
    if not loaded:
        raise NotFoundError(f"no image for platform {platform} at {sources.show(origin)}")
    return loaded


def _load(loader: _Loader, source: Source, origin: Origin) -> list[Loaded]:
    if source.has(_LAYOUT):
        is_archive = isinstance(source, sources.ArchiveSource)
        return loader.oci_layout("OCI archive" if is_archive else "OCI image layout", _stem(origin))
    if source.has(docker_archive.MANIFEST):
        return list(loader.docker_archive())
    if source.has(docker_archive.REPOSITORIES):
        raise UsageError(
            f"cannot load {sources.show(origin)}: it was saved by a docker before 1.10",
            hint="load it with an old docker and save it again",
        )
    raise UsageError(
        f"no image at {sources.show(origin)}: "
        "wanted an OCI layout directory, an OCI archive or a docker archive"
    )


def _stem(origin: Origin) -> str:
    """The repository that a mere tag in a layout belongs to: what the layout is called."""
    name = origin.resolve().name if isinstance(origin, Path) else ""
    return re.sub(r"[^a-z0-9]+", "-", name.lower().split(".")[0]).strip("-") or "image"


class _Loader:
    def __init__(
        self,
        home: Home,
        source: Source,
        platform: Platform,
        observe: Observer,
        *,
        explicit_platform: bool,
    ) -> None:
        self._store = home.store
        self._source = source
        self._platform = platform
        self._explicit = explicit_platform
        self._observe = observe

    # -- OCI layout (image-spec image-layout.md) --------------------------------------------------

    def oci_layout(self, kind: str, stem: str) -> list[Loaded]:
        """The images of the layout, and those that only a `manifest.json` beside it has.

        docker writes both; the layouts of its versions 25.0.0 and 25.0.1 have no layers, or those
        in a wrong order, and later ones leave out images (moby 47065, 47150, 47210, 51389).
        """
        loaded: list[Loaded] = []
        has_other = self._source.has(docker_archive.MANIFEST)
        try:
            loaded.extend(self._layout(kind, stem))
        except IntegrityError as error:
            if not has_other:
                raise
            self._warn(f"the OCI layout is broken ({error}): going on with its manifest.json")
        if has_other:
            loaded.extend(self.docker_archive(loaded))
        return loaded

    def _layout(self, kind: str, stem: str) -> Iterator[Loaded]:
        _check_layout(self._read(_LAYOUT))
        index = oci.parse_document(self._read("index.json"), oci.OCI_INDEX)
        if not isinstance(index, oci.Index):
            raise DocumentError("the index.json of the OCI image layout is no index")
        for name, entry in self._entries(index):
            reference = self._reference(name, stem, entry.digest)
            what = reference.familiar if reference else str(entry.digest)
            manifest, config, way = self._image(entry, what)
            self._require_blobs(manifest, what, entry.annotations)
            names = _names(reference)
            image = self._install(manifest, config, self._open, names, entry.digest, way)
            yield Loaded(kind, reference.familiar if reference else None, image.config)

    def _entries(self, index: Index) -> Iterator[tuple[str, Descriptor]]:
        """Each image with its name; of several for one name that of our platform."""
        groups: dict[str, list[Descriptor]] = {}
        for entry in filter(platforms.is_image, index.manifests):
            name = entry.annotations.get(_FULL_NAME) or entry.annotations.get(_REF_NAME) or ""
            groups.setdefault(name, []).append(entry)
        if not groups:
            raise DocumentError("the OCI image layout holds no image: its index.json is empty")
        for name, group in groups.items():
            if len({str(entry.platform) for entry in group if entry.platform}) > 1:
                of_name = replace(index, manifests=tuple(group))
                yield name, platforms.select(of_name, self._platform, name or "the layout")
            else:
                yield from ((name, entry) for entry in group)

    def _image(
        self, entry: Descriptor, what: str
    ) -> tuple[Manifest, ImageConfig, dict[BlobDigest, bytes]]:
        document = oci.parse_document(self._blob(entry), entry.media_type)
        if isinstance(document, oci.Index):
            # docker lists all platforms of an image, but saves only those it has.
            present = filter(self._has, document.manifests)
            document = replace(document, manifests=tuple(present) or document.manifests)
        manifest, way = documents.follow(entry.digest, document, self._platform, self._blob, what)
        config = documents.read_config(manifest, self._config)
        if self._explicit:
            platform, observe = self._platform, self._observe
            documents.check_platform(config, platform, what, explicit=True, observe=observe)
        return manifest, config, way

    def _open(self, layer: Descriptor) -> Iterator[bytes]:
        return self._source.chunks(_blob_name(layer))

    def _require_blobs(self, manifest: Manifest, what: str, annotations: dict[str, str]) -> None:
        """Refuse an image of which layers are neither in the layout nor here, before any comes."""
        missing = [
            layer.digest
            for layer in manifest.layers
            if not self._has(layer) and not self._store.blobs.has(layer.digest)
        ]
        if missing:
            raise _missing(what, missing, annotations)

    def _has(self, descriptor: Descriptor) -> bool:
        return self._source.has(_blob_name(descriptor))

    def _blob(self, descriptor: Descriptor) -> bytes:
        raw = self._read(_blob_name(descriptor))
        digests.verify(f"blob {descriptor.digest}", descriptor.digest, descriptor.size, raw)
        return raw

    def _config(self, descriptor: Descriptor) -> bytes:
        if self._store.blobs.has(descriptor.digest):
            return self._store.blobs.read(descriptor.digest, oci.DOCUMENT_LIMIT)
        return self._blob(descriptor)

    # -- docker archive ---------------------------------------------------------------------------

    def docker_archive(self, before: Sequence[Loaded] = ()) -> Iterator[Loaded]:
        """The images of `manifest.json`, but those that came `before`: by id, or by all names.

        Where a name stands for an index, `manifest.json` may have the image of another platform.
        """
        known = {each.id for each in before}
        taken = {each.name for each in before}
        described: dict[str, Descriptor] = {}
        for item in docker_archive.parse(self._read(docker_archive.MANIFEST)):
            raw = self._read(item.config)
            if digests.of_bytes(raw) in known:
                continue
            config = oci.parse_config(raw)
            if self._explicit and not self._fits(config):
                continue
            found = [self._reference(tag, "", None) for tag in item.tags]
            names = [reference.familiar for reference in found if reference]
            if names and taken.issuperset(names):
                continue
            layers = self._layers_of(item, config)
            for name in item.layers:
                if name not in described:
                    described[name] = docker_archive.describe_layer(layers[name]())
            manifest = docker_archive.manifest(raw, [described[name] for name in item.layers])
            full = [name for reference in found for name in _names(reference)]
            open_layer = _opener({described[name]: layers[name] for name in item.layers})
            image = self._install(manifest, config, open_layer, full, manifest.descriptor.digest)
            shown: list[str | None] = [*names]
            yield from (Loaded("docker archive", name, image.config) for name in shown or [None])

    def _fits(self, config: ImageConfig) -> bool:
        return platforms.normalize(config.platform) in platforms.acceptable(self._platform)

    def _layers_of(self, item: Item, config: ImageConfig) -> dict[str, Read]:
        """What reads each layer: from the archive, or where that leaves it out, from the store."""
        diff_ids = dict(zip(item.layers, config.diff_ids, strict=False))
        opened: dict[str, Read] = {}
        missing: list[Digest] = []
        for name in item.layers:
            diff_id = diff_ids.get(name)
            if self._source.has(name) or diff_id is None:
                opened[name] = partial(self._source.chunks, name)
            elif self._store.layers.has(diff_id):
                opened[name] = partial(self._stored, diff_id)
            else:
                missing.append(diff_id)
        if missing:
            raise _missing(item.tags[0] if item.tags else item.config, missing, {})
        return opened

    def _stored(self, diff_id: DiffID) -> Iterator[bytes]:
        with open_all([self._store.layers.tar(diff_id)]) as (file,):
            yield from sources.read_all(file)

    # -- both -------------------------------------------------------------------------------------

    def _install(
        self,
        manifest: Manifest,
        config: ImageConfig,
        open_layer: Open,
        names: list[str],
        target: BlobDigest,
        way: Mapping[BlobDigest, bytes] | None = None,
    ) -> ImageRecord:
        layers = tuple({layer.digest: layer.size for layer in manifest.layers}.items())
        self._observe(Resolved(names[0] if names else str(target), target, layers))
        pairs = [(name, target) for name in names]
        new = NewImage(manifest, config, pairs, way or {})
        return bring(self._store, new, open_layer, self._observe)

    def _reference(self, text: str, stem: str, digest: BlobDigest | None) -> Reference | None:
        """The name `text`, where a tag alone belongs to the repository `stem`; None if it is none.

        One with a digest is a name only of what has this digest, or it would be a lie.
        """
        if not text:
            return None
        is_tag = stem and not set("/:@") & set(text)
        try:
            reference = references.parse(f"{stem}:{text}" if is_tag else text)
        except UsageError as error:
            self._warn(f"the image is loaded without its name: {error}")
            return None
        if reference.digest not in {None, digest}:
            self._warn(f"the image is loaded without its name {text}: it has another digest")
            return None
        return reference

    def _read(self, name: str) -> bytes:
        return sources.read_small(self._source, name, oci.DOCUMENT_LIMIT)

    def _warn(self, text: str) -> None:
        self._observe(Notice("warning", text))


def _opener(layers: dict[Descriptor, Read]) -> Open:
    return lambda layer: layers[layer]()


def _missing(what: str, digests_of: Sequence[Digest], annotations: dict[str, str]) -> NotFoundError:
    shown = ", ".join(digest.short for digest in digests_of[:_SHOWN])
    more = f" and {len(digests_of) - _SHOWN} more" if len(digests_of) > _SHOWN else ""
    plural = "s are" if len(digests_of) > 1 else " is"
    base = " ".join(
        annotations[key][:_TEXT] for key in (_BASE_NAME, _BASE_DIGEST) if annotations.get(key)
    )
    hint = (
        f"it was saved without the layers of {base}: pull or load that image first"
        if base
        else "if it was saved with --exclude-base, pull or load that image first"
    )
    return NotFoundError(
        f"cannot load {what}: layer{plural} neither in it nor here: {shown}{more}", hint=hint
    )


def _check_layout(raw: bytes) -> None:
    try:
        layout = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"invalid {_LAYOUT}: not JSON ({error})") from None
    if not isinstance(layout, dict) or layout.get("imageLayoutVersion") != "1.0.0":
        raise DocumentError("unsupported OCI image layout: imageLayoutVersion is not 1.0.0")


def _names(reference: Reference | None) -> list[str]:
    return [reference.identity] if reference else []


def _blob_name(descriptor: Descriptor) -> str:
    return f"blobs/{descriptor.digest.algorithm}/{descriptor.digest.hex}"
