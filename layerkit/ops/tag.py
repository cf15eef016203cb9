"""Tag: one more name for an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerkit import reference as references
from layerkit.errors import UsageError
from layerkit.ops.images import find_named
from layerkit.store.records import NameRecord

if TYPE_CHECKING:
    from layerkit.ops.home import Home


def tag(home: Home, source: str, target: str) -> None:
    """Let `target` name the image that `source` means; raises `NotFoundError`, `UsageError`."""
    reference = references.parse(target)
    if reference.digest is not None:
        raise UsageError(f"cannot tag {target!r}: a digest names an image already")
    image, name = find_named(home, source)
    digest = name.target if name is not None else image.manifest
    home.store.name_image(image, [NameRecord(reference.canonical, image.manifest, digest)])
