"""`layerkit referrers`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from layerkit import reference as references
from layerkit.cli import authfile, output, progress, template
from layerkit.cli.completion import complete_images
from layerkit.cli.units import human_size

if TYPE_CHECKING:
    from layerkit.cli.app import Settings
    from layerkit.oci import Descriptor

_CREATED = "org.opencontainers.image.created"
_TITLES = {
    "Digest": "DIGEST",
    "ArtifactType": "ARTIFACT TYPE",
    "MediaType": "MEDIA TYPE",
    "CreatedAt": "CREATED AT",
    "Size": "SIZE",
    "Annotations": "ANNOTATIONS",
}
_TABLE = r"{{.Digest}}\t{{.ArtifactType}}\t{{.CreatedAt}}\t{{.Size}}"


@click.command("referrers")
@click.argument("image", shell_complete=complete_images)
@click.option("--artifact-type", default="", metavar="TYPE", help="Only artifacts of this type.")
@click.option("--format", "text", metavar="FORMAT", help="json, table, or a Go template.")
@authfile.option
@click.pass_obj
def command(settings: Settings, image: str, artifact_type: str, text: str | None) -> None:
    """List what is attached to an image in a registry.

    Signatures, SBOMs, attestations: manifests whose subject is exactly what the name stands for.
    Of an index that is the index itself; for one platform's image, name that one's digest.
    """
    from layerkit.ops.notices import tell_warnings  # noqa: PLC0415  loads what speaks HTTP
    from layerkit.ops.referrers import referrers  # noqa: PLC0415  as above

    shape = template.parse(text or "table", _TABLE)
    with settings.client() as client, progress.start(settings.progress) as shown:
        found = referrers(client, references.parse(image), artifact_type)
        tell_warnings(client, shown)
    records = [_record(each, exact=not shape.is_table) for each in found]
    for line in shape.lines(records, _TITLES):
        output.line(line)


def _record(descriptor: Descriptor, *, exact: bool) -> dict[str, Any]:
    return {
        "Digest": str(descriptor.digest),
        "ArtifactType": descriptor.artifact_type,
        "MediaType": descriptor.media_type,
        "CreatedAt": descriptor.annotations.get(_CREATED, ""),
        "Size": descriptor.size if exact else human_size(descriptor.size),
        "Annotations": descriptor.annotations,
    }
