"""Records of images and containers for tests of the store, made of small numbers."""

from __future__ import annotations

from layerkit import digest as digests
from layerkit import oci
from layerkit.digest import BlobDigest, DiffID
from layerkit.store.records import (
    ContainerRecord,
    ImageRecord,
    LayerRecord,
    NameRecord,
    SnapshotRecord,
)


def blob(name: str) -> BlobDigest:
    """The digest of a blob called `name`."""
    return digests.of_bytes(name.encode())


def image(name: str, *layers: str, config: str = "") -> ImageRecord:
    """An image with these layers; its manifest and config are called after it."""
    return ImageRecord(
        manifest=blob(f"manifest {name}"),
        media_type=oci.OCI_MANIFEST,
        manifest_size=len(f"manifest {name}"),
        config=blob(config or f"config {name}"),
        platform="linux/amd64",
        created="2001-09-09T01:46:40Z",
        size=1234,
        layers=tuple(LayerRecord(blob(each), DiffID(blob(f"tar {each}"))) for each in layers),
    )


def name(text: str, of: ImageRecord) -> NameRecord:
    """A name for an image."""
    return NameRecord(text, of.manifest, of.manifest)


def container(number: int, of: ImageRecord, *, called: str = "") -> ContainerRecord:
    """A container whose id begins with `number` in hex."""
    return ContainerRecord(
        id=f"{number:x}".ljust(64, "0"),
        name=called or f"box-{number}",
        image_name="app",
        manifest=of.manifest,
        created=float(number),
        driver="overlay",
    )


def snapshot(number: int, of: ContainerRecord, *, called: str = "") -> SnapshotRecord:
    """A snapshot of a container, on one other."""
    return SnapshotRecord(
        id=f"{number:x}".ljust(64, "5"),
        container=of.id,
        name=called or f"state-{number}",
        created=float(number),
        chain=("first", f"{number:x}".ljust(64, "5")),
    )
