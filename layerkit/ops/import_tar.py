"""Import: a root file system tar becomes an image of one layer."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any

from layerkit import digest as digests
from layerkit import oci
from layerkit import reference as references
from layerkit.errors import ArchiveError, UsageError
from layerkit.events import Resolved, ignore
from layerkit.layer import compression, wrapping
from layerkit.ops import sources
from layerkit.ops.changes import changed
from layerkit.ops.local import bring

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from layerkit.digest import BlobDigest
    from layerkit.events import Observer
    from layerkit.limits import Limits
    from layerkit.oci import Descriptor, Manifest, Platform
    from layerkit.ops.home import Home
    from layerkit.ops.sources import Origin

_CHUNK = 1 << 20
_LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
_SUFFIXES = {"gzip": "+gzip", "zstd": "+zstd"}


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What the image is to be: `changes` are lines of a Dockerfile, `message` its history."""

    platform: Platform
    created: datetime
    message: str
    name: str | None = None
    changes: tuple[str, ...] = ()


def import_tar(
    home: Home, origin: Origin, options: ImportOptions, observe: Observer = ignore
) -> BlobDigest:
    """Make an image of the tar at `origin`; its id.

    A tar compressed by gzip or zstd is the layer as it is, any other becomes a plain one. The same
    input gives the same image. Raises `UsageError`, `IntegrityError` for what is no layer; then
    nothing stays, and `StoreError`.
    """
    name = _name(options.name)
    runtime = changed({}, options.changes)
    with (
        sources.opened(origin) as file,
        tempfile.TemporaryFile(dir=home.store.scratch) as spooled,
    ):
        limits = home.store.limits
        layer = _layer_file(file, spooled.fileno(), limits.keep_free)
        descriptor, diff_id = _describe(layer, limits)
        config = oci.parse_config(_config(options, runtime, diff_id))
        manifest = _manifest(config, descriptor)
        target = manifest.descriptor.digest
        observe(Resolved(name or target.short, target, ((descriptor.digest, descriptor.size),)))
        names = [(name, target)] if name else []
        image = bring(home.store, manifest, config, names, lambda _: _chunks(layer), observe)
    return image.config


def _name(text: str | None) -> str | None:
    if text is None:
        return None
    reference = references.parse(text)
    if reference.digest is not None:
        raise UsageError(f"cannot import as {text!r}: a digest names an image already")
    return reference.canonical


def _layer_file(file: int, spooled: int, keep_free: int) -> int:
    """An open file with the layer's blob, to be read more than once: `file` itself, or `spooled`."""
    if sources.is_regular(file):
        if wrapping.is_layer(os.pread(file, wrapping.SNIFF, 0)):
            return file
        os.lseek(file, 0, os.SEEK_SET)
    sources.spool(wrapping.as_layer(sources.read_all(file)), spooled, keep_free)
    return spooled


def _chunks(file: int) -> Iterator[bytes]:
    read = sources.read_at(file)
    position = 0
    while chunk := read(position, _CHUNK):
        yield chunk
        position += len(chunk)


def _describe(file: int, limits: Limits) -> tuple[Descriptor, BlobDigest]:
    """The descriptor of the blob, and the digest of the tar in it."""
    blob, tar = digests.Hasher(), digests.Hasher()
    size = os.fstat(file).st_size

    def hashed() -> Iterator[bytes]:
        for chunk in _chunks(file):
            blob.update(chunk)
            yield chunk

    for piece in compression.inflate(hashed()):
        tar.update(piece)
        limits.check_unpacked(tar.count, size)
    if not tar.count:
        raise ArchiveError("nothing to import: the archive is empty")
    suffix = _SUFFIXES.get(wrapping.kind(next(_chunks(file), b"")), "")
    return oci.Descriptor(_LAYER_TYPE + suffix, blob.digest(), blob.count), tar.digest()


def _config(options: ImportOptions, runtime: dict[str, Any], diff_id: BlobDigest) -> bytes:
    platform = options.platform
    created = options.created.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return _json(
        {
            "created": created,
            "architecture": platform.architecture,
            **({"variant": platform.variant} if platform.variant else {}),
            "os": platform.os,
            "config": runtime,
            "rootfs": {"type": "layers", "diff_ids": [str(diff_id)]},
            "history": [{"created": created, "comment": options.message}],
        }
    )


def _manifest(config: oci.ImageConfig, layer: Descriptor) -> Manifest:
    described = oci.Descriptor(oci.OCI_CONFIG, digests.of_bytes(config.raw), len(config.raw))
    document = {
        "schemaVersion": 2,
        "mediaType": oci.OCI_MANIFEST,
        "config": oci.wire(described),
        "layers": [oci.wire(layer)],
    }
    manifest = oci.parse_document(_json(document))
    assert isinstance(manifest, oci.Manifest)
    return manifest


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
