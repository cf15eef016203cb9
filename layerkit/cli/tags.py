"""`layerkit tags`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from layerkit.cli import authfile, output, progress

if TYPE_CHECKING:
    from layerkit.cli.app import Settings


@click.command("tags")
@click.argument("repository")
@authfile.option
@click.pass_obj
def command(settings: Settings, repository: str) -> None:
    """List the tags of a repository in a registry."""
    from layerkit.ops import tags as ops  # noqa: PLC0415  loads what speaks HTTP
    from layerkit.ops.notices import tell_warnings  # noqa: PLC0415  as above

    with settings.client() as client, progress.start(settings.progress) as shown:
        found = ops.tags(client, ops.repository(repository))
        tell_warnings(client, shown)
    for tag in found:
        output.line(tag)
