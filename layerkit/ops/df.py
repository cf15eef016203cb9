"""Where the disk went: what each image, layer, blob, container, view and left-over takes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from layerkit.ops import containers, holdings, states, volumes
from layerkit.ops.holdings import Kind
from layerkit.store import incoming
from layerkit.store.usage import measure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from layerkit.digest import BlobDigest, Digest
    from layerkit.ops.holdings import Holding
    from layerkit.ops.home import Home
    from layerkit.store.incoming import Incoming
    from layerkit.store.records import ContainerRecord, ImageRecord


@dataclass(frozen=True, slots=True)
class ImageUsage:
    """An image: what it has alone (`unique`), what other images have, too (`shared`)."""

    image: ImageRecord
    names: tuple[str, ...]
    shared: int
    unique: int
    containers: int


@dataclass(frozen=True, slots=True)
class ContentUsage:
    """A layer, blob or view, and how many `images` have it."""

    digest: Digest
    images: int
    size: int


@dataclass(frozen=True, slots=True)
class ContainerUsage:
    """A container: its folder, most of which is what it wrote."""

    container: ContainerRecord
    status: str
    size: int


@dataclass(frozen=True, slots=True)
class VolumeUsage:
    """A volume, and how many containers use it (`links`)."""

    name: str
    links: int
    size: int


@dataclass(frozen=True, slots=True)
class DownloadUsage:
    """An unfinished download: `recorded` bytes of the `blob_size` that its journal speaks of.

    `blob_size` is None where there is no sound journal. `changed` is in seconds since 1970; `held`
    says that a process is at it.
    """

    digest: BlobDigest
    blob_size: int | None
    recorded: int
    size: int
    changed: float
    held: bool


@dataclass(frozen=True, slots=True)
class ScratchUsage:
    """A layer that is being unpacked, or a file or folder without a name yet or any more."""

    name: str
    size: int
    changed: float
    held: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the summary: of `total` things `active` ones are needed or in use.

    `reclaimable` bytes of `size` are those of the others.
    """

    kind: str
    total: int
    active: int
    size: int
    reclaimable: int


@dataclass(frozen=True, slots=True)
class DiskUsage:
    """All that the state directory has; sizes are bytes of the disk (`st_blocks`)."""

    images: tuple[ImageUsage, ...]
    layers: tuple[ContentUsage, ...]
    blobs: tuple[ContentUsage, ...]
    containers: tuple[ContainerUsage, ...]
    volumes: tuple[VolumeUsage, ...]
    views: tuple[ContentUsage, ...]
    downloads: tuple[DownloadUsage, ...]
    scratch: tuple[ScratchUsage, ...]
    in_images: int
    """The bytes of all content that images have, each counted once."""


def disk_usage(home: Home) -> DiskUsage:
    """What is on the disk now; nothing changes, what others do meanwhile may be half in it.

    Raises `StoreError`.
    """
    claims = holdings.claims(home)
    sizes = {each: holdings.usage(home, each).size for each in holdings.holdings(home)}

    def content(kind: Kind) -> tuple[ContentUsage, ...]:
        return tuple(
            ContentUsage(each.digest, claims[each], size)
            for each, size in sizes.items()
            if each.kind is kind
        )

    arriving = incoming.listing(home.store.scratch)
    return DiskUsage(
        images=_images(home, sizes),
        layers=content(Kind.LAYER),
        blobs=content(Kind.BLOB),
        containers=tuple(_container(home, each) for each in home.store.database.containers()),
        volumes=_volumes(home),
        views=content(Kind.VIEW),
        downloads=tuple(_download(home, item, item.download) for item in arriving if item.download),
        scratch=tuple(_scratch(item) for item in arriving if not item.download),
        in_images=sum(size for each, size in sizes.items() if each in claims),
    )


def summary(usage: DiskUsage) -> tuple[Row, ...]:
    """A row for each kind (pure).

    Layers, blobs and views are active when an image has them, images and volumes when a container has
    them, a container when it runs, all else when somebody is at it. An image's reclaimable size is what
    goes with it; the row of images counts what the rows of layers, blobs and views do, too.
    """
    free = [each for each in usage.images if not each.containers]
    used = len(usage.images) - len(free)
    unique = sum(each.unique for each in free)
    boxes = [(each.size, each.status == "running") for each in usage.containers]
    return (
        Row("Images", len(usage.images), used, usage.in_images, unique),
        _content_row("Layers", usage.layers),
        _content_row("Blobs", usage.blobs),
        _row("Containers", boxes),
        _row("Local Volumes", [(each.size, each.links > 0) for each in usage.volumes]),
        _content_row("Views", usage.views),
        _row("Partial downloads", [(each.size, each.held) for each in usage.downloads]),
        _row("Temporary files", [(each.size, each.held) for each in usage.scratch]),
    )


def _content_row(kind: str, things: Iterable[ContentUsage]) -> Row:
    return _row(kind, [(each.size, each.images > 0) for each in things])


def _row(kind: str, things: Sequence[tuple[int, bool]]) -> Row:
    """The row for things of some size that are active or not."""
    return Row(
        kind,
        len(things),
        sum(active for _, active in things),
        sum(size for size, _ in things),
        sum(size for size, active in things if not active),
    )


def _images(home: Home, sizes: Mapping[Holding, int]) -> tuple[ImageUsage, ...]:
    database = home.store.database
    images = database.images()
    parts = [holdings.of_image(image) for image in images]
    owners = Counter(each for part in parts for each in part)
    boxes = Counter(each.manifest for each in database.containers())
    return tuple(
        ImageUsage(
            image,
            tuple(name.name for name in database.names_of(image.manifest)),
            shared=sum(sizes.get(each, 0) for each in part if owners[each] > 1),
            unique=sum(sizes.get(each, 0) for each in part if owners[each] == 1),
            containers=boxes[image.manifest],
        )
        for image, part in zip(images, parts, strict=True)
    )


def _container(home: Home, container: ContainerRecord) -> ContainerUsage:
    size = measure(containers.folder_of(home, container)).size
    return ContainerUsage(container, states.read(home, container).status, size)


def _volumes(home: Home) -> tuple[VolumeUsage, ...]:
    used = volumes.users(home)
    return tuple(
        VolumeUsage(each.name, len(used.get(each.name, ())), each.size())
        for each in volumes.list_volumes(home)
    )


def _download(home: Home, item: Incoming, digest: BlobDigest) -> DownloadUsage:
    blobs = home.store.blobs
    blob_size = blobs.promised(digest)
    recorded = 0 if blob_size is None else blobs.arrived(digest, blob_size)
    usage = measure(item.path)
    return DownloadUsage(digest, blob_size, recorded, usage.size, usage.changed, item.held)


def _scratch(item: Incoming) -> ScratchUsage:
    usage = measure(item.path)
    return ScratchUsage(item.path.name, usage.size, usage.changed, item.held)
