"""`layerkit df`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from layerkit import reference as references
from layerkit.cli import output, template, units

if TYPE_CHECKING:
    from collections.abc import Sequence

    from layerkit.cli.app import Settings
    from layerkit.ops.df import (
        ContainerUsage,
        ContentUsage,
        DiskUsage,
        DownloadUsage,
        ImageUsage,
        Row,
        ScratchUsage,
        VolumeUsage,
    )

_NONE = "<none>"
_TITLES = {
    "Type": "TYPE",
    "TotalCount": "TOTAL",
    "Active": "ACTIVE",
    "Size": "SIZE",
    "Reclaimable": "RECLAIMABLE",
    "SizeBytes": "SIZE BYTES",
    "ReclaimableBytes": "RECLAIMABLE BYTES",
}
_TABLE = r"{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}"
_SECTIONS = {
    "Images": (
        ("REPOSITORY", "Repository"),
        ("TAG", "Tag"),
        ("IMAGE ID", "ID"),
        ("CREATED", "CreatedSince"),
        ("SIZE", "Size"),
        ("SHARED SIZE", "SharedSize"),
        ("UNIQUE SIZE", "UniqueSize"),
        ("CONTAINERS", "Containers"),
    ),
    "Layers": (("DIFF ID", "Digest"), ("IMAGES", "Images"), ("SIZE", "Size")),
    "Blobs": (("DIGEST", "Digest"), ("IMAGES", "Images"), ("SIZE", "Size")),
    "Containers": (
        ("CONTAINER ID", "ID"),
        ("IMAGE", "Image"),
        ("SIZE", "Size"),
        ("STATUS", "Status"),
        ("NAMES", "Names"),
    ),
    "Volumes": (("VOLUME NAME", "Name"), ("LINKS", "Links"), ("SIZE", "Size")),
    "Views": (("CHAIN ID", "Digest"), ("IMAGES", "Images"), ("SIZE", "Size")),
    "PartialDownloads": (
        ("DIGEST", "Digest"),
        ("VERIFIED", "Verified"),
        ("OF", "BlobSize"),
        ("SIZE", "Size"),
        ("CHANGED", "ChangedSince"),
        ("IN USE", "InUse"),
    ),
    "TemporaryFiles": (
        ("NAME", "Name"),
        ("SIZE", "Size"),
        ("CHANGED", "ChangedSince"),
        ("IN USE", "InUse"),
    ),
}
"""The lists of `-v`: their names in JSON, the titles of their columns and where these are from."""
_HEADINGS = {
    "Layers": "Layers space usage (tars and indexes):",
    "Volumes": "Local Volumes space usage:",
    "Views": "Views space usage (directories for overlayfs):",
    "PartialDownloads": "Partial downloads space usage:",
    "TemporaryFiles": "Temporary files space usage:",
}


@click.command("df")
@click.option("-v", "--verbose", is_flag=True, help="List every item.")
@click.option("--format", "text", metavar="FORMAT", help="json, table, or a Go template.")
@click.pass_obj
def command(settings: Settings, *, verbose: bool, text: str | None) -> None:
    """Show where the disk went.

    Sizes are what files take on the disk. The row of images counts again what is in those of
    layers, blobs and views. Active are content that an image has, images and volumes that a
    container has, running containers, and downloads that a process is at.
    """
    from layerkit.ops.df import disk_usage, summary  # noqa: PLC0415  not for --help

    # With -v there is no one table that a format could be about.
    shape = template.parse(text or "table", "" if verbose and text else _TABLE)
    with settings.open_home(for_all_ids=True) as home:
        usage = disk_usage(home)
    if not verbose:
        lines = shape.lines([_row(each) for each in summary(usage)], _TITLES)
    elif text:
        lines = shape.lines([_details(usage)])
    else:
        lines = _tables(_details(usage))
    for line in lines:
        output.line(line)


def _sizes(**sizes: int | None) -> dict[str, Any]:
    """Each size as docker prints it, and as a number under its name with `Bytes`."""
    return {
        **{name: "?" if size is None else units.human_size(size) for name, size in sizes.items()},
        **{f"{name}Bytes": size for name, size in sizes.items()},
    }


def _row(row: Row) -> dict[str, Any]:
    sizes = _sizes(Size=row.size, Reclaimable=row.reclaimable)
    if row.size:
        sizes["Reclaimable"] += f" ({row.reclaimable * 100 // row.size}%)"
    return {"Type": row.kind, "TotalCount": str(row.total), "Active": str(row.active), **sizes}


def _details(usage: DiskUsage) -> dict[str, list[dict[str, Any]]]:
    now = datetime.now(UTC)
    return {
        "Images": [each for image in usage.images for each in _image(image, now)],
        "Layers": [_content(each) for each in usage.layers],
        "Blobs": [_content(each) for each in usage.blobs],
        "Containers": [_container(each) for each in usage.containers],
        "Volumes": [_volume(each) for each in usage.volumes],
        "Views": [_content(each) for each in usage.views],
        "PartialDownloads": [_download(each, now) for each in usage.downloads],
        "TemporaryFiles": [_scratch(each, now) for each in usage.scratch],
    }


def _tables(details: dict[str, list[dict[str, Any]]]) -> list[str]:
    lines: list[str] = []
    for name, columns in _SECTIONS.items():
        rows = [[title for title, _ in columns]]
        rows += [_cells(item, [field for _, field in columns]) for item in details[name]]
        heading = _HEADINGS.get(name, f"{name} space usage:")
        lines += [heading, "", *template.align(rows), ""]
    return lines[:-1]


def _cells(item: dict[str, Any], fields: Sequence[str]) -> list[str]:
    return [output.printable(str(item[field])) for field in fields]


def _image(usage: ImageUsage, now: datetime) -> list[dict[str, Any]]:
    """A record for each name of the image, or one for an image without."""
    image = usage.image
    record = {
        "Repository": _NONE,
        "Tag": _NONE,
        "ID": image.config.short,
        "CreatedSince": units.ago(image.created, now),
        **_sizes(
            Size=usage.shared + usage.unique, SharedSize=usage.shared, UniqueSize=usage.unique
        ),
        "Containers": usage.containers,
    }
    names = [references.parse(name) for name in usage.names]
    return [
        {**record, "Repository": name.familiar_repository, "Tag": name.tag or _NONE}
        for name in names
    ] or [record]


def _content(usage: ContentUsage) -> dict[str, Any]:
    return {"Digest": str(usage.digest), "Images": usage.images, **_sizes(Size=usage.size)}


def _container(usage: ContainerUsage) -> dict[str, Any]:
    return {
        "ID": usage.container.id[:12],
        "Image": usage.container.image_name,
        "Names": usage.container.name,
        "Status": usage.status,
        **_sizes(Size=usage.size),
    }


def _volume(usage: VolumeUsage) -> dict[str, Any]:
    return {"Name": usage.name, "Links": usage.links, **_sizes(Size=usage.size)}


def _download(usage: DownloadUsage, now: datetime) -> dict[str, Any]:
    return {
        "Digest": str(usage.digest),
        **_sizes(Verified=usage.recorded, BlobSize=usage.blob_size, Size=usage.size),
        **_left(usage, now),
    }


def _scratch(usage: ScratchUsage, now: datetime) -> dict[str, Any]:
    return {"Name": usage.name, **_sizes(Size=usage.size), **_left(usage, now)}


def _left(usage: DownloadUsage | ScratchUsage, now: datetime) -> dict[str, Any]:
    """What tells whether it is still needed: its age, and who is at it."""
    age = max(timedelta(seconds=now.timestamp() - usage.changed), timedelta())
    return {
        "ChangedSince": f"{units.human_duration(age)} ago",
        "InUse": "yes" if usage.held else "no",
    }
