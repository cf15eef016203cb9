"""`layerkit tag`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from layerkit.cli.completion import complete_images

if TYPE_CHECKING:
    from layerkit.cli.app import Settings


@click.command("tag")
@click.argument("image", shell_complete=complete_images)
@click.argument("name")
@click.pass_obj
def command(settings: Settings, image: str, name: str) -> None:
    """Give an image one more name."""
    from layerkit.ops.tag import tag  # noqa: PLC0415  not for --help

    with settings.open_home() as home:
        tag(home, image, name)
