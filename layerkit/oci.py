"""OCI and docker schema 2 documents: typed, checked, and always beside their exact bytes.

A document is never serialised again: its digest is that of the bytes it came in (`raw`). Unknown
fields are ignored (image-spec considerations.md, "Extensibility"); what is read is checked for
type and range here, so the rest of layerkit meets values only.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar

import msgspec
from msgspec import Struct, field

from layerkit import digest as digests
from layerkit import oci_shapes as shapes
from layerkit import strictjson
from layerkit.digest import BlobDigest, DiffID
from layerkit.errors import DocumentError

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"

INDEX_TYPES = (OCI_INDEX, DOCKER_INDEX)
MANIFEST_TYPES = (OCI_MANIFEST, DOCKER_MANIFEST)
CONFIG_TYPES = (OCI_CONFIG, DOCKER_CONFIG)
SCHEMA1_TYPES = (
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
)
# image-spec layer.md and media-types.md, with docker's names for the same things. The compression
# that a type names is a hint only: layers are sniffed, and the diffID guards the result.
LAYER_TYPES = (
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd",
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
)

DOCUMENT_LIMIT = 4 << 20
"""The most bytes a manifest, index or config may have (distribution-spec: at least 4 MiB)."""
INDEX_DEPTH = 8
"""The most documents on the way from a name to a manifest, which is the last one."""
_SHOWN = 100


class Platform(Struct, frozen=True):
    """What a manifest in an index is for (image-spec image-index.md)."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))


class Descriptor(Struct, frozen=True):
    """What to fetch and how to know it is right (image-spec descriptor.md); `size` in bytes.

    `data` is the content itself in base64, as the document has it, or ""; `urls` are where a layer
    is that registries must not hand out.
    """

    media_type: str
    digest: BlobDigest
    size: int
    platform: Platform | None = None
    annotations: dict[str, str] = field(default_factory=dict)
    artifact_type: str = ""
    data: str = ""
    urls: tuple[str, ...] = ()

    def __hash__(self) -> int:
        return hash((self.media_type, self.digest, self.size))


class Index(Struct, frozen=True):
    """A list of manifests to choose from, in the order of the document."""

    raw: bytes
    media_type: str
    manifests: tuple[Descriptor, ...]


class Manifest(Struct, frozen=True):
    """One image: its config and its layers, lowest first."""

    raw: bytes
    media_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]

    @property
    def descriptor(self) -> Descriptor:
        """The descriptor of these exact bytes."""
        return Descriptor(self.media_type, digests.of_bytes(self.raw), len(self.raw))


class RuntimeConfig(Struct, frozen=True):
    """How a container of the image is started (image-spec config.md, "config")."""

    user: str = ""
    env: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    working_dir: str = ""
    stop_signal: str = ""
    exposed_ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()


class HistoryItem(Struct, frozen=True):
    """How one layer, or no layer (`empty_layer`), came to be."""

    created: str = ""
    created_by: str = ""
    comment: str = ""
    empty_layer: bool = False


class ImageConfig(Struct, frozen=True):
    """The image's config; its digest is the image id."""

    raw: bytes
    platform: Platform
    created: str
    author: str
    runtime: RuntimeConfig
    diff_ids: tuple[DiffID, ...]
    history: tuple[HistoryItem, ...]

    @property
    def document(self) -> dict[str, Any]:
        """The whole document as JSON values, for output that shows every field."""
        document = json.loads(self.raw)
        assert isinstance(document, dict)
        return document


_T = TypeVar("_T")


def parse_document(raw: bytes, media_type: str = "") -> Index | Manifest:
    """The index or manifest that `raw` is.

    `media_type` is what the descriptor or the registry called it ("" where nobody did); the
    document's own `mediaType` must not contradict it, and a document that could be read as both an
    index and a manifest is refused (CVE-2021-41190). Raises `DocumentError`.
    """
    document = _document(raw, "manifest")
    _refuse_schema1(document, media_type)
    own = document.get("mediaType") or media_type
    if not isinstance(own, str) or (media_type and own != media_type):
        raise DocumentError(
            f"ambiguous manifest: it calls itself {_shown(own)}, "
            f"but was announced as {_shown(media_type)}"
        )
    version = document.get("schemaVersion")
    if version != 2:  # noqa: PLR2004  image-spec: MUST be 2
        raise DocumentError(f"unknown manifest: schemaVersion is {_shown(version)}, wanted 2")
    is_index = "manifests" in document
    if is_index and ("config" in document or "layers" in document):
        raise DocumentError("ambiguous manifest: it is both an index and an image manifest")
    if own and own not in (INDEX_TYPES if is_index else MANIFEST_TYPES):
        raise DocumentError(
            f"unsupported manifest: media type {_shown(own)} is not that of an image"
        )
    if is_index:
        return _index(raw, own or OCI_INDEX, _convert(document, shapes.Index, "index"))
    return _manifest(raw, own or OCI_MANIFEST, _convert(document, shapes.Manifest, "manifest"))


