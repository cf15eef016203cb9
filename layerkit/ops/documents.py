"""From a name's document to the manifest and config of one platform's image."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from msgspec.structs import replace

from layerkit import digest as digests
from layerkit import oci, platforms
from layerkit.errors import DocumentError, IntegrityError, NotFoundError
from layerkit.events import Notice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from layerkit.digest import BlobDigest
    from layerkit.events import Observer
    from layerkit.oci import Descriptor, ImageConfig, Index, Manifest, Platform

_LOOKED_INTO = 8
"""Manifests of an index of which the config is read to know their platform."""


def choose(
    document: Index | Manifest,
    wanted: Platform,
    read: Callable[[Descriptor], bytes],
    what: str,
) -> Manifest:
    """As `follow`, the manifest alone."""
    manifest, _ = follow(digests.of_bytes(document.raw), document, wanted, read, what)
    return manifest


def follow(
    digest: BlobDigest,
    document: Index | Manifest,
    wanted: Platform,
    read: Callable[[Descriptor], bytes],
    what: str,
) -> tuple[Manifest, dict[BlobDigest, bytes]]:
    """The manifest for a platform, and the indexes it takes to get there, the outermost first.

    `digest` is that of `document`; `read` gives the bytes of a descriptor, verified. Raises
    `NotFoundError` when nothing fits, `DocumentError` for indexes nested too deep or an entry of no
    image kind.
    """
    read = _once(read)
    way: dict[BlobDigest, bytes] = {}
    for _ in range(oci.INDEX_DEPTH):
        if isinstance(document, oci.Manifest):
            return document, way
        way[digest] = document.raw
        entry = platforms.named(document, wanted) or _look_for(document, wanted, read, what)
        digest = entry.digest
        document = oci.parse_document(read(entry), entry.media_type)
    raise DocumentError(f"index of {what} is nested more than {oci.INDEX_DEPTH} deep")


def _once(read: Callable[[Descriptor], bytes]) -> Callable[[Descriptor], bytes]:
    """As `read`, but a manifest that was looked into is not asked for again."""
    known: dict[BlobDigest, bytes] = {}

    def look(descriptor: Descriptor) -> bytes:
        if descriptor.digest not in known:
            known[descriptor.digest] = read(descriptor)
        return known[descriptor.digest]

    return look


def _look_for(
    index: Index, wanted: Platform, read: Callable[[Descriptor], bytes], what: str
) -> Descriptor:
    """The entry that fits, once manifests without a platform got that of their config."""
    entries = tuple(_with_platforms(index, read))
    return platforms.select(replace(index, manifests=entries), wanted, what)


def _with_platforms(index: Index, read: Callable[[Descriptor], bytes]) -> Iterator[Descriptor]:
    """The entries that may be an image; only the first few are looked into."""
    left = _LOOKED_INTO
    for entry in filter(platforms.is_image, index.manifests):
        if entry.platform or not left or entry.media_type not in oci.MANIFEST_TYPES:
            yield entry
            continue
        left -= 1
        try:
            found = oci.parse_document(read(entry), entry.media_type)
            assert isinstance(found, oci.Manifest)
            config = read_config(found, read)
        except (DocumentError, NotFoundError):
            continue  # no image, or not there
        yield replace(entry, platform=config.platform if config.platform.os else None)


def read_config(manifest: Manifest, read: Callable[[Descriptor], bytes]) -> ImageConfig:
    """The config of a manifest, verified and checked against it."""
    raw = read(manifest.config)
    digests.verify("image config", manifest.config.digest, manifest.config.size, raw)
    config = oci.parse_config(raw)
    oci.check_image(manifest, config)
    return config


def embedded(descriptor: Descriptor, observe: Observer) -> bytes | None:
    """The content that a descriptor brings along, None if it brings none that is right."""
    if not descriptor.data:
        return None
    try:
        raw = base64.b64decode(descriptor.data, validate=True)
        digests.verify("embedded data", descriptor.digest, descriptor.size, raw)
    except (ValueError, IntegrityError):
        text = f"the data embedded for {descriptor.digest} is not that, and not used"
        observe(Notice("warning", text))
        return None
    return raw


def check_platform(
    config: ImageConfig, wanted: Platform, what: str, *, explicit: bool, observe: Observer
) -> None:
    """Refuse an image for another platform when one was asked for by name, else warn."""
    got = platforms.normalize(config.platform)
    if not got.os or got in platforms.acceptable(wanted):
        return
    if explicit:
        raise NotFoundError(f"{what} is for platform {got}, wanted {wanted}")
    text = f"the image's platform ({got}) is not that of this host ({wanted})"
    observe(Notice("warning", text))
