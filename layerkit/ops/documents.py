"""From a name's document to the manifest and config of one platform's image."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from layerkit import digest as digests
from layerkit import oci, platforms
from layerkit.errors import DocumentError, IntegrityError, NotFoundError
from layerkit.events import Notice

if TYPE_CHECKING:
    from collections.abc import Callable

    from layerkit.events import Observer
    from layerkit.oci import Descriptor, ImageConfig, Index, Manifest, Platform

_DEPTH_LIMIT = 8


def choose(
    document: Index | Manifest,
    wanted: Platform,
    read: Callable[[Descriptor], bytes],
    what: str,
) -> Manifest:
    """The manifest for a platform, through as many indexes as it takes.

    `read` gives the bytes of a descriptor, verified. Raises `NotFoundError` when nothing fits,
    `DocumentError` for indexes nested too deep or an entry of no image kind.
    """
    for _ in range(_DEPTH_LIMIT):
        if isinstance(document, oci.Manifest):
            return document
        entry = platforms.select(document, wanted, what)
        document = oci.parse_document(read(entry), entry.media_type)
    raise DocumentError(f"index of {what} is nested more than {_DEPTH_LIMIT} deep")


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