def parse_config(raw: bytes) -> ImageConfig:
    """The image config that `raw` is (image-spec config.md). Raises `DocumentError`."""
    wire = _convert(_document(raw, "image config"), shapes.Config, "image config")
    runtime = wire.config or shapes.Runtime()
    return ImageConfig(
        raw=raw,
        platform=Platform(wire.os or "", wire.architecture or "", wire.variant or ""),
        created=wire.created or "",
        author=wire.author or "",
        runtime=RuntimeConfig(
            user=runtime.user or "",
            env=tuple(runtime.env or ()),
            entrypoint=tuple(runtime.entrypoint or ()),
            cmd=tuple(runtime.cmd or ()),
            working_dir=runtime.working_dir or "",
            stop_signal=runtime.stop_signal or "",
            exposed_ports=tuple(runtime.exposed_ports or ()),
            volumes=tuple(runtime.volumes or ()),
            labels=tuple(
                (key, text) for key, text in (runtime.labels or {}).items() if isinstance(text, str)
            ),
        ),
        diff_ids=tuple(DiffID(_digest(text)) for text in wire.rootfs.diff_ids or ()),
        history=tuple(
            HistoryItem(
                item.created or "",
                item.created_by or "",
                item.comment or "",
                bool(item.empty_layer),
            )
            for item in wire.history or ()
        ),
    )


def wire(descriptor: Descriptor) -> dict[str, str | int]:
    """What a document says of a descriptor: media type, digest, size."""
    return {
        "mediaType": descriptor.media_type,
        "digest": str(descriptor.digest),
        "size": descriptor.size,
    }


def check_image(manifest: Manifest, config: ImageConfig) -> None:
    """Raise `DocumentError` unless the two describe one runnable image."""
    for layer in manifest.layers:
        if layer.media_type not in LAYER_TYPES:
            raise DocumentError(
                f"unsupported layer {layer.digest.short}: media type {_shown(layer.media_type)} "
                "is not that of a file system layer"
            )
    if len(manifest.layers) != len(config.diff_ids):
        raise DocumentError(
            f"manifest and config disagree: {len(manifest.layers)} layers, "
            f"{len(config.diff_ids)} diff_ids"
        )
    for digest in (*(layer.digest for layer in manifest.layers), *config.diff_ids):
        if digest.algorithm not in digests.ALGORITHMS:
            raise DocumentError(
                f"cannot verify layers: unsupported digest algorithm {digest.algorithm[:_SHOWN]}"
            )


def _index(raw: bytes, media_type: str, wire: shapes.Index) -> Index:
    return Index(raw, media_type, tuple(map(_descriptor, wire.manifests)))


def _manifest(raw: bytes, media_type: str, wire: shapes.Manifest) -> Manifest:
    config = _descriptor(wire.config)
    if config.media_type not in CONFIG_TYPES:
        raise DocumentError(
            f"not an image: its config has media type {_shown(config.media_type)} "
            "(an artifact, not a file system)"
        )
    layers = tuple(map(_descriptor, wire.layers or ()))
    _refuse_two_sizes((config, *layers))
    return Manifest(raw, media_type, config, layers)


def _refuse_two_sizes(descriptors: tuple[Descriptor, ...]) -> None:
    sizes: dict[BlobDigest, int] = {}
    for descriptor in descriptors:
        if sizes.setdefault(descriptor.digest, descriptor.size) != descriptor.size:
            raise DocumentError(f"ambiguous manifest: {descriptor.digest} has two different sizes")


def _descriptor(wire: shapes.Descriptor) -> Descriptor:
    return Descriptor(
        media_type=wire.media_type or "",
        digest=BlobDigest(_digest(wire.digest)),
        size=wire.size,
        platform=_platform(wire.platform),
        annotations=wire.annotations or {},
        artifact_type=wire.artifact_type or "",
        data=wire.data or "",
        urls=tuple(wire.urls or ()),
    )


def _platform(wire: shapes.Platform | None) -> Platform | None:
    if wire is None:
        return None
    return Platform(wire.os or "", wire.architecture or "", wire.variant or "")


def _digest(text: str) -> digests.Digest:
    try:
        return digests.parse(text)
    except ValueError as error:
        raise DocumentError(str(error)) from None


def _refuse_schema1(document: dict[str, Any], media_type: str) -> None:
    if media_type in SCHEMA1_TYPES or document.get("schemaVersion") == 1 or "fsLayers" in document:
        raise DocumentError(
            "Docker image manifest schema 1 is not supported",
            hint="push the image again with a current tool, which writes schema 2 or OCI",
        )


def _document(raw: bytes, what: str) -> dict[str, Any]:
    try:
        return strictjson.parse_object(raw, DOCUMENT_LIMIT)
    except ValueError as error:
        raise DocumentError(f"invalid {what}: {error}") from None


def _convert(document: dict[str, Any], shape: type[_T], what: str) -> _T:
    try:
        return msgspec.convert(document, shape)
    except msgspec.ValidationError as error:
        raise DocumentError(f"invalid {what}: {error}") from None


def _shown(value: object) -> str:
    """A value of a document for a message, cut short."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
