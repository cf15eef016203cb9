"""The content in the state directory, and which of it images have."""

from __future__ import annotations

import math
import os
from collections import Counter
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from layerkit import digest as digests
from layerkit.digest import ALGORITHMS, BlobDigest, ChainID, DiffID, Digest
from layerkit.ops import views
from layerkit.store import files
from layerkit.store.usage import Usage, measure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from layerkit.ops.home import Home
    from layerkit.store.records import ImageRecord


class Kind(Enum):
    """The kinds of content: a layer is tar and index, a view what drivers made of a stack of them."""

    LAYER = "layer"
    BLOB = "blob"
    VIEW = "view"


class Holding(NamedTuple):
    """One piece of content; `digest` is a diffID, the digest of a blob, or a ChainID."""

    kind: Kind
    digest: Digest


def holdings(home: Home) -> list[Holding]:
    """All content that is here, in the order of names; raises `StoreError`.

    A name that is no digest is not looked at.
    """
    blobs = home.store.root / "blobs"
    with files.guarded("read"):
        return [
            *(Holding(Kind.LAYER, each) for each in _named(home.store.root / "layers")),
            *(
                Holding(Kind.BLOB, digest)
                for algorithm in ALGORITHMS
                if (blobs / algorithm).is_dir()
                for digest in _named(blobs / algorithm)
                if digest.algorithm == algorithm
            ),
            *(Holding(Kind.VIEW, chain) for chain in views.made(home)),
        ]


def _named(folder: Path) -> Iterator[Digest]:
    """The digests that names in a folder are the hex digits of; their length tells which ones."""
    for name in sorted(os.listdir(folder)):
        for algorithm in ALGORITHMS:
            try:
                yield digests.parse(f"{algorithm}:{name}")
            except ValueError:
                continue


def places(home: Home, holding: Holding) -> list[Path]:
    """Where it is, or would be; each driver has views of its own."""
    match holding.kind:
        case Kind.LAYER:
            return [home.store.layers.folder(DiffID(holding.digest))]
        case Kind.BLOB:
            return [home.store.blobs.path(BlobDigest(holding.digest))]
        case Kind.VIEW:
            return views.places(home, ChainID(holding.digest))


def usage(home: Home, holding: Holding) -> Usage:
    """What it takes on the disk, and when the last of it changed."""
    found = [measure(each) for each in places(home, holding)]
    changed = max((each.changed for each in found if each.changed < math.inf), default=math.inf)
    return Usage(sum(each.size for each in found), changed)


def remove(home: Home, holding: Holding) -> None:
    """Remove it if it is here; raises `StoreError`."""
    match holding.kind:
        case Kind.LAYER:
            home.store.layers.remove(DiffID(holding.digest))
        case Kind.BLOB:
            home.store.blobs.remove(BlobDigest(holding.digest))
        case Kind.VIEW:
            views.remove(home, ChainID(holding.digest))


def of_image(image: ImageRecord) -> frozenset[Holding]:
    """What an image has, here or not: not every image has its views written."""
    blobs = (image.manifest, image.config, *(layer.blob for layer in image.layers))
    return frozenset(
        [
            *(Holding(Kind.BLOB, blob) for blob in blobs),
            *(Holding(Kind.LAYER, layer.diff_id) for layer in image.layers),
            *(Holding(Kind.VIEW, chain) for chain in views.chains(image)),
        ]
    )


def claims(home: Home) -> Counter[Holding]:
    """How many images have each content; the indexes that a name leads through belong to it, too.

    A container's image stays as long as the container does, so what it needs is among this.
    """
    counts = Counter(each for image in home.store.database.images() for each in of_image(image))
    named = home.store.needed_by(home.store.database.names())
    counts.update({Holding(Kind.BLOB, each) for each in named} - counts.keys())
    return counts
