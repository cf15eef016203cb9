"""What of the index that a name came from is here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from layerkit.digest import BlobDigest
    from layerkit.oci import Index
    from layerkit.ops.home import Home
    from layerkit.store.records import ImageRecord, NameRecord


@dataclass(frozen=True, slots=True)
class Kept:
    """An index with those in it, inner ones first, and the images in them that are here.

    `is_complete` says that nothing that it lists is missing.
    """

    indexes: dict[BlobDigest, Index]
    images: tuple[ImageRecord, ...]
    is_complete: bool


def kept_index(home: Home, name: NameRecord) -> Kept | None:
    """The index that a name came from; None if it came from none, or that was not kept."""
    if name.target == name.manifest:
        return None
    indexes = home.store.indexes([name.target])
    if name.target not in indexes:
        return None
    listed = {entry.digest: None for index in indexes.values() for entry in index.manifests}
    images = tuple(filter(None, map(home.store.database.image, listed)))
    here = indexes.keys() | {image.manifest for image in images}
    return Kept(indexes, images, listed.keys() <= here)
