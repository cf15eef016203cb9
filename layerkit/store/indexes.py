"""The indexes that names came from, as far as their bytes are here (image-spec image-index.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerkit import oci
from layerkit.errors import IntegrityError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from layerkit.digest import BlobDigest
    from layerkit.oci import Index
    from layerkit.store.blobs import BlobStore

_MAY_BE_INDEX = (*oci.INDEX_TYPES, "")


def find(blobs: BlobStore, digests: Iterable[BlobDigest]) -> dict[BlobDigest, Index]:
    """The indexes under these digests and those inside them, inner ones first.

    What is not here, is no index, or rotted is passed over.
    """
    found: dict[BlobDigest, Index] = {}
    for digest in digests:
        _add(blobs, digest, oci.INDEX_DEPTH, found)
    return found


def _add(blobs: BlobStore, digest: BlobDigest, depth: int, found: dict[BlobDigest, Index]) -> None:
    index = _read(blobs, digest) if depth and digest not in found else None
    if index is None:
        return
    for entry in index.manifests:
        if entry.media_type in _MAY_BE_INDEX:
            _add(blobs, entry.digest, depth - 1, found)
    found[digest] = index


def _read(blobs: BlobStore, digest: BlobDigest) -> Index | None:
    try:
        document = oci.parse_document(blobs.read(digest, oci.DOCUMENT_LIMIT))
    except (NotFoundError, IntegrityError):
        return None
    return document if isinstance(document, oci.Index) else None
