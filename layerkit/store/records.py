"""What the store remembers about images, containers and snapshots, as values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from layerkit.digest import BlobDigest, DiffID


class LayerRecord(Struct, frozen=True):
    """One layer of an image: its blob as the registry has it, and its diffID."""

    blob: BlobDigest
    diff_id: DiffID


class ImageRecord(Struct, frozen=True):
    """One image: a manifest for one platform. Its id is the digest of its config.

    `created` is the config's time as text; `size` the bytes of all files of all layers.
    """

    manifest: BlobDigest
    media_type: str
    manifest_size: int
    config: BlobDigest
    platform: str
    created: str
    size: int
    layers: tuple[LayerRecord, ...]


class NameRecord(Struct, frozen=True):
    """A name and the image it stands for; `target` is the digest the registry gave (of an index,
    or of the manifest itself). The blob of an index may be missing: earlier versions kept none.
    """

    name: str
    manifest: BlobDigest
    target: BlobDigest


class ContainerRecord(Struct, frozen=True):
    """A container: its 64-hex id, its name, and the image it was made from, which stays while it
    does. `created` is in seconds since 1970; `driver` who made the folder that it writes to, `chain`
    the frozen uppers it stands on, oldest first.
    """

    id: str
    name: str
    image_name: str
    manifest: BlobDigest
    created: float
    driver: str
    chain: tuple[str, ...] = ()


class SnapshotRecord(Struct, frozen=True):
    """A named state of a container: frozen uppers, oldest first, the last one called as it is.

    `container` is an id, `created` in seconds since 1970.
    """

    id: str
    container: str
    name: str
    created: float
    chain: tuple[str, ...]
