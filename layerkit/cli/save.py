"""`layerkit save`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from layerkit.cli import target
from layerkit.cli.completion import complete_images
from layerkit.errors import UsageError

if TYPE_CHECKING:
    from layerkit.cli.app import Settings


@click.command("save")
@click.argument("image", nargs=-1, required=True, shell_complete=complete_images)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE|DIR",
    help="Write to this file or directory, not to standard output.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["oci-archive", "docker-archive", "oci-dir"]),
    default="oci-archive",
    show_default=True,
    help="oci-archive is read by docker, podman, skopeo and containerd; docker-archive has "
    "uncompressed layers, for readers that are old; oci-dir is a new or empty directory.",
)
@click.option(
    "--exclude-base",
    metavar="IMAGE",
    shell_complete=complete_images,
    help="Leave out the lowest layers that this image has, too; to load the rest takes that image.",
)
@click.pass_obj
def command(
    settings: Settings,
    *,
    image: tuple[str, ...],
    output: Path | None,
    form: Literal["oci-archive", "docker-archive", "oci-dir"],
    exclude_base: str | None,
) -> None:
    """Save images to an archive or an OCI layout directory.

    A name without a tag means all tags of the repository. Manifests and layers keep their digests
    in the OCI formats. Saving the same images again gives the same bytes.
    """
    from layerkit.ops.save import save, save_directory  # noqa: PLC0415  not for --help

    if form == "oci-dir":
        if output is None:
            raise UsageError("an OCI layout is a directory: name it with -o")
        with settings.open_home() as home:
            save_directory(home, image, output, exclude_base=exclude_base)
        return
    target.check(output)
    with settings.open_home() as home:
        target.write(output, save(home, image, form, exclude_base=exclude_base))
