"""Import: a root file system tar becomes an image of one layer."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from layerkit import digest as digests
from layerkit import oci
from layerkit.errors import ArchiveError
from layerkit.events import Resolved, ignore
from layerkit.layer import compression, wrapping
from layerkit.ops import making, sources
from layerkit.ops.changes import changed
from layerkit.ops.install import NewImage
from layerkit.ops.local import bring

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from layerkit.digest import BlobDigest
    from layerkit.events import Observer
    from layerkit.limits import Limits
    from layerkit.oci import Descriptor, Platform
    from layerkit.ops.home import Home
    from layerkit.ops.sources import Origin

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
    name = making.new_name(options.name, "import")
    runtime = changed({}, options.changes)
    with (
        sources.opened(origin) as file,
        tempfile.TemporaryFile(dir=home.store.scratch) as spooled,
    ):
        limits = home.store.limits
        layer = _layer_file(file, spooled.fileno(), limits.keep_free)
        descriptor, diff_id = _describe(layer, limits)
        config = making.config(_document(options, runtime, diff_id))
        manifest = making.manifest(config, [descriptor])
        target = manifest.descriptor.digest
        observe(Resolved(name or target.short, target, ((descriptor.digest, descriptor.size),)))
        names = [(name, target)] if name else []
        new = NewImage(manifest, config, names)
        image = bring(home.store, new, lambda _: making.chunks(layer), observe)
    return image.config


def _layer_file(file: int, spooled: int, keep_free: int) -> int:
    """An open file with the layer's blob, to be read more than once: `file` itself, or `spooled`."""
    if sources.is_regular(file):
        if wrapping.is_layer(os.pread(file, wrapping.SNIFF, 0)):
            return file
        os.lseek(file, 0, os.SEEK_SET)
    sources.spool(wrapping.as_layer(sources.read_all(file)), spooled, keep_free)
    return spooled


def _describe(file: int, limits: Limits) -> tuple[Descriptor, BlobDigest]:
    """The descriptor of the blob, and the digest of the tar in it."""
    blob, tar = digests.Hasher(), digests.Hasher()
    size = os.fstat(file).st_size

    def hashed() -> Iterator[bytes]:
        for chunk in making.chunks(file):
            blob.update(chunk)
            yield chunk

    for piece in compression.inflate(hashed()):
        tar.update(piece)
        limits.check_unpacked(tar.count, size)
    if not tar.count:
        raise ArchiveError("nothing to import: the archive is empty")
    suffix = _SUFFIXES.get(wrapping.kind(next(making.chunks(file), b"")), "")
    return oci.Descriptor(making.LAYER_TYPE + suffix, blob.digest(), blob.count), tar.digest()


def _document(
    options: ImportOptions, runtime: dict[str, Any], diff_id: BlobDigest
) -> dict[str, Any]:
    platform = options.platform
    created = making.time(options.created)
    return {
        "created": created,
        "architecture": platform.architecture,
        **({"variant": platform.variant} if platform.variant else {}),
        "os": platform.os,
        "config": runtime,
        "rootfs": {"type": "layers", "diff_ids": [str(diff_id)]},
        "history": [{"created": created, "comment": options.message}],
    }
